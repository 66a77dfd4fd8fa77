/**
 * How much of the traffic goes to which kind of endpoint: to which version of a model, to which tier of machines.
 *
 * Shares move towards their target by a bounded step a second, since a jump from one version to another meets cold caches and an
 * unprepared fleet: the snapshot transitions of the ads fleet were its largest disturbances.
 * @see Meta, "Taming the tail utilization of ads inference", snapshot transition
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import type { Candidate } from '../candidate.js';

/** What routes need of a split. */
export interface RouteSplit {
  readonly attribute: string;
  /**
   * Shares of now, of 1; undefined: by capacity.
   * @param open - The endpoints of the place that the call goes to (all, or those of a shard, or of a ring).
   * @param place - The same object for the same place, for who keeps something of it.
   */
  at(now: number, open: readonly Candidate[], place: object): ReadonlyMap<string, number> | undefined;
}

export interface TrafficSplitOptions {
  /** Attribute of endpoints that names their kind: `version`, `tier`. */
  readonly attribute: string;
  /** Relative shares by kind, 0 and up. Default: none, and traffic goes by capacity. */
  readonly shares?: Readonly<Record<string, number>>;
  /** Most that one kind's share, of 1, changes in a second. Default 0.05; Infinity: at once. */
  readonly perSecond?: number;
}

export const DEFAULT_SPLIT_PER_SECOND = 0.05;
const MAX_KINDS = 64;

export class TrafficSplit implements RouteSplit {
  readonly attribute: string;
  readonly #perMs: number;
  #shares = new Map<string, number>();
  #target = new Map<string, number>();
  #atMs = Number.NEGATIVE_INFINITY;

  constructor(options: TrafficSplitOptions) {
    if (typeof options.attribute !== 'string' || options.attribute === '') {
      throw invalidArgument('attribute', options.attribute, 'the name of an attribute of endpoints');
    }
    this.attribute = options.attribute;
    const { perSecond = DEFAULT_SPLIT_PER_SECOND } = options;
    this.#perMs = perSecond === Number.POSITIVE_INFINITY ? perSecond : checkNumber('perSecond', perSecond, 1e-6) / 1000;
    this.#target = toShares(options.shares ?? {});
    this.#shares = this.#target;
  }

  /** Where the shares are to go; kinds that are not named go to 0. An empty one: by capacity again, at once. */
  moveTo(shares: Readonly<Record<string, number>>): void {
    this.#target = toShares(shares);
    // The way begins when somebody looks.
    this.#atMs = Number.NEGATIVE_INFINITY;
    if (this.#target.size === 0 || this.#shares.size === 0) this.#shares = this.#target;
  }

  at(now: number): ReadonlyMap<string, number> | undefined {
    if (this.#shares !== this.#target) this.#move(now);
    this.#atMs = now;
    return this.#shares.size === 0 ? undefined : this.#shares;
  }

  #move(now: number): void {
    const elapsed = this.#atMs === Number.NEGATIVE_INFINITY ? 0 : Math.max(0, now - this.#atMs);
    const most = this.#perMs === Number.POSITIVE_INFINITY ? 1 : elapsed * this.#perMs;
    const names = new Set([...this.#shares.keys(), ...this.#target.keys()]);
    const gaps = [...names].map((name) => (this.#target.get(name) ?? 0) - (this.#shares.get(name) ?? 0));
    const widest = Math.max(...gaps.map(Math.abs));
    if (widest <= most) {
      this.#shares = this.#target;
      return;
    }
    // All by the same part of their way, so that they add up to 1 on it.
    const part = most / widest;
    this.#shares = new Map([...names].map((name, i) => [name, (this.#shares.get(name) ?? 0) + (gaps[i] as number) * part]));
  }
}

/**
 * A split of traffic, to be given to routers as `versions` or `tiers`; several may share one.
 * @example
 * ```ts
 * import { createTrafficSplit } from 'evenkeel/router';
 *
 * const versions = createTrafficSplit({ attribute: 'version', shares: { 'snapshot-41': 1 } });
 * versions.moveTo({ 'snapshot-42': 1 }); // within 20 s
 * ```
 * @throws {EvenkeelError} `invalid-argument` for a share below 0, or more than 64 kinds.
 */
export function createTrafficSplit(options: TrafficSplitOptions): TrafficSplit {
  return new TrafficSplit(options);
}

function toShares(shares: Readonly<Record<string, number>>): Map<string, number> {
  const entries = Object.entries(shares);
  if (entries.length > MAX_KINDS) throw invalidArgument('shares', `${entries.length} kinds`, `at most ${MAX_KINDS}`);
  const total = entries.reduce((sum, [name, share]) => sum + checkNumber(`share of ${name}`, share, 0), 0);
  if (entries.length > 0 && total === 0) throw invalidArgument('shares', shares, 'one share above 0');
  return new Map(entries.map(([name, share]) => [name, share / total]));
}

/**
 * The kind whose range `random`, uniform in [0, 1), falls into, among those that are there: their shares count as the whole. Undefined:
 * none of those with a share is there.
 */
export function drawShare(
  shares: ReadonlyMap<string, number>,
  random: number,
  there: { has(kind: string): boolean },
): string | undefined {
  let total = 0;
  for (const [kind, share] of shares) if (share > 0 && there.has(kind)) total += share;
  let sum = 0;
  let last: string | undefined;
  for (const [kind, share] of shares) {
    if (share === 0 || !there.has(kind)) continue;
    last = kind;
    sum += share;
    if (random * total < sum) return kind;
  }
  return last;
}
