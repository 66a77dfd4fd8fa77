/**
 * The guard against a baseline that is too low: fewer calls at once should cost no throughput, and when they do, it was no queue that the lower
 * limit took away. The anchor is the least limit that is known to have had all of the throughput.
 * @see Cinnamon's covariance of calls in flight and throughput, failsafe-go's correlation: the same question, asked of each window
 */
export class ThroughputAnchor {
  /** 0: none. */
  #limit = 0;
  #throughput = 0;

  forget(): void {
    this.#limit = 0;
  }

  /** A limit that was better than `limit` with its smoothed `throughput`, and is forgotten by that; undefined: there is none. */
  betterThan(limit: number, throughput: number): number | undefined {
    const anchor = this.#limit;
    const before = this.#throughput;
    if (anchor === 0) {
      this.#move(limit, throughput);
    } else if (limit > anchor * NEAR) {
      if (throughput > before / KEPT) this.#move(limit, throughput);
    } else if (limit >= anchor / NEAR) {
      this.#throughput += WEIGHT * (throughput - before);
    } else if (throughput > before * KEPT) {
      this.#move(limit, throughput);
    } else if (throughput < before * LOST) {
      this.#limit = 0;
      return anchor;
    }
    return undefined;
  }

  #move(limit: number, throughput: number): void {
    this.#limit = limit;
    this.#throughput = throughput;
  }
}

/** Limits this close are one. */
const NEAR = 1.15;
/** A lower limit that has this much of the throughput has all of it; one that has less than the other has lost some, chance aside. */
const KEPT = 0.93;
const LOST = 0.85;
const WEIGHT = 0.1;
