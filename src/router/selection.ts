/** From the picker's choice to an endpoint that has room, with the reason for those who listen. */
import type { Diagnostics } from '../core/diagnostics.js';
import type { EventSource } from '../core/events.js';
import { ATTRIBUTES } from '../core/metrics.js';
import type { Random } from '../core/random.js';
import type { CallSpan } from '../core/telemetry.js';
import type { Candidate } from './candidate.js';
import type { EndpointTable, Member } from './endpoint-table.js';
import type { RouterEvents } from './events.js';
import { explanationOf, LastPicks, type PickExplanation } from './last-picks.js';
import type { PickRequest, PickSet } from './pickers/picker.js';
import type { Route } from './routes/pool.js';
import type { RouteRequest, Routes } from './routes/routes.js';

/** Random re-picks before the endpoints are looked through one by one. */
const REPICKS = 2;

/** A pick for a call, or for a user of `router.pick`. */
export interface Selecting extends PickRequest, RouteRequest {
  /** Attempts made before. */
  readonly attempts: number;
  readonly span: CallSpan | undefined;
}

/** A call that can wait for its endpoint while others are asked. */
export interface Asker extends Selecting {
  /** Endpoints are being asked. */
  onAsk(): void;
  /** After it, once; undefined: the one that was chosen has no room. */
  onChosen(member: Member | undefined): void;
}

/** Who asks endpoints for a call, in place of the picker. */
export interface Chooser {
  choose(set: PickSet, request: PickRequest, done: (candidate: Candidate | undefined) => void): void;
}

/** The endpoint will be told later, to the asker. */
export const ASKING = Symbol('asking');

export class Selection {
  readonly #table: EndpointTable;
  readonly #routes: Routes;
  readonly #random: Random;
  readonly #maxInFlight: number;
  readonly #events: EventSource<RouterEvents>;
  readonly #diagnostics: Diagnostics;
  readonly #last = new LastPicks();
  /** Picks of endpoints whose last report was too old to count. */
  staleReports = 0;

  constructor(
    table: EndpointTable,
    routes: Routes,
    random: Random,
    maxInFlightPerEndpoint: number,
    events: EventSource<RouterEvents>,
    diagnostics: Diagnostics,
  ) {
    this.#table = table;
    this.#routes = routes;
    this.#random = random;
    this.#maxInFlight = maxInFlightPerEndpoint;
    this.#events = events;
    this.#diagnostics = diagnostics;
  }

  /** The last picks, latest first. */
  lastPicks(): PickExplanation[] {
    return this.#last.all();
  }

  /**
   * Undefined when no endpoint is open or has room. `avoid`, where the call has just failed, is taken only when it is the only one.
   */
  pick(request: Selecting, avoid: Member | undefined): Member | undefined {
    const route = this.#routes.routeOf(request);
    return route === undefined ? undefined : this.#pickFrom(route, request, avoid);
  }

  /** The same, where the picker, or the load source `chooser` in its place, may ask endpoints first. */
  pickOrAsk(asker: Asker, avoid: Member | undefined, chooser: Chooser | undefined): Member | undefined | typeof ASKING {
    const route = this.#routes.routeOf(asker);
    if (route === undefined) return undefined;
    const asks = chooser !== undefined || this.#asks(route, asker);
    // Where nobody has room nobody need be asked.
    if (!asks || !this.#hasRoomAt(route)) return this.#pickFrom(route, asker, avoid);
    if (chooser !== undefined) {
      this.#askWith(chooser, route, asker, avoid);
      return ASKING;
    }
    this.#ask(route, asker);
    return ASKING;
  }

  #pickFrom(route: Route, request: Selecting, avoid: Member | undefined): Member | undefined {
    if (route.set.candidates.length === 0) return undefined;
    for (let tries = 0; tries <= REPICKS; tries++) {
      const member = route.set.candidates[this.#pickIndex(route, request)] as Member | undefined;
      if (member !== undefined && member !== avoid && this.hasRoom(member)) {
        this.explain(member, request, tries === 0 ? 'picked' : 'picked again', route);
        this.#tellPicked(route, member, request);
        return member;
      }
    }
    const member = this.#leastLoadedWithRoom(request, route, avoid);
    if (member !== undefined) this.#tellPicked(route, member, request);
    return member;
  }

  #tellPicked({ picker, set }: Route, member: Member, request: Selecting): void {
    try {
      picker.onPicked?.(set, member, request);
    } catch (error) {
      this.#diagnostics.report('router:picker', error);
    }
  }

