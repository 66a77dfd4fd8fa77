/** The throttle: its public face over the window, the servers' level and the times they asked for. */
import { CRITICALITIES, type Criticality, DEFAULT_CRITICALITY } from '../core/call-context.js';
import type { Clock } from '../core/clock.js';
import { isCohort } from '../core/cohort.js';
import { type Endpoint, MAX_ENDPOINTS } from '../core/endpoint.js';
import { checkNumber, type EvenkeelError, invalidArgument } from '../core/errors.js';
import { EventSource } from '../core/events.js';
import type { HeaderList } from '../core/headers.js';
import type { Outcome } from '../core/load-counter.js';
import type { Random } from '../core/random.js';
import { RetryBudget } from '../core/retry-budget.js';
import { createRuntime, type Runtime } from '../core/runtime.js';
import type { CallExtension, CallTransport } from '../core/transport/call.js';
import { AcceptWindow } from './accept-window.js';
import { AdvisedLevel } from './advised-level.js';
import { rankOf } from './claim.js';
import { RANKS } from './criticality-counts.js';
import { checkName } from './options.js';
import { acceptanceOf, outcomeOfResult } from './outcome.js';
import { PushbackTimer } from './pushback-timer.js';
import type { Throttle, ThrottledCall, ThrottledWork, ThrottleOptions } from './throttle.js';
import { THROTTLE_REFUSAL_NAMES, type ThrottleRefusal, throttleErrors } from './throttle-refusal.js';
import type { ThrottleEvents, ThrottleSnapshot } from './throttle-report.js';
import { observeThrottle, type ThrottleReadings, throttleSnapshot } from './throttle-snapshot.js';
import { type EndpointThrottle, throttledTransport } from './throttled-transport.js';

export const DEFAULT_THROTTLE_MULTIPLIER = 2;
export const DEFAULT_THROTTLE_WINDOW_MS = 2000;
export const DEFAULT_MAX_PUSHBACK_MS = 30_000;

/**
 * Holds calls back with a chance of (asked - `multiplier` x accepted) / (asked + 1), per criticality, as soon as servers refuse more than they
 * accept. The 1 lets about one call a window through when all are refused, which finds the recovery. Costs some 90 ns and no
 * allocation a call. For callers of what protects itself by refusals; one that only becomes slow needs a limiter.
 *
 * @example
 * ```ts
 * import { createThrottle } from 'evenkeel/limiter';
 *
 * const throttle = createThrottle({ name: 'search' });
 * const answer = await throttle.run(() => Promise.resolve('found'), { criticality: 'sheddable' });
 * ```
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @see Beyer et al., "Site Reliability Engineering", chapter 21
 */
export function createThrottle(options: ThrottleOptions = {}): Throttle {
  return new ClientThrottle(options);
}

const DEFAULT_RANK = CRITICALITIES.indexOf(DEFAULT_CRITICALITY);

class ClientThrottle implements Throttle, EndpointThrottle {
  readonly name: string;
  readonly events: EventSource<ThrottleEvents>;
  readonly extension: CallExtension;
  readonly #runtime: Runtime;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #window: AcceptWindow;
  readonly #level: AdvisedLevel;
  readonly #pushback = new PushbackTimer();
  /** By endpoint id; only those that asked for time. */
  readonly #endpoints = new Map<string, PushbackTimer>();
  readonly #maxPushbackMs: number;
  readonly #budget: RetryBudget;
  /** Rights to a retry that are out: the calls they are used for are no originals. */
  #retriesDue = 0;
  readonly #errors: Readonly<Record<ThrottleRefusal, EvenkeelError>>;
  readonly #admissions = new Float64Array(RANKS);
  /** By reason and, within it, by rank. */
  readonly #refusals = new Float64Array(THROTTLE_REFUSAL_NAMES.length * RANKS);
  readonly #readings: ThrottleReadings;
  readonly #observed: Disposable[];

