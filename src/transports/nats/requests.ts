/**
 * Requests and their replies over one inbox, each tried again while that is safe.
 *
 * When may a request have acted? From the moment it was published until a reply came. A try that ends without one, by time or with
 * its connection, is repeated at once when the request is idempotent; otherwise its caller is told `unavailable`, retryable `unknown`.
 */

import type { Clock } from '../../core/clock.js';
import { EvenkeelError } from '../../core/errors.js';
import { TimerWheel, WheelEntry } from '../../core/timer-wheel.js';
import type { NatsConnection, NatsHeaders, NatsMessage } from './peer.js';

export interface RequestOptions {
  /** Names the operation in errors. */
  readonly what: string;
  /** Sent twice it acts once. */
  readonly isIdempotent: boolean;
  readonly headers?: NatsHeaders | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds in all. Default: the client's. */
  readonly timeoutMs?: number;
  /** Milliseconds for one try. Default: the client's. */
  readonly tryTimeoutMs?: number;
  /** Called before a try that follows one which may have acted. */
  readonly onRepeat?: (() => void) | undefined;
  /** Called when nobody listens, before the next try. What it throws ends the request. */
  readonly onNobody?: (() => Promise<void>) | undefined;
}

/** A subscription that outlives connections. */
export interface LinkSubscription {
  unsubscribe(): void;
  /** As `unsubscribe`, but what is on its way is still delivered. */
  drain(): void;
}

/** What requests need of the connection. */
export interface RequestLink {
  readonly clock: Clock;
  readonly settings: { readonly timeoutMs: number; readonly requestTimeoutMs: number };
  readonly up: NatsConnection | undefined;
  connected(until: number, signal?: AbortSignal): Promise<NatsConnection>;
  subscribe(subject: string, callback: (message: NatsMessage) => void): LinkSubscription;
  onRefused(listener: (error: EvenkeelError) => void): () => void;
}

/** Why a try ended without a reply. */
type Miss = 'timeout' | 'lost' | 'no-responders' | 'cancelled' | 'closed';

/** Nobody listens yet: a server that has just come back takes a moment to load its streams. */
const NO_RESPONDERS_PAUSE_MS = 25;
const MAX_PENDING = 65_536;

export class Requests {
  readonly #link: RequestLink;
  readonly #inbox: string;
  readonly #pending = new Map<string, Try>();
  readonly #wheel: TimerWheel;
  #subscription: LinkSubscription | undefined;
  #next = 0;

  constructor(link: RequestLink, inbox: string) {
    this.#link = link;
    this.#inbox = inbox;
    this.#wheel = new TimerWheel(link.clock, () => {});
    link.onRefused((error) => this.#refuse(error));
  }

  /**
   * @throws {EvenkeelError} `unavailable`, `cancelled`, `permission-denied`, `unauthenticated`, `failed-precondition` once closed;
   *   `resource-exhausted` with 65,536 requests in flight.
   */
  async request(subject: string, payload: Uint8Array | string, options: RequestOptions): Promise<NatsMessage> {
    const { clock, settings } = this.#link;
    const until = clock.now() + (options.timeoutMs ?? settings.timeoutMs);
    const tryMs = options.tryTimeoutMs ?? settings.requestTimeoutMs;
    let isSent = false;
    try {
      for (;;) {
        const connection = this.#link.up ?? (await this.#link.connected(until, options.signal));
        const answer = await this.#try(connection, subject, payload, options, Math.min(tryMs, until - clock.now()));
        if (typeof answer !== 'string') return answer;
        if (answer !== 'no-responders') isSent = true;
        if (answer === 'closed') throw new EvenkeelError('failed-precondition', 'the NATS client was closed');
        if (answer === 'cancelled') throw cancelled(options);
        const isOver = clock.now() >= until || (isSent && !options.isIdempotent);
        if (isOver) throw unavailable(options, answer);
        if (isSent) options.onRepeat?.();
        if (answer !== 'no-responders') continue;
        await options.onNobody?.();
        await clock.sleep(NO_RESPONDERS_PAUSE_MS, options.signal, true);
      }
    } catch (error) {
      throw isSent ? mayHaveActed(error) : error;
    }
  }

  /** The connection is lost: no reply will come. */
  lost(): void {
    this.#endAll('lost');
  }

  /** The server refuses a subject; it does not say whose request it was. */
  #refuse(error: EvenkeelError): void {
    const subject = error.details?.subject;
    for (const [token, pending] of this.#pending) {
      if (pending.subject !== subject && !String(subject).startsWith(this.#inbox)) continue;
      this.#pending.delete(token);
      this.#wheel.disarm(pending);
      pending.fail(error);
    }
  }

  close(): void {
    this.#endAll('closed');
    this.#subscription?.unsubscribe();
  }

  settle(token: string, attempt: Try, answer: NatsMessage | Miss): void {
    this.#pending.delete(token);
    this.#wheel.disarm(attempt);
    attempt.resolve(answer);
  }

  #endAll(why: Miss): void {
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const [token, attempt] of pending) this.settle(token, attempt, why);
  }

