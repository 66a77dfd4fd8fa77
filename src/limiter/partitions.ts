/**
 * Shares of one limit: each partition is sure of its own, and takes what the others leave. The limit itself is never exceeded: a
 * partition that comes back for its share gets the next permits that end, before all who are above theirs. The places in a full queue are shared
 * alike: whoever floods it pushes out their own.
 */
import { checkNumber, invalidArgument } from '../core/errors.js';
import type { QueueSettings } from './options.js';
import type { WaitQueue } from './wait-queue.js';
import type { Waiter } from './waiter.js';

export const MAX_PARTITIONS = 64;

/**
 * Without a queue there is nobody to whom a permit that ends could go before others.
 * @throws {EvenkeelError} `invalid-argument`.
 */
export function resolvePartitions(
  shares: Readonly<Record<string, number>> | undefined,
  { maxQueued }: QueueSettings,
): Partitions {
  if (shares !== undefined && maxQueued === 0) throw invalidArgument('queue', 'none', 'a queue, where there are partitions');
  return new Partitions(shares);
}

export class Partitions {
  readonly names: readonly string[];
  readonly #shares: Float64Array;
  readonly #weights: Float64Array;
  readonly #indexes: ReadonlyMap<string, number>;

  /**
   * @param shares - Name to share, 0 to 1; together at most 1.
   * @throws {EvenkeelError} `invalid-argument` for shares that contradict each other.
   */
  constructor(shares: Readonly<Record<string, number>> = {}) {
    // Calls of no partition, or of an unknown one, live on what is left.
    const names = ['', ...Object.keys(shares)];
    if (names.length - 1 > MAX_PARTITIONS) throw invalidArgument('partitions', names.length - 1, `at most ${MAX_PARTITIONS}`);
    let sum = 0;
    for (const [name, share] of Object.entries(shares)) {
      if (name === '') throw invalidArgument('partitions', shares, 'names that are not empty');
      sum += checkNumber(`partitions.${name}`, share, 0, 1);
    }
    if (sum > 1 + 1e-9) throw invalidArgument('partitions', shares, `shares of at most 1 together; these are ${sum}`);
    this.names = names;
    this.#shares = Float64Array.from(names, (name) => (name === '' ? Math.max(0, 1 - sum) : (shares[name] as number)));
    this.#weights = new Float64Array(names.length);
    this.#indexes = new Map(names.map((name, index) => [name, index]));
  }

  get count(): number {
    return this.names.length;
  }

  get isSplit(): boolean {
    return this.names.length > 1;
  }

  indexOf(name: string | undefined): number {
    return name === undefined ? 0 : (this.#indexes.get(name) ?? 0);
  }

  add(partition: number, weight: number): void {
    this.#weights[partition] = Math.max(0, (this.#weights[partition] as number) + weight);
  }

  weightOf(partition: number): number {
    return this.#weights[partition] as number;
  }

  shareOf(partition: number): number {
    return this.#shares[partition] as number;
  }

  /** With `weight` more it is still within its share. */
  isSure(partition: number, weight: number, limit: number): boolean {
    return this.isSplit && this.weightOf(partition) + weight <= this.shareOf(partition) * limit;
  }

  /** Whose turn it is; undefined: nobody waits. */
  next(queue: WaitQueue, limit: number, overloadedRank: number): Waiter | undefined {
    if (!this.isSplit) return queue.first(0, overloadedRank);
    let best: Waiter | undefined;
    let bestUse = Number.POSITIVE_INFINITY;
    for (let partition = 0; partition < this.count; partition++) {
      if (queue.sizeOf(partition) === 0) continue;
      const use = (this.#weights[partition] as number) / ((this.#shares[partition] as number) * limit);
      const first = queue.first(partition, overloadedRank) as Waiter;
      if (best === undefined || isBefore(first, use, best, bestUse)) {
        best = first;
        bestUse = use;
      }
    }
    return best;
  }

  /** Whose place in a full queue a newcomer takes; undefined: nobody's. */
  victim(queue: WaitQueue, newcomer: Waiter): Waiter | undefined {
    const own = newcomer.partition;
    let fullest = own;
    let size = queue.sizeOf(own) + 1;
    for (let partition = 0; partition < this.count; partition++) {
      const other = queue.sizeOf(partition);
      if (partition === own || !isFuller(other, this.shareOf(partition), size, this.shareOf(fullest))) continue;
      fullest = partition;
      size = other;
    }
    return queue.last(fullest, fullest === own ? newcomer.rank : 0);
  }
}

/** Of two that have no share the one with more is fuller. */
function isFuller(size: number, share: number, otherSize: number, otherShare: number): boolean {
  return share === 0 && otherShare === 0 ? size > otherSize : size * otherShare > otherSize * share;
}

/** Below its share before above; then more critical before less, among those above; then by use, and alike by criticality. NaN (nothing of nothing) is above. */
function isBefore(a: Waiter, use: number, b: Waiter, otherUse: number): boolean {
  const isBelow = use < 1;
  const isOtherBelow = otherUse < 1;
  if (isBelow !== isOtherBelow) return isBelow;
  if (!isBelow && a.rank !== b.rank) return a.rank < b.rank;
  return use === otherUse ? a.rank < b.rank : use < otherUse;
}
