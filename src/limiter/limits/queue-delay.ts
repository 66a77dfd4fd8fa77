/**
 * A limit that keeps the wait behind the gate short. Where work queues after it was admitted, in an event loop, a pool of connections, a run
 * queue, the time it waits there says that there is too much of it, sooner and more plainly than the time it takes.
 *
 * Node's own queue is the event loop: its delay is how long a callback that is due has to wait. When many short callbacks share the loop the
 * delay stays small although no time is left; then its utilisation says so.
 * @see Zhou et al. (DAGOR), SoCC'18, section 4.1: 20 ms of queueing; Nichols, Jacobson, "Controlling Queue Delay" (CoDel), 2012
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { BaseLimit, type LimitSettings } from './base-limit.js';
import { isFull } from './full.js';
import type { LimitFactory, LimitSurroundings, LimitWindow } from './limit.js';

export interface QueueDelayLimitOptions {
  /** To begin with. Default 8. */
  initial?: number;
  /** Default 1. */
  min?: number;
  /** Default 10,000. */
  max?: number;
  /** Longer waits lower the limit. Milliseconds; default 20; above 0. */
  targetMs?: number;
  /** Above it the limit does not rise. Share of the event loop's time, default 0.95; above 0, to 1. */
  maxUtilization?: number;
  /** The wait to look at beside the event loop's, ms: of a pool, a run queue. A reading that throws or is not a number is left out. */
  delayMs?: () => number;
  /** Looks at the event loop. Default true. */
  eventLoop?: boolean;
  /** Least length of a window, ms. Default 250; 50 to 60,000. */
  windowMs?: number;
}

const DEFAULT_TARGET_MS = 20;
const DEFAULT_MAX_UTILIZATION = 0.95;
const DEFAULT_WINDOW_MS = 250;
/** A window above the target takes between 5 % (DAGOR's step) and 30 %, the more the longer the wait. */
const LEAST_STEP = 0.95;
const MOST_STEP = 0.7;
/** A window below it adds this share of the limit, and at least half a call. */
const GROWTH = 0.05;
const LEAST_GROWTH = 0.5;

/**
 * Learns the limit from how long work waits. For servers that are bound by their own event loop, and for pools that can tell their wait.
 * @throws {EvenkeelError} `invalid-argument` for an option out of range, `initial` outside `min` to `max`, or nothing to look at.
 */
export function queueDelayLimit(options: QueueDelayLimitOptions = {}): LimitFactory {
  const min = checkNumber('min', options.min ?? 1, Number.MIN_VALUE);
  const max = checkNumber('max', options.max ?? 10_000, min);
  const { delayMs, eventLoop = true } = options;
  if (delayMs !== undefined && typeof delayMs !== 'function') throw invalidArgument('delayMs', delayMs, 'a function');
  if (!eventLoop && delayMs === undefined) throw invalidArgument('eventLoop', eventLoop, 'true, or a delayMs to look at');
  const settings = {
    initial: checkNumber('initial', options.initial ?? Math.min(max, Math.max(min, 8)), min, max),
    min,
    max,
    targetMs: checkNumber('targetMs', options.targetMs ?? DEFAULT_TARGET_MS, Number.MIN_VALUE),
    maxUtilization: checkNumber('maxUtilization', options.maxUtilization ?? DEFAULT_MAX_UTILIZATION, Number.MIN_VALUE, 1),
    delayMs,
    eventLoop,
    windowMs: checkNumber('windowMs', options.windowMs ?? DEFAULT_WINDOW_MS, 50, 60_000),
    windowCalls: 1,
    quantile: 0.5,
  };
  return (surroundings) => new QueueDelay(settings, surroundings);
}

interface QueueDelaySettings extends LimitSettings {
  readonly targetMs: number;
  readonly maxUtilization: number;
  readonly delayMs: (() => number) | undefined;
  readonly eventLoop: boolean;
}

class QueueDelay extends BaseLimit {
  readonly #settings: QueueDelaySettings;
  readonly #surroundings: LimitSurroundings;

  constructor(settings: QueueDelaySettings, surroundings: LimitSurroundings) {
    super(settings);
    this.#settings = settings;
    this.#surroundings = surroundings;
    // The first reading starts the meter.
    if (settings.eventLoop) surroundings.host.eventLoopDelayMs();
  }

  next(window: LimitWindow): number {
    const { dropped, limit } = window;
    const { eventLoop, maxUtilization, targetMs } = this.#settings;
    const { host } = this.#surroundings;
    const delayMs = Math.max(eventLoop ? host.eventLoopDelayMs() : 0, this.#ownDelay());
    const utilization = eventLoop ? host.eventLoopUtilization() : 0;
    if (delayMs > targetMs) {
      return this.found(
        limit * Math.min(LEAST_STEP, Math.max(MOST_STEP, targetMs / delayMs)),
        'work waits longer than the target',
      );
    }
    if (dropped > 0) return this.found(limit * LEAST_STEP, 'calls were dropped');
    if (utilization > maxUtilization) return this.found(limit, 'the event loop has no time left');
    if (!isFull(window)) return this.found(limit, 'not in use up to the limit');
    return this.found(limit + Math.max(LEAST_GROWTH, GROWTH * limit), 'work waits less than the target');
  }

  #ownDelay(): number {
    try {
      const ms = this.#settings.delayMs?.() ?? 0;
      return Number.isFinite(ms) ? ms : 0;
    } catch {
      return 0;
    }
  }
}
