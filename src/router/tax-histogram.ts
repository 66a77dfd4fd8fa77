/** A distribution that can be added to another. Its sum is exact, its percentiles are right within 4.5 %. */
import { BUCKETS, bucketOf, middleOf, quantileBucket } from './log-buckets.js';

/** Plain JSON; `mean` is exact. */
export interface Percentiles {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export class TaxHistogram {
  /** Made with the first value: most parts of most methods never have one above 0. */
  #counts: Uint32Array | undefined = undefined;
  /** Zeros, and what is next to it. */
  #zeros = 0;
  count = 0;
  sum = 0;

  add(value: number): void {
    this.count++;
    this.sum += value;
    const bucket = bucketOf(value);
    if (bucket === 0) {
      this.#zeros++;
      return;
    }
    this.#counts ??= new Uint32Array(BUCKETS);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
  }

  merge(other: TaxHistogram): void {
    this.count += other.count;
    this.sum += other.sum;
    this.#zeros += other.#zeros;
    if (other.#counts === undefined) return;
    this.#counts ??= new Uint32Array(BUCKETS);
    for (let i = 0; i < BUCKETS; i++) this.#counts[i] = (this.#counts[i] as number) + (other.#counts[i] as number);
  }

  /** 0 when there is nothing. */
  quantile(share: number): number {
    if (this.#counts === undefined || share * this.count <= this.#zeros) return 0;
    const withZeros = this.#counts.slice();
    withZeros[0] = this.#zeros;
    return middleOf(quantileBucket(withZeros, this.count, share));
  }

  percentiles(): Percentiles {
    const mean = this.count === 0 ? 0 : this.sum / this.count;
    return { mean, p50: this.quantile(0.5), p95: this.quantile(0.95), p99: this.quantile(0.99) };
  }
}
