/**
 * Three words, the same everywhere: `drain()` refuses new work and finishes the old, `close()` stops now, `await using` drains.
 * All idempotent; close during a drain ends the drain.
 */
import { type EvenkeelError, prebuiltError } from './errors.js';

export interface Drainable extends AsyncDisposable {
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Counts what is in flight and answers when it is all over. */
export class Lifecycle {
  #state: 'open' | 'draining' | 'closed' = 'open';
  #inFlight = 0;
  #waiting: (() => void)[] = [];
  readonly #refusal: EvenkeelError;

  /** @param what - Names the thing in the error of a refused use: `router search`. */
  constructor(what: string) {
    this.#refusal = prebuiltError('failed-precondition', `${what} is draining or closed`, { retryable: 'yes' });
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** The error for use after drain or close. */
  get refusal(): EvenkeelError {
    return this.#refusal;
  }

  enter(): void {
    this.#inFlight++;
  }

  leave(): void {
    if (--this.#inFlight === 0 && this.#waiting.length > 0) this.#wake();
  }

  /** Refuses from now on; resolves when nothing is in flight. */
  drain(): Promise<void> {
    if (this.#state === 'open') this.#state = 'draining';
    return this.idle();
  }

  /** True for the first call only, which does the closing. */
  close(): boolean {
    const isFirst = this.#state !== 'closed';
    this.#state = 'closed';
    return isFirst;
  }

  idle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
