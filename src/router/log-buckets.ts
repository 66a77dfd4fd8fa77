/**
 * Buckets that grow by 2^(1/8), so that a value is known within 4.5 % whatever its size: microseconds and minutes, bytes and gigabytes.
 * Counts in the same buckets add up, which percentiles do not.
 */

/** Buckets from 2^-10 (a microsecond, in milliseconds) to 2^34. */
const PER_OCTAVE = 8;
const LEAST_OCTAVE = -10;
const MOST_OCTAVE = 34;
/** One more, for 0 and less than the least. */
export const BUCKETS = (MOST_OCTAVE - LEAST_OCTAVE) * PER_OCTAVE + 1;
const LEAST = 2 ** LEAST_OCTAVE;

export function bucketOf(value: number): number {
  // Also what is no number.
  if (!(value >= LEAST)) return 0;
  return Math.min(BUCKETS - 1, 1 + Math.floor(Math.log2(value) * PER_OCTAVE) - LEAST_OCTAVE * PER_OCTAVE);
}

/** No value of the bucket is above it. */
export function upperBound(bucket: number): number {
  return 2 ** (bucket / PER_OCTAVE + LEAST_OCTAVE);
}

/** The middle of the bucket; 0 of the first. */
export function middleOf(bucket: number): number {
  return bucket === 0 ? 0 : 2 ** ((bucket - 0.5) / PER_OCTAVE + LEAST_OCTAVE);
}

/** The bucket of the least value that at least `share` of `total` counts do not exceed. */
export function quantileBucket(counts: ArrayLike<number>, total: number, share: number): number {
  const wanted = Math.max(1, Math.ceil(share * total));
  let seen = 0;
  for (let bucket = 0; bucket < counts.length; bucket++) {
    seen += counts[bucket] as number;
    if (seen >= wanted) return bucket;
  }
  return counts.length - 1;
}
