/**
 * Endpoints that may serve a kind of call (any, those of a shard, those of a version), ring by ring, and in a ring tier by tier, each place
 * with the picker that chooses there.
 */
import type { Candidate } from '../candidate.js';
import type { Picker, PickSet } from '../pickers/picker.js';
import type { RingSet } from '../rib/ring-shares.js';
import type { RingSelector } from '../rib/rings.js';
import type { RoutingTable } from '../rib/routing-table.js';
import { drawShare, type RouteSplit } from './traffic-split.js';

/** What a call picks from. */
export interface Route {
  readonly set: PickSet;
  readonly picker: Picker;
  /** From 0; undefined where there are no rings. */
  readonly ring: number | undefined;
}

/** How often the load of the rings is looked at. */
const REFRESH_MS = 250;
/** Places, and kinds, that come and go with plans and releases: what is older is made anew. */
const MOST_PLACES = 256;
/** So many changes of the list a kind is kept without being asked for. */
const KIND_UPDATES = 16;
/** Of a place that is not cut into tiers. */
const ANY = '';

export interface PoolParts<T extends Candidate> {
  /** Undefined: one ring for all. */
  makeRings(): RingSelector<T> | undefined;
  /** Undefined: tiers do not matter. */
  readonly tiers: RouteSplit | undefined;
  /** The latest of the resolver. */
  routing(): RoutingTable | undefined;
  /** Cuts a long list down to what this router uses of it. */
  subset(candidates: readonly T[]): readonly T[];
  makePicker(): Picker;
  nextVersion(): number;
}

/** What outlives a change of the list: pickers by tier, since they remember what they know of their endpoints. */
interface PlaceMemory {
  readonly pickers: Map<string, Picker>;
}

/** Endpoints that stand together. */
interface Place<T> {
  readonly candidates: readonly T[];
  readonly ring: number | undefined;
  readonly memory: PlaceMemory;
  /** Undefined until somebody asks. */
  tiers: ReadonlyMap<string, readonly T[]> | undefined;
  readonly routes: Map<string, Route>;
}

export class Pool<T extends Candidate> {
  readonly #parts: PoolParts<T>;
  readonly #rings: RingSelector<T> | undefined;
  readonly #memories = new Map<string, PlaceMemory>();
  readonly #places = new Map<RingSet<T>, Place<T>>();
  /** By value of the attribute that the pool is cut by. */
  readonly #kinds = new Map<string, { readonly pool: Pool<T>; version: number }>();
  #there: { has(kind: string): boolean } | undefined;
  #whole: Place<T> | undefined;
  #candidates: readonly T[] = [];
  #known: readonly T[] = [];
  #version = 0;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #routing: RoutingTable | undefined;

  constructor(parts: PoolParts<T>) {
    this.#parts = parts;
    this.#rings = parts.makeRings();
  }

