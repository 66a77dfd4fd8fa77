/**
 * The limit that finds the knee by itself: as many calls at once as the server can work on before they only slow each other.
 *
 * How does it know? Below the knee a call takes as long as it takes alone, whatever the number; above it, latency grows with the number
 * and throughput does not. So the limit follows `baseline / latency`, where the baseline is the latency at little load. Under an overload
 * that lasts nobody sees little load: every few seconds the limit halves for one window, and what latency does tells where it stands.
 * It halved as well: both are above the knee, and the lower one is the limit from now on. It fell less: that is the baseline. It did not
 * fall at all: both are below the knee, and the server itself has become slower. Traffic never stops, and a baseline cannot drift: it is
 * measured, not remembered.
 * @see Netflix concurrency-limits (Gradient2), Envoy's adaptive concurrency, failsafe-go: docs/limiter.md tells what is different here
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import type { Limit, LimitFactory, LimitWindow } from './limit.js';

export interface GradientLimitOptions {
  /** To begin with. Default 8; from `min` to `max`. */
  initial?: number;
  /** Default 1: an accelerator may well be full with one. */
  min?: number;
  /** Default 10,000. */
  max?: number;
  /** Latency is let rise to so many times the baseline. Default 1.2; 1 to 10. More keeps more in flight; where work is not limited by one knee, latency pays. */
  tolerance?: number;
  /** Which latency of a window counts. Default 0.5; above 0, below 1. */
  quantile?: number;
  /** Least length of a window, ms. Default 100; 1 to 60,000. */
  windowMs?: number;
  /** Least calls of a window. Default 16; 4 to 10,000. */
  windowCalls?: number;
  /** Windows at the limit after which the baseline is measured anew. Default 50; 5 to 10,000. */
  measureEvery?: number;
}

const DEFAULT_INITIAL = 8;
const DEFAULT_MAX = 10_000;
const DEFAULT_TOLERANCE = 1.2;
const DEFAULT_QUANTILE = 0.5;
const DEFAULT_WINDOW_MS = 100;
const DEFAULT_WINDOW_CALLS = 16;
const DEFAULT_MEASURE_EVERY = 50;

/** How far the limit goes down to measure. */
const DIP = 0.5;
/** Share of a dip that latency followed; above: both levels are above the knee; below the other: both are below it. */
const ABOVE_KNEE = 0.75;
const BELOW_KNEE = 0.25;
/** Least of the gradient: one window never costs more than half of the limit. */
const LEAST_GRADIENT = 0.5;
/** Room to grow, times the root of the limit. */
const HEADROOM = 0.25;
/** Share of the way to the new limit that one window goes. */
const SMOOTHING = 0.3;
/** Latencies this close to the baseline show no queue: the limit may grow faster. */
const CLEAR = 1.15;
const CLEAR_GROWTH = 1.2;
/** Share by which a dip, or a quiet window, moves the baseline. */
const DIP_WEIGHT = 0.5;
const QUIET_WEIGHT = 0.2;
/** Most times the calls in flight: a limit that nobody fills says nothing of the server. */
const MOST_OVER_IN_FLIGHT = 5;

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

interface GradientSettings {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  readonly quantile: number;
  readonly tolerance: number;
  readonly windowMs: number;
  readonly windowCalls: number;
  readonly measureEvery: number;
}

class Gradient implements Limit {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  readonly windowMs: number;
  readonly windowCalls: number;
  readonly quantile: number;
  readonly #tolerance: number;
  readonly #measureEvery: number;
  /** Latency at little load; NaN: not known yet. */
  #baselineMs = Number.NaN;
  /** By a dip that ended below the knee; until then it is a guess from traffic as it came. */
  #isMeasured = false;
  /** Windows at the limit since the baseline was measured. */
  #busyWindows = 0;
  /** Doubling, until latency rises for the first time. */
  #isStarting = true;
  /** During a dip: the limit before it, and the latency at that. */
  #isDipping = false;
  #limitBefore = 0;
  #latencyBeforeMs = 0;
  reason = 'initial';

  constructor(settings: GradientSettings) {
    this.initial = settings.initial;
    this.min = settings.min;
    this.max = settings.max;
    this.windowMs = settings.windowMs;
    this.windowCalls = settings.windowCalls;
    this.quantile = settings.quantile;
    this.#tolerance = settings.tolerance;
    this.#measureEvery = settings.measureEvery;
  }

  /** For people who ask why: ms; NaN before the first window. */
  get baselineMs(): number {
    return this.#baselineMs;
  }