  constructor(options: ThrottleOptions) {
    const { name = 'default' } = options;
    const multiplier = checkNumber('multiplier', options.multiplier ?? DEFAULT_THROTTLE_MULTIPLIER, 1, 100);
    const windowMs = checkNumber('windowMs', options.windowMs ?? DEFAULT_THROTTLE_WINDOW_MS, 500, 600_000);
    this.#maxPushbackMs = checkNumber('maxPushbackMs', options.maxPushbackMs ?? DEFAULT_MAX_PUSHBACK_MS, 0, 3_600_000);
    this.name = checkName(name);
    this.#runtime = options.runtime ?? createRuntime();
    this.#clock = this.#runtime.clock;
    this.#random = this.#runtime.random.fork(`throttle ${name}`);
    this.#budget = new RetryBudget(this.#clock, options.retryBudget);
    this.#window = new AcceptWindow(windowMs, multiplier, this.#clock.coarse());
    this.#level = new AdvisedLevel(this.#random.fork('level'));
    this.#errors = throttleErrors(name);
    this.events = new EventSource(`throttle ${name}`, this.#runtime.diagnostics);
    this.extension = { response: (headers) => this.onAnswer(headers) };
    this.#readings = {
      name,
      clock: this.#clock,
      window: this.#window,
      level: this.#level,
      pushback: this.#pushback,
      endpoints: this.#endpoints,
      budget: this.#budget,
      admissions: this.#admissions,
      refusals: this.#refusals,
    };
    const { telemetry } = this.#runtime;
    this.#observed = telemetry === undefined ? [] : observeThrottle(telemetry, this.#readings);
  }

  allows(work?: ThrottledWork): boolean {
    return this.#ask(work, undefined) === undefined;
  }

  record(outcome: Outcome, work?: ThrottledWork, retryAfterMs = 0): void {
    this.#end(outcome, this.#rankOf(work), retryAfterMs, undefined, this.#clock.coarse());
  }

