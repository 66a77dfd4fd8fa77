/**
 * QueueTransport on a work-queue stream of NATS JetStream, for any number of processes and machines.
 *
 * How long is an item its holder's? For `leaseMs` by the server's monotonic clock, and a little less by the holder's own: the two
 * are durations, and no calendars are compared. Only start times are calendar time, that of whichever client moves the item.
 */
import { checkInteger, EvenkeelError } from '../../core/errors.js';
import { checkItems, checkLease, checkLimit } from '../../core/internal/queue-arguments.js';
import { checkOpen } from '../../core/internal/transport-guards.js';
import { randomId } from '../../core/random.js';
import type { DeadLetter, Delivery, QueueItem, QueueStats, QueueTransport } from '../../core/transport/queue.js';
import { linkOf, type NatsClient } from './client.js';
import { checkReplicas, JetStream } from './jetstream.js';
import type { NatsLink } from './link.js';
import { checkName } from './names.js';
import { DelayedItems } from './queue-delayed.js';
import type { DeliveryQueue, NatsDelivery } from './queue-delivery.js';
import { Enqueue } from './queue-enqueue.js';
import { Leasing } from './queue-lease.js';
import { QueueStreams } from './queue-streams.js';

export interface NatsQueueOptions {
  client: NatsClient;
  /** The queue's name, made at the first use: 1 to 64 letters, digits, `-`, `_`. Its streams are `EKQ_`, `EKQD_`, `EKQF_` and the name. */
  name: string;
  /**
   * Items stored, dead letters apart; more are refused with `resource-exhausted`. Each client counts once a second, so that several
   * who store at once may go beyond by 1 %, at most 1000. Read by the server when the queue is made. Default 100,000.
   */
  maxItems?: number;
  /**
   * Bytes of all items as they are stored, counted as `maxItems` are; several clients may go beyond by 512 KiB. Read by the server when
   * the queue is made. Default: the server's own limit.
   */
  maxBytes?: number;
  /** Deliveries after which an item that is not acknowledged becomes a dead letter. Default: never. */
  deadAfter?: number;
  /** Servers that hold each item, 1, 3 or 5. Read when the queue is made. Default 1. */
  replicas?: number;
}

export const DEFAULT_NATS_QUEUE_ITEMS = 100_000;
/** `lease` calls of one transport that wait at once. */
const MAX_WAITING = 10_000;

/**
 * Delivery at least once on NATS, from version 2.9 on.
 *
 * - `enqueue` stores a batch message by message: a process that dies within leaves a part of it. Items with a key cost three round trips more.
 * - Items with a start time are moved, when it has come, by the clients that lease: without one they stay `delayed`.
 * - A `lease` that waits outlives the loss of its server. An item that was on its way to us then is due again after 30 s.
 * - A server that is killed may forget its newest deliveries: an item is then delivered again before its lease ran out, perhaps with a
 *   lower `attempt`, but with a higher `fence`.
 * - A delivery that a `lease` did not take any more, because it was aborted at that moment, counts as an attempt. When a process dies
 *   while it waits, an item that becomes due in the next 10 s may begin to count its attempts anew.
 * - `stats` counts an item that waits for the end of a nack delay, or whose lease ran out, as `leased` until it is delivered again.
 *
 * @example
 * ```ts nocheck
 * import * as nats from '@nats-io/transport-node';
 * import { createNatsClient, createNatsQueue } from 'evenkeel/nats';
 *
 * const client = createNatsClient({ nats, connect: { servers: 'nats://10.0.0.7:4222' } });
 * const queue = createNatsQueue({ client, name: 'jobs', deadAfter: 5 });
 * ```
 * @throws {EvenkeelError} `invalid-argument` naming the option. Operations: `unavailable` when no server answers within the client's
 *   `timeoutMs`, `unauthenticated`, `permission-denied`, `resource-exhausted` (a full queue), `failed-precondition` without JetStream.
 */
