/**
 * From the plan in force to the plan that is wanted.
 *
 * How fast? Traffic leaves a place that is too full, failing or gone at once, and comes back, or moves within a ring, by at most `step`
 * of a client's traffic a plan. Each client moves on the straight line between the two plans and never beyond the second, so nothing
 * swings. When the slow return of one would keep another's place above its limit, all move faster, as much as it takes.
 */
import type { FillProblem } from './water-fill.js';

export interface Transition {
  readonly problem: FillProblem;
  /** Shares, `[client * servers + server]`; each client's add up to 1. */
  readonly from: Float64Array;
  readonly to: Float64Array;
  /** Work that each server may be given. */
  readonly limits: Float64Array;
  /** Clients whose work is nothing: they move at once. */
  readonly isIdle: (client: number) => boolean;
  readonly step: number;
}

/** Eighths of the way: as fine as it matters. */
const HASTE = 8;
/** Relative to a limit: what is less is rounding. */
const ROUNDING = 1e-6;
/** A plan that would change less than this anywhere is not worth a change. */
const LEAST_SHIFT = 0.005;

/** The shares to be in force next. The array of `from` itself when it may stay. */
export function nextShares(transition: Transition): Float64Array {
  const { problem, from, to, step, isIdle } = transition;
  const { clients } = problem;
  const pace = new Float64Array(clients);
  for (let c = 0; c < clients; c++) {
    const gain = returning(problem, from, to, c);
    pace[c] = gain <= step || isIdle(c) ? 1 : step / gain;
  }
  const bounds = bound(transition);
  for (let haste = 0; haste <= HASTE; haste++) {
    const next = mix(problem, from, to, pace, haste / HASTE);
    if (haste < HASTE && !fits(problem, next, bounds)) continue;
    return isClose(from, next) && fits(problem, from, bounds) ? from : next;
  }
  return to;
}

/** Work per server under `shares`. */
export function workOf({ clients, servers, demand }: FillProblem, shares: Float64Array): Float64Array {
  const work = new Float64Array(servers);
  for (let c = 0; c < clients; c++) {
    for (let s = 0; s < servers; s++) (work[s] as number) += (demand[c] as number) * (shares[c * servers + s] as number);
  }
  return work;
}

/** The share of a client's traffic that moves, less what moves outward. */
function returning({ servers, rings, ringOf }: FillProblem, from: Float64Array, to: Float64Array, client: number): number {
  let moved = 0;
  const outward = new Float64Array(rings);
  for (let s = 0; s < servers; s++) {
    const change = (to[client * servers + s] as number) - (from[client * servers + s] as number);
    moved += Math.abs(change) / 2;
    (outward[ringOf[client * servers + s] as number] as number) -= change;
  }
  let sum = 0;
  let most = 0;
  for (const change of outward) {
    sum += change;
    most = Math.max(most, sum);
  }
  return Math.max(0, moved - most);
}

/** Where the wanted plan itself is above a limit, that is how much there must be. */
function bound({ problem, to, limits }: Transition): Float64Array {
  const wanted = workOf(problem, to);
  return limits.map((limit, s) => Math.max(limit, wanted[s] as number));
}

function mix(
  { clients, servers }: FillProblem,
  from: Float64Array,
  to: Float64Array,
  pace: Float64Array,
  least: number,
): Float64Array {
  const mixed = new Float64Array(from.length);
  for (let c = 0; c < clients; c++) {
    const part = Math.max(least, pace[c] as number);
    for (let i = c * servers; i < (c + 1) * servers; i++) {
      mixed[i] = part === 1 ? (to[i] as number) : (from[i] as number) + part * ((to[i] as number) - (from[i] as number));
    }
  }
  return mixed;
}

function fits(problem: FillProblem, shares: Float64Array, bounds: Float64Array): boolean {
  return workOf(problem, shares).every((work, s) => work <= (bounds[s] as number) * (1 + ROUNDING) + Number.MIN_VALUE);
}

function isClose(a: Float64Array, b: Float64Array): boolean {
  return a.every((share, i) => {
    const other = b[i] as number;
    // From nothing to something is never small: that is how a place is heard of again.
    return Math.abs(share - other) < LEAST_SHIFT && (share === 0) === (other === 0);
  });
}
