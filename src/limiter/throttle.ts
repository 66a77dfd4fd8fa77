/**
 * Holds calls back at their caller once the servers refuse them: a refusal costs a server something, too, and ten times too many calls cost it
 * all it has.
 *
 * What does it go by? By what is refused, per criticality; by the level servers tell with their answers; and by the time they ask for. Which
 * calls count as refused? Those turned away, and those that got no answer. One that failed with an answer was accepted: that is
 * trouble of another kind. A throttle has no timer, and nothing to close but its metrics.
 */
import type { Criticality } from '../core/call-context.js';
import type { Events } from '../core/events.js';
import type { Outcome } from '../core/load-counter.js';
import type { RetryBudgetOptions } from '../core/retry-budget.js';
import type { Runtime } from '../core/runtime.js';
import type { CallExtension, CallTransport } from '../core/transport/call.js';
import type { ThrottleEvents, ThrottleSnapshot } from './throttle-report.js';

export interface ThrottleOptions {
  /** In errors: the service that is called. 1 to 200 characters. Default `default`. */
  name?: string;
  /**
   * Calls wanted per call accepted from which on some are held back. Default 2; 1 to 100. The servers see about that many times what they accept:
   * more finds a recovery sooner, less spares them refusals.
   */
  multiplier?: number;
  /**
   * How far back calls count. Milliseconds; default 2,000; 500 to 600,000. Under ten times the load, with three retries each, servers see 2.3
   * times what they can do with 2,000, 3.8 times with 10,000 and 4.7 times with 120,000 over the first 20 s, since what was accepted before
   * the overload counts for so long. When it is over, goodput is whole again within 0.75 s with each of them, thanks to runs of acceptances
   * (accept-window.ts); callers of fewer than 40 calls a second see no such run in time and wait for 1.8 windows.
   */
  windowMs?: number;
  /** The longest time a server may ask for, ms; more is cut. Default 30,000; 0 to 3,600,000. 0: none is honoured. */
  maxPushbackMs?: number;
  /** Of `allowsRetry`. Default: 0.2 a call and 10 a second. */
  retryBudget?: RetryBudgetOptions;
  /** Default: a private one. */
  runtime?: Runtime;
}

/** A {@link CallContext} is one. What is not told is that of the ambient context. */
export interface ThrottledWork {
  /** Default `critical`. */
  readonly criticality?: Criticality;
  /** 0 to 127, see `cohortOf`. Default: one by chance. */
  readonly cohort?: number;
}

/** A call that was let through. */
export interface ThrottledCall {
  /**
   * How it ended; the first call counts, later ones do nothing. `dropped`: turned away, or not answered. `ignored`: counts for nothing. Default `ok`.
   * @param retryAfterMs - With `dropped`: how long the server asked to be left alone.
   */
  end(outcome?: Outcome, retryAfterMs?: number): void;
}

export interface Throttle extends Disposable {
  readonly name: string;
  readonly events: Events<ThrottleEvents>;
  /**
   * Asks for one call, and counts it; false: it is not to be made. Allocates nothing. Tell how a call that was let through ended by `record`.
   * @throws {EvenkeelError} `invalid-argument` for a criticality or cohort there is not.
   */
  allows(work?: ThrottledWork): boolean;
  /** The end of a call that `allows` let through, as {@link ThrottledCall.end}; once for each. One that is ignored counts as begun just now. */
  record(outcome: Outcome, work?: ThrottledWork, retryAfterMs?: number): void;
  /** `allows`, with a handle for the end; undefined: the call is not to be made. */
  begin(work?: ThrottledWork): ThrottledCall | undefined;
  /**
   * Runs `call` unless it is held back. What says "full" (as for `run` of a limiter), and what says that no answer came, counts as refused.
   * @throws {EvenkeelError} (as a rejection) `resource-exhausted`, `rejected`, when it is held back; what `call` throws.
   */
  run<T>(call: () => T | PromiseLike<T>, work?: ThrottledWork): Promise<T>;
  /**
   * The transport, whose calls are held back when need be. Time that a server asks for holds for its endpoint alone. Criticality and cohort are read
   * from the headers that the router writes, the servers' level from those of the answers.
   */
  guard(transport: CallTransport): CallTransport;
  /** For a router's `extensions`: reads the servers' level off each answer. `guard` does so by itself. */
  readonly extension: CallExtension;
  /** Takes the right to one retry from the budget; false: it is spent. The retry itself asks `allows` as any call does. */
  allowsRetry(): boolean;
  snapshot(): ThrottleSnapshot;
  /** Ends its metrics, which hold it in memory till then; without telemetry there is nothing to end. Calls may go on. */
  [Symbol.dispose](): void;
}