  next(window: LimitWindow): number {
    const { limit, latencyMs } = window;
    if (!(latencyMs > 0)) return this.#stay(limit, 'no call was timed');
    if (window.dropped > 0) return this.#backOff(window);
    if (this.#isDipping) return this.#endDip(limit, latencyMs);
    const isFull = window.mostInFlight >= FULL * limit - 1;
    if (Number.isNaN(this.#baselineMs)) {
      this.#baselineMs = latencyMs;
      if (isFull) return this.#dip(limit, latencyMs);
    }
    if (window.mostInFlight < limit / 2) return this.#onQuiet(window);
    if (latencyMs < this.#baselineMs) this.#baselineMs += QUIET_WEIGHT * (latencyMs - this.#baselineMs);
    if (!isFull) this.#busyWindows = Math.max(this.#busyWindows, this.#measureEvery - SOON);
    else if (++this.#busyWindows >= this.#measureEvery) return this.#dip(limit, latencyMs);
    return this.#follow(limit, latencyMs, isFull);
  }

  #follow(limit: number, latencyMs: number, isFull: boolean): number {
    const gradient = Math.min(1, Math.max(LEAST_GRADIENT, (this.#tolerance * this.#baselineMs) / latencyMs));
    if (gradient < 1) this.#isStarting = false;
    if (this.#isStarting && isFull) return this.#change(2 * limit, 'start: doubles until latency rises');
    const growth = isFull && latencyMs < CLEAR * this.#baselineMs ? CLEAR_GROWTH : 1;
    const target = limit * gradient * growth + HEADROOM * Math.sqrt(limit);
    const next = limit + SMOOTHING * (target - limit);
    if (next > limit && !isFull) return this.#stay(limit, 'not in use up to the limit');
    return this.#change(next, gradient < 1 ? 'latency above the baseline' : 'latency at the baseline');
  }

  /** Few calls in flight: what they take is the baseline, and the limit is none that the server showed. */
  #onQuiet({ limit, latencyMs, mostInFlight }: LimitWindow): number {
    this.#baselineMs += QUIET_WEIGHT * (latencyMs - this.#baselineMs);
    const most = Math.max(this.initial, MOST_OVER_IN_FLIGHT * mostInFlight);
    if (limit > most) return this.#change(Math.max(most, limit * (1 - SMOOTHING)), 'far above what is in flight');
    return this.#stay(limit, 'not in use up to the limit');
  }

  /** Those behind say that they are full. */
  #backOff({ limit }: LimitWindow): number {
    this.#isStarting = false;
    const from = this.#isDipping ? this.#limitBefore : limit;
    this.#isDipping = false;
    return this.#change(from * DROP_RATIO, 'calls were dropped');
  }

  #dip(limit: number, latencyMs: number): number {
    this.#busyWindows = 0;
    if (limit * DIP < this.min) {
      // It cannot go lower: this is the least load there is.
      this.#baselineMs = latencyMs;
      this.#isMeasured = true;
      return this.#stay(limit, 'latency at the least limit is the baseline');
    }
    this.#isDipping = true;
    this.#limitBefore = limit;
    this.#latencyBeforeMs = latencyMs;
    return this.#change(limit * DIP, 'dip to measure the baseline');
  }

  #endDip(limit: number, latencyMs: number): number {
    this.#isDipping = false;
    const followed = Math.log(this.#latencyBeforeMs / latencyMs) / Math.log(1 / DIP);
    if (followed > ABOVE_KNEE) {
      this.#isStarting = false;
      this.#isMeasured = false;
      this.#baselineMs = latencyMs;
      return this.#dip(limit, latencyMs);
    }
    const weight = followed < BELOW_KNEE || !this.#isMeasured ? 1 : DIP_WEIGHT;
    this.#isMeasured = true;
    this.#baselineMs += weight * (latencyMs - this.#baselineMs);
    return this.#change(this.#limitBefore, 'the baseline is measured');
  }

  #stay(limit: number, reason: string): number {
    this.reason = reason;
    return limit;
  }

  #change(limit: number, reason: string): number {
    this.reason = reason;
    return Math.min(this.max, Math.max(this.min, limit));
  }
}

/** Share of the limit that was in use at some moment, less one call: a whole one may not fit any more. */
const FULL = 0.9;
/** Windows until the baseline is measured, once traffic fills the limit. */
const SOON = 10;
/** A window with drops costs a tenth of the limit. */
const DROP_RATIO = 0.9;
