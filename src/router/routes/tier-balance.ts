/**
 * Shares of traffic for tiers of machines (guaranteed and elastic pools, kinds of hardware), so that all are used alike.
 *
 * A start by compute capacity, not by the number of hosts; then a small feedback: a tier that is used more than the mean loses share in
 * proportion. What is measured now is the effect of shares of a while ago, and a controller that forgets this overshoots. So each
 * measurement is set against the shares that were in force when it was made, and no delay makes it swing.
 * @see Meta, "Taming the tail utilization of ads inference", cross-service load balancing
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';

export interface TierSample {
  readonly tier: string;
  /** Compute capacity, in any unit that is the same for all tiers; above 0. */
  readonly capacity: number;
  /** Mean utilisation of its servers, 0 and up; undefined: unknown. */
  readonly utilization: number | undefined;
  /** When it was so, by the same clock as `now`. */
  readonly atMs: number;
  /** A mean over so many milliseconds before `atMs`. Default 0: as of that moment. Some clients and kernels tell nothing else. */
  readonly windowMs?: number;
}

export interface TierBalanceOptions {
  /** Share of the way to the calculated shares that one step takes. Default 0.8; above 0, to 1. Less, and noise moves less. */
  readonly gain?: number;
  /** Most by which a step multiplies or divides a share. Default 1.5. */
  readonly maxStep?: number;
}

/** An idle tier is not without limit: it gets more step by step. */
const LEAST_USE = 0.01;
/** No tier is given up for good: it could never show that it has room again. */
const LEAST_SHARE = 0.001;
/** Steps remembered: delays of more of them are taken for this many. */
const HISTORY = 64;

export class TierBalance {
  readonly #gain: number;
  readonly #maxStep: number;
  readonly #history: { readonly atMs: number; readonly shares: ReadonlyMap<string, number> }[] = [];

  constructor(options: TierBalanceOptions = {}) {
    this.#gain = checkNumber('gain', options.gain ?? 0.8, 0.01, 1);
    this.#maxStep = checkNumber('maxStep', options.maxStep ?? 1.5, 1.01);
  }

  /** One control period: shares of 1 by tier, from now on. Pure but for its memory of the shares it gave. */
  step(samples: readonly TierSample[], now: number): ReadonlyMap<string, number> {
    if (samples.length === 0) throw invalidArgument('samples', samples, 'one tier at least');
    const last = this.#history.at(-1)?.shares;
    const byCapacity = normalized(
      samples.map(({ tier, capacity }) => [tier, checkNumber('capacity', capacity, Number.MIN_VALUE)]),
    );
    // A tier that has come gets what its capacity is worth, and the others less by that.
    const come = samples.reduce((sum, { tier }) => sum + (last?.has(tier) ? 0 : (byCapacity.get(tier) as number)), 0);
    const fromOf = (tier: string) => {
      const before = last?.get(tier);
      return before === undefined ? (byCapacity.get(tier) as number) : before * (1 - come);
    };
    const told = samples.filter(({ utilization }) => utilization !== undefined);
    // Who tells nothing keeps what it has: the others share what they have together.
    const sumOfTold = told.reduce((sum, { tier }) => sum + fromOf(tier), 0);
    const wanted = normalized(told.map((sample) => [sample.tier, this.#wanted(sample, byCapacity)]));
    const shares = normalized(
      samples.map(({ tier }) => {
        const from = fromOf(tier);
        const share = wanted.get(tier);
        const to = last === undefined || share === undefined ? from : from * ((share * sumOfTold) / from) ** this.#gain;
        return [tier, Math.max(LEAST_SHARE, Math.min(from * this.#maxStep, Math.max(from / this.#maxStep, to)))];
      }),
    );
    this.#history.push({ atMs: now, shares });
    if (this.#history.length > HISTORY) this.#history.shift();
    return shares;
  }

  /** The share at which this tier would be used as the others are: what it had, over the use that this made. */
  #wanted({ tier, utilization = 0, atMs, windowMs = 0 }: TierSample, byCapacity: ReadonlyMap<string, number>): number {
    const then = this.#meanShare(tier, atMs - windowMs, atMs) ?? (byCapacity.get(tier) as number);
    return then / Math.max(LEAST_USE, utilization);
  }

  /** The mean of the shares that it had from then to then. */
  #meanShare(tier: string, fromMs: number, toMs: number): number | undefined {
    if (toMs <= fromMs) return this.#shareAt(tier, toMs);
    const changes = this.#history.map(({ atMs }) => atMs).filter((atMs) => atMs > fromMs && atMs < toMs);
    const times = [fromMs, ...changes, toMs];
    let sum = 0;
    for (const [i, since] of times.slice(0, -1).entries()) {
      const share = this.#shareAt(tier, since);
      if (share === undefined) return undefined;
      sum += share * ((times[i + 1] as number) - since);
    }
    return sum / (toMs - fromMs);
  }

  /** Before the first step: that of the first. */
  #shareAt(tier: string, atMs: number): number | undefined {
    const inForce = this.#history.findLast((entry) => entry.atMs <= atMs) ?? this.#history[0];
    return inForce?.shares.get(tier);
  }
}

function normalized(entries: readonly (readonly [string, number])[]): Map<string, number> {
  const total = entries.reduce((sum, [, value]) => sum + value, 0);
  return new Map(entries.map(([name, value]) => [name, value / total]));
}
