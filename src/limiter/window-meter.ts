/**
 * What a gate sees between two changes of its limit. Counting is a few additions a call; only some calls are timed, and the clock is read
 * for those alone.
 *
 * When is a window over? When it is long enough, enough calls have ended, and those in flight have been replaced twice: in a shorter one only the
 * short calls end, and a limit that doubled would look like a server that became faster. For the same reason calls that began before the limit
 * jumped are not timed.
 */
import type { Clock } from '../core/clock.js';
import type { Limit, LimitWindow } from './limits/limit.js';

/** Timed calls a window aims at, and the most it keeps. */
const TIMED = 192;
const MOST_TIMED = 512;
const MOST_STRIDE = 256;
/** In a window the calls in flight are replaced at least so often. */
const TURNOVERS = 2;
/** A change by more than this share is a jump. */
const JUMP = 0.2;

export class WindowMeter implements LimitWindow {
  limit = 0;
  nowMs = 0;
  lengthMs = 0;
  ended = 0;
  failed = 0;
  dropped = 0;
  retryAfterMs = 0;
  inFlight = 0;
  mostInFlight = 0;
  latencyMs = Number.NaN;
  latencyErrorMs = Number.NaN;
  queueMs = 0;
  refused = 0;
  /** Median time of a call from its permit to its end; 0: not known yet. */
  typicalMs = 0;
  /** Longer than most calls of the window before; Infinity: not known yet. */
  slowMs = Number.POSITIVE_INFINITY;
  /** Mean time between two ends of calls; 0: not known yet. */
  gapMs = 0;
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #calls: number;
  readonly #quantile: number;
  readonly #latencies = new Float64Array(MOST_TIMED);
  #timed = 0;
  #timedSlow = 0;
  #startedAt: number;
  /** The limit has jumped and no call has begun since. */
  #isSettling = false;
  #inFlightSum = 0;
  #queueSum = 0;
  #admitted = 0;
  /** It cannot be over before. */
  #openUntilMs: number;
  #stride = 1;
  #untimed = 0;

  constructor(clock: Clock, limit: Limit) {
    this.#clock = clock;
    this.#windowMs = limit.windowMs;
    this.#calls = limit.windowCalls;
    this.#quantile = limit.quantile;
    this.#startedAt = clock.now();
    this.#openUntilMs = this.#startedAt + this.#windowMs;
  }

  /** A call begins: is it timed? `weight` is what is in flight with it. */
  begin(weight: number): boolean {
    if (weight > this.mostInFlight) this.mostInFlight = weight;
    if (this.#isSettling) this.#restart(this.#clock.now(), weight);
    if (++this.#untimed < this.#stride) return false;
    this.#untimed = 0;
    return true;
  }

  onWait(ms: number): void {
    this.#queueSum += ms;
    this.#admitted++;
  }

  /**
   * A call ended. `weight` is what was in flight with it, `inFlight` the calls that still are, `now` may be a little old. True: the window may be
   * over; ask `close`.
   */
  end(outcome: 'ok' | 'error' | 'dropped', weight: number, inFlight: number, now: number): boolean {
    if (outcome === 'dropped') {
      this.dropped++;
    } else {
      this.ended++;
      if (outcome === 'error') this.failed++;
    }
    this.#inFlightSum += weight;
    const calls = this.ended + this.dropped;
    return calls >= this.#calls && calls >= TURNOVERS * inFlight && now >= this.#openUntilMs;
  }

  /** How long a timed call took; `isSlow`: at least, for it failed or was given up. */
  onTimed(startedAt: number, now: number, isSlow: boolean): void {
    if (startedAt < this.#startedAt || this.#isSettling || this.#timed === MOST_TIMED) return;
    this.#latencies[this.#timed++] = now - startedAt;
    if (isSlow) this.#timedSlow++;
  }

  /** Fills in the window and returns true when it is over. */
  close(limit: number): boolean {
    const now = this.#clock.now();
    const length = now - this.#startedAt;
    // Without a call that was timed it tells of nothing but loss.
    if (this.#isSettling || (this.#timed === 0 && this.dropped === 0 && this.ended > this.failed)) return false;
    this.limit = limit;
    this.nowMs = now;
    this.lengthMs = length;
    this.gapMs = length / (this.ended + this.dropped);
    this.inFlight = this.#inFlightSum / (this.ended + this.dropped);
    this.queueMs = this.#admitted === 0 ? 0 : this.#queueSum / this.#admitted;
    const sorted = this.#latencies.subarray(0, this.#timed).sort();
    this.latencyMs = quantileOf(sorted, this.#quantile);
    this.latencyErrorMs = errorOf(sorted, this.#quantile);
    // Where most calls fail, what they took is no time of a call that somebody gets an answer to.
    if (this.#timed > 2 * this.#timedSlow) this.typicalMs = quantileOf(sorted, 0.5);
    if (this.typicalMs > 0) this.slowMs = this.typicalMs;
    this.#stride = Math.min(MOST_STRIDE, Math.max(1, Math.round((this.ended + this.dropped) / TIMED)));
    return true;
  }

  /** The next window, under `limit`. `weight` is in flight. */
  restart(limit: number, weight: number): void {
    this.#restart(this.nowMs, weight);
    this.#isSettling = Math.abs(limit - this.limit) > JUMP * this.limit;
  }

  #restart(now: number, weight: number): void {
    this.#startedAt = now;
    this.#isSettling = false;
    this.ended = 0;
    this.failed = 0;
    this.dropped = 0;
    this.retryAfterMs = 0;
    this.refused = 0;
    this.mostInFlight = weight;
    this.#inFlightSum = 0;
    this.#queueSum = 0;
    this.#admitted = 0;
    this.#timed = 0;
    this.#timedSlow = 0;
    this.#openUntilMs = now + this.#windowMs;
  }
}

/** Of sorted values; NaN of none. */
function quantileOf(sorted: Float64Array, quantile: number): number {
  return sorted.length === 0 ? Number.NaN : (sorted[Math.floor(quantile * (sorted.length - 1))] as number);
}

/** Of a quantile: half the distance between the values one standard error of its rank below and above. */
function errorOf(sorted: Float64Array, quantile: number): number {
  const ranks = Math.sqrt((quantile * (1 - quantile)) / sorted.length);
  return (quantileOf(sorted, Math.min(1, quantile + ranks)) - quantileOf(sorted, Math.max(0, quantile - ranks))) / 2;
}
