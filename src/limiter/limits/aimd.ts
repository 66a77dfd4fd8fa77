/**
 * Additive increase, multiplicative decrease, on what the downstream says and not on what latency suggests: calls it turned away.
 *
 * Growth is bounded twice. While no call was ever turned away it is at most a share of the limit a window, and a limit that was not in use
 * falls back towards what was, before the first call after a pause, too: a function that slept cannot wake up at full rate (XFaaS calls it slow
 * start). After the first drop it is a step a window.
 *
 * A `Retry-After` holds the limit where it is until the time is over: a quota that is used up says nothing of the limit before that.
 * @see Sahraei et al., "XFaaS", SOSP'23, section 4.6 (back-pressure, slow start)
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { BaseLimit, type LimitSettings } from './base-limit.js';
import { isFull } from './full.js';
import type { LimitFactory, LimitWindow } from './limit.js';

export interface AimdLimitOptions {
  /** To begin with. Default 8. */
  initial?: number;
  /** Default 1. */
  min?: number;
  /** Default 10,000. */
  max?: number;
  /** Added after a window without loss. Default 1; above 0. */
  increase?: number;
  /** The limit is multiplied by it after a window with loss. Default 0.7; above 0, below 1. */
  backoffRatio?: number;
  /** Share of a window's calls that may be turned away before it counts as loss. Default 0.01; 0 to 1. */
  dropThreshold?: number;
  /** Slower calls count as loss, too, by their median. Milliseconds; default: latency does not count. */
  targetLatencyMs?: number;
  /** Most growth in one window before the first loss, and after idleness, as a share of the limit. Default 0.2; above 0, to 1. */
  slowStartRatio?: number;
  /** Least length of a window, ms. Default 1000; 10 to 600,000. */
  windowMs?: number;
  /** Least calls of a window. Default 1; 1 to 10,000. */
  windowCalls?: number;
}

const DEFAULT_BACKOFF_RATIO = 0.7;
const DEFAULT_DROP_THRESHOLD = 0.01;
const DEFAULT_SLOW_START_RATIO = 0.2;
const DEFAULT_WINDOW_MS = 1000;

/**
 * Learns the limit from explicit refusals: status 429 and 503, `resource-exhausted`, `permit.end('dropped')`. For a downstream that
 * protects itself and says so; one limiter for each (caller, downstream), since back-pressure belongs to the pair.
 * @throws {EvenkeelError} `invalid-argument` for an option out of range, or `initial` outside `min` to `max`.
 */
export function aimdLimit(options: AimdLimitOptions = {}): LimitFactory {
  const min = checkNumber('min', options.min ?? 1, Number.MIN_VALUE);
  const max = checkNumber('max', options.max ?? 10_000, min);
  const backoffRatio = options.backoffRatio ?? DEFAULT_BACKOFF_RATIO;
  if (!(backoffRatio > 0 && backoffRatio < 1))
    throw invalidArgument('backoffRatio', backoffRatio, 'a number above 0 and below 1');
  const settings = {
    initial: checkNumber('initial', options.initial ?? Math.min(max, Math.max(min, 8)), min, max),
    min,
    max,
    backoffRatio,
    increase: checkNumber('increase', options.increase ?? 1, Number.MIN_VALUE),
    dropThreshold: checkNumber('dropThreshold', options.dropThreshold ?? DEFAULT_DROP_THRESHOLD, 0, 1),
    targetLatencyMs:
      options.targetLatencyMs === undefined
        ? Number.POSITIVE_INFINITY
        : checkNumber('targetLatencyMs', options.targetLatencyMs, Number.MIN_VALUE),
    slowStartRatio: checkNumber('slowStartRatio', options.slowStartRatio ?? DEFAULT_SLOW_START_RATIO, Number.MIN_VALUE, 1),
    windowMs: checkNumber('windowMs', options.windowMs ?? DEFAULT_WINDOW_MS, 10, 600_000),
    windowCalls: checkNumber('windowCalls', options.windowCalls ?? 1, 1, 10_000),
    quantile: 0.5,
  };
  return () => new Aimd(settings);
}

interface AimdSettings extends LimitSettings {
  readonly increase: number;
  readonly backoffRatio: number;
  readonly dropThreshold: number;
  readonly targetLatencyMs: number;
  readonly slowStartRatio: number;
}

class Aimd extends BaseLimit {
  readonly #settings: AimdSettings;
  /** Below it growth is by share, above by step; the half-way point of the last loss, as TCP's threshold. */
  #threshold = Number.POSITIVE_INFINITY;
  /** NaN: before the first window, which is no end of idleness. */
  #endedAtMs = Number.NaN;
  #holdUntilMs = Number.NEGATIVE_INFINITY;

  constructor(settings: AimdSettings) {
    super(settings);
    this.#settings = settings;
  }

  next(window: LimitWindow): number {
    const { limit, ended, dropped, latencyMs, mostInFlight } = window;
    const { backoffRatio, dropThreshold, increase, slowStartRatio, targetLatencyMs, windowMs } = this.#settings;
    const idleMs = window.nowMs - window.lengthMs - this.#endedAtMs;
    this.#endedAtMs = window.nowMs;
    if (dropped > 0)
      this.#holdUntilMs = Math.max(this.#holdUntilMs, window.nowMs + Math.min(window.retryAfterMs, LONGEST_HOLD_MS));
    if (dropped > dropThreshold * (ended + dropped) || latencyMs > targetLatencyMs) {
      this.#threshold = Math.max(this.min, limit * backoffRatio);
      return this.found(this.#threshold, dropped > 0 ? 'the downstream turned calls away' : 'slower than the target');
    }
    if (idleMs > IDLE_WINDOWS * windowMs || window.lengthMs > IDLE_WINDOWS * windowMs || mostInFlight < limit / 2) {
      // Not shown to be true by anybody: down to what was used, and from there by share again.
      const used = Math.max(this.initial, 2 * mostInFlight);
      if (limit <= used) return this.found(limit, 'not in use up to the limit');
      return this.found(Math.max(used, limit * (1 - slowStartRatio)), 'idle: begins slowly again');
    }
    if (!isFull(window)) return this.found(limit, 'not in use up to the limit');
    if (window.nowMs < this.#holdUntilMs) return this.found(limit, 'the downstream asked to wait');
    const stepped = limit + increase;
    if (limit >= this.#threshold) return this.found(stepped, 'no loss');
    return this.found(Math.max(stepped, Math.min(this.#threshold, limit * (1 + slowStartRatio))), 'slow start');
  }

  /** As if each window without a call had cost its share. */
  afterIdle(limit: number, idleMs: number): number {
    const { slowStartRatio, windowMs } = this.#settings;
    if (idleMs <= IDLE_WINDOWS * windowMs || limit <= this.initial) return limit;
    const left = limit * (1 - slowStartRatio) ** (idleMs / windowMs);
    return this.found(Math.max(this.initial, left), 'idle: begins slowly again');
  }
}

/** Longer without the end of a call is idleness. */
const IDLE_WINDOWS = 5;
/** A server that asks for hours is not believed. */
const LONGEST_HOLD_MS = 60_000;
