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
import { checkRings, type RingOptions, type RttLookup, ringCount, rttLookup } from './locality.js';
import { groupByRing, meanLoad, type RingMember } from './ring-groups.js';
import { planFor, type RingSet, shareRings } from './ring-shares.js';
import { type ClientPlan, DEFAULT_RETURN_STEP, DEFAULT_SPILL_HYSTERESIS, DEFAULT_SPILL_THRESHOLD } from './routing-plan.js';
import type { RoutingTable } from './routing-table.js';

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
  #known: readonly T[] | undefined;
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
  update(candidates: readonly T[], known?: readonly T[]): void {
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
    const { sets, shares } = shareRings(groups, this.#plan, this.#version);
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
}
