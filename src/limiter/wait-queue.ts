/**
 * Who waits for a permit, and who is next. One line for each criticality and partition; all operations are O(1) in the number that wait.
 *
 * Order: partitions below their share first, the one furthest below before the others; then the most critical. Within a line the oldest
 * is next while the queue, of calls at least as critical, empties now and then, and the youngest under an overload: it has the most time left, and whoever waited long has a
 * caller that may be gone. A newcomer to a full queue takes the place of the oldest of the least critical of the partition that fills the
 * queue most, by its share; in its own partition, of one that is no more critical than itself.
 * @see Maurer, "Fail at Scale", ACM Queue 2015 (adaptive LIFO)
 */
import { CRITICALITIES } from '../core/call-context.js';
import type { Waiter } from './waiter.js';

const RANKS = CRITICALITIES.length;

class Line {
  oldest: Waiter | undefined;
  youngest: Waiter | undefined;
  size = 0;

  push(waiter: Waiter): void {
    waiter.previous = this.youngest;
    if (this.youngest === undefined) this.oldest = waiter;
    else this.youngest.next = waiter;
    this.youngest = waiter;
    this.size++;
  }

  remove(waiter: Waiter): void {
    const { next, previous } = waiter;
    if (previous === undefined) this.oldest = next;
    else previous.next = next;
    if (next === undefined) this.youngest = previous;
    else next.previous = previous;
    waiter.next = undefined;
    waiter.previous = undefined;
    this.size--;
  }
}

export class WaitQueue {
  /** Partition by partition, each from the most critical to the least. */
  readonly #lines: readonly Line[];
  readonly #sizes: Int32Array;
  /** Those at least as critical as each rank. */
  readonly #upTo = new Int32Array(RANKS);
  /** By rank: since when somebody at least as critical has been waiting without a break; Infinity: nobody waits. */
  readonly #busySinceMs = new Float64Array(RANKS).fill(Number.POSITIVE_INFINITY);
  size = 0;

  constructor(partitions: number) {
    this.#lines = Array.from({ length: partitions * RANKS }, () => new Line());
    this.#sizes = new Int32Array(partitions);
  }

  /** Those of one partition. */
  sizeOf(partition: number): number {
    return this.#sizes[partition] as number;
  }

  /** The most critical rank that, with all more critical ones, has not been empty since `sinceMs`, in ms of the clock; 4: there is none. */
  busyRank(sinceMs: number): number {
    let rank = RANKS;
    while (rank > 0 && (this.#busySinceMs[rank - 1] as number) < sinceMs) rank--;
    return rank;
  }

  push(waiter: Waiter): void {
    this.#lineOf(waiter).push(waiter);
    for (let rank = waiter.rank; rank < RANKS; rank++) {
      if (this.#upTo[rank] === 0) this.#busySinceMs[rank] = waiter.arrivedAt;
      this.#upTo[rank] = (this.#upTo[rank] as number) + 1;
    }
    waiter.isQueued = true;
    this.#sizes[waiter.partition] = (this.#sizes[waiter.partition] as number) + 1;
    this.size++;
  }

  /** Does nothing for one that is not here. */
  remove(waiter: Waiter): void {
    if (!waiter.isQueued) return;
    this.#lineOf(waiter).remove(waiter);
    for (let rank = waiter.rank; rank < RANKS; rank++) {
      this.#upTo[rank] = (this.#upTo[rank] as number) - 1;
      if (this.#upTo[rank] === 0) this.#busySinceMs[rank] = Number.POSITIVE_INFINITY;
    }
    waiter.isQueued = false;
    this.#sizes[waiter.partition] = (this.#sizes[waiter.partition] as number) - 1;
    this.size--;
  }

  /** The next one of `partition`, or undefined. Those of `overloadedRank`, and less critical ones, the youngest first. */
  first(partition: number, overloadedRank: number): Waiter | undefined {
    for (let rank = 0; rank < RANKS; rank++) {
      const line = this.#lines[partition * RANKS + rank] as Line;
      if (line.size > 0) return rank >= overloadedRank ? line.youngest : line.oldest;
    }
    return undefined;
  }

  /** The oldest of the least critical of `partition`, of those that are no more critical than `rank`. */
  last(partition: number, mostCriticalRank: number): Waiter | undefined {
    for (let rank = RANKS - 1; rank >= mostCriticalRank; rank--) {
      const line = this.#lines[partition * RANKS + rank] as Line;
      if (line.size > 0) return line.oldest;
    }
    return undefined;
  }

  /** Anyone; for shutting down. */
  any(): Waiter | undefined {
    for (const line of this.#lines) if (line.size > 0) return line.oldest;
    return undefined;
  }

  #lineOf(waiter: Waiter): Line {
    return this.#lines[waiter.partition * RANKS + waiter.rank] as Line;
  }
}
