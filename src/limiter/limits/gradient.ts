/**
 * The limit that finds the knee by itself: as many calls at once as the server can work on before they only slow each other.
 *
 * How does it know? Below the knee a call takes as long as it takes alone, whatever the number; above it, latency grows with the number
 * and throughput does not. So the limit follows `baseline / latency`, where the baseline is the latency at little load. Under an overload
 * that lasts nobody sees little load: every few seconds the limit halves for one window, and what latency does tells where it stands.
 * It halved as well: both are above the knee, and the lower one is the limit from now on. It fell less: that is the baseline. It did not
 * fall at all: both are below the knee, and the server itself has become slower. The same is done at once when latency is far above the baseline. Traffic never stops, and a baseline cannot drift: it is
 * measured, not remembered.
 * @see Netflix concurrency-limits (Gradient2), Envoy's adaptive concurrency, failsafe-go: docs/limiter.md tells what is different here
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { isFull } from './full.js';
import type { Limit, LimitFactory, LimitWindow } from './limit.js';
import { ThroughputAnchor } from './throughput-anchor.js';

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
  /** Windows at the limit after which the baseline is measured anew. Default 50; 5 to 10,000. */
  measureEvery?: number;
}

const DEFAULT_INITIAL = 8;
const DEFAULT_MAX = 10_000;
const DEFAULT_TOLERANCE = 1.1;
const DEFAULT_QUANTILE = 0.5;
const DEFAULT_WINDOW_MS = 100;
const DEFAULT_WINDOW_CALLS = 32;
const DEFAULT_MEASURE_EVERY = 50;

