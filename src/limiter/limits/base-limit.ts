/** What limits have in common: bounds, windows, and a reason for each change. */
import type { Limit, LimitWindow } from './limit.js';

export type LimitSettings = Pick<Limit, 'initial' | 'min' | 'max' | 'windowMs' | 'windowCalls' | 'quantile'>;

export abstract class BaseLimit implements Limit {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  readonly windowMs: number;
  readonly windowCalls: number;
  readonly quantile: number;
  reason = 'initial';

  constructor({ initial, max, min, quantile, windowCalls, windowMs }: LimitSettings) {
    this.initial = initial;
    this.min = min;
    this.max = max;
    this.windowMs = windowMs;
    this.windowCalls = windowCalls;
    this.quantile = quantile;
  }

  abstract next(window: LimitWindow): number;

  /** The limit within its bounds, and why. */
  protected found(limit: number, reason: string): number {
    this.reason = reason;
    return Math.min(this.max, Math.max(this.min, limit));
  }
}
