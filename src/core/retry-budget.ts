/**
 * Retries as a share of the traffic. Unlimited retries turn a short outage into a long one: every failure is sent again until the
 * servers that came back are drowned by the repeats.
 *
 * Within any window that ends with a retry: retries <= `ratio` x originals + `minPerSecond` x its seconds. The window slides in slices; a retry is
 * remembered one slice longer than an original, so that the bound holds for every window and not only on average.
 * @see Finagle, RetryBudget.scala (ratio 0.2, 10/s, 10 s)
 */
import type { Clock } from './clock.js';
import { checkNumber } from './errors.js';

export interface RetryBudgetOptions {
  /** Retries per original. Default 0.2; 0 to 1000. */
  ratio?: number;
  /** Retries per second that are always allowed, so that a quiet client can retry at all. Default 10; 0 and up. */
  minPerSecond?: number;
  /** Length of the window. Default 10,000 ms; 1,000 to 60,000. */
  windowMs?: number;
}

export const DEFAULT_RETRY_RATIO = 0.2;
export const DEFAULT_RETRIES_PER_SECOND = 10;
export const DEFAULT_RETRY_WINDOW_MS = 10_000;

/** Originals count for this many slices, retries for one more. */
const SLICES = 10;
const RING = SLICES + 1;

export class RetryBudget {
  readonly #clock: Clock;
  readonly #ratio: number;
  readonly #floor: number;
  readonly #sliceMs: number;
  /** Of slices that are over. */
  readonly #originals = new Float64Array(RING);
  readonly #retries = new Float64Array(RING);
  #slice: number;
  #sliceEndsMs: number;
  /** Of the slice that runs: a deposit, which every call makes, touches nothing else. */
  #originalsNow = 0;
  #originalsInWindow = 0;
  #retriesInWindow = 0;

  constructor(clock: Clock, options: RetryBudgetOptions = {}) {
    const windowMs = checkNumber('retry.windowMs', options.windowMs ?? DEFAULT_RETRY_WINDOW_MS, 1000, 60_000);
    this.#clock = clock;
    this.#ratio = checkNumber('retry.ratio', options.ratio ?? DEFAULT_RETRY_RATIO, 0, 1000);
    this.#floor =
      (checkNumber('retry.minPerSecond', options.minPerSecond ?? DEFAULT_RETRIES_PER_SECOND, 0, 1e6) * windowMs) / 1000;
    this.#sliceMs = windowMs / SLICES;
    this.#slice = Math.floor(clock.now() / this.#sliceMs);
    this.#sliceEndsMs = (this.#slice + 1) * this.#sliceMs;
  }

  /** An original was sent. `now`: the caller's reading of the clock. */
  deposit(now: number): void {
    if (now >= this.#sliceEndsMs) this.#slide(now);
    this.#originalsNow++;
  }

  /** There is one left. */
  canWithdraw(now: number): boolean {
    if (now >= this.#sliceEndsMs) this.#slide(now);
    return this.#allowance() >= 1;
  }

  /** Takes the right to one retry; false when the budget is spent. */
  withdraw(now: number): boolean {
    if (!this.canWithdraw(now)) return false;
    const index = this.#slice % RING;
    this.#retries[index] = (this.#retries[index] as number) + 1;
    this.#retriesInWindow++;
    return true;
  }

  /** Retries allowed at this moment. */
  get available(): number {
    const now = this.#clock.now();
    if (now >= this.#sliceEndsMs) this.#slide(now);
    return Math.max(0, Math.floor(this.#allowance()));
  }

  #allowance(): number {
    return this.#ratio * (this.#originalsInWindow + this.#originalsNow) + this.#floor - this.#retriesInWindow;
  }

  /** Readings of callers may be a little old; the window never slides back. */
  #slide(now: number): void {
    const target = Math.floor(now / this.#sliceMs);
    this.#originals[this.#slice % RING] = this.#originalsNow;
    this.#originalsInWindow += this.#originalsNow;
    this.#originalsNow = 0;
    const first = Math.max(this.#slice + 1, target - RING + 1);
    for (let slice = first; slice <= target; slice++) {
      const left = (slice - SLICES + RING * 2) % RING;
      this.#originalsInWindow -= this.#originals[left] as number;
      this.#originals[left] = 0;
      const reused = slice % RING;
      this.#retriesInWindow -= this.#retries[reused] as number;
      this.#retries[reused] = 0;
    }
    this.#slice = target;
    this.#sliceEndsMs = (target + 1) * this.#sliceMs;
  }
}