  #try(
    connection: NatsConnection,
    subject: string,
    payload: Uint8Array | string,
    options: RequestOptions,
    timeoutMs: number,
  ): Promise<NatsMessage | Miss> {
    if (options.signal?.aborted) return Promise.reject(cancelled(options));
    if (this.#pending.size >= MAX_PENDING) {
      const limit = { retryable: 'yes', rejected: true, details: { limit: MAX_PENDING } } as const;
      return Promise.reject(new EvenkeelError('resource-exhausted', 'too many requests to NATS are in flight', limit));
    }
    this.#subscription ??= this.#link.subscribe(`${this.#inbox}.*`, this.#onReply);
    const token = (this.#next++).toString(36);
    return new Promise((resolve, reject) => {
      const attempt = new Try(this, token, subject, options.signal, resolve, reject);
      this.#pending.set(token, attempt);
      const now = this.#link.clock.now();
      this.#wheel.arm(attempt, now + timeoutMs, now);
      const reply = `${this.#inbox}.${token}`;
      try {
        const { headers } = options;
        connection.publish(subject, payload, headers === undefined ? { reply } : { reply, headers });
      } catch (cause) {
        // Nothing was sent. The peer checks the size; otherwise the connection is closing under our hands.
        if ((cause as Error).name === 'InvalidArgumentError') {
          this.#pending.delete(token);
          this.#wheel.disarm(attempt);
          attempt.fail(new EvenkeelError('out-of-range', `${options.what}: ${(cause as Error).message}`, { cause }));
        } else {
          this.settle(token, attempt, 'no-responders');
        }
      }
    });
  }

  readonly #onReply = (message: NatsMessage): void => {
    const token = message.subject.slice(this.#inbox.length + 1);
    const attempt = this.#pending.get(token);
    if (attempt === undefined) return;
    // Without a payload it may be the server's own word that nobody listens.
    const isEmpty = message.data.length === 0 && message.headers?.code === 503;
    this.settle(token, attempt, isEmpty ? 'no-responders' : message);
  };
}

/** One publication that waits for its reply. */
class Try extends WheelEntry {
  readonly subject: string;
  readonly #requests: Requests;
  readonly #token: string;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (answer: NatsMessage | Miss) => void;
  readonly #reject: (error: EvenkeelError) => void;
  readonly #onAbort = () => this.#requests.settle(this.#token, this, 'cancelled');

  constructor(
    requests: Requests,
    token: string,
    subject: string,
    signal: AbortSignal | undefined,
    resolve: (answer: NatsMessage | Miss) => void,
    reject: (error: EvenkeelError) => void,
  ) {
    super();
    this.#requests = requests;
    this.#token = token;
    this.subject = subject;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  override onDeadline(): void {
    this.#requests.settle(this.#token, this, 'timeout');
  }

  resolve(answer: NatsMessage | Miss): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#resolve(answer);
  }

  fail(error: EvenkeelError): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#reject(error);
  }
}

function cancelled({ what, signal }: RequestOptions): EvenkeelError {
  return new EvenkeelError('cancelled', `${what} was cancelled`, { cause: signal?.reason });
}

/** The same failure of a request that was sent before: what became of that nobody knows. */
export function mayHaveActed(error: unknown): unknown {
  if (!(error instanceof EvenkeelError) || error.retryable === 'unknown') return error;
  const { code, message, details } = error;
  return new EvenkeelError(code, message, { retryable: 'unknown', cause: error, details });
}

function unavailable({ what }: RequestOptions, why: Miss): EvenkeelError {
  const words = {
    timeout: 'no answer in time',
    lost: 'the connection was lost',
    'no-responders': 'nobody answers there (is JetStream on?)',
  } as Record<Miss, string>;
  return new EvenkeelError('unavailable', `${what}: ${words[why]}`, { retryable: 'yes' });
}
