/** A limit of which only a share is this process's. */

import { invalidArgument } from '../../core/errors.js';
import { BaseLimit } from './base-limit.js';
import type { Limit, LimitFactory, LimitWindow } from './limit.js';

/**
 * @throws {EvenkeelError} `invalid-argument`, when the limiter is made, for a limit that learns: what each process finds out for itself is no quota that
 *   they could split.
 */
export function quotaOnly(factory: LimitFactory | undefined): LimitFactory {
  return (surroundings) => {
    const limit = factory?.(surroundings);
    if (limit === undefined || limit.min !== limit.max)
      throw invalidArgument('limit', 'a limit that learns', 'fixedLimit(n) with share');
    return limit;
  };
}

export class SharedLimit extends BaseLimit {
  readonly #inner: Limit;
  #share = 0;
  /** Of the limit behind. */
  #limit: number;

  /** Nothing until the share is known. */
  constructor(inner: Limit) {
    const { max, quantile, windowCalls, windowMs } = inner;
    super({ initial: 0, min: 0, max, quantile, windowCalls, windowMs });
    this.#inner = inner;
    this.#limit = inner.initial;
  }

  /** Returns the limit from now on. */
  share(share: number): number {
    this.#share = share;
    return this.#least();
  }

  /** What the limit behind is from now on; returns as `share`. */
  limitBehind(limit: number): number {
    this.#limit = limit;
    return this.#least();
  }

  next(window: LimitWindow): number {
    return this.limitBehind(this.#inner.next(window));
  }

  #least(): number {
    return this.found(Math.min(this.#share, this.#limit), this.#share < this.#limit ? 'share' : this.#inner.reason);
  }
}
