/** The limit that finds the knee by itself: its options, and what they are checked for. The rule is gradient-rule.ts. */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { Gradient } from './gradient-rule.js';
import type { LimitFactory } from './limit.js';

export interface GradientLimitOptions {
  /** To begin with. Default 8; from `min` to `max`. */
  initial?: number;
  /** Default 1: an accelerator may well be full with one. */
  min?: number;
  /** Default 10,000. */
  max?: number;
  /** Latency is let rise to so many times the baseline. Default 1.1; 1 to 10. More keeps more in flight; where work is not limited by one knee, latency pays. */
  tolerance?: number;
  /** Which latency of a window counts. Default 0.5; above 0, below 1. */
  quantile?: number;
  /** Least length of a window, ms. Default 100; 1 to 60,000. */
  windowMs?: number;
  /** Least calls of a window. Default 32; 4 to 10,000. */
  windowCalls?: number;
  /** Windows at the limit after which the baseline is measured anew. Default 80; 5 to 10,000. */
  measureEvery?: number;
}

const DEFAULT_INITIAL = 8;
const DEFAULT_MAX = 10_000;
const DEFAULT_TOLERANCE = 1.1;
const DEFAULT_QUANTILE = 0.5;
const DEFAULT_WINDOW_MS = 100;
const DEFAULT_WINDOW_CALLS = 32;
const DEFAULT_MEASURE_EVERY = 80;

/**
 * Learns the limit from latency; the default. Zero settings for services from one call at a time to thousands, microseconds to minutes.
 *
 * Costs one clock reading for each timed call (some 100 a window) and a sort of theirs a window. For servers whose latency rises when they
 * are full. Where it does not, because they refuse instead, `aimdLimit`; where the size is known, `fixedLimit`.
 * @throws {EvenkeelError} `invalid-argument` for an option out of range, or `initial` outside `min` to `max`.
 * @see docs/limiter.md, "The gradient"
 */
export function gradientLimit(options: GradientLimitOptions = {}): LimitFactory {
  const min = checkNumber('min', options.min ?? 1, Number.MIN_VALUE);
  const max = checkNumber('max', options.max ?? DEFAULT_MAX, min);
  const initial = checkNumber('initial', options.initial ?? Math.min(max, Math.max(min, DEFAULT_INITIAL)), min, max);
  const quantile = options.quantile ?? DEFAULT_QUANTILE;
  if (!(quantile > 0 && quantile < 1)) throw invalidArgument('quantile', quantile, 'a number above 0 and below 1');
  const settings = {
    initial,
    min,
    max,
    quantile,
    tolerance: checkNumber('tolerance', options.tolerance ?? DEFAULT_TOLERANCE, 1, 10),
    windowMs: checkNumber('windowMs', options.windowMs ?? DEFAULT_WINDOW_MS, 1, 60_000),
    windowCalls: checkNumber('windowCalls', options.windowCalls ?? DEFAULT_WINDOW_CALLS, 4, 10_000),
    measureEvery: checkNumber('measureEvery', options.measureEvery ?? DEFAULT_MEASURE_EVERY, 5, 10_000),
  };
  return () => new Gradient(settings);
}
