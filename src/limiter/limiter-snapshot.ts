/** What a limiter tells of itself: as JSON, and as metrics. */
import { CRITICALITIES, type Criticality } from '../core/call-context.js';
import { ATTRIBUTES } from '../core/metrics.js';
import type { Observe, Telemetry } from '../core/telemetry.js';
import type { LimiterCore } from './limiter-core.js';
import type { LimiterSnapshot } from './limiter-report.js';
import { REFUSAL_NAMES } from './refusal.js';

const RANKS = CRITICALITIES.length;

export function limiterSnapshot(limiter: LimiterCore): LimiterSnapshot {
  const { gate, inFlight, leaked, level, limit, name, queued, share, weight } = limiter;
  const { partitions } = gate;
  return {
    name,
    limit,
    inFlight,
    weight,
    queued,
    level,
    typicalMs: gate.meter.typicalMs,
    admitted: byCriticality(gate.admissions),
    refused: Object.fromEntries(
      REFUSAL_NAMES.map((reason, i) => [reason, gate.refusals.subarray(i * RANKS, (i + 1) * RANKS)] as const)
        .filter(([, counts]) => counts.some((count) => count > 0))
        .map(([reason, counts]) => [reason, byCriticality(counts)]),
    ),
    partitions: partitions.isSplit
      ? partitions.names.map((partition, i) => ({
          name: partition,
          share: partitions.shareOf(i),
          weight: partitions.weightOf(i),
        }))
      : [],
    leaked,
    ...(share === undefined ? undefined : { share: share.snapshot() }),
  };
}

function byCriticality(counts: Float64Array): Record<Criticality, number> {
  return Object.fromEntries(CRITICALITIES.map((criticality, rank) => [criticality, counts[rank]])) as Record<Criticality, number>;
}

export function observeLimiter(telemetry: Telemetry, limiter: LimiterCore): Disposable[] {
  const { gate, name } = limiter;
  const attributes = { [ATTRIBUTES.limiter]: name };
  const one = (value: () => number) => (observe: Observe) => observe(value(), attributes);
  return [
    telemetry.observable(
      'evenkeel.limiter.limit',
      one(() => limiter.limit),
    ),
    telemetry.observable(
      'evenkeel.limiter.queued',
      one(() => limiter.queued),
    ),
    telemetry.observable(
      'evenkeel.limiter.level',
      one(() => limiter.level),
    ),
    telemetry.observable('evenkeel.limiter.admitted', (observe) => {
      for (const [rank, criticality] of CRITICALITIES.entries()) {
        observe(gate.admissions[rank] as number, { ...attributes, [ATTRIBUTES.criticality]: criticality });
      }
    }),
    telemetry.observable('evenkeel.limiter.refused', (observe) => {
      for (const [i, reason] of REFUSAL_NAMES.entries()) {
        for (const [rank, criticality] of CRITICALITIES.entries()) {
          const count = gate.refusals[i * RANKS + rank] as number;
          if (count > 0) observe(count, { ...attributes, [ATTRIBUTES.criticality]: criticality, [ATTRIBUTES.refusal]: reason });
        }
      }
    }),
  ];
}

/** Undefined: nobody listens, and nothing is measured. */
export function waitHistogram(telemetry: Telemetry | undefined, name: string): ((ms: number) => void) | undefined {
  const record = telemetry?.histogram('evenkeel.limiter.wait.duration');
  if (record === undefined) return undefined;
  const attributes = { [ATTRIBUTES.limiter]: name };
  return (ms) => record(ms / 1000, attributes);
}