  begin(work?: ThrottledWork): ThrottledCall | undefined {
    const rank = this.#rankOf(work);
    if (this.#ask(work, undefined) !== undefined) return undefined;
    const beganAt = this.#clock.coarse();
    return new CountedCall((outcome, retryAfterMs) => this.#end(outcome, rank, retryAfterMs, undefined, beganAt));
  }

  async run<T>(call: () => T | PromiseLike<T>, work?: ThrottledWork): Promise<T> {
    const rank = this.#rankOf(work);
    const reason = this.#ask(work, undefined);
    if (reason !== undefined) throw this.#errors[reason];
    const beganAt = this.#clock.coarse();
    try {
      const result = await call();
      const { outcome, retryAfterMs } = outcomeOfResult(result);
      this.#end(outcome, rank, retryAfterMs, undefined, beganAt);
      return result;
    } catch (error) {
      const { outcome, retryAfterMs } = acceptanceOf(error);
      this.#end(outcome, rank, retryAfterMs, undefined, beganAt);
      throw error;
    }
  }

  guard(transport: CallTransport): CallTransport {
    return throttledTransport(this, transport);
  }

  allowsRetry(): boolean {
    if (!this.#budget.withdraw(this.#clock.coarse())) return false;
    this.#retriesDue++;
    return true;
  }

  refuses(work: ThrottledWork, endpoint: Endpoint): EvenkeelError | undefined {
    const reason = this.#ask(work, endpoint);
    return reason && this.#errors[reason];
  }

  onAnswer(headers: HeaderList): void {
    this.#level.read(headers, this.#clock.coarse());
  }

  onEnd(outcome: Outcome, work: ThrottledWork, retryAfterMs: number, endpoint: Endpoint, beganAt: number): void {
    this.#end(outcome, this.#rankOf(work), retryAfterMs, endpoint, beganAt);
  }

  now(): number {
    return this.#clock.coarse();
  }

  forget(endpoint: Endpoint): void {
    this.#endpoints.delete(endpoint.id);
  }

  snapshot(): ThrottleSnapshot {
    return throttleSnapshot(this.#readings);
  }

  [Symbol.dispose](): void {
    for (const observed of this.#observed.splice(0)) observed[Symbol.dispose]();
  }

  /** Why the call is held back. What servers asked for is no news of what they accept: such calls do not count as asked. */
  #ask(work: ThrottledWork | undefined, endpoint: Endpoint | undefined): ThrottleRefusal | undefined {
    const rank = this.#rankOf(work);
    const cohort = work?.cohort ?? this.#runtime.ambient.get()?.cohort;
    if (cohort !== undefined && !isCohort(cohort)) throw invalidArgument('cohort', cohort, 'a whole number from 0 to 127');
    const now = this.#clock.coarse();
    // The call that was allowed as a retry, whether it is sent or held back.
    const isRetry = this.#retriesDue > 0;
    if (isRetry) this.#retriesDue--;
    if (this.#pushback.holds(rank, now)) return this.#refuse('pushback', rank);
    if (endpoint !== undefined && this.#endpoints.size > 0 && this.#isHeldBack(endpoint, rank, now))
      return this.#refuse('endpoint', rank);
    if (!this.#level.admits(rank, cohort, now)) return this.#refuse('level', rank);
    const rejection = this.#window.rejectionOf(rank, now);
    this.#window.onAsked(rank, now);
    if (rejection > 0 && this.#random.next() < rejection) return this.#refuse('refusals', rank);
    this.#window.onSent(rank);
    this.#admissions[rank] = (this.#admissions[rank] as number) + 1;
    if (!isRetry) this.#budget.deposit(now);
    return undefined;
  }

  #end(outcome: Outcome, rank: number, retryAfterMs: number, endpoint: Endpoint | undefined, beganAt: number): void {
    const now = this.#clock.coarse();
    if (outcome === 'ignored') this.#window.onIgnored(rank, beganAt, now);
    else if (outcome === 'dropped') this.#window.onRefused(rank, now);
    else this.#window.onAccepted(rank, now);
    if (outcome === 'dropped' && retryAfterMs > 0) this.#holdBack(rank, retryAfterMs, now, endpoint);
  }

  #holdBack(rank: number, askedMs: number, now: number, endpoint: Endpoint | undefined): void {
    const ms = Math.min(askedMs, this.#maxPushbackMs);
    if (!(ms > 0)) return;
    this.#timerOf(endpoint)?.extend(rank, now + ms);
    if (!this.events.has('pushback')) return;
    this.events.emit('pushback', { ms, endpoint: endpoint?.id, criticality: CRITICALITIES[rank] as Criticality });
  }

  /** Undefined: there are more endpoints than any list may have. */
  #timerOf(endpoint: Endpoint | undefined): PushbackTimer | undefined {
    if (endpoint === undefined) return this.#pushback;
    let timer = this.#endpoints.get(endpoint.id);
    if (timer === undefined && this.#endpoints.size < MAX_ENDPOINTS) {
      timer = new PushbackTimer();
      this.#endpoints.set(endpoint.id, timer);
    }
    return timer;
  }

  #isHeldBack(endpoint: Endpoint, rank: number, now: number): boolean {
    const timer = this.#endpoints.get(endpoint.id);
    if (timer === undefined) return false;
    if (timer.leftMs(now) === 0) this.#endpoints.delete(endpoint.id);
    return timer.holds(rank, now);
  }

  #refuse(reason: ThrottleRefusal, rank: number): ThrottleRefusal {
    const index = THROTTLE_REFUSAL_NAMES.indexOf(reason) * RANKS + rank;
    this.#refusals[index] = (this.#refusals[index] as number) + 1;
    if (this.events.has('refused')) this.events.emit('refused', { reason, criticality: CRITICALITIES[rank] as Criticality });
    return reason;
  }

  #rankOf(work: ThrottledWork | undefined): number {
    const criticality = work?.criticality ?? this.#runtime.ambient.get()?.criticality;
    return criticality === undefined ? DEFAULT_RANK : rankOf(criticality);
  }
}

class CountedCall implements ThrottledCall {
  #onEnd: ((outcome: Outcome, retryAfterMs: number) => void) | undefined;

  constructor(onEnd: (outcome: Outcome, retryAfterMs: number) => void) {
    this.#onEnd = onEnd;
  }

  end(outcome: Outcome = 'ok', retryAfterMs = 0): void {
    const onEnd = this.#onEnd;
    this.#onEnd = undefined;
    onEnd?.(outcome, retryAfterMs);
  }
}
