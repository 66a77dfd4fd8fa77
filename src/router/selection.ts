/** From the picker's choice to an endpoint that has room, with the reason for those who listen. */
import type { Diagnostics } from '../core/diagnostics.js';
import type { EventSource } from '../core/events.js';
import { ATTRIBUTES } from '../core/metrics.js';
import type { Random } from '../core/random.js';
import type { CallSpan } from '../core/telemetry.js';
import type { EndpointTable, Member } from './endpoint-table.js';
import type { RouterEvents } from './events.js';
import type { Picker, PickRequest } from './pickers/picker.js';

/** Random re-picks before the endpoints are looked through one by one. */
const REPICKS = 2;

/** A pick for a call, or for a user of `router.pick`. */
export interface Selecting extends PickRequest {
  /** Attempts made before. */
  readonly attempts: number;
  readonly span: CallSpan | undefined;
}

export class Selection {
  readonly #table: EndpointTable;
  readonly #picker: Picker;
  readonly #random: Random;
  readonly #maxInFlight: number;
  readonly #events: EventSource<RouterEvents>;
  readonly #diagnostics: Diagnostics;

  constructor(
    table: EndpointTable,
    picker: Picker,
    random: Random,
    maxInFlightPerEndpoint: number,
    events: EventSource<RouterEvents>,
    diagnostics: Diagnostics,
  ) {
    this.#table = table;
    this.#picker = picker;
    this.#random = random;
    this.#maxInFlight = maxInFlightPerEndpoint;
    this.#events = events;
    this.#diagnostics = diagnostics;
  }

  /** Undefined when no endpoint is open or has room. `avoid`, where the call has just failed, is taken only when it is the only one. */
  pick(request: Selecting, avoid: Member | undefined): Member | undefined {
    const { candidates } = this.#table;
    if (candidates.length === 0) return undefined;
    for (let tries = 0; tries <= REPICKS; tries++) {
      const member = candidates[this.#pickIndex(request)];
      if (member !== undefined && member !== avoid && this.hasRoom(member)) {
        this.explain(member, request, tries === 0 ? 'picked' : 'picked again');
        return member;
      }
    }
    return this.#leastLoadedWithRoom(request, avoid);
  }

  /** The picker wants to ask endpoints before this call is sent. */
  mustAsk(request: Selecting): boolean {
    try {
      return this.#picker.mustAsk?.(this.#table, request) === true;
    } catch (error) {
      this.#diagnostics.report('router:picker', error);
      return false;
    }
  }

  /** Calls `done` once, after the picker has asked; with undefined when the endpoint it chose is gone. */
  choose(request: Selecting, done: (member: Member | undefined) => void): void {
    const { candidates } = this.#table;
    try {
      this.#picker.choose?.(this.#table, request, (index) => done(candidates[index]));
    } catch (error) {
      this.#diagnostics.report('router:picker', error);
      done(undefined);
    }
  }

  /** Below the limit, by this router's own calls, whose ends it hears of; an endpoint on probation takes one call at a time. */
  hasRoom(member: Member): boolean {
    const { ownInFlight } = member;
    return ownInFlight < this.#maxInFlight && !(member.isOnProbation && ownInFlight > 0);
  }

  explain(member: Member, request: Selecting, how: string): void {
    const { span } = request;
    if (span === undefined && !this.#events.has('pick')) return;
    const reason = this.#table.isPanicking ? `${how}, in panic` : how;
    span?.set(ATTRIBUTES.endpoint, member.endpoint.id);
    span?.set(ATTRIBUTES.reason, reason);
    if (!this.#events.has('pick')) return;
    this.#events.emit('pick', {
      endpoint: member.endpoint.id,
      attempt: request.attempts + 1,
      picker: this.#picker.name,
      reason,
      score: this.#picker.score?.(member, request),
      open: this.#table.candidates.length,
      inFlight: member.counter.inFlight,
      reportAgeMs: member.report === undefined ? undefined : request.now - member.reportAtMs,
    });
  }

  /** Pickers may be the user's own: one that throws is as good as none. */
  #pickIndex(request: Selecting): number {
    try {
      return this.#picker.pickIndex(this.#table, request);
    } catch (error) {
      this.#diagnostics.report('router:picker', error);
      return -1;
    }
  }

  #leastLoadedWithRoom(request: Selecting, avoid: Member | undefined): Member | undefined {
    const { candidates } = this.#table;
    let best: Member | undefined;
    let index = this.#random.int(candidates.length);
    for (let looked = 0; looked < candidates.length; looked++) {
      index = index + 1 === candidates.length ? 0 : index + 1;
      const member = candidates[index] as Member;
      if (member === avoid || !this.hasRoom(member)) continue;
      if (best === undefined || member.counter.weight / member.weight < best.counter.weight / best.weight) best = member;
    }
    if (best !== undefined) {
      this.explain(best, request, 'others have no room');
      return best;
    }
    if (avoid === undefined || !candidates.includes(avoid) || !this.hasRoom(avoid)) return undefined;
    this.explain(avoid, request, 'the only one');
    return avoid;
  }
}
