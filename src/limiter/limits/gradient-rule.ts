/**
 * The limit that finds the knee by itself: as many calls at once as the server can work on before they only slow each other.
 *
 * How does it know? Below the knee a call takes as long as it takes alone, whatever the number; above it, latency grows with the number
 * and throughput does not. So the limit follows `baseline / latency`, where the baseline is the latency at little load. Under an overload
 * that lasts nobody sees little load: every few seconds the limit halves for one window, and what latency does tells where it stands.
 * It halved as well: both are above the knee, and the lower one is the limit from now on. It fell less: that is the baseline. It did not
 * fall at all: both are below the knee, and the server itself has become slower. The same is done at once when latency is far above the
 * baseline. Between two such dips the limit rises for one window: more throughput for it means that the baseline was too low, by chance.
 * Traffic never stops, and a baseline cannot drift: it is measured, not remembered.
 *
 * | phase    | while                          | the next limit                         | ends with                                          |
 * |----------|--------------------------------|----------------------------------------|----------------------------------------------------|
 * | start    | steadily full, no queue seen   | twice this one                         | latency 1.5x the baseline, or doubling in vain     |
 * | follow   | full                           | this one x gradient, plus headroom     | `measureAfter` windows, or a gradient of one half  |
 * | dip      | a window or two                | half of this one                       | both above the knee: dip again from here; else     |
 * |          |                                |                                        | the baseline is measured: follow, or start         |
 * | rise     | one window, each 20 at most    | half as much again                     | room above: start; else back to follow             |
 * | quiet    | less than half of it in flight | this one, at most 5x what is in flight | traffic                                            |
 * | back off | calls were dropped             | nine tenths                            | a window without                                   |
 * @see Netflix concurrency-limits (Gradient2), Envoy's adaptive concurrency, failsafe-go: docs/limiter.md tells what is different here
 */

import { BaseLimit, type LimitSettings } from './base-limit.js';
import { isFull, isSteadilyFull, STEADILY } from './full.js';
import { KneeProbe } from './knee-probe.js';
import type { LimitWindow } from './limit.js';
import { ThroughputAnchor } from './throughput-anchor.js';

/** How far the limit goes down to measure, and up. */
const DIP = 0.5;
const RISE = 1.5;
/** Share of a dip that latency followed; above: both levels are above the knee; below the other: both are below it. */
const ABOVE_KNEE = 0.75;
const BELOW_KNEE = 0.1;
/** Of a rise: less of it followed, and there is room. */
const ROOM = 0.5;
/** Least of the gradient: a window never costs more than a sixth of the limit. */
const LEAST_GRADIENT = 0.5;
/** A gradient below it is no chance. */
const PLAIN = 0.7;
/** Standard errors of a window's latency that are taken for chance. */
const CHANCE = 2;
/** Doubling ends at this latency, times the baseline: a level that is twice the knee is beyond doubt, chance is not. */
const START_TOLERANCE = 1.5;
/** Twice the limit, and hardly more throughput than before, but latency: it was in vain. */
const IN_VAIN = 1.3;
/** Windows from the first measurement to the second; the next takes three times as long, up to `measureEvery`. */
const FIRST_MEASURE = 4;
/** Windows between two looks for room, at most: a rise costs next to nothing. */
const RISE_EVERY = 20;
/** At the least limit, where measuring costs nothing. */
const LEAST_MEASURE = 2;
/** Windows until the baseline is measured, once traffic fills the limit. */
const SOON = 10;
/** More drops than this share of the calls cost a tenth of the limit; as many as AIMD bears by default. */
const DROP_SHARE = 0.01;
const DROP_RATIO = 0.9;
/** Room to grow, times the root of the limit. */
const HEADROOM = 0.15;
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

export interface GradientSettings extends LimitSettings {
  readonly tolerance: number;
  readonly measureEvery: number;
}

export class Gradient extends BaseLimit {
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
  readonly #probe = new KneeProbe();
  /** At the limit, smoothed: ms, and calls per ms. */
  #latencyMs = Number.NaN;
  #throughput = Number.NaN;
  readonly #anchor = new ThroughputAnchor();

  constructor(settings: GradientSettings) {
    super(settings);
    this.#tolerance = settings.tolerance;
    this.#measureEvery = settings.measureEvery;
  }

