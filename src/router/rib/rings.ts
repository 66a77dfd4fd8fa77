/**
 * Which endpoints a call may go to, by where they stand: rings around the caller, and one of them chosen for each call.
 *
 * Who decides? The plan that the caller's table brings, if there is one: its shares, one random number a call. Else the lowest ring
 * where anybody is open.
 * And when a ring is too full? Of a ring above the threshold, as the caller itself sees it, a share goes on to the next, as much as brings
 * it back to the threshold, as long as there is one that is not too full itself; it comes back slowly, when the ring is below the
 * threshold by more than the hysteresis. With a plan that is for emergencies only, from a hysteresis above the threshold: a region that
 * died a moment ago, a plan that nobody renews.
 * And when a ring dies? A ring without an open endpoint has no share; one of which many are closed has less. What it loses goes outward,
 * at the next rebuild, without waiting for anybody's plan.
 */
import { checkNumber } from '../../core/errors.js';
import { checkRings, type RingOptions, type RttLookup, regionOf, ringCount, rttLookup } from './locality.js';
import { groupByRing, isProportional, meanLoad, type RingGroup, type RingMember, soundness } from './ring-groups.js';
import {
  type ClientPlan,
  DEFAULT_RETURN_STEP,
  DEFAULT_SPILL_HYSTERESIS,
  DEFAULT_SPILL_THRESHOLD,
  type PlannedRing,
  type RoutingPlan,
} from './routing-plan.js';
import type { RoutingTable } from './routing-table.js';

/** Candidates that are chosen among together: a whole ring, or one locality of it. Has the shape of a PickSet. */
export interface RingSet<T extends RingMember = RingMember> {
  /** From 0. */
  readonly ring: number;
  /** Of a set that is one locality; undefined: all of the ring. */
  readonly locality: string | undefined;
  readonly candidates: readonly T[];
  readonly version: number;
}

export interface RingSelectorOptions<T extends RingMember> {
  /** Where the caller stands. Undefined: nowhere, and everything is one ring. */
  locality: string | undefined;
  /** Default: the table's, else by label. */
  rings?: RingOptions;
  /** Default 0.75. */
  threshold?: number;
  /** Default 0.05. */
  hysteresis?: number;
  /** Most of a ring's traffic that comes back in a second. Default 0.25. */
  returnPerSecond?: number;
  /** Utilisation of a candidate as the caller sees it, 0 and up; undefined: unknown. Errors count as use. */
  loadOf?: (candidate: T) => number | undefined;
}

/** Time for a change to show in the load; then the next one is made. */
export const RING_SETTLE_MS = 1000;
/** The load of a ring without anybody: nothing can go there. */
const NOBODY = Number.POSITIVE_INFINITY;
/** Most that one look at the load turns away from a ring. */
const MAX_SPILL = 0.99;

export class RingSelector<T extends RingMember = RingMember> {
  readonly #options: RingSelectorOptions<T>;
  readonly #threshold: number;
  readonly #hysteresis: number;
  readonly #returnPerMs: number;
  #table: RoutingTable | undefined;
  #plan: ClientPlan | undefined;
  #rings: RingOptions;
  #rtt: RttLookup = () => undefined;
  #sets: readonly RingSet<T>[] = [];
  /** Chance that a call goes to this set or one before it. */
  #cumulative = new Float64Array(0);
  /** Chance of each set before anything goes on for being too full. */
  #base: readonly number[] = [];
  /** Share of what reaches a ring that goes on, by ring. */
  #spill: Float64Array;
  #changedAt = Number.NEGATIVE_INFINITY;
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #candidates: readonly T[] = [];
  #known: Iterable<T> | undefined;
  #version = 0;
  #isStale = true;

  /** @throws {EvenkeelError} `invalid-argument` for an option out of range. */
  constructor(options: RingSelectorOptions<T>) {
    this.#options = options;
    this.#threshold = checkNumber('threshold', options.threshold ?? DEFAULT_SPILL_THRESHOLD, Number.MIN_VALUE, 100);
    this.#hysteresis = checkNumber('hysteresis', options.hysteresis ?? DEFAULT_SPILL_HYSTERESIS, 0, this.#threshold);
    this.#returnPerMs = checkNumber('returnPerSecond', options.returnPerSecond ?? DEFAULT_RETURN_STEP, 0, 1) / 1000;
    this.#rings = checkRings(options.rings);
    this.#spill = new Float64Array(ringCount(this.#rings));
  }

