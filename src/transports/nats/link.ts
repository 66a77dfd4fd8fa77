/**
 * The connection behind a client: made at the first use, made again whenever it is lost, and never given up.
 *
 * The peer reconnects by itself, but not from everything: what makes it close (a refused log-in, a protocol error) is answered
 * here with a new connection, on which every subscription is made again.
 */
import type { Clock } from '../../core/clock.js';
import { EvenkeelError } from '../../core/errors.js';
import { type Random, randomId } from '../../core/random.js';
import { connectError, permissionError } from './nats-errors.js';
import type { NatsConnection, NatsMessage, NatsModule, NatsSubscription } from './peer.js';
import { type LinkSubscription, type RequestLink, Requests } from './requests.js';

export interface LinkSettings {
  readonly nats: NatsModule;
  readonly connect: Readonly<Record<string, unknown>>;
  readonly apiPrefix: string;
  readonly inboxPrefix: string;
  readonly requestTimeoutMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** A connection that the transports of this folder share. Close it after them. */
export interface NatsClient extends AsyncDisposable {
  /** A connection stands now. */
  readonly isConnected: boolean;
  /** Ends the connection; what is in flight fails with `failed-precondition`. Idempotent. */
  close(): Promise<void>;
}

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 250;
/** A server that has been away for this long is asked less often. */
const LONG_OUTAGE_MS = 30_000;
const LONG_OUTAGE_PAUSE_MS = 2000;
/** A connection that answers no ping for two of these is dead, whatever TCP says. */
const PING_INTERVAL_MS = 2000;
const CONNECT_TIMEOUT_MS = 2000;
/** Of nats-server. */
const DEFAULT_MAX_PAYLOAD = 1024 * 1024;

interface Subscribed {
  readonly subject: string;
  readonly callback: (message: NatsMessage) => void;
  current: NatsSubscription | undefined;
}

export class NatsLink implements NatsClient, RequestLink {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: LinkSettings;
  readonly requests: Requests;
  /** Rises with every connection made; 0 before the first. */
  generation = 0;
  readonly #subscribed = new Set<Subscribed>();
  readonly #listeners = new Set<(isUp: boolean) => void>();
  readonly #refused = new Set<(error: EvenkeelError) => void>();
  readonly #waiting = new Set<() => void>();
  #connection: NatsConnection | undefined;
  #isUp = false;
  #isStarted = false;
  /** Why there is no connection. */
  #lastError: EvenkeelError | undefined;
  #downSinceMs: number;
  #pauseMs = FIRST_PAUSE_MS;
  #isClosed = false;
  readonly #closing = new AbortController();

  constructor(settings: LinkSettings) {
    this.settings = settings;
    this.clock = settings.clock;
    this.random = settings.random;
    this.#downSinceMs = settings.clock.now();
    this.requests = new Requests(this, `${settings.inboxPrefix}.${randomId(settings.random).slice(0, 22)}`);
  }

  get isConnected(): boolean {
    return this.#isUp;
  }

  /** The connection, while one stands. */
  get up(): NatsConnection | undefined {
    return this.#isUp ? this.#connection : undefined;
  }

  /** Bytes of the largest message the server takes, headers included. */
  get maxPayload(): number {
    return this.#connection?.info?.max_payload ?? DEFAULT_MAX_PAYLOAD;
  }

  /** One server, or one of several that pass messages on to each other. */
  get isClustered(): boolean {
    return this.#connection?.info?.cluster !== undefined;
  }

