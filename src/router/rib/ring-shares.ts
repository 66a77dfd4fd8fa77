/**
 * How much of a caller's traffic each ring, or each locality of one, should get before anybody looks at how full it is: by the plan, or
 * by what is open. Pure functions.
 */
import { regionOf } from './locality.js';
import { isProportional, type RingGroup, type RingMember, soundness } from './ring-groups.js';
import type { ClientPlan, PlannedRing, RoutingPlan } from './routing-plan.js';

/** Candidates that are chosen among together: a whole ring, or one locality of it. Has the shape of a PickSet. */
export interface RingSet<T extends RingMember = RingMember> {
  /** From 0. */
  readonly ring: number;
  /** Of a set that is one locality; undefined: all of the ring. */
  readonly locality: string | undefined;
  readonly candidates: readonly T[];
  readonly version: number;
}

/** What can be chosen, nearest first, and the share of each; the shares add up to more than 0. */
interface RingShares<T extends RingMember> {
  readonly sets: RingSet<T>[];
  readonly shares: number[];
}

/**
 * @param groups - By ring, nearest first.
 * @param plan - Undefined, or one that knows none of those that are there: the nearest ring gets what it can carry, the next the rest.
 * @param version - Of the sets.
 */
export function shareRings<T extends RingMember>(
  groups: readonly RingGroup<T>[][],
  plan: ClientPlan | undefined,
  version: number,
): RingShares<T> {
  return (plan && planned(groups, plan, version)) ?? unplanned(groups, version);
}

/** Of the locality, else of any in its region: they are as near to everybody. */
export function planFor(locality: string, plan: RoutingPlan | undefined): ClientPlan | undefined {
  const exact = plan?.clients.find((client) => client.locality === locality);
  if (exact !== undefined || regionOf(locality) === '') return exact;
  return plan?.clients.find((client) => regionOf(client.locality) === regionOf(locality));
}

/** Everything to the first ring, and what that cannot carry outward. */
function unplanned<T extends RingMember>(groups: readonly RingGroup<T>[][], version: number): RingShares<T> {
  const open = groups.filter((ring) => ring.some(({ members }) => members.length > 0));
  let reaching = 1;
  const shares = open.map((ring, i) => {
    const stays = i === open.length - 1 ? 1 : soundness({ open: sumOf(ring, 'open'), known: sumOf(ring, 'known') });
    const share = reaching * stays;
    reaching -= share;
    return share;
  });
  return { sets: open.map((ring) => wholeRing(ring, version)), shares };
}

/** Undefined when nobody the plan knows is there. */
function planned<T extends RingMember>(
  groups: readonly RingGroup<T>[][],
  plan: ClientPlan,
  version: number,
): RingShares<T> | undefined {
  const wanted = new Map(
    plan.rings.flatMap(({ localities, shares }) => localities.map((name, i) => [name, shares[i] ?? 0] as const)),
  );
  const here = new Set(groups.flat().map(({ locality }) => locality));
  const sets: RingSet<T>[] = [];
  const shares: number[] = [];
  /** What places that are closed, in part or whole, have lost: it goes to the next ring where anybody is. */
  let carried = 0;
  for (const [number, ring] of groups.entries()) {
    const there = ring.filter(({ open }) => open > 0);
    const kept = there.map((group) => (wanted.get(group.locality) ?? 0) * soundness(group));
    const all = ring.reduce((sum, { locality }) => sum + (wanted.get(locality) ?? 0), 0);
    const lost = all - kept.reduce((sum, share) => sum + share, 0) + missingFrom(plan.rings[number], here);
    if (there.length > 0) {
      const parts = ringSets(there, withCarried(there, kept, carried), version);
      sets.push(...parts.sets);
      shares.push(...parts.shares);
      carried = 0;
    }
    carried += lost;
  }
  return shares.some((share) => share > 0) ? { sets, shares } : undefined;
}

/** One set where the shares are those of the capacities, else one a locality. */
function ringSets<T extends RingMember>(
  groups: readonly RingGroup<T>[],
  kept: readonly number[],
  version: number,
): RingShares<T> {
  const sum = kept.reduce((total, share) => total + share, 0);
  // A ring without a share is there for what others cannot take.
  if (sum === 0 || isProportional(groups, kept)) return { sets: [wholeRing(groups, version)], shares: [sum] };
  const chosen = groups.map((group, i) => ({ group, share: kept[i] as number })).filter(({ share }) => share > 0);
  return {
    sets: chosen.map(({ group: { ring, locality, members } }) => ({ ring, locality, candidates: members, version })),
    shares: chosen.map(({ share }) => share),
  };
}

function wholeRing<T extends RingMember>(groups: readonly RingGroup<T>[], version: number): RingSet<T> {
  const candidates = groups.flatMap(({ members }) => members);
  return { ring: groups[0]?.ring ?? 0, locality: undefined, candidates, version };
}

/** In proportion to the shares; where there are none, to what is open. */
function withCarried<T extends RingMember>(
  groups: readonly RingGroup<T>[],
  kept: readonly number[],
  carried: number,
): readonly number[] {
  if (carried === 0) return kept;
  const sum = kept.reduce((total, share) => total + share, 0);
  const open = sumOf(groups, 'open');
  return groups.map((group, i) => {
    const part = sum > 0 ? (kept[i] as number) / sum : group.open / open;
    return (kept[i] as number) + carried * part;
  });
}

/** Of places that are not even listed here. */
function missingFrom(ring: PlannedRing | undefined, here: ReadonlySet<string>): number {
  return (ring?.localities ?? []).reduce((sum, name, i) => sum + (here.has(name) ? 0 : (ring?.shares[i] ?? 0)), 0);
}

function sumOf<T extends RingMember>(groups: readonly RingGroup<T>[], field: 'open' | 'known'): number {
  return groups.reduce((sum, group) => sum + group[field], 0);
}
