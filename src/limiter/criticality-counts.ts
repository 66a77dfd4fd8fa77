/** Counts by criticality, and by reason and criticality, as the gate and the throttle keep them: in flat arrays, told as JSON and as metrics. */
import { CRITICALITIES, type Criticality } from '../core/call-context.js';
import { ATTRIBUTES } from '../core/metrics.js';
import type { Attributes, Observe } from '../core/telemetry.js';

export const RANKS = CRITICALITIES.length;

export function byCriticality<T>(ofRank: (rank: number) => T): Record<Criticality, T> {
  return Object.fromEntries(CRITICALITIES.map((criticality, rank) => [criticality, ofRank(rank)])) as Record<Criticality, T>;
}

/** @param counts - By reason and, within it, by rank. Only reasons there were are told. */
export function byReason<R extends string>(
  reasons: readonly R[],
  counts: Float64Array,
): Partial<Record<R, Record<Criticality, number>>> {
  const told = reasons
    .map((reason, i) => [reason, counts.subarray(i * RANKS, (i + 1) * RANKS)] as const)
    .filter(([, ofReason]) => ofReason.some((count) => count > 0))
    .map(([reason, ofReason]) => [reason, byCriticality((rank) => ofReason[rank] as number)]);
  return Object.fromEntries(told);
}

export function observeByCriticality(ofRank: (rank: number) => number, attributes: Attributes): (observe: Observe) => void {
  return (observe) => {
    for (const [rank, criticality] of CRITICALITIES.entries())
      observe(ofRank(rank), { ...attributes, [ATTRIBUTES.criticality]: criticality });
  };
}

/** Only what there was: most reasons never come up for most criticalities. `attribute`: of the reason. */
export function observeByReason(
  reasons: readonly string[],
  counts: Float64Array,
  attribute: string,
  attributes: Attributes,
): (observe: Observe) => void {
  return (observe) => {
    for (const [i, reason] of reasons.entries()) {
      for (const [rank, criticality] of CRITICALITIES.entries()) {
        const count = counts[i * RANKS + rank] as number;
        if (count > 0) observe(count, { ...attributes, [ATTRIBUTES.criticality]: criticality, [attribute]: reason });
      }
    }
  };
}