  /**
   * Waits for a connection, until `until` (Clock.now()).
   * @throws {EvenkeelError} `unavailable` (retryable `yes`), `unauthenticated`, `cancelled`, `failed-precondition` once closed.
   */
  async connected(until: number, signal?: AbortSignal): Promise<NatsConnection> {
    for (;;) {
      if (this.#isClosed) throw new EvenkeelError('failed-precondition', 'the NATS client is closed');
      if (signal?.aborted) throw new EvenkeelError('cancelled', 'the operation was cancelled', { cause: signal.reason });
      if (this.#isUp && this.#connection !== undefined) return this.#connection;
      this.#start();
      const remainingMs = until - this.clock.now();
      if (remainingMs <= 0) throw this.#notConnected();
      await this.#change(remainingMs, signal);
    }
  }

  /** From now on, over every connection, until it is ended. */
  subscribe(subject: string, callback: (message: NatsMessage) => void): LinkSubscription {
    const subscribed: Subscribed = { subject, callback, current: undefined };
    this.#subscribed.add(subscribed);
    if (this.up !== undefined) this.#resubscribe(this.up, subscribed);
    else this.#start();
    const end = (how: 'unsubscribe' | 'drain') => {
      if (!this.#subscribed.delete(subscribed)) return;
      try {
        // A promise, of drain, that rejects when the connection goes: nothing is on its way then.
        Promise.resolve(subscribed.current?.[how]()).catch(() => {});
      } catch {
        // The connection is gone, and the subscription with it.
      }
    };
    return { unsubscribe: () => end('unsubscribe'), drain: () => end('drain') };
  }

  /** Hears of every connection made and lost. */
  onChange(listener: (isUp: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Hears when the server refuses the use of a subject, `details.subject`: it does not say whose use. */
  onRefused(listener: (error: EvenkeelError) => void): () => void {
    this.#refused.add(listener);
    return () => this.#refused.delete(listener);
  }

  /**
   * Resolves when the server has all that was said before, subscriptions too.
   * @throws {EvenkeelError} As `connected`.
   */
  async heard(until: number): Promise<void> {
    for (;;) {
      const connection = await this.connected(until);
      try {
        await connection.flush();
        return;
      } catch {
        // Lost meanwhile; the loss becomes known in a moment.
        await this.clock.sleep(FIRST_PAUSE_MS, undefined, true);
      }
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closing.abort();
    this.#setUp(false);
    this.requests.close();
    this.#subscribed.clear();
    await this.#connection?.close().catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #start(): void {
    if (this.#isStarted || this.#isClosed) return;
    this.#isStarted = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      try {
        const connection = await this.settings.nats.connect(this.#connectOptions());
        if (this.#isClosed) return void connection.close().catch(() => {});
        this.#connection = connection;
        for (const subscribed of this.#subscribed) this.#resubscribe(connection, subscribed);
        this.#setUp(true);
        void this.#follow(connection);
        this.#lastError = connectError(await connection.closed());
        for (const subscribed of this.#subscribed) subscribed.current = undefined;
        this.#setUp(false);
      } catch (cause) {
        this.#lastError = connectError(cause);
      }
      await this.clock.sleep(this.#nextPause(), this.#closing.signal).catch(() => {});
    }
  }

  #connectOptions(): object {
    return {
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: 2,
      timeout: CONNECT_TIMEOUT_MS,
      ...this.settings.connect,
      reconnect: true,
      maxReconnectAttempts: -1,
      waitOnFirstConnect: false,
      // Credentials that are wrong today may be right tomorrow.
      ignoreAuthErrorAbort: true,
      reconnectDelayHandler: () => this.#nextPause(),
    };
  }

  /** The peer's own reconnections. */
  async #follow(connection: NatsConnection): Promise<void> {
    for await (const { type, error } of connection.status()) {
      if (this.#isClosed || this.#connection !== connection) return;
      if (type === 'disconnect') this.#setUp(false);
      else if (type === 'reconnect') {
        // The peer makes those again that it had; one asked for meanwhile it never saw.
        for (const subscribed of this.#subscribed)
          if (subscribed.current === undefined) this.#resubscribe(connection, subscribed);
        this.#setUp(true);
      } else if (type === 'error' && error !== undefined) {
        const refused = permissionError(error);
        if (refused !== undefined) this.#tellRefused(refused);
        else this.#lastError = connectError(error);
      }
    }
  }

  #setUp(isUp: boolean): void {
    if (this.#isUp === isUp) return;
    this.#isUp = isUp;
    if (isUp) {
      this.generation++;
      this.#lastError = undefined;
      this.#pauseMs = FIRST_PAUSE_MS;
    } else {
      this.#downSinceMs = this.clock.now();
      this.requests.lost();
    }
    for (const wake of [...this.#waiting]) wake();
    for (const listener of this.#listeners) listener(isUp);
  }

  #resubscribe(connection: NatsConnection, subscribed: Subscribed): void {
    const callback = (error: Error | null, message: NatsMessage) => {
      // A refusal comes this way, too, without a message. What is thrown here would end the connection.
      if (error !== null) {
        // The peer has dropped it. Another log-in may be allowed to.
        subscribed.current = undefined;
        const refused = permissionError(error);
        if (refused !== undefined) this.#tellRefused(refused);
        return;
      }
      try {
        subscribed.callback(message);
      } catch {
        // The listener's bug; the connection is shared.
      }
    };
    try {
      subscribed.current = connection.subscribe(subscribed.subject, { callback });
    } catch {
      // The connection is closing; the next one makes the subscription.
    }
  }

  #tellRefused(error: EvenkeelError): void {
    for (const listener of [...this.#refused]) listener(error);
  }

  #nextPause(): number {
    const isLong = this.clock.now() - this.#downSinceMs > LONG_OUTAGE_MS;
    this.#pauseMs = Math.min(this.#pauseMs * 1.5, isLong ? LONG_OUTAGE_PAUSE_MS : LONGEST_PAUSE_MS);
    return Math.ceil(this.#pauseMs * (0.5 + 0.5 * this.random.next()));
  }

  #change(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        timer.cancel();
        signal?.removeEventListener('abort', wake);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = this.clock.timer(ms, wake, true);
      signal?.addEventListener('abort', wake, { once: true });
      this.#waiting.add(wake);
    });
  }

  #notConnected(): EvenkeelError {
    const cause = this.#lastError;
    if (cause !== undefined && cause.code !== 'unavailable') return cause;
    const why = cause === undefined ? 'it does not answer' : cause.message;
    return new EvenkeelError('unavailable', `no connection to NATS: ${why}`, { retryable: 'yes', cause });
  }
}
