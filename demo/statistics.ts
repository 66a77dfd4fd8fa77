/** Percentiles by nearest rank: every figure told is one that was measured. */

/**
 * @param sorted - Ascending.
 * @param share - 0 to 1: 0.99 for p99.
 * @returns NaN for no values.
 */
export function percentile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) return Number.NaN;
  // 0.999 x 1000 is 999.0000000000001 in floating point, which must not become rank 1000.
  const rank = Math.ceil(Number((share * sorted.length).toFixed(6)));
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] as number;
}

/** A percentile means something when at least one value lies beyond it; NaN otherwise. */
export function meaningfulPercentile(sorted: readonly number[], share: number): number {
  return sorted.length * (1 - share) >= 0.999 ? percentile(sorted, share) : Number.NaN;
}

/** Ascending, in a new array. */
export function sortNumbers(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
