/** JetStream as JSON requests: streams, single messages, and publications that the server acknowledges. */
import { EvenkeelError, invalidArgument } from '../../core/errors.js';
import { randomId } from '../../core/random.js';
import type { NatsLink } from './link.js';
import {
  type ApiError,
  apiError,
  MESSAGE_NOT_FOUND,
  numberOf,
  STREAM_EXISTS,
  STREAM_NOT_FOUND,
  SUBJECTS_OVERLAP,
  WRONG_LAST_SEQUENCE,
} from './nats-errors.js';
import type { NatsMessage } from './peer.js';
import { mayHaveActed } from './requests.js';

export interface StreamInfo {
  readonly config: Readonly<Record<string, unknown>>;
  /** When its life began, to the nanosecond. */
  readonly created: string;
  readonly state: {
    readonly messages: number;
    readonly bytes: number;
    readonly first_seq: number;
    readonly last_seq: number;
    /** With `subjects_filter`: messages by subject. */
    readonly subjects?: Readonly<Record<string, number>>;
  };
}

/** Servers that hold each message of a stream: an even number survives no more losses than the odd one below it. */
export function checkReplicas(replicas: number | undefined): number {
  if (replicas === undefined || replicas === 1 || replicas === 3 || replicas === 5) return replicas ?? 1;
  throw invalidArgument('replicas', replicas, '1, 3 or 5');
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds in all, and for one try. Default: the client's. */
  readonly timeoutMs?: number;
  readonly tryTimeoutMs?: number;
  /** Called before a try that follows one which may have acted. */
  readonly onRepeat?: () => void;
}

export interface PublishOptions extends CallOptions {
  readonly what: string;
  /** The one that takes the subject. */
  readonly stream: string;
  /** Names and values in turn. */
  readonly headers?: readonly string[];
  /** Sequence that the last message of the subject must have; 0: there must be none. */
  readonly expect?: number | undefined;
  /**
   * Tells repeated publications of one message apart from a new one, for as long as the stream remembers (`duplicate_window`).
   * Default: a new one per call, good for the tries of one call. `false`: none, for what is the same when it is stored twice.
   */
  readonly messageId?: string | false;
}

/** A stream remembers message ids for so long: longer than an operation tries. */
export const DUPLICATE_WINDOW_NS = 30e9;

/** For a look whether a stream is there. */
const LOOK_MS = 250;

/** A page of subjects takes a server a while to put together. */
const LISTING = { tryTimeoutMs: 10_000, timeoutMs: 25_000 } as const;

/** On one page. */
const SUBJECTS_PAGE = 100_000;

/** What a message in a stream has beside its payload. */
export interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  readonly data: Uint8Array;
  /** By the clock of the server that stored it, RFC 3339. */
  readonly time: string;
  readonly header: (name: string) => string | undefined;
}

export type MessageChoice = { seq: number; next_by_subj?: string } | { last_by_subj: string };

/** As JetStream's API answers: headers and data in base64. */
interface ApiMessage {
  readonly subject: string;
  readonly seq: number;
  readonly time: string;
  readonly hdrs?: string;
  readonly data?: string;
}

const MESSAGE_ID = 'Nats-Msg-Id';

const RESTORE_LOOKS = 20;
const RESTORE_PAUSE_MS = 100;

export class JetStream {
  readonly link: NatsLink;
  readonly #prefix: string;
  readonly #idPrefix: string;
  /** Streams whose copies may be asked. */
  readonly #direct = new Set<string>();
  #ids = 0;

  constructor(link: NatsLink) {
    this.link = link;
    this.#prefix = link.settings.apiPrefix;
    this.#idPrefix = randomId(link.random).slice(0, 16);
  }

  /** A request of the API whose repetition does no harm. */
  async api<T>(verb: string, body: object | undefined, options: CallOptions = {}): Promise<T> {
    const what = `JetStream ${verb}`;
    const payload = body === undefined ? '' : JSON.stringify(body);
    const reply = await this.link.requests.request(`${this.#prefix}.${verb}`, payload, { ...options, what, isIdempotent: true });
    const answer = parse<T & { error?: ApiError }>(reply, what);
    if (answer.error !== undefined) throw apiError(answer.error, what);
    return answer;
  }

