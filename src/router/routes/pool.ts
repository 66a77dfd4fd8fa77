/** Endpoints that may serve a kind of call (a shard, a version, a tier), ring by ring, each with the picker that chooses there. */
import type { Candidate } from '../candidate.js';
import type { Picker, PickSet } from '../pickers/picker.js';
import type { RingSet } from '../rib/ring-shares.js';
import type { RingSelector } from '../rib/rings.js';
import type { RoutingTable } from '../rib/routing-table.js';

/** What a call picks from. */
export interface Route {
  readonly set: PickSet;
  readonly picker: Picker;
  /** From 0; undefined where there are no rings. */
  readonly ring: number | undefined;
}

/** How often the load of the rings is looked at. */
const REFRESH_MS = 250;

export interface PoolParts<T extends Candidate> {
  /** Undefined: one ring for all. */
  readonly rings: RingSelector<T> | undefined;
  /** The latest of the resolver. */
  routing(): RoutingTable | undefined;
  /** Cuts a long list down to what this router uses of it. */
  subset(candidates: readonly T[]): readonly T[];
  makePicker(): Picker;
  nextVersion(): number;
}

export class Pool<T extends Candidate> {
  readonly #parts: PoolParts<T>;
  /** One picker for each place, since pickers remember what they know of their endpoints. */
  readonly #pickers = new Map<string, Picker>();
  readonly #routes = new Map<RingSet<T>, Route>();
  #whole: Route | undefined;
  #candidates: readonly T[] = [];
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #routing: RoutingTable | undefined;

  constructor(parts: PoolParts<T>) {
    this.#parts = parts;
  }

  /** @param candidates - Open to calls. @param known - All that are listed. */
  update(candidates: readonly T[], known: Iterable<T>): void {
    this.#candidates = candidates;
    this.#whole = undefined;
    this.#routes.clear();
    this.#parts.rings?.update(candidates, known);
  }

  get size(): number {
    return this.#candidates.length;
  }

  get candidates(): readonly T[] {
    return this.#candidates;
  }

  /** Where a call goes; undefined when nobody is open. `random` uniform in [0, 1). */
  route(random: () => number, now: number): Route | undefined {
    const { rings } = this.#parts;
    if (this.#candidates.length === 0) return undefined;
    if (rings === undefined) return this.#wholeRoute();
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
    return set === undefined ? this.#wholeRoute() : this.#routeOf(set);
  }

  #wholeRoute(): Route {
    this.#whole ??= this.#make('', this.#candidates, undefined);
    return this.#whole;
  }

  #routeOf(set: RingSet<T>): Route {
    let route = this.#routes.get(set);
    if (route === undefined) {
      if (this.#routes.size >= MOST_ROUTES) this.#routes.clear();
      route = this.#make(`${set.ring} ${set.locality ?? ''}`, set.candidates, set.ring);
      this.#routes.set(set, route);
    }
    return route;
  }

  #make(place: string, candidates: readonly T[], ring: number | undefined): Route {
    let picker = this.#pickers.get(place);
    if (picker === undefined) {
      picker = this.#parts.makePicker();
      if (this.#pickers.size >= MOST_ROUTES) this.#pickers.clear();
      this.#pickers.set(place, picker);
    }
    const { subset, nextVersion } = this.#parts;
    return { set: { candidates: subset(candidates), version: nextVersion() }, picker, ring };
  }
}

/** Places that come and go with plans: what is older is made anew. */
const MOST_ROUTES = 256;
