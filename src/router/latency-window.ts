/** Latencies of the last half to whole window, in buckets: how long the slowest part of the calls takes. */
import { BUCKETS, bucketOf, quantileBucket, upperBound } from './log-buckets.js';

export class LatencyWindow {
  readonly #halfMs: number;
  /** Of this half window, and of the one before. */
  #now = new Uint32Array(BUCKETS);
  #before = new Uint32Array(BUCKETS);
  #countNow = 0;
  #countBefore = 0;
  #endsMs: number;

  constructor(windowMs: number, now: number) {
    this.#halfMs = windowMs / 2;
    this.#endsMs = now + this.#halfMs;
  }

  note(latencyMs: number, now: number): void {
    if (now >= this.#endsMs) this.#turn(now);
    const bucket = bucketOf(latencyMs);
    this.#now[bucket] = (this.#now[bucket] as number) + 1;
    this.#countNow++;
  }

  /** How many it knows. */
  count(now: number): number {
    if (now >= this.#endsMs) this.#turn(now);
    return this.#countNow + this.#countBefore;
  }

  /** No less than what `share` of the latencies do not exceed, and at most a bucket more. */
  quantile(share: number): number {
    const both = this.#now.map((count, bucket) => count + (this.#before[bucket] as number));
    return upperBound(quantileBucket(both, this.#countNow + this.#countBefore, share));
  }

  #turn(now: number): void {
    const isRecent = now < this.#endsMs + this.#halfMs;
    const reused = this.#before;
    this.#before = this.#now;
    this.#countBefore = this.#countNow;
    this.#now = reused.fill(0);
    this.#countNow = 0;
    if (!isRecent) {
      this.#before.fill(0);
      this.#countBefore = 0;
    }
    this.#endsMs = isRecent ? this.#endsMs + this.#halfMs : now + this.#halfMs;
  }
}