export function createNatsQueue(options: NatsQueueOptions): QueueTransport {
  const link = linkOf(options.client);
  const bounds = {
    maxItems: checkInteger('maxItems', options.maxItems ?? DEFAULT_NATS_QUEUE_ITEMS, 1),
    maxBytes: options.maxBytes === undefined ? undefined : checkInteger('maxBytes', options.maxBytes, 1),
    replicas: checkReplicas(options.replicas),
  };
  const deadAfter = options.deadAfter === undefined ? Number.POSITIVE_INFINITY : checkInteger('deadAfter', options.deadAfter, 1);
  return new NatsQueue(link, new QueueStreams(new JetStream(link), checkName('name', options.name), bounds), deadAfter);
}

class NatsQueue implements QueueTransport, DeliveryQueue {
  readonly streams: QueueStreams;
  readonly deadAfter: number;
  readonly #link: NatsLink;
  readonly #delayed: DelayedItems;
  readonly #enqueue: Enqueue;
  readonly #leasing: Leasing;
  readonly #waiting = new Set<AbortController>();
  #isClosed = false;

  constructor(link: NatsLink, streams: QueueStreams, deadAfter: number) {
    this.#link = link;
    this.streams = streams;
    this.deadAfter = deadAfter;
    this.#delayed = new DelayedItems(streams);
    this.#enqueue = new Enqueue(streams, (dueMs) => this.#delayed.expect(dueMs));
    const inbox = `${link.settings.inboxPrefix}.${randomId(link.random).slice(0, 22)}`;
    this.#leasing = new Leasing(this, this.#delayed, inbox);
  }

  async enqueue(items: readonly QueueItem[], options?: { signal?: AbortSignal }): Promise<number[]> {
    this.check();
    const checked = checkItems(items, options);
    if (checked.length === 0) return [];
    return this.streams.opened.use(options?.signal, () => this.#enqueue.add(checked, options?.signal));
  }

  async lease(options: { max: number; leaseMs: number; signal?: AbortSignal }): Promise<Delivery[]> {
    this.check();
    const { signal } = options;
    const { max, leaseMs } = checkLease(options);
    if (signal?.aborted) return [];
    if (this.#waiting.size >= MAX_WAITING) {
      const limit = { retryable: 'yes', rejected: true, details: { limit: MAX_WAITING } } as const;
      throw new EvenkeelError('resource-exhausted', 'too many leases wait', limit);
    }
    const stop = new AbortController();
    const onAbort = () => stop.abort();
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiting.add(stop);
    try {
      const deliveries = await untilAborted(stop.signal, this.#leasing.lease({ max, leaseMs, signal: stop.signal }));
      this.check();
      return deliveries;
    } finally {
      this.#waiting.delete(stop);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async stats(): Promise<QueueStats> {
    this.check();
    return this.streams.opened.use(undefined, () => this.#stats());
  }

  async #stats(): Promise<QueueStats> {
    const { subjects } = this.streams;
    const [{ fresh, unacknowledged }, delayed, dead] = await Promise.all([
      this.streams.consumerCounts(),
      this.streams.listSubjects(subjects.allDelayed),
      this.streams.deadCount(),
    ]);
    const now = this.#link.clock.wallTime();
    let waiting = 0;
    let due = fresh;
    for (const subject of delayed.keys()) {
      const dueMs = subjects.parseDelayed(subject)?.dueMs;
      // None of ours: nobody will move it.
      if (dueMs === undefined) continue;
      this.#delayed.expect(dueMs);
      if (dueMs > now) waiting++;
      else due++;
    }
    return { due, delayed: waiting, leased: unacknowledged, dead };
  }

  async deadLetters(options: { limit: number }): Promise<readonly DeadLetter[]> {
    this.check();
    const limit = checkLimit(options);
    return this.streams.opened.use(undefined, () => this.streams.deadLetters(limit));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stop of this.#waiting) stop.abort();
  }

  check(): void {
    checkOpen(this.#isClosed, 'the queue transport');
  }
}

/** Ends the moment the signal does; what `leasing` takes afterwards is handed back. */
function untilAborted(signal: AbortSignal, leasing: Promise<NatsDelivery[]>): Promise<NatsDelivery[]> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      resolve([]);
      leasing.then(
        (late) => {
          for (const delivery of late) delivery.handBack();
        },
        () => {},
      );
    };
    signal.addEventListener('abort', onAbort, { once: true });
    leasing
      .then((deliveries) => {
        if (!signal.aborted) resolve(deliveries);
      }, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}