  next(window: LimitWindow): number {
    const { limit, latencyMs } = window;
    if (window.dropped > DROP_SHARE * (window.ended + window.dropped)) return this.#backOff(window);
    if (!(latencyMs > 0)) return this.found(limit, 'no call was timed');
    const throughput = throughputOf(window);
    const wasFull = isFull(window);
    if (this.#probe.isActive)
      return limit < this.#probe.before ? this.#afterDip(window, throughput) : this.#afterRise(window, throughput);
    this.#smooth(wasFull, latencyMs, throughput);
    if (Number.isNaN(this.#baselineMs)) {
      this.#baselineMs = latencyMs;
      if (wasFull) return this.#dip(limit);
    }
    if (window.mostInFlight < limit / 2) return this.#onQuiet(window);
    // A window of few calls is below the baseline by chance now and then: following each would be a ratchet.
    const surely = latencyMs + CHANCE * window.latencyErrorMs;
    if (surely < this.#baselineMs) this.#baselineMs += QUIET_WEIGHT * (surely - this.#baselineMs);
    if (!wasFull) {
      this.#measureAfter = Math.min(this.#measureAfter, SOON);
      return this.#followLoosely(window);
    }
    if (!this.#isStarting) {
      this.#busyWindows++;
      if (this.#busyWindows >= this.#measureAfter) return this.#dip(limit);
      if (this.#busyWindows % Math.min(RISE_EVERY, Math.ceil(this.#measureAfter / 2)) === 0) return this.#rise(limit);
    }
    const better = this.#anchor.betterThan(limit, this.#throughput);
    return better === undefined ? this.#follow(window) : this.#undo(better);
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

  #follow(window: LimitWindow): number {
    const { inFlight, latencyMs, limit } = window;
    // At a limit that is full for moments only, chance must not make it lower: there is little to win, and calls to lose.
    const gradient = this.#gradientAt(isSteadilyFull(window) ? latencyMs : latencyMs - CHANCE * window.latencyErrorMs);
    if (latencyMs > START_TOLERANCE * this.#baselineMs) this.#isStarting = false;
    // Far above, or a server that is far slower: half as many will tell at once.
    if (gradient === LEAST_GRADIENT) {
      // Against what is now: smoothed with what was before, both levels would look alike.
      this.#latencyMs = latencyMs;
      this.#throughput = throughputOf(window);
      return this.#dip(limit);
    }
    // Full for a moment is not full: a level that was hardly used says little of twice as much.
    if (this.#isStarting && inFlight > STEADILY * limit) return this.#double(window);
    // One short window may be chance; the smoothed latency says so.
    const growth = Math.max(latencyMs, this.#latencyMs) < CLEAR * this.#baselineMs ? CLEAR_GROWTH : 1;
    const target = limit * gradient * growth + HEADROOM * Math.sqrt(limit);
    const next = limit + SMOOTHING * (target - limit);
    return this.found(next, gradient < 1 ? 'latency above the baseline' : 'latency at the baseline');
  }

  /** What was in flight was not held back by the limit; only a queue that is plain to see makes it a limit. */
  #followLoosely({ latencyErrorMs, latencyMs, limit, mostInFlight }: LimitWindow): number {
    if (latencyMs > START_TOLERANCE * this.#baselineMs) this.#isStarting = false;
    if (this.#gradientAt(latencyMs - CHANCE * latencyErrorMs) > PLAIN) return this.found(limit, 'not in use up to the limit');
    return this.found(Math.min(limit, mostInFlight), 'latency far above the baseline');
  }

  #gradientAt(latencyMs: number): number {
    const most = (this.#tolerance * this.#baselineMs) / Math.max(this.#baselineMs, latencyMs);
    return Math.min(1, Math.max(LEAST_GRADIENT, most));
  }

  /** As long as it brings something: a baseline that is too high would go on for ever. */
  #double(window: LimitWindow): number {
    const { latencyMs, limit } = window;
    const throughput = throughputOf(window);
    const isInVain = throughput < IN_VAIN * this.#halfThroughput && latencyMs > IN_VAIN * this.#halfLatencyMs;
    this.#halfThroughput = throughput;
    this.#halfLatencyMs = latencyMs;
    if (!isInVain) return this.found(2 * limit, 'start: doubles until latency rises');
    this.#isStarting = false;
    return this.#dip(limit);
  }

  /** What calls take now they take alone. */
  #undo(limit: number): number {
    this.#baselineMs = this.#latencyMs;
    this.#throughput = Number.NaN;
    return this.found(limit, 'fewer calls at once cost throughput');
  }

  /** Few calls in flight: what they take is the baseline, and the limit is none that the server showed. */
  #onQuiet({ limit, latencyMs, mostInFlight }: LimitWindow): number {
    this.#baselineMs += QUIET_WEIGHT * (latencyMs - this.#baselineMs);
    const most = Math.max(this.initial, MOST_OVER_IN_FLIGHT * mostInFlight);
    if (limit > most) return this.found(Math.max(most, limit * (1 - SMOOTHING)), 'far above what is in flight');
    return this.found(limit, 'not in use up to the limit');
  }

  /** Those behind say that they are full. */
  #backOff({ limit }: LimitWindow): number {
    this.#isStarting = false;
    const from = this.#probe.isActive ? Math.max(limit, this.#probe.before) : limit;
    this.#probe.end();
    return this.found(from * DROP_RATIO, 'calls were dropped');
  }

  #dip(limit: number): number {
    this.#busyWindows = 0;
    if (limit * DIP < this.min) {
      // It cannot go lower: this is the least load there is. Perhaps it was too little.
      this.#baselineMs = this.#latencyMs;
      this.#isMeasured = true;
      this.#isStarting = true;
      this.#measureAfter = LEAST_MEASURE;
      return this.found(limit, 'latency at the least limit is the baseline');
    }
    this.#measureAfter = Math.min(this.#measureEvery, 3 * this.#measureAfter);
    this.#probe.begin(limit, this.#latencyMs, this.#throughput);
    return this.found(limit * DIP, 'dip to measure the baseline');
  }

  #afterDip(window: LimitWindow, throughput: number): number {
    const { limit, latencyMs } = window;
    const { before } = this.#probe;
    if (!isFull(window)) return this.#endProbe(before, 'a dip that traffic did not fill');
    const followed = this.#probe.followed(limit, latencyMs, throughput);
    if (followed > ABOVE_KNEE) {
      // With a baseline that was measured this is more likely chance than a knee that has moved: look again.
      if (this.#isMeasured && this.#probe.windows < 2) return this.found(limit, 'dip goes on');
      this.#isStarting = false;
      this.#isMeasured = false;
      // What is found on the way down is a first measurement again.
      this.#measureAfter = FIRST_MEASURE;
      this.#baselineMs = latencyMs;
      this.#latencyMs = latencyMs;
      this.#throughput = throughput;
      this.#anchor.forget();
      this.#probe.end();
      return this.#dip(limit);
    }
    if (followed < BELOW_KNEE) {
      // Both levels are below the knee: what was taken for a queue was the baseline, and there is room above.
      this.#baselineMs = this.#isMeasured ? this.#latencyMs : latencyMs;
      this.#isStarting = true;
    } else {
      this.#baselineMs += (this.#isMeasured ? DIP_WEIGHT : 1) * (latencyMs - this.#baselineMs);
    }
    this.#isMeasured = true;
    const gradient = Math.min(1, (this.#tolerance * this.#baselineMs) / this.#latencyMs);
    return this.#endProbe(Math.max(limit, before * gradient), 'the baseline is measured');
  }

  /** Where there is nothing above, there is nothing to ask. */
  #rise(limit: number): number {
    const to = Math.min(this.max, Math.max(limit + 1, limit * RISE));
    if (to === limit) return this.found(limit, 'at the most');
    this.#probe.begin(limit, this.#latencyMs, this.#throughput);
    return this.found(to, 'rise to see whether there is room');
  }

  #afterRise(window: LimitWindow, throughput: number): number {
    const { before } = this.#probe;
    if (!isFull(window) || !isSteadilyFull(window)) return this.#endProbe(before, 'a rise that traffic did not fill');
    if (this.#probe.followed(window.limit, window.latencyMs, throughput) > ROOM) {
      return this.#endProbe(before, 'more calls at once bring nothing');
    }
    // A baseline that was too low, by chance, had held the limit down.
    this.#baselineMs = Math.max(this.#baselineMs, this.#latencyMs);
    this.#isStarting = true;
    return this.#endProbe(window.limit, 'there is room');
  }

  #endProbe(limit: number, reason: string): number {
    this.#probe.end();
    return this.found(limit, reason);
  }
}

/** Of what came to something, calls per ms: a level at which most calls are given up is no good one. Above 0, for its logarithm is needed. */
function throughputOf({ ended, failed, lengthMs }: LimitWindow): number {
  return Math.max(ended - failed, 0.5) / lengthMs;
}
