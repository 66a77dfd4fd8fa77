/** A permit that somebody awaits. */
import type { EvenkeelError } from '../core/errors.js';
import { cancelledError, type Refusal } from './refusal.js';
import { type Claim, Waiter } from './waiter.js';

/** How the limiter makes permits, and words refusals. */
export interface PermitSource<P> {
  permit(waiter: Waiter, startedAt: number, isTimed: boolean): P;
  errorOf(refusal: Refusal): EvenkeelError;
  withdraw(waiter: Waiter): boolean;
}

export class PromisedPermit<P> extends Waiter {
  readonly promise: Promise<P>;
  readonly #source: PermitSource<P>;
  readonly #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;
  #resolve!: (permit: P) => void;
  #reject!: (error: EvenkeelError) => void;

  constructor(source: PermitSource<P>, claim: Claim, signal: AbortSignal | undefined, arrivedAt: number) {
    super(claim, arrivedAt);
    this.#source = source;
    this.#signal = signal;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (signal === undefined) return;
    this.#onAbort = () => this.#leave(signal);
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  onAdmitted(startedAt: number, isTimed: boolean): void {
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#resolve(this.#source.permit(this, startedAt, isTimed));
  }

  onRefused(refusal: Refusal): void {
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#reject(this.#source.errorOf(refusal));
  }

  /** A permit that was granted before this is the caller's, who must end it; nothing is granted after it. */
  #leave(signal: AbortSignal): void {
    if (this.#source.withdraw(this)) this.#reject(cancelledError(signal));
  }
}
