/** A traffic split between tiers of machines whose shares follow their use: {@link TierBalance}, fed with what a router hears of its endpoints. */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import type { Candidate } from '../candidate.js';
import { TierBalance, type TierBalanceOptions, type TierSample } from './tier-balance.js';
import type { RouteSplit } from './traffic-split.js';
import { utilizationOf } from './utilization.js';

export interface TierSplitOptions extends TierBalanceOptions {
  /** Attribute of endpoints that names their tier. Default `tier`. An endpoint without it: traffic goes by weight, as without tiers. */
  readonly attribute?: string;
  /** Control period in milliseconds. Default 10,000; 100 and up. */
  readonly periodMs?: number;
}

export const DEFAULT_TIER_PERIOD_MS = 10_000;

export class TierSplit implements RouteSplit {
  readonly attribute: string;
  readonly #periodMs: number;
  readonly #options: TierSplitOptions;
  /** Each place balances its own tiers: what is full far away says nothing of here. */
  readonly #places = new WeakMap<object, PlaceShares>();

  constructor(options: TierSplitOptions) {
    const { attribute = 'tier' } = options;
    if (typeof attribute !== 'string' || attribute === '') {
      throw invalidArgument('attribute', attribute, 'the name of an attribute of endpoints');
    }
    this.attribute = attribute;
    this.#periodMs = checkNumber('periodMs', options.periodMs ?? DEFAULT_TIER_PERIOD_MS, 100);
    this.#options = options;
    // Refuses wrong options now.
    new TierBalance(options);
  }

  /** Moves once a period, by whoever calls next: a router without calls moves nothing. */
  at(now: number, open: readonly Candidate[], place: object): ReadonlyMap<string, number> | undefined {
    let own = this.#places.get(place);
    if (own === undefined) {
      const balance = new TierBalance(this.#options);
      own = { balance, open: [], shares: undefined, nextAtMs: Number.NEGATIVE_INFINITY };
      this.#places.set(place, own);
    }
    if (now >= own.nextAtMs) {
      own.nextAtMs = now + this.#periodMs;
      this.#step(own, this.#samplesOf(open, now), now);
    } else if (open !== own.open) {
      const samples = this.#samplesOf(open, now);
      // A tier that has come would get nothing until the period ends.
      if (!sameTiers(samples, own.shares)) this.#step(own, samples, now);
    }
    own.open = open;
    return own.shares;
  }

  #step(own: PlaceShares, samples: readonly TierSample[] | undefined, now: number): void {
    own.shares = samples === undefined ? undefined : own.balance.step(samples, now);
  }

  /** Undefined: an endpoint is of no tier, or all are of one. */
  #samplesOf(open: readonly Candidate[], now: number): TierSample[] | undefined {
    const tiers = new Map<string, TierSum>();
    for (const candidate of open) {
      const name = candidate.endpoint.attributes?.[this.attribute];
      if (name === undefined) return undefined;
      let tier = tiers.get(name);
      if (tier === undefined) {
        tier = { capacity: 0, telling: 0, use: 0, atMs: 0 };
        tiers.set(name, tier);
      }
      const { weight, report, reportAtMs } = candidate;
      tier.capacity += weight;
      const utilization = utilizationOf(candidate, now);
      if (utilization === undefined) continue;
      tier.telling += weight;
      tier.use += weight * utilization;
      // Failures are of now, whatever was told before.
      tier.atMs += weight * (report === undefined || candidate.isStale(now) ? now : reportAtMs);
    }
    if (tiers.size < 2 || tiers.size > MOST_TIERS) return undefined;
    return [...tiers].map(([tier, { capacity, telling, use, atMs }]) => ({
      tier,
      capacity,
      utilization: telling === 0 ? undefined : use / telling,
      atMs: telling === 0 ? now : atMs / telling,
    }));
  }
}

function sameTiers(samples: readonly TierSample[] | undefined, shares: ReadonlyMap<string, number> | undefined): boolean {
  if (samples === undefined || shares === undefined) return samples === undefined && shares === undefined;
  return samples.length === shares.size && samples.every(({ tier }) => shares.has(tier));
}

interface PlaceShares {
  readonly balance: TierBalance;
  /** The list that was there at the last look. */
  open: readonly Candidate[];
  shares: ReadonlyMap<string, number> | undefined;
  nextAtMs: number;
}

/** More than that is not a tier but a name of each host. */
const MOST_TIERS = 64;

/** Sums over the endpoints of a tier, each by its weight. */
interface TierSum {
  capacity: number;
  /** Of those whose use is known. */
  telling: number;
  use: number;
  atMs: number;
}

/**
 * Shares for tiers of machines (guaranteed and elastic pools, kinds of hardware), to be given to a router as `tiers`: at first by the
 * weights of their endpoints, which stand for compute capacity (`weightOf`), then so that all are used alike, by the utilisation that
 * endpoints report.
 * @example
 * ```ts
 * import { createTierSplit } from 'evenkeel/router';
 *
 * const tiers = createTierSplit({ attribute: 'pool' });
 * ```
 * @throws {EvenkeelError} `invalid-argument` naming the option.
 * @see Meta, "Taming the tail utilization of ads inference", cross-service load balancing
 */
export function createTierSplit(options: TierSplitOptions = {}): TierSplit {
  return new TierSplit(options);
}
