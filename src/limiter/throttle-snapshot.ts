/** What a throttle tells of itself: as JSON, and as metrics. */
import type { Clock } from '../core/clock.js';
import { ATTRIBUTES } from '../core/metrics.js';
import type { RetryBudget } from '../core/retry-budget.js';
import type { Observe, Telemetry } from '../core/telemetry.js';
import type { AcceptWindow } from './accept-window.js';
import type { AdvisedLevel } from './advised-level.js';
import { byCriticality, byReason, observeByCriticality, observeByReason } from './criticality-counts.js';
import type { PushbackTimer } from './pushback-timer.js';
import { THROTTLE_REFUSAL_NAMES } from './throttle-refusal.js';
import type { ThrottleSnapshot } from './throttle-report.js';

/** What is read when somebody asks. */
export interface ThrottleReadings {
  readonly name: string;
  readonly clock: Clock;
  readonly window: AcceptWindow;
  readonly level: AdvisedLevel;
  readonly pushback: PushbackTimer;
  /** By endpoint id; some may be over. */
  readonly endpoints: ReadonlyMap<string, PushbackTimer>;
  readonly budget: RetryBudget;
  /** Calls let through, by rank. */
  readonly admissions: Float64Array;
  /** Calls held back, by reason and, within it, by rank. */
  readonly refusals: Float64Array;
}

export function throttleSnapshot(readings: ThrottleReadings): ThrottleSnapshot {
  const { admissions, budget, clock, endpoints, level, name, pushback, refusals, window } = readings;
  const now = clock.now();
  return {
    name,
    classes: byCriticality((rank) => {
      const rejection = window.rejectionOf(rank, now);
      return { asked: window.askedOf(rank), accepted: window.takenOf(rank), rejection };
    }),
    level: Math.round(level.at(now)),
    pushbackMs: pushback.leftMs(now),
    endpoints: Object.fromEntries(
      [...endpoints].map(([id, timer]) => [id, timer.leftMs(now)] as const).filter(([, ms]) => ms > 0),
    ),
    admitted: byCriticality((rank) => admissions[rank] as number),
    refused: byReason(THROTTLE_REFUSAL_NAMES, refusals),
    retries: budget.available,
  };
}

export function observeThrottle(telemetry: Telemetry, readings: ThrottleReadings): Disposable[] {
  const { admissions, clock, endpoints, level, name, pushback, refusals, window } = readings;
  const attributes = { [ATTRIBUTES.throttle]: name };
  const one = (value: (now: number) => number) => (observe: Observe) => observe(value(clock.now()), attributes);
  return [
    telemetry.observable(
      'evenkeel.throttle.admitted',
      observeByCriticality((rank) => admissions[rank] as number, attributes),
    ),
    telemetry.observable(
      'evenkeel.throttle.refused',
      observeByReason(THROTTLE_REFUSAL_NAMES, refusals, ATTRIBUTES.throttleRefusal, attributes),
    ),
    telemetry.observable(
      'evenkeel.throttle.rejection',
      observeByCriticality((rank) => window.rejectionOf(rank, clock.now()), attributes),
    ),
    telemetry.observable(
      'evenkeel.throttle.level',
      one((now) => Math.round(level.at(now))),
    ),
    telemetry.observable(
      'evenkeel.throttle.pushback',
      one((now) => pushback.leftMs(now) / 1000),
    ),
    // Their number only: ids of endpoints come and go without end.
    telemetry.observable(
      'evenkeel.throttle.endpoints.held',
      one((now) => [...endpoints.values()].filter((timer) => timer.leftMs(now) > 0).length),
    ),
  ];
}