  /** @param candidates - Open to calls. @param known - All that are listed. */
  update(candidates: readonly T[], known: readonly T[]): void {
    this.#candidates = candidates;
    this.#known = known;
    this.#version++;
    this.#whole = undefined;
    this.#places.clear();
    // A kind that nobody has asked for since is of a release that is over.
    for (const [kind, { version }] of this.#kinds) if (version < this.#version - KIND_UPDATES) this.#kinds.delete(kind);
    this.#rings?.update(candidates, known);
  }

  get size(): number {
    return this.#candidates.length;
  }

  get candidates(): readonly T[] {
    return this.#candidates;
  }

  /** Those of it whose `attribute` is `kind`; of one pool always the same attribute. */
  ofKind(attribute: string, kind: string): Pool<T> {
    let entry = this.#kinds.get(kind);
    if (entry === undefined) {
      if (this.#kinds.size >= MOST_PLACES) this.#kinds.clear();
      entry = { pool: new Pool(this.#parts), version: -1 };
      this.#kinds.set(kind, entry);
    }
    if (entry.version !== this.#version) {
      entry.version = this.#version;
      const isOfKind = ({ endpoint }: T) => endpoint.attributes?.[attribute] === kind;
      entry.pool.update(this.#candidates.filter(isOfKind), this.#known.filter(isOfKind));
    }
    return entry.pool;
  }

  /** The kinds of which anybody is open; of one pool always the same attribute. */
  kinds(attribute: string): { has(kind: string): boolean } {
    this.#there ??= { has: (kind) => this.ofKind(attribute, kind).size > 0 };
    return this.#there;
  }

  /** Where a call goes; undefined when nobody is open. `random` uniform in [0, 1). */
  route(random: () => number, now: number): Route | undefined {
    if (this.#candidates.length === 0) return undefined;
    const place = this.#place(random, now);
    const { tiers } = this.#parts;
    const shares = tiers?.at(now, place.candidates, place.memory);
    if (tiers === undefined || shares === undefined) return this.#routeTo(place, ANY, place.candidates);
    const here = place.tiers ?? this.#cut(place, tiers.attribute);
    const tier = drawShare(shares, random(), here);
    return tier === undefined
      ? this.#routeTo(place, ANY, place.candidates)
      : this.#routeTo(place, tier, here.get(tier) as readonly T[]);
  }

  /** Pickers of tiers that are not there any more go. */
  #cut(place: Place<T>, attribute: string): ReadonlyMap<string, readonly T[]> {
    const tiers = byAttribute(place.candidates, attribute);
    for (const name of place.memory.pickers.keys()) if (name !== ANY && !tiers.has(name)) place.memory.pickers.delete(name);
    place.tiers = tiers;
    return tiers;
  }

  #place(random: () => number, now: number): Place<T> {
    const rings = this.#rings;
    if (rings === undefined) return this.#wholePlace();
    const routing = this.#parts.routing();
    if (routing !== this.#routing) {
      this.#routing = routing;
      rings.setRouting(routing);
    }
    if (now - this.#refreshedAtMs >= REFRESH_MS) {
      this.#refreshedAtMs = now;
      rings.refresh(now);
    }
    const { sets } = rings;
    const set = sets.length === 1 ? sets[0] : sets[rings.choose(random())];
    return set === undefined ? this.#wholePlace() : this.#placeOf(set);
  }

  #wholePlace(): Place<T> {
    this.#whole ??= this.#makePlace('', this.#candidates, undefined);
    return this.#whole;
  }

  #placeOf(set: RingSet<T>): Place<T> {
    let place = this.#places.get(set);
    if (place === undefined) {
      if (this.#places.size >= MOST_PLACES) this.#places.clear();
      place = this.#makePlace(`${set.ring} ${set.locality ?? ''}`, set.candidates, set.ring);
      this.#places.set(set, place);
    }
    return place;
  }

  #makePlace(name: string, candidates: readonly T[], ring: number | undefined): Place<T> {
    let memory = this.#memories.get(name);
    if (memory === undefined) {
      if (this.#memories.size >= MOST_PLACES) this.#memories.clear();
      memory = { pickers: new Map() };
      this.#memories.set(name, memory);
    }
    return { candidates, ring, memory, tiers: undefined, routes: new Map() };
  }

  #routeTo({ ring, memory, routes }: Place<T>, tier: string, candidates: readonly T[]): Route {
    let route = routes.get(tier);
    if (route === undefined) {
      const { subset, nextVersion, makePicker } = this.#parts;
      let picker = memory.pickers.get(tier);
      if (picker === undefined) {
        picker = makePicker();
        memory.pickers.set(tier, picker);
      }
      route = { set: { candidates: subset(candidates), version: nextVersion() }, picker, ring };
      routes.set(tier, route);
    }
    return route;
  }
}

/** Those without it are left out. */
function byAttribute<T extends Candidate>(candidates: readonly T[], attribute: string): Map<string, T[]> {
  const parts = new Map<string, T[]>();
  for (const candidate of candidates) {
    const value = candidate.endpoint.attributes?.[attribute];
    if (value === undefined) continue;
    const part = parts.get(value);
    if (part === undefined) parts.set(value, [candidate]);
    else part.push(candidate);
  }
  return parts;
}