  /** Makes the stream unless it is there; one that is there is taken as it is. */
  async ensureStream(config: { name: string; subjects: string[] } & Record<string, unknown>): Promise<StreamInfo> {
    const info = await this.#ensured(config);
    if (info.config.allow_direct === true) this.#direct.add(config.name);
    else this.#direct.delete(config.name);
    return info;
  }

  async #ensured(config: { name: string; subjects: string[] } & Record<string, unknown>): Promise<StreamInfo> {
    try {
      return await this.info(config.name);
    } catch (error) {
      if (numberOf(error) !== STREAM_NOT_FOUND) throw error;
    }
    try {
      return await this.api<StreamInfo>(`STREAM.CREATE.${config.name}`, {
        num_replicas: 1,
        storage: 'file',
        discard: 'new',
        duplicate_window: DUPLICATE_WINDOW_NS,
        ...config,
      });
    } catch (error) {
      // Another process made it meanwhile, perhaps with other bounds.
      if (numberOf(error) === STREAM_EXISTS) return await this.info(config.name);
      if (numberOf(error) === SUBJECTS_OVERLAP) return await this.#restored(config.name, error);
      throw error;
    }
  }

  /** A server that has just started holds a stream's subjects some time before it tells of the stream. Else they are another stream's. */
  async #restored(name: string, overlap: unknown): Promise<StreamInfo> {
    for (let look = 0; look < RESTORE_LOOKS; look++) {
      await this.link.clock.sleep(RESTORE_PAUSE_MS, undefined, true);
      try {
        return await this.info(name);
      } catch (error) {
        if (numberOf(error) !== STREAM_NOT_FOUND) throw error;
      }
    }
    throw overlap;
  }

  info(stream: string, options?: CallOptions & { subjects?: string; offset?: number }): Promise<StreamInfo> {
    const { subjects, offset, ...call } = options ?? {};
    const body = subjects === undefined ? undefined : { subjects_filter: subjects, ...(offset ? { offset } : undefined) };
    return this.api<StreamInfo>(`STREAM.INFO.${stream}`, body, call);
  }

  /**
   * Stores a message and resolves when the server has it. Repeated until it has: the message id keeps it from being stored twice.
   * @throws {EvenkeelError} `aborted` when `expect` does not hold; `resource-exhausted` when the stream is full; `not-found` when
   *   there is no such stream.
   */
  async publish(subject: string, payload: Uint8Array | string, options: PublishOptions): Promise<{ seq: number }> {
    const { what, stream, messageId, headers: own, expect, ...call } = options;
    const headers = this.link.settings.nats.headers();
    const id = messageId ?? this.#idPrefix + (this.#ids++).toString(36);
    if (id !== false) headers.append(MESSAGE_ID, id);
    if (expect !== undefined) headers.append('Nats-Expected-Last-Subject-Sequence', String(expect));
    if (own !== undefined) for (let i = 0; i + 1 < own.length; i += 2) headers.append(own[i] as string, own[i + 1] as string);
    let isRepeated = false;
    const onRepeat = () => {
      isRepeated = true;
    };
    const onNobody = () => this.#checkIsThere(stream, call.signal);
    const request = { ...call, what, headers, isIdempotent: true, onRepeat, onNobody };
    const reply = await this.link.requests.request(subject, payload, request);
    const answer = parse<{ error?: ApiError; seq: number }>(reply, what);
    if (answer.error === undefined) return { seq: answer.seq };
    const error = publishError(answer.error, what);
    if (!isRepeated) throw error;
    if (expect === undefined || answer.error.err_code !== WRONG_LAST_SEQUENCE) throw mayHaveActed(error);
    return { seq: await this.#landed(stream, subject, id, what, call) };
  }

  /** Nobody listens to the subjects of a stream that was deleted, nor, for a moment, of one that has no leader. */
  async #checkIsThere(stream: string, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.info(stream, { signal, timeoutMs: LOOK_MS });
    } catch (error) {
      if (numberOf(error) === STREAM_NOT_FOUND) throw error;
    }
  }

  /**
   * A restarted server knows the ids of the messages it still has. When ours landed, unheard, and another came over it, what we are
   * told is a conflict; whose, nobody knows any more.
   */
  async #landed(stream: string, subject: string, id: string | false, what: string, call: CallOptions): Promise<number> {
    const last = await this.message(stream, { last_by_subj: subject }, call).catch((error: unknown) => {
      throw mayHaveActed(error);
    });
    if (last !== undefined && last.header(MESSAGE_ID) === id) return last.seq;
    throw new EvenkeelError('unavailable', `${what}: a try was lost, and another message has come since`, {
      retryable: 'unknown',
      details: { last: last?.seq ?? 0 },
    });
  }

  /**
   * One message as the stream's leader has it: by its sequence, as the first of a subject from there on, or as the last of its
   * subject. Undefined when there is none.
   */
  async message(stream: string, which: MessageChoice, options: CallOptions = {}): Promise<StoredMessage | undefined> {
    try {
      const { message } = await this.api<{ message: ApiMessage }>(`STREAM.MSG.GET.${stream}`, which, options);
      const headers = message.hdrs === undefined ? '' : Buffer.from(message.hdrs, 'base64').toString();
      return {
        subject: message.subject,
        seq: message.seq,
        time: message.time,
        data: Buffer.from(message.data ?? '', 'base64'),
        header: (name) => headerIn(headers, name),
      };
    } catch (error) {
      if (numberOf(error) === MESSAGE_NOT_FOUND) return undefined;
      throw error;
    }
  }

  /**
   * The message of a subject that has one and the same for ever. Any server that holds a copy answers, without the detour over JSON; one
   * that has none may be behind, so the leader is asked.
   */
  async constant(stream: string, subject: string, options: CallOptions = {}): Promise<StoredMessage | undefined> {
    const which = { last_by_subj: subject };
    if (!this.#direct.has(stream)) return this.message(stream, which, options);
    const what = `JetStream DIRECT.GET.${stream}`;
    const request = { ...options, what, isIdempotent: true };
    const { headers, data } = await this.link.requests.request(
      `${this.#prefix}.DIRECT.GET.${stream}`,
      JSON.stringify(which),
      request,
    );
    if (headers === undefined) throw new EvenkeelError('internal', `${what}: an answer without headers`);
    if (headers.code === 404) return this.message(stream, which, options);
    if (headers.code !== 0) throw apiError({ code: headers.code, description: headers.description }, what);
    const [seq, time] = [Number(headers.get('Nats-Sequence')), headers.get('Nats-Time-Stamp')];
    return { subject, seq, time, data, header: (name) => headers.get(name) || undefined };
  }

  /** Subjects that have messages, and how many. */
  async *subjects(stream: string, filter: string, options: CallOptions = {}): AsyncGenerator<[string, number], void> {
    for (let offset = 0; ; offset += SUBJECTS_PAGE) {
      const { state } = await this.info(stream, { ...LISTING, ...options, subjects: filter, offset });
      const page = Object.entries(state.subjects ?? {});
      yield* page;
      if (page.length < SUBJECTS_PAGE) return;
    }
  }

  /** Removes one message, if it is there. */
  async remove(stream: string, seq: number): Promise<void> {
    try {
      await this.api(`STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true });
    } catch (error) {
      if (numberOf(error) !== MESSAGE_NOT_FOUND) throw error;
    }
  }

  /** Removes the messages of a subject (or a wildcard), those before `seq` where it is given; resolves with how many. */
  async purge(stream: string, subject: string, options?: CallOptions & { seq?: number }): Promise<number> {
    const { seq, ...call } = options ?? {};
    const body = seq === undefined ? { filter: subject } : { filter: subject, seq };
    return (await this.api<{ purged: number }>(`STREAM.PURGE.${stream}`, body, call)).purged;
  }
}

/** Of a block `NATS/1.0`, then a line `Name: value` each. */
function headerIn(block: string, name: string): string | undefined {
  const start = block.indexOf(`\r\n${name}:`);
  if (start < 0) return undefined;
  const from = start + name.length + 3;
  const end = block.indexOf('\r\n', from);
  return block.slice(from, end < 0 ? undefined : end).trim() || undefined;
}

function publishError(error: ApiError, what: string): EvenkeelError {
  const isFull = /maximum (bytes|messages).* exceeded|insufficient/i.test(error.description ?? '');
  return isFull
    ? new EvenkeelError('resource-exhausted', `${what}: ${error.description}`, { retryable: 'yes', rejected: true })
    : apiError(error, what);
}

function parse<T>(message: NatsMessage, what: string): T {
  try {
    const { data } = message;
    return JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()) as T;
  } catch (cause) {
    throw new EvenkeelError('internal', `${what}: the answer is not JSON`, { cause });
  }
}

/** What a message of ours holds as JSON; nothing, where it is damaged. */
export function parseRecord(data: NatsMessage['data']): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
