/**
 * Another limit for a window or two: how latency and throughput follow tells on which side of the knee the limit is.
 *
 * Above the knee latency goes with the limit and throughput stays; below it throughput goes with the limit and latency stays. Both say the
 * same, each with its own noise: the mean of the two counts.
 */
export class KneeProbe {
  /** Before the probe: what to go back to. 0: there is none. */
  #before = 0;
  #latencyMs = 0;
  #throughput = 0;
  #followedSum = 0;
  windows = 0;

  get isActive(): boolean {
    return this.#before > 0;
  }

  get before(): number {
    return this.#before;
  }

  /** `latencyMs` and `throughput`: at the limit as it was. */
  begin(limit: number, latencyMs: number, throughput: number): void {
    this.#before = limit;
    this.#latencyMs = latencyMs;
    this.#throughput = throughput;
    this.#followedSum = 0;
    this.windows = 0;
  }

  /** Share of the change that latency followed, over the windows so far: 1 above the knee, 0 below it, chance aside. */
  followed(limit: number, latencyMs: number, throughput: number): number {
    const changed = Math.log(limit / this.#before);
    const latency = Math.log(latencyMs / this.#latencyMs) / changed;
    const lost = 1 - Math.log(throughput / this.#throughput) / changed;
    this.#followedSum += (latency + lost) / 2;
    return this.#followedSum / ++this.windows;
  }

  end(): void {
    this.#before = 0;
  }
}
