/**
 * What a limit says, looked at before it counts: one that somebody else wrote may throw, or divide by nothing. The gate then goes on
 * with the last limit that was one, and the operator is told once.
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import type { Limit, LimitFactory, LimitWindow } from './limit.js';

/** @throws {EvenkeelError} `invalid-argument`, when the limiter is made, for a limit whose numbers contradict each other. */
export function checkedLimit(factory: LimitFactory, onError: (error: unknown) => void): LimitFactory {
  return (surroundings) => new CheckedLimit(factory(surroundings), onError);
}

class CheckedLimit implements Limit {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  readonly windowMs: number;
  readonly windowCalls: number;
  readonly quantile: number;
  readonly #inner: Limit;
  readonly #onError: (error: unknown) => void;
  #last: number;
  #isTold = false;
  readonly afterIdle?: (limit: number, idleMs: number) => number;
  reason = 'initial';

  constructor(inner: Limit, onError: (error: unknown) => void) {
    if (typeof inner?.next !== 'function') throw invalidArgument('limit', inner, 'a factory of limits');
    if (!(inner.max >= inner.min)) throw invalidArgument('limit: max', inner.max, `at least min, ${inner.min}`);
    // Under a limit of 0 nothing runs, and no window would ever end. (A share of a quota may be 0: that is made of this.)
    this.min = checkNumber('limit: min', inner.min, Number.MIN_VALUE);
    this.max = inner.max;
    this.initial = checkNumber('limit: initial', inner.initial, inner.min, inner.max);
    this.windowMs = checkNumber('limit: windowMs', inner.windowMs, 0);
    this.windowCalls = checkNumber('limit: windowCalls', inner.windowCalls, 0);
    this.quantile = checkNumber('limit: quantile', inner.quantile, 0, 1);
    this.#inner = inner;
    this.#onError = onError;
    this.#last = this.initial;
    if (inner.afterIdle !== undefined) {
      this.afterIdle = (limit, idleMs) => this.#checked(() => inner.afterIdle?.(limit, idleMs) ?? limit);
    }
  }

  next(window: LimitWindow): number {
    return this.#checked(() => this.#inner.next(window));
  }

  #checked(ask: () => number): number {
    try {
      const next = ask();
      this.#last = Math.min(this.max, checkNumber('what the limit returned', next, this.min));
      this.reason = this.#inner.reason;
    } catch (error) {
      this.reason = 'the limit failed';
      if (!this.#isTold) this.#onError(error);
      this.#isTold = true;
    }
    return this.#last;
  }
}
