/** Admission for handlers that return promises. One that is admitted or refused at once, as nearly all are, makes none of its own. */
import { EvenkeelError } from '../../core/errors.js';
import type { LimiterCore } from '../limiter-core.js';
import type { Permit } from '../permit.js';
import type { Refusal } from '../refusal.js';
import { type Claim, Waiter } from '../waiter.js';

/**
 * What is granted to a caller that has gone, in the same turn perhaps, is nobody's: it is given back, and no work begins.
 * @throws {EvenkeelError} `cancelled`.
 */
export function checkCaller(permit: Permit, signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  permit.end('ignored');
  throw goneError(signal);
}

function goneError({ reason }: AbortSignal): EvenkeelError {
  return new EvenkeelError('cancelled', 'the caller left before there was a permit', { cause: reason });
}

export class AwaitedAdmission extends Waiter {
  readonly #limiter: LimiterCore;
  #settle: ((result: Permit | Refusal) => void) | undefined;
  /** Set when it is known. */
  result: Permit | Refusal | undefined;

  constructor(limiter: LimiterCore, claim: Claim, arrivedAt: number) {
    super(claim, arrivedAt);
    this.#limiter = limiter;
    limiter.submit(this);
  }

  /**
   * For one whose result is not known yet. A permit that was granted is handed over even when its caller has left meanwhile: see `checkCaller`.
   * @throws {EvenkeelError} `cancelled` when `signal` aborts first.
   */
  wait(signal: AbortSignal | undefined): Promise<Permit | Refusal> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        if (!this.#limiter.withdraw(this)) return;
        signal?.removeEventListener('abort', leave);
        reject(goneError(signal as AbortSignal));
      };
      this.#settle = (result) => {
        signal?.removeEventListener('abort', leave);
        resolve(result);
      };
      if (signal?.aborted) leave();
      else signal?.addEventListener('abort', leave, { once: true });
    });
  }

  onAdmitted(startedAt: number, isTimed: boolean): void {
    this.#tell(this.#limiter.permit(this, startedAt, isTimed));
  }

  onRefused(refusal: Refusal): void {
    this.#tell(refusal);
  }

  #tell(result: Permit | Refusal): void {
    this.result = result;
    this.#settle?.(result);
  }
}