  #hasRoomAt({ set }: Route): boolean {
    for (const candidate of set.candidates) if (this.hasRoom(candidate as Member)) return true;
    return false;
  }

  #asks({ picker, set }: Route, request: Selecting): boolean {
    try {
      return picker.mustAsk?.(set, request) === true;
    } catch (error) {
      this.#diagnostics.report('router:picker', error);
      return false;
    }
  }

  #askWith(chooser: Chooser, route: Route, asker: Asker, avoid: Member | undefined): void {
    asker.onAsk();
    chooser.choose(route.set, asker, (candidate) => {
      const member = candidate as Member | undefined;
      // Where the call has just failed is no better for being idle.
      const isUsable = member !== undefined && member !== avoid && this.hasRoom(member);
      if (isUsable) this.explain(member, asker, 'asked before dispatch', undefined);
      asker.onChosen(isUsable ? member : undefined);
    });
  }

  #ask(route: Route, asker: Asker): void {
    asker.onAsk();
    const chosen = (index: number) => {
      // The list of now: that of the question may be gone.
      const member = route.set.candidates[index] as Member | undefined;
      const isUsable = member !== undefined && this.hasRoom(member);
      if (isUsable) this.explain(member, asker, 'asked before dispatch', route);
      asker.onChosen(isUsable ? member : undefined);
    };
    try {
      route.picker.choose?.(route.set, asker, chosen);
    } catch (error) {
      this.#diagnostics.report('router:picker', error);
      chosen(-1);
    }
  }

  /** Below the limit, by this router's own calls, whose ends it hears of; an endpoint on probation takes one call at a time. */
  hasRoom(member: Member): boolean {
    const { ownInFlight } = member;
    return ownInFlight < this.#maxInFlight && !(member.isOnProbation && ownInFlight > 0);
  }

  explain(member: Member, request: Selecting, how: string, route: Route | undefined): void {
    const reason = this.#table.isPanicking ? `${how}, in panic` : how;
    const { span } = request;
    span?.set(ATTRIBUTES.endpoint, member.endpoint.id);
    span?.set(ATTRIBUTES.reason, reason);
    if (member.isStale(request.now)) this.staleReports++;
    if (!this.#events.has('pick')) {
      this.#last.note(member, request, reason, route, undefined);
      return;
    }
    const explanation = this.#explained(member, request, reason, route);
    this.#last.note(member, request, reason, route, explanation);
    if (explanation !== undefined) this.#events.emit('pick', explanation);
  }

  #explained(member: Member, request: Selecting, reason: string, route: Route | undefined): PickExplanation | undefined {
    try {
      return explanationOf(member, request, reason, route);
    } catch (error) {
      this.#diagnostics.report('router:picker', error);
      return undefined;
    }
  }

  /** Pickers may be the user's own: one that throws is as good as none. */
  #pickIndex({ picker, set }: Route, request: Selecting): number {
    try {
      return picker.pickIndex(set, request);
    } catch (error) {
      this.#diagnostics.report('router:picker', error);
      return -1;
    }
  }

  /** First on the call's own route, then wherever it may go at all. */
  #leastLoadedWithRoom(request: Selecting, route: Route, avoid: Member | undefined): Member | undefined {
    const near = route.set.candidates as readonly Member[];
    const best = this.#leastLoadedOf(near, avoid);
    if (best !== undefined) {
      this.explain(best, request, 'others have no room', route);
      return best;
    }
    const anywhere = this.#routes.widened(request);
    if (anywhere.length > near.length) {
      const further = this.#leastLoadedOf(anywhere, avoid);
      if (further !== undefined) {
        this.explain(further, request, 'nobody near has room', route);
        return further;
      }
    }
    if (avoid === undefined || !anywhere.includes(avoid) || !this.hasRoom(avoid)) return undefined;
    this.explain(avoid, request, 'the only one', route);
    return avoid;
  }

  #leastLoadedOf(candidates: readonly Member[], avoid: Member | undefined): Member | undefined {
    let best: Member | undefined;
    let index = this.#random.int(candidates.length);
    for (let looked = 0; looked < candidates.length; looked++) {
      index = index + 1 === candidates.length ? 0 : index + 1;
      const member = candidates[index] as Member;
      if (member === avoid || !this.hasRoom(member)) continue;
      if (best === undefined || member.counter.weight / member.weight < best.counter.weight / best.weight) best = member;
    }
    return best;
  }
}
