/**
 * The number, apart from the gate: a limit is calculated from what the gate saw in a window, and nothing else. It reads no clock and holds no
 * call, so that one and the same runs in a service, in a test and in a simulation.
 */
import type { Clock } from '../../core/clock.js';
import type { Host } from '../../core/host.js';
import type { LoadBoard } from '../../core/load-board.js';

/** What a gate saw since the last one; valid during the call only: the object is used again. */
export interface LimitWindow {
  /** In force during the window, in the limiter's unit. */
  readonly limit: number;
  /** Clock.now() at its end, milliseconds. */
  readonly nowMs: number;
  readonly lengthMs: number;
  /** Calls that ended `ok` or `error`, or were given up (`ignored`) after longer than calls took in the window before. */
  readonly ended: number;
  /** Of these, all but `ok`. */
  readonly failed: number;
  /** Calls that ended `dropped`: those behind said that they are full. */
  readonly dropped: number;
  /** Milliseconds that the downstream asked to wait, the longest of the window; 0: it did not. */
  readonly retryAfterMs: number;
  /** Weight in flight, the mean over the calls that ended, as each found it. */
  readonly inFlight: number;
  /** The most at any moment of the window. */
  readonly mostInFlight: number;
  /** Time from permit to end of the timed calls that began under this limit: the quantile the limit asked for, ms. NaN: none. */
  readonly latencyMs: number;
  /** Standard error of `latencyMs`, from the spread of the timed calls around it, ms: what chance alone makes of so few. NaN: none. */
  readonly latencyErrorMs: number;
  /** Mean wait for a permit of the calls that got one, ms. */
  readonly queueMs: number;
  /** Calls refused for lack of room. */
  readonly refused: number;
}

export interface Limit {
  /** To begin with. */
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  /** A window lasts at least this long, ms, */
  readonly windowMs: number;
  /** and until so many calls have ended. */
  readonly windowCalls: number;
  /** Of the latencies of a window: 0.5 is the median. */
  readonly quantile: number;
  /** The limit from now on; finite and at least `min`. Called at the end of each window. */
  next(window: LimitWindow): number;
  /** The limit for the first call after `idleMs` with none in flight. Without it the limit is the one from before. */
  readonly afterIdle?: (limit: number, idleMs: number) => number;
  /** Why, of the last change: a few words. */
  readonly reason: string;
}

/** What a limit may look at beyond its gate. */
export interface LimitSurroundings {
  readonly clock: Clock;
  readonly host: Host;
  readonly load: LoadBoard;
}

/** Makes the limit of one limiter: each has its own. */
export type LimitFactory = (surroundings: LimitSurroundings) => Limit;
