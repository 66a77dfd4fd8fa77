/** Latencies of a run, exact: every one is kept, eight bytes each. */
export class Latencies {
  #values = new Float64Array(1024);
  #count = 0;
  #isSorted = true;

  get count(): number {
    return this.#count;
  }

  add(ms: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(2 * this.#count);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count++] = ms;
    this.#isSorted = false;
  }

  /** The least value that at least `share` of them do not exceed; 0 when there are none. `share` from 0 to 1. */
  quantile(share: number): number {
    if (this.#count === 0) return 0;
    this.#sort();
    return this.#values[Math.min(this.#count - 1, Math.max(0, Math.ceil(share * this.#count) - 1))] as number;
  }

  /** How many are above `ms`. */
  above(ms: number): number {
    let count = 0;
    for (let i = 0; i < this.#count; i++) if ((this.#values[i] as number) > ms) count++;
    return count;
  }

  #sort(): void {
    if (this.#isSorted) return;
    this.#values.subarray(0, this.#count).sort();
    this.#isSorted = true;
  }
}
