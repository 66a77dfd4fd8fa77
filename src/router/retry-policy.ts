/**
 * Whether a failed attempt may be made again, and when. Three questions, all of which must be answered yes: is it worth it (the
 * failure is the server's or the network's), is it safe (nothing was done, or doing it twice is harmless), is it affordable (attempts
 * left, time left, budget).
 */
import { checkInteger, checkNumber, type EvenkeelError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { RetryBudgetOptions } from '../core/retry-budget.js';

export interface RetryOptions {
  /** Attempts per call, the first included. Default 3; 1 turns retries off; at most 10. */
  maxAttempts?: number;
  /** Largest wait before the second attempt; doubles from there, with full jitter. Default 25 ms. An unsent call goes elsewhere at once. */
  baseMs?: number;
  /** Longest wait. Default 250 ms. */
  maxMs?: number;
  /** The budget all calls of the router share. Default 20 % of the calls and 10 a second. */
  budget?: RetryBudgetOptions;
}

export const DEFAULT_MAX_ATTEMPTS = 3;
export const DEFAULT_RETRY_BASE_MS = 25;
export const DEFAULT_RETRY_MAX_MS = 250;

/** RFC 9110, section 9.2.2. */
const IDEMPOTENT_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export class RetryPolicy {
  readonly maxAttempts: number;
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #random: Random;

  constructor(options: RetryOptions, random: Random) {
    this.maxAttempts = checkInteger('retry.maxAttempts', options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS, 1, 10);
    this.#baseMs = checkNumber('retry.baseMs', options.baseMs ?? DEFAULT_RETRY_BASE_MS, 0);
    this.#maxMs = checkNumber('retry.maxMs', options.maxMs ?? Math.max(DEFAULT_RETRY_MAX_MS, this.#baseMs), this.#baseMs);
    this.#random = random;
  }

  /** Milliseconds to wait before attempt `next` (2 and up); 0 when nothing was sent and there is somewhere else to go. */
  backoffMs(next: number, isUnsent: boolean): number {
    if (isUnsent && next === 2) return 0;
    return this.#random.next() * Math.min(this.#maxMs, this.#baseMs * 2 ** (next - 2));
  }
}

export function isIdempotent(method: string | undefined, hasBody: boolean, said: boolean | undefined): boolean {
  return said ?? IDEMPOTENT_METHODS.has(method ?? (hasBody ? 'POST' : 'GET'));
}

/** Safe and worth it, by the error alone. */
export function isErrorRetryable(error: EvenkeelError, isIdempotentCall: boolean): boolean {
  if (error.code === 'cancelled' || error.code === 'invalid-argument') return false;
  return error.retryable === 'yes' || (error.retryable === 'unknown' && isIdempotentCall);
}

/** A status that another endpoint may not give. `wasRejected`: the server says that it did nothing. */
export function isStatusRetryable(status: number, wasRejected: boolean, isIdempotentCall: boolean): boolean {
  const isServerFault = status === 429 || status === 500 || (status >= 502 && status <= 504);
  return isServerFault && (wasRejected || isIdempotentCall);
}
