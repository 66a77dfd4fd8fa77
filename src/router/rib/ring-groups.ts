/** Candidates by ring and locality, and how much of a place is open. */
import { type RingOptions, type RttLookup, ringCount, ringOf } from './locality.js';

/** What the router's candidates are to the rings. */
export interface RingMember {
  readonly endpoint: { readonly locality?: string };
  readonly weight: number;
}

export interface RingGroup<T extends RingMember> {
  readonly ring: number;
  readonly locality: string;
  /** Open to calls. */
  readonly members: T[];
  /** Weight of those. */
  open: number;
  /** Weight of all that are known there. */
  known: number;
}

/** An open share of this much is as good as all: the rest can carry it. Envoy's overprovisioning factor is its inverse, 1.4. */
const SUFFICIENT_OPEN_RATIO = 1 / 1.4;
/** Shares within this of what the capacities say are left to the choice within the whole ring, which balances better. */
const PROPORTION_TOLERANCE = 0.1;

/** Of each ring its localities, as they come. */
export function groupByRing<T extends RingMember>(
  from: string | undefined,
  candidates: readonly T[],
  known: Iterable<T>,
  rings: RingOptions,
  rtt: RttLookup,
): RingGroup<T>[][] {
  const groups = new Map<string, RingGroup<T>>();
  const groupOf = ({ endpoint: { locality = '' } }: T): RingGroup<T> => {
    const there = groups.get(locality);
    if (there !== undefined) return there;
    const group = { ring: ringOf(from, locality, rings, rtt), locality, members: [], open: 0, known: 0 };
    groups.set(locality, group);
    return group;
  };
  for (const candidate of candidates) {
    const group = groupOf(candidate);
    group.members.push(candidate);
    group.open += candidate.weight;
  }
  for (const member of known) groupOf(member).known += member.weight;
  const byRing: RingGroup<T>[][] = Array.from({ length: ringCount(rings) }, () => []);
  for (const group of groups.values()) byRing[group.ring]?.push(group);
  return byRing;
}

/** 0 to 1: how much of its share a place that is partly closed can carry. */
export function soundness({ open, known }: { readonly open: number; readonly known: number }): number {
  return open === 0 ? 0 : Math.min(1, open / Math.max(open, known) / SUFFICIENT_OPEN_RATIO);
}

/** The shares are about what the open weights say. */
export function isProportional<T extends RingMember>(groups: readonly RingGroup<T>[], shares: readonly number[]): boolean {
  const share = shares.reduce((sum, one) => sum + one, 0);
  const weight = groups.reduce((sum, { open }) => sum + open, 0);
  return groups.every(({ open }, i) => {
    const expected = open / weight;
    return Math.abs((shares[i] as number) / share - expected) <= expected * PROPORTION_TOLERANCE;
  });
}

/** Mean of those who are known, by weight. */
export function meanLoad<T extends RingMember>(
  sets: readonly { readonly candidates: readonly T[] }[],
  loadOf: (candidate: T) => number | undefined,
): number | undefined {
  let weights = 0;
  let sum = 0;
  for (const { candidates } of sets) {
    for (const candidate of candidates) {
      const load = loadOf(candidate);
      if (load === undefined || !(load >= 0)) continue;
      weights += candidate.weight;
      sum += candidate.weight * load;
    }
  }
  return weights === 0 ? undefined : sum / weights;
}
