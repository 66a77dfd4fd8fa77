/** What a limiter tells of itself: as JSON, and as metrics. */
import { ATTRIBUTES } from '../core/metrics.js';
import type { Observe, Telemetry } from '../core/telemetry.js';
import { byCriticality, byReason, observeByCriticality, observeByReason } from './criticality-counts.js';
import type { LimiterCore } from './limiter-core.js';
import type { LimiterSnapshot } from './limiter-report.js';
import { REFUSAL_NAMES } from './refusal.js';
import { SHARE_STATES } from './share-options.js';

export function limiterSnapshot(limiter: LimiterCore): LimiterSnapshot {
  const { gate, inFlight, leaks, level, limit, name, queued, share, weight } = limiter;
  const { partitions } = gate;
  return {
    name,
    limit,
    inFlight,
    weight,
    queued,
    level,
    typicalMs: gate.meter.typicalMs,
    admitted: byCriticality((rank) => gate.admissions[rank] as number),
    refused: byReason(REFUSAL_NAMES, gate.refusals),
    partitions: partitions.isSplit
      ? partitions.names.map((partition, i) => ({
          name: partition,
          share: partitions.shareOf(i),
          weight: partitions.weightOf(i),
        }))
      : [],
    leaked: leaks?.found ?? 0,
    ...(share === undefined ? undefined : { share: share.snapshot() }),
  };
}

/** What is in flight is on the load board, which tells it by itself. */
export function observeLimiter(telemetry: Telemetry, limiter: LimiterCore): Disposable[] {
  const { gate, leaks, name, share } = limiter;
  const { partitions } = gate;
  const attributes = { [ATTRIBUTES.limiter]: name };
  const one = (value: () => number) => (observe: Observe) => observe(value(), attributes);
  const observed = [
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
    telemetry.observable(
      'evenkeel.limiter.admitted',
      observeByCriticality((rank) => gate.admissions[rank] as number, attributes),
    ),
    telemetry.observable(
      'evenkeel.limiter.refused',
      observeByReason(REFUSAL_NAMES, gate.refusals, ATTRIBUTES.refusal, attributes),
    ),
  ];
  if (leaks !== undefined) {
    observed.push(
      telemetry.observable(
        'evenkeel.limiter.leaked',
        one(() => leaks.found),
      ),
    );
  }
  if (partitions.isSplit) {
    observed.push(
      telemetry.observable('evenkeel.limiter.partition.weight', (observe) => {
        for (const [i, partition] of partitions.names.entries())
          observe(partitions.weightOf(i), partition === '' ? attributes : { ...attributes, [ATTRIBUTES.partition]: partition });
      }),
    );
  }
  if (share !== undefined) {
    observed.push(
      telemetry.observable(
        'evenkeel.limiter.share',
        one(() => share.snapshot().share),
      ),
      telemetry.observable('evenkeel.limiter.share.state', (observe) => {
        const { state } = share.snapshot();
        // All of them: an exporter goes on telling the last value of one that is left out.
        for (const each of SHARE_STATES) observe(each === state ? 1 : 0, { ...attributes, [ATTRIBUTES.shareState]: each });
      }),
    );
  }
  return observed;
}

/** Undefined: nobody listens, and nothing is measured. */
export function waitHistogram(telemetry: Telemetry | undefined, name: string): ((ms: number) => void) | undefined {
  const record = telemetry?.histogram('evenkeel.limiter.wait.duration');
  if (record === undefined) return undefined;
  const attributes = { [ATTRIBUTES.limiter]: name };
  return (ms) => record(ms / 1000, attributes);
}