/** How far the limit goes down to measure. */
const DIP = 0.5;
/** Share of a dip that latency followed; above: both levels are above the knee; below the other: both are below it. */
const ABOVE_KNEE = 0.75;
const BELOW_KNEE = 0.1;
/** Least of the gradient: a window never costs more than a sixth of the limit. */
const LEAST_GRADIENT = 0.5;
/** A gradient below it is no chance. */
const PLAIN = 0.7;
const STEADILY = 0.8;
/** Doubling ends at this latency, times the baseline: a level that is twice the knee is beyond doubt, chance is not. */
const START_TOLERANCE = 1.5;
/** Twice the limit, and hardly more throughput than before, but latency: it was in vain. */
const IN_VAIN = 1.3;
/** Windows from the first measurement to the second; the next takes twice as long, up to `measureEvery`. */
const FIRST_MEASURE = 4;
/** At the least limit, where measuring costs nothing. */
const LEAST_MEASURE = 2;
/** Room to grow, times the root of the limit. */
const HEADROOM = 0.25;
/** Share of the way to the new limit that one window goes. */
const SMOOTHING = 0.3;
/** Latencies this close to the baseline show no queue: the limit may grow faster. */
const CLEAR = 1.1;
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
  /** Windows at the limit since the baseline was measured, and until it is measured again. */
  #busyWindows = 0;
  #measureAfter = FIRST_MEASURE;
  /** Doubling, until latency rises for the first time; and what the last level brought. */
  #isStarting = true;
  #halfThroughput = 0;
  #halfLatencyMs = Number.POSITIVE_INFINITY;
  /** During a dip: the limit before it, and the windows it has lasted. */
  #isDipping = false;
  #limitBefore = 0;
  #dipWindows = 0;
  #followed = 0;
  /** At the limit, smoothed: ms, and calls per ms. */
  #latencyMs = Number.NaN;
  #throughput = Number.NaN;
  readonly #anchor = new ThroughputAnchor();
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

  next(window: LimitWindow): number {
    const { limit, latencyMs } = window;
    if (window.dropped > 0) return this.#backOff(window);
    if (!(latencyMs > 0)) return this.#stay(limit, 'no call was timed');
    const throughput = window.ended / window.lengthMs;
    const wasFull = isFull(window);
    if (this.#isDipping) return wasFull ? this.#endDip(limit, latencyMs, throughput) : this.#giveUpDip();
    this.#smooth(wasFull, latencyMs, throughput);
    if (Number.isNaN(this.#baselineMs)) {
      this.#baselineMs = latencyMs;
      if (wasFull) return this.#dip(limit);
    }
    if (window.mostInFlight < limit / 2) return this.#onQuiet(window);
    if (latencyMs < this.#baselineMs) this.#baselineMs += QUIET_WEIGHT * (latencyMs - this.#baselineMs);
    if (!wasFull) this.#measureAfter = Math.min(this.#measureAfter, SOON);
    else if (!this.#isStarting && ++this.#busyWindows >= this.#measureAfter) return this.#dip(limit);
    else {
      const better = this.#anchor.betterThan(limit, this.#throughput);
      if (better !== undefined) return this.#undo(better);
    }
    return this.#follow(window, wasFull);
  }

  /** Only windows at the limit show what the server can do: others begin anew. */
  #smooth(wasFull: boolean, latencyMs: number, throughput: number): void {
    if (!wasFull || Number.isNaN(this.#throughput)) {
      this.#latencyMs = latencyMs;
      this.#throughput = wasFull ? throughput : Number.NaN;
      this.#anchor.forget();
      return;
    }
    this.#latencyMs += SMOOTHING * (latencyMs - this.#latencyMs);
    this.#throughput += SMOOTHING * (throughput - this.#throughput);
  }

  #follow(window: LimitWindow, wasFull: boolean): number {
    const { inFlight, latencyMs, limit, mostInFlight } = window;
    const gradient = Math.min(1, Math.max(LEAST_GRADIENT, (this.#tolerance * this.#baselineMs) / latencyMs));
    if (latencyMs > START_TOLERANCE * this.#baselineMs) this.#isStarting = false;
    if (!wasFull) {
      // What was in flight was not held back by the limit; only a queue that is plain to see makes it a limit.
      if (gradient > PLAIN) return this.#stay(limit, 'not in use up to the limit');
      return this.#change(Math.min(limit, mostInFlight), 'latency far above the baseline');
    }
    // Far above, or a server that is far slower: half as many will tell at once.
    if (gradient === LEAST_GRADIENT) return this.#dip(limit);
    // Full for a moment is not full: a level that was hardly used says little of twice as much.
    if (this.#isStarting && inFlight > STEADILY * limit) return this.#double(window);
    const growth = latencyMs < CLEAR * this.#baselineMs ? CLEAR_GROWTH : 1;
    const target = limit * gradient * growth + HEADROOM * Math.sqrt(limit);
    const next = limit + SMOOTHING * (target - limit);
    return this.#change(next, gradient < 1 ? 'latency above the baseline' : 'latency at the baseline');
  }

  /** As long as it brings something: a baseline that is too high would go on for ever. */
  #double({ ended, latencyMs, lengthMs, limit }: LimitWindow): number {
    const throughput = ended / lengthMs;
    const isInVain = throughput < IN_VAIN * this.#halfThroughput && latencyMs > IN_VAIN * this.#halfLatencyMs;
    this.#halfThroughput = throughput;
    this.#halfLatencyMs = latencyMs;
    if (!isInVain) return this.#change(2 * limit, 'start: doubles until latency rises');
    this.#isStarting = false;
    return this.#dip(limit);
  }

  /** What calls take now they take alone. */
  #undo(limit: number): number {
    this.#baselineMs = this.#latencyMs;
    this.#throughput = Number.NaN;
    return this.#change(limit, 'fewer calls at once cost throughput');
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

  #dip(limit: number): number {
    this.#busyWindows = 0;
    if (limit * DIP < this.min) {
      // It cannot go lower: this is the least load there is. Perhaps it was too little.
      this.#baselineMs = this.#latencyMs;
      this.#isMeasured = true;
      this.#isStarting = true;
      this.#measureAfter = LEAST_MEASURE;
      return this.#stay(limit, 'latency at the least limit is the baseline');
    }
    this.#measureAfter = Math.min(this.#measureEvery, 2 * this.#measureAfter);
    this.#isDipping = true;
    this.#dipWindows = 0;
    this.#followed = 0;
    this.#limitBefore = limit;
    return this.#change(limit * DIP, 'dip to measure the baseline');
  }

  /** Traffic has gone: what latency and throughput do now is its doing. */
  #giveUpDip(): number {
    this.#isDipping = false;
    return this.#change(this.#limitBefore, 'a dip that traffic did not fill');
  }

  #endDip(limit: number, latencyMs: number, throughput: number): number {
    // Latency and throughput say the same, each with its own noise.
    const latencyFollowed = Math.log(this.#latencyMs / latencyMs) / Math.log(1 / DIP);
    const throughputFollowed = Math.log(this.#throughput / throughput) / Math.log(1 / DIP);
    this.#followed += (latencyFollowed + 1 - throughputFollowed) / 2;
    this.#dipWindows++;
    const followed = this.#followed / this.#dipWindows;
    if (followed > ABOVE_KNEE) {
      // With a baseline that was measured this is more likely chance than a knee that has moved: look again.
      if (this.#isMeasured && this.#dipWindows < 2) return this.#stay(limit, 'dip goes on');
      this.#isDipping = false;
      this.#isStarting = false;
      this.#isMeasured = false;
      // What is found on the way down is a first measurement again.
      this.#measureAfter = FIRST_MEASURE;
      this.#baselineMs = latencyMs;
      this.#latencyMs = latencyMs;
      this.#throughput = throughput;
      this.#anchor.forget();
      return this.#dip(limit);
    }
    this.#isDipping = false;
    if (followed < BELOW_KNEE) {
      // Both levels are below the knee: what was taken for a queue was the baseline, and there is room above.
      this.#baselineMs = this.#isMeasured ? this.#latencyMs : latencyMs;
      this.#isStarting = true;
    } else {
      this.#baselineMs += (this.#isMeasured ? DIP_WEIGHT : 1) * (latencyMs - this.#baselineMs);
    }
    this.#isMeasured = true;
    const gradient = Math.min(1, (this.#tolerance * this.#baselineMs) / this.#latencyMs);
    return this.#change(Math.max(limit, this.#limitBefore * gradient), 'the baseline is measured');
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

/** Windows until the baseline is measured, once traffic fills the limit. */
const SOON = 10;
/** A window with drops costs a tenth of the limit. */
const DROP_RATIO = 0.9;
