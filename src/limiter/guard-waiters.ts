/** Calls of one guarded transport that wait for permits. The transport has not heard of them yet: it cannot refuse them when it is closed. */
import { EvenkeelError } from '../core/errors.js';

/** One that waits; it goes when it is refused. */
export interface GuardWaiter {
  /** Not granted a permit from here on. */
  refuse(error: EvenkeelError): void;
}

export class GuardWaiters {
  readonly #waiting = new Set<GuardWaiter>();
  #refusal: EvenkeelError | undefined;

  /** Why calls are refused: the transport is closed. Undefined: they are not. */
  get refusal(): EvenkeelError | undefined {
    return this.#refusal;
  }

  add(waiter: GuardWaiter): void {
    this.#waiting.add(waiter);
  }

  delete(waiter: GuardWaiter): void {
    this.#waiting.delete(waiter);
  }

  /** As transports do that are closed: nothing of these calls was sent. Idempotent. */
  close(): void {
    this.#refusal ??= new EvenkeelError('unavailable', 'the guarded transport is closed', { retryable: 'yes' });
    for (const waiter of this.#waiting) waiter.refuse(this.#refusal);
    this.#waiting.clear();
  }
}
