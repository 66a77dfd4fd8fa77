/** A quota in whole units, split over those that want of it: everyone who is given the same documents comes to the same shares. */

export interface QuotaDemand {
  /** Unlike the others'. Breaks ties. */
  readonly id: string;
  /** What it could use now, 0 and up; fractions count as a whole. */
  readonly demand: number;
  /** What it has; a unit that does not divide stays where it is. */
  readonly holds: number;
  /** Periods for which it has wanted something and had nothing. */
  readonly starved: number;
}

/** So many periods one turn lasts, where there are more instances than units. */
const TURN_PERIODS = 4;

/**
 * Max-min fair: nobody has more than another that wants more, but for one unit that does not divide. So whoever wants floor(quota / n) or more has at
 * least that. What nobody wants is spread so that the least share is as large as it can be: an idle instance has room for its first calls.
 *
 * With more instances than units some have nothing. Those that want something take turns of four periods; idle ones have nothing.
 * @returns Shares in the order of `demands`: whole, 0 and up, together the quota; 0 in all for nobody.
 */
export function splitQuota(quota: number, demands: readonly QuotaDemand[]): number[] {
  const least = demands.length <= quota ? 1 : 0;
  const wants = demands.map(({ demand }) => (demand > 0 ? Math.min(Math.ceil(demand), quota) : least));
  const isShort = sum(wants) > quota;
  const shareAt = isShort ? Math.min : Math.max;
  const level = levelOf(quota, (candidate) => sum(wants.map((want) => shareAt(want, candidate))));
  const shares = wants.map((want) => shareAt(want, level));
  const next = demands
    .map((_demand, index) => index)
    .filter((index) => (isShort ? (wants[index] as number) > level : (wants[index] as number) <= level))
    .sort((a, b) => compare(demands[a] as QuotaDemand, demands[b] as QuotaDemand));
  for (const index of next.slice(0, quota - sum(shares))) shares[index] = (shares[index] as number) + 1;
  return shares;
}

/** The highest level whose shares are no more than the quota. */
function levelOf(quota: number, sumAt: (level: number) => number): number {
  let low = 0;
  let high = quota;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (sumAt(middle) <= quota) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Whose turn it is for a unit that does not divide. */
function compare(a: QuotaDemand, b: QuotaDemand): number {
  const turns = Math.floor(b.starved / TURN_PERIODS) - Math.floor(a.starved / TURN_PERIODS);
  return turns || b.holds - a.holds || (a.id < b.id ? -1 : 1);
}

function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
