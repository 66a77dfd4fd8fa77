/**
 * An item in somebody's hands.
 *
 * Who keeps a holder whose lease ran out from ending somebody else's work? The holder: the server takes an old acknowledgement even
 * while another has the item. So a lease ends here by the holder's monotonic clock, counted from before the server knew of it; after
 * that nothing is sent, and what is sent again is sent only while the lease lasts.
 */
import { checkNumber, EvenkeelError, invalidArgument } from '../../core/errors.js';
import { MAX_LEASE_MS, MIN_LEASE_MS } from '../../core/internal/transport-guards.js';
import type { Delivery } from '../../core/transport/queue.js';
import { NAK, nakAfter, tell } from './queue-pull.js';
import type { QueueStreams } from './queue-streams.js';

export interface DeliveryParts {
  readonly id: number;
  readonly body: Uint8Array;
  readonly attempt: number;
  readonly fence: number;
  /** Where the server is told. */
  readonly reply: string;
  /** Clock.now() at the end of the lease. */
  readonly endsAtMs: number;
}

/** What deliveries need of their queue. */
export interface DeliveryQueue {
  readonly streams: QueueStreams;
  readonly deadAfter: number;
  /** @throws {EvenkeelError} `failed-precondition` once closed. */
  check(): void;
}

const MAX_REASON_LENGTH = 1024;
const MAX_DELAY_MS = 366 * 24 * 60 * 60 * 1000;

export class NatsDelivery implements Delivery {
  readonly id: number;
  readonly body: Uint8Array;
  readonly attempt: number;
  readonly fence: number;
  readonly #queue: DeliveryQueue;
  readonly #reply: string;
  #endsAtMs: number;
  #state: 'held' | 'acked' | 'over' = 'held';

  constructor(queue: DeliveryQueue, parts: DeliveryParts) {
    this.id = parts.id;
    this.body = parts.body;
    this.attempt = parts.attempt;
    this.fence = parts.fence;
    this.#queue = queue;
    this.#reply = parts.reply;
    this.#endsAtMs = parts.endsAtMs;
  }

  async ack(): Promise<void> {
    if (this.#state === 'acked') return;
    this.#held();
    await this.#tell('+ACK', true);
    this.#state = 'acked';
  }

  async nack(delayMs = 0): Promise<void> {
    checkNumber('delayMs', delayMs, 0, MAX_DELAY_MS);
    this.#held();
    if (this.attempt >= this.#queue.deadAfter) return this.#bury(`delivered ${this.attempt} times`);
    // Not said again: the second might end the lease of the next holder.
    this.#state = 'over';
    await this.#tell(nakAfter(delayMs), false);
  }

  async extend(ms: number): Promise<void> {
    checkNumber('ms', ms, MIN_LEASE_MS, MAX_LEASE_MS);
    this.#held();
    const endsAtMs = this.#now() + ms;
    const told = this.#tell(nakAfter(ms), true);
    // Whatever comes of it, the server may have heard of a shorter one.
    this.#endsAtMs = Math.min(this.#endsAtMs, endsAtMs);
    await told;
    this.#endsAtMs = endsAtMs;
  }

  async deadLetter(reason: string): Promise<void> {
    if (typeof reason !== 'string') throw invalidArgument('reason', reason, 'a string');
    this.#held();
    await this.#bury(reason.slice(0, MAX_REASON_LENGTH));
  }

  /** For one that nobody took: due again at once. */
  handBack(): void {
    if (this.#state !== 'held' || this.#now() >= this.#endsAtMs) return;
    this.#state = 'over';
    tell(this.#queue.streams.js.link, this.#reply, NAK);
  }

  /** For one that was delivered often enough before this time, and is not handed out. */
  async buryUndelivered(): Promise<void> {
    this.#held();
    const attempts = this.attempt - 1;
    await this.#bury(`delivered ${attempts} times`, attempts);
  }

  /** First kept, then out of the queue: between the two it is in both, never in none. */
  async #bury(reason: string, attempts = this.attempt): Promise<void> {
    const { id, body } = this;
    await this.#queue.streams.bury({ id, body, attempts, reason }, this.#remainingMs());
    this.#held();
    await this.#tell('+ACK', true);
    this.#state = 'over';
  }

  async #tell(word: string, isIdempotent: boolean): Promise<void> {
    const { requests } = this.#queue.streams.js.link;
    const what = `${word.split(' ')[0]} of item ${this.id}`;
    await requests.request(this.#reply, word, { what, isIdempotent, timeoutMs: this.#remainingMs() });
  }

  #held(): void {
    this.#queue.check();
    if (this.#state === 'held' && this.#now() < this.#endsAtMs) return;
    throw new EvenkeelError('aborted', `the lease of item ${this.id} is no longer ours`, {
      details: { id: this.id, fence: this.fence },
    });
  }

  #remainingMs(): number {
    return Math.min(this.#endsAtMs - this.#now(), this.#queue.streams.js.link.settings.timeoutMs);
  }

  #now(): number {
    return this.#queue.streams.js.link.clock.now();
  }
}