  /** What can be chosen, nearest first. Valid until the next call of `update`, `setRouting` or `refresh`. */
  get sets(): readonly RingSet<T>[] {
    if (this.#isStale) this.#rebuild();
    return this.#sets;
  }

  /** Whether shares come from a plan. */
  get isPlanned(): boolean {
    return this.#plan !== undefined;
  }

  /** The chance of each set, in order of `sets`; for explanations. */
  chances(): number[] {
    if (this.#isStale) this.#rebuild();
    return [...this.#cumulative].map((sum, i) => sum - (i === 0 ? 0 : (this.#cumulative[i - 1] as number)));
  }

  /**
   * To be called when the endpoint table's version changes.
   * @param candidates - Open to calls.
   * @param known - All that are listed, to tell how much of a ring is open. Default: `candidates`.
   */
  update(candidates: readonly T[], known?: Iterable<T>): void {
    this.#candidates = candidates;
    this.#known = known;
    this.#isStale = true;
  }

  /** A newer table; undefined: no plan to go by. Round trips and rings of the last one stay. */
  setRouting(table: RoutingTable | undefined): void {
    const plan = planFor(this.#options.locality ?? '', table?.routing.plan);
    const { rtts, rings } = (table ?? this.#table)?.routing ?? {};
    const before = this.#table?.routing;
    // Most tables bring other endpoints or loads, and those are no matter of rings.
    if (plan === this.#plan && rtts === before?.rtts && rings === before?.rings) return;
    if (rtts !== undefined && rtts !== before?.rtts) this.#rtt = rttLookup(rtts);
    this.#rings = this.#options.rings ?? rings ?? {};
    if (this.#spill.length !== ringCount(this.#rings)) this.#spill = new Float64Array(ringCount(this.#rings));
    this.#plan = plan;
    this.#table = table ?? this.#table;
    this.#isStale = true;
  }

  /**
   * An index into `sets`; -1 when there is nobody. Allocates nothing, except at the first call after a change.
   * @param random - Uniform in [0, 1).
   */
  choose(random: number): number {
    if (this.#isStale) this.#rebuild();
    const cumulative = this.#cumulative;
    const last = cumulative.length - 1;
    for (let i = 0; i < last; i++) if (random < (cumulative[i] as number)) return i;
    return last;
  }

  /**
   * Looks at the load of the rings; to be called every 100 ms to 1 s. Costs one look at each candidate that has a share, or may get one.
   * @param now - Clock.now().
   */
  refresh(now: number): void {
    const elapsed = Math.min(RING_SETTLE_MS, now - this.#refreshedAt);
    this.#refreshedAt = now;
    const { loadOf } = this.#options;
    if (loadOf === undefined) return;
    const isPatient = now - this.#changedAt < RING_SETTLE_MS;
    const margin = this.#plan === undefined ? 0 : this.#hysteresis;
    const loads = this.#loadsByRing(loadOf);
    for (const [ring, load] of loads.entries()) {
      const before = this.#spill[ring] as number;
      if (load === undefined) {
        // Nobody tells: that is not "full".
        this.#spill[ring] = Math.max(0, before - this.#returnPerMs * elapsed);
        continue;
      }
      if (load === NOBODY) {
        // When somebody is there again, traffic comes back as slowly as from any other ring; a plan sees to that itself.
        if (this.#sets.length > 0) this.#spill[ring] = this.#plan === undefined ? MAX_SPILL : 0;
        continue;
      }
      // Where all are full, everybody's excess would meet in the outermost ring.
      const hasRoomBeyond = loads.some((other, at) => at > ring && (other === undefined || other < this.#threshold));
      if (load > this.#threshold + margin && hasRoomBeyond) {
        if (isPatient) continue;
        // What stays is cut down in proportion, as all callers of the ring do, so that together they come to the threshold.
        this.#spill[ring] = Math.min(MAX_SPILL, 1 - (1 - before) * (this.#threshold / load));
        this.#changedAt = now;
      } else if (before > 0 && (!hasRoomBeyond || load < this.#threshold + margin - this.#hysteresis)) {
        this.#spill[ring] = Math.max(0, before - this.#returnPerMs * elapsed);
      }
    }
    this.#weigh();
  }

  /** By ring; undefined where nobody tells. */
  #loadsByRing(loadOf: (candidate: T) => number | undefined): (number | undefined)[] {
    const loads: (number | undefined)[] = Array.from(this.#spill, () => NOBODY);
    const { sets } = this;
    for (let i = 0; i < sets.length; ) {
      const ring = (sets[i] as RingSet<T>).ring;
      const first = i;
      while (sets[i]?.ring === ring) i++;
      loads[ring] = meanLoad(sets.slice(first, i), loadOf);
    }
    return loads;
  }

  #rebuild(): void {
    this.#isStale = false;
    this.#version++;
    const groups = groupByRing(this.#options.locality, this.#candidates, this.#known ?? this.#candidates, this.#rings, this.#rtt);
    const { sets, shares } = (this.#plan && this.#planned(this.#plan, groups)) ?? this.#unplanned(groups);
    this.#sets = sets;
    this.#base = shares;
    this.#weigh();
  }

  /** Ring by ring: what is there, and what came from further in, less what goes on. */
  #weigh(): void {
    const sets = this.#sets;
    const base = this.#base;
    if (this.#cumulative.length !== sets.length) this.#cumulative = new Float64Array(sets.length);
    const total = base.reduce((sum, share) => sum + share, 0);
    let carried = 0;
    let sum = 0;
    for (let first = 0, next = 0; first < sets.length; first = next) {
      const ring = (sets[first] as RingSet<T>).ring;
      let planned = 0;
      for (next = first; sets[next]?.ring === ring; next++) planned += base[next] as number;
      const stays = next === sets.length ? 1 : 1 - (this.#spill[ring] as number);
      for (let i = first; i < next; i++) {
        const part = planned > 0 ? (base[i] as number) / planned : 1 / (next - first);
        sum += ((planned + carried) * part * stays) / total;
        this.#cumulative[i] = sum;
      }
      carried = (planned + carried) * (1 - stays);
    }
  }

  /** Everything to the first ring, and what that cannot carry outward. */
  #unplanned(groups: readonly RingGroup<T>[][]): Choice<T> {
    const open = groups.filter((ring) => ring.some(({ members }) => members.length > 0));
    let reaching = 1;
    const shares = open.map((ring, i) => {
      const stays = i === open.length - 1 ? 1 : soundness({ open: sumOf(ring, 'open'), known: sumOf(ring, 'known') });
      const share = reaching * stays;
      reaching -= share;
      return share;
    });
    return { sets: open.map((ring) => this.#wholeRing(ring)), shares };
  }

  /** Undefined when nobody the plan knows is there. */
  #planned(plan: ClientPlan, groups: readonly RingGroup<T>[][]): Choice<T> | undefined {
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
        this.#addRing(there, withCarried(there, kept, carried), sets, shares);
        carried = 0;
      }
      carried += lost;
    }
    return shares.some((share) => share > 0) ? { sets, shares } : undefined;
  }

  /** As one set where the shares are those of the capacities, else one a locality. */
  #addRing(groups: readonly RingGroup<T>[], kept: readonly number[], sets: RingSet<T>[], shares: number[]): void {
    const sum = kept.reduce((total, share) => total + share, 0);
    // A ring without a share is there for what others cannot take.
    if (sum === 0 || isProportional(groups, kept)) {
      sets.push(this.#wholeRing(groups));
      shares.push(sum);
      return;
    }
    for (const [i, { ring, locality, members }] of groups.entries()) {
      if (kept[i] === 0) continue;
      sets.push({ ring, locality, candidates: members, version: this.#version });
      shares.push(kept[i] as number);
    }
  }

  #wholeRing(groups: readonly RingGroup<T>[]): RingSet<T> {
    const candidates = groups.flatMap(({ members }) => members);
    return { ring: groups[0]?.ring ?? 0, locality: undefined, candidates, version: this.#version };
  }
}

interface Choice<T extends RingMember> {
  /** In order of rings. */
  readonly sets: RingSet<T>[];
  readonly shares: number[];
}

/** Of the locality, else of any in its region: they are as near to everybody. */
function planFor(locality: string, plan: RoutingPlan | undefined): ClientPlan | undefined {
  const exact = plan?.clients.find((client) => client.locality === locality);
  if (exact !== undefined || regionOf(locality) === '') return exact;
  return plan?.clients.find((client) => regionOf(client.locality) === regionOf(locality));
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
