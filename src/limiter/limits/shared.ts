/** A limit of which only a share is this process's. */

import { invalidArgument } from '../../core/errors.js';
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

export class SharedLimit implements Limit {
  /** Nothing until the share is known. */
  readonly initial = 0;
  readonly min = 0;
  readonly max: number;
  readonly windowMs: number;
  readonly windowCalls: number;
  readonly quantile: number;
  readonly #inner: Limit;
  #share = 0;
  #found: number;

  constructor(inner: Limit) {
    this.#inner = inner;
    this.#found = inner.initial;
    this.max = inner.max;
    this.windowMs = inner.windowMs;
    this.windowCalls = inner.windowCalls;
    this.quantile = inner.quantile;
  }

  get reason(): string {
    return this.#share < this.#found ? 'share' : this.#inner.reason;
  }

  /** Returns the limit from now on. */
  share(share: number): number {
    this.#share = share;
    return Math.min(share, this.#found);
  }

  /** What the limit behind is from now on; returns as `share`. */
  found(limit: number): number {
    this.#found = limit;
    return Math.min(this.#share, limit);
  }

  next(window: LimitWindow): number {
    return this.found(this.#inner.next(window));
  }
}
