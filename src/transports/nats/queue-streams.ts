/**
 * The streams behind a queue, made at the first use: the items (`EKQ_`) with one shared consumer, the dead letters (`EKQD_`), and
 * one message (`EKQF_`) whose sequence is the newest fence.
 *
 * Why a stream for the fence? It has to rise over the death of the server, and a consumer's own count may fall back with it.
 */
import { EvenkeelError, isEvenkeelError } from '../../core/errors.js';
import { type DeadLetter, MAX_QUEUE_BODY_BYTES } from '../../core/transport/queue.js';
import type { CallOptions, JetStream, StoredMessage, StreamInfo } from './jetstream.js';
import { CONSUMER_NOT_FOUND, numberOf } from './nats-errors.js';
import { OpenedStream } from './opened-stream.js';
import { QueueSubjects } from './queue-subjects.js';

export interface QueueBounds {
  readonly maxItems: number;
  readonly maxBytes: number | undefined;
  readonly replicas: number;
}

interface ConsumerInfo {
  readonly config: { readonly ack_wait: number };
  readonly delivered: { readonly stream_seq: number };
  /** Everything up to it was acknowledged. */
  readonly ack_floor: { readonly stream_seq: number };
  readonly num_pending: number;
  readonly num_ack_pending: number;
}

const MAX_DEAD_LETTERS = 10_000;
const CONSUMER = 'workers';
/** How long the server waits for a word on a delivery. */
const ACK_WAIT_MS = 30_000;
/** Leases that wait at once, over all clients. */
const MAX_WAITING = 10_000;
/** A delayed item is stored a second time before it is removed where it was: room for the largest. */
const BYTES_TO_MOVE = 2 * MAX_QUEUE_BODY_BYTES;
const REASON = 'Evenkeel-Reason';
const ATTEMPTS = 'Evenkeel-Attempts';

export class QueueStreams {
  readonly js: JetStream;
  readonly subjects: QueueSubjects;
  readonly items: string;
  readonly maxItems: number;
  readonly maxBytes: number;
  /** Streams and consumer. */
  readonly opened = new OpenedStream(() => this.#make());
  readonly #name: string;
  readonly #dead: string;
  readonly #fences: string;
  readonly #bounds: QueueBounds;
  #ackWaitMs = ACK_WAIT_MS;

  constructor(js: JetStream, name: string, bounds: QueueBounds) {
    this.js = js;
    this.#name = name;
    this.subjects = new QueueSubjects(name);
    this.items = `EKQ_${name}`;
    this.#dead = `EKQD_${name}`;
    this.#fences = `EKQF_${name}`;
    this.#bounds = bounds;
    this.maxItems = bounds.maxItems;
    this.maxBytes = bounds.maxBytes ?? Number.POSITIVE_INFINITY;
  }

  /** How long a delivery is its receiver's when nothing is said; known once open. */
  get ackWaitMs(): number {
    return this.#ackWaitMs;
  }

  /** Where the consumer is asked for items. */
  get pullSubject(): string {
    return `${this.js.link.settings.apiPrefix}.CONSUMER.MSG.NEXT.${this.items}.${CONSUMER}`;
  }

  /** Items stored, dead letters apart. */
  async usage(): Promise<{ readonly messages: number; readonly bytes: number }> {
    return (await this.js.info(this.items)).state;
  }

  /** Messages by subject. */
  async listSubjects(filter: string, options: CallOptions = {}): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for await (const [subject, count] of this.js.subjects(this.items, filter, options)) counts.set(subject, count);
    return counts;
  }

