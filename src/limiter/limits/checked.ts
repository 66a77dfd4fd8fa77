/**
 * What a limit says, looked at before it counts: one that somebody else wrote may throw, or divide by nothing. The gate then goes on
 * with the last limit that was one, and the operator is told once.
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { BaseLimit, type LimitSettings } from './base-limit.js';
import type { Limit, LimitFactory, LimitWindow } from './limit.js';

/** @throws {EvenkeelError} `invalid-argument`, when the limiter is made, for a limit whose numbers contradict each other. */
export function checkedLimit(factory: LimitFactory, onError: (error: unknown) => void): LimitFactory {
  return (surroundings) => new CheckedLimit(factory(surroundings), onError);
}

class CheckedLimit extends BaseLimit {
  readonly #inner: Limit;
  readonly #onError: (error: unknown) => void;
  #last: number;
  #isTold = false;
  readonly afterIdle?: (limit: number, idleMs: number) => number;

  constructor(inner: Limit, onError: (error: unknown) => void) {
    super(checked(inner));
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

function checked(limit: Limit): LimitSettings {
  if (typeof limit?.next !== 'function') throw invalidArgument('limit', limit, 'a factory of limits');
  if (!(limit.max >= limit.min)) throw invalidArgument('limit: max', limit.max, `at least min, ${limit.min}`);
  return {
    // Under a limit of 0 nothing runs, and no window would ever end. (A share of a quota may be 0: that is made of this.)
    min: checkNumber('limit: min', limit.min, Number.MIN_VALUE),
    max: limit.max,
    initial: checkNumber('limit: initial', limit.initial, limit.min, limit.max),
    windowMs: checkNumber('limit: windowMs', limit.windowMs, 0),
    windowCalls: checkNumber('limit: windowCalls', limit.windowCalls, 0),
    quantile: checkNumber('limit: quantile', limit.quantile, 0, 1),
  };
}
