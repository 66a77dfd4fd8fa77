/** Calls of one guarded transport that wait for permits. The transport has not heard of them yet: it can neither end nor await them. */
import { EvenkeelError } from '../core/errors.js';

/** One that waits; it goes when it is refused. */
export interface GuardWaiter {
  /** Not granted a permit from here on. */
  refuse(error: EvenkeelError): void;
}

export class GuardWaiters {
  readonly #waiting = new Set<GuardWaiter>();
  readonly #onNone: (() => void)[] = [];
  #draining: EvenkeelError | undefined;
  #closed: EvenkeelError | undefined;

  /** Why new calls are refused; undefined: they are not. */
  get refusal(): EvenkeelError | undefined {
    return this.#closed ?? this.#draining;
  }

  /** Why those that wait are refused, too. */
  get closed(): EvenkeelError | undefined {
    return this.#closed;
  }

  add(waiter: GuardWaiter): void {
    this.#waiting.add(waiter);
  }

  delete(waiter: GuardWaiter): void {
    if (this.#waiting.delete(waiter) && this.#waiting.size === 0) this.#tellNone();
  }

  /** As transports do that drain: no new calls. Resolves when no call waits any more: each is with the transport then, or refused. */
  drain(): Promise<void> {
    this.#draining ??= new EvenkeelError('unavailable', 'the guarded transport is draining', { retryable: 'yes' });
    return this.#waiting.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#onNone.push(resolve));
  }

  /** As transports do that are closed: nothing of these calls was sent. Idempotent. */
  close(): void {
    this.#closed ??= new EvenkeelError('unavailable', 'the guarded transport is closed', { retryable: 'yes' });
    for (const waiter of this.#waiting) waiter.refuse(this.#closed);
    this.#waiting.clear();
    this.#tellNone();
  }

  #tellNone(): void {
    for (const tell of this.#onNone.splice(0)) tell();
  }
}