  /** Removes an item; one that is gone is as good. */
  async remove(seq: number): Promise<void> {
    try {
      await this.js.api(`STREAM.MSG.DELETE.${this.items}`, { seq, no_erase: true });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  /** The item of a subject that takes one. One that has ended, and is there again, is none: see {@link removeEnded}. */
  async item(subject: string, options?: CallOptions): Promise<StoredMessage | undefined> {
    const message = await this.js.message(this.items, { last_by_subj: subject }, options);
    const isReady = message !== undefined && this.subjects.isReady(subject);
    if (!isReady || !(await this.removeEnded(message.seq))) return message;
    return this.js.message(this.items, { last_by_subj: subject }, options);
  }

  /**
   * Removes items that have ended, if that at `seq` is one (default: the first that is ready): nats-server 2.9 that is killed remembers
   * what was acknowledged, but may have what it removed for that again, where it keeps the key and takes room for ever.
   */
  async removeEnded(seq?: number): Promise<boolean> {
    const next = { seq: 1, next_by_subj: this.subjects.allReady };
    const first = seq ?? (await this.js.message(this.items, next))?.seq;
    const { delivered, ack_floor } = await this.#consumer();
    const floor = Math.min(delivered.stream_seq, ack_floor.stream_seq);
    if (first === undefined || first > floor) return false;
    await this.js.purge(this.items, this.subjects.allReady, { seq: floor + 1 });
    return true;
  }

  /** Items never delivered, and items delivered and neither acknowledged nor buried. */
  async consumerCounts(): Promise<{ fresh: number; unacknowledged: number }> {
    const info = await this.#consumer();
    return { fresh: info.num_pending, unacknowledged: info.num_ack_pending };
  }

  /**
   * Has the server look at the pulls that wait, in the background. nats-server 2.9 keeps one whose caller has left until it expires, and
   * an item that becomes due meanwhile forgets its attempts (measured); asked about its consumer it drops such pulls.
   */
  dropLeftPulls(): void {
    if (this.js.link.isConnected) this.consumerCounts().catch(() => {});
  }

  /** A number above every one given before. */
  async nextFence(timeoutMs: number): Promise<number> {
    // Stored twice it is a higher number, and as good.
    const options = { what: 'take a lease', stream: this.#fences, timeoutMs, messageId: false } as const;
    return (await this.js.publish(`$EKQF.${this.#name}`, '', options)).seq;
  }

  async bury(letter: DeadLetter, timeoutMs: number): Promise<void> {
    const { id, body, attempts, reason } = letter;
    // JSON, since a header has no room for a line feed.
    const headers = [REASON, JSON.stringify(reason), ATTEMPTS, String(attempts)];
    // One message a subject: buried twice it is there once.
    const options = { what: `bury item ${id}`, stream: this.#dead, headers, timeoutMs, messageId: false } as const;
    await this.opened.use(undefined, () => this.js.publish(`$EKQD.${this.#name}.${id}`, body, options));
  }

  async deadCount(): Promise<number> {
    return (await this.js.info(this.#dead)).state.messages;
  }

  async deadLetters(limit: number): Promise<DeadLetter[]> {
    const letters: DeadLetter[] = [];
    const next_by_subj = `$EKQD.${this.#name}.>`;
    for (let seq = 1; letters.length < limit; ) {
      const message = await this.js.message(this.#dead, { seq, next_by_subj });
      if (message === undefined) break;
      letters.push(letterIn(message, message.subject.slice(next_by_subj.length - 1)));
      seq = message.seq + 1;
    }
    return letters;
  }

  async #make(): Promise<StreamInfo> {
    const { maxItems, maxBytes, replicas } = this.#bounds;
    const common = { num_replicas: replicas, allow_direct: true };
    const [info] = await Promise.all([
      this.js.ensureStream({
        ...common,
        name: this.items,
        subjects: [this.subjects.all],
        retention: 'workqueue',
        max_msgs: maxItems + roomToMove(maxItems),
        max_bytes: maxBytes === undefined ? -1 : maxBytes + BYTES_TO_MOVE,
      }),
      this.js.ensureStream({
        ...common,
        name: this.#dead,
        subjects: [`$EKQD.${this.#name}.>`],
        discard: 'old',
        max_msgs: MAX_DEAD_LETTERS,
        max_msgs_per_subject: 1,
      }),
      this.js.ensureStream({ ...common, name: this.#fences, subjects: [`$EKQF.${this.#name}`], discard: 'old', max_msgs: 1 }),
    ]);
    const { config } = await this.#ensureConsumer();
    this.#ackWaitMs = config.ack_wait / 1e6;
    return info;
  }

  #consumer(): Promise<ConsumerInfo> {
    return this.js.api<ConsumerInfo>(`CONSUMER.INFO.${this.items}.${CONSUMER}`, undefined);
  }

  async #ensureConsumer(): Promise<ConsumerInfo> {
    try {
      return await this.#consumer();
    } catch (error) {
      if (numberOf(error) !== CONSUMER_NOT_FOUND) throw error;
    }
    return await this.js.api<ConsumerInfo>(`CONSUMER.DURABLE.CREATE.${this.items}.${CONSUMER}`, {
      stream_name: this.items,
      config: {
        durable_name: CONSUMER,
        deliver_policy: 'all',
        filter_subject: this.subjects.allReady,
        ack_policy: 'explicit',
        ack_wait: ACK_WAIT_MS * 1e6,
        max_ack_pending: -1,
        max_deliver: -1,
        max_waiting: MAX_WAITING,
      },
    });
  }
}

/** A delayed item is stored a second time before it is removed where it was: a queue full of them must be able to move one. */
function roomToMove(maxItems: number): number {
  return Math.max(1, Math.min(1000, Math.ceil(maxItems / 100)));
}

function isGone(error: unknown): boolean {
  // "Sequence not found", and "message not found" from a stream in memory.
  return isEvenkeelError(error) && [10043, 10037].includes(numberOf(error));
}

/** @throws {EvenkeelError} `data-loss` with the subject, so that it can be removed. */
function letterIn({ subject, data, header }: StoredMessage, id: string): DeadLetter {
  const attempts = header(ATTEMPTS) ?? '';
  const reason = parse(header(REASON));
  if (!/^\d+$/.test(id) || !/^\d+$/.test(attempts) || typeof reason !== 'string') {
    throw new EvenkeelError('data-loss', `the dead letter ${subject} is damaged`, { details: { subject } });
  }
  return { id: Number(id), body: new Uint8Array(data), attempts: Number(attempts), reason };
}

function parse(json: string | undefined): unknown {
  try {
    return json === undefined ? undefined : JSON.parse(json);
  } catch {
    return undefined;
  }
}
