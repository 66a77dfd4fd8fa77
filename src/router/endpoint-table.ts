/**
 * Which endpoints may be called now.
 *
 * Known: what the resolver lists. Open: known, healthy by the last check, not ejected. When too few are open the list itself is
 * doubted and all known ones are used (panic): a check that fails everywhere more likely tests the network than the servers.
 * A removed endpoint leaves the open list at once; what is in flight there goes on to its end.
 */
import { type Endpoint, sameEndpoint } from '../core/endpoint.js';
import type { LoadBoard } from '../core/load-board.js';
import type { WorkCounter } from '../core/load-counter.js';
import { Candidate } from './candidate.js';
import { FleetView } from './fleet-view.js';
import type { PickSet } from './pickers/picker.js';
import type { ResolvedSlowStart } from './slow-start.js';

/** Below this share of open endpoints all known ones are used. Envoy's and Finagle's. */
export const DEFAULT_PANIC_THRESHOLD = 0.5;

/** Outcomes of the last one to two half windows. */
export interface OutcomeWindow {
  startMs: number;
  ok: number;
  failed: number;
  previousOk: number;
  previousFailed: number;
  /** Failures since the last success. */
  inARow: number;
}

export class Member extends Candidate {
  isHealthy = true;
  isEjected = false;
  /** Back from an ejection, not yet proved: one call at a time. */
  isOnProbation = false;
  /** How often it was ejected in a row; the next time is that much longer. */
  ejections = 0;
  /** Kept by the ejection, from the first failure on. */
  outcomes: OutcomeWindow | undefined = undefined;

  get isOpen(): boolean {
    return this.isHealthy && !this.isEjected && !this.isRemoved;
  }

  get state(): 'open' | 'ejected' | 'unhealthy' | 'probation' {
    if (this.isEjected) return 'ejected';
    if (!this.isHealthy) return 'unhealthy';
    return this.isOnProbation ? 'probation' : 'open';
  }
}

export interface TableListener {
  /** Gone from the list; calls may still be in flight. */
  onRemove(member: Member): void;
  onPanic(open: number, known: number): void;
}

export interface TableOptions {
  /** Relative capacity, by kind of hardware perhaps; undefined: the endpoint's own weight. */
  readonly weightOf?: (endpoint: Endpoint) => number | undefined;
  readonly slowStart?: ResolvedSlowStart;
  /** An endpoint has joined a list that had others. */
  readonly onNew?: (member: Member) => void;
}

export class EndpointTable implements PickSet {
  readonly #load: LoadBoard;
  readonly #listener: TableListener;
  readonly #panicThreshold: number;
  readonly #options: TableOptions;
  readonly #members = new Map<string, Member>();
  readonly #fleet = new FleetView();
  #addresses: ReadonlySet<string> = new Set();
  candidates: readonly Member[] = [];
  version = 0;
  isPanicking = false;

  constructor(load: LoadBoard, panicThreshold: number, listener: TableListener, options: TableOptions = {}) {
    this.#options = options;
    this.#load = load;
    this.#panicThreshold = panicThreshold;
    this.#listener = listener;
  }

  get size(): number {
    return this.#members.size;
  }

  members(): Iterable<Member> {
    return this.#members.values();
  }

  /** A listed endpoint is reached there. */
  hasAddress(address: string): boolean {
    return this.#addresses.has(address);
  }

  /** Takes over a new list. An endpoint whose address or weight changed is a new one under its old name. */
  update(endpoints: readonly Endpoint[], now = 0): void {
    const isFirst = this.#members.size === 0;
    const listed = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint]));
    const gone = [...this.#members.values()].filter((member) => {
      const endpoint = listed.get(member.endpoint.id);
      return endpoint === undefined || !sameEndpoint(endpoint, member.endpoint);
    });
    for (const member of gone) this.#remove(member);
    for (const endpoint of endpoints) if (!this.#members.has(endpoint.id)) this.#add(endpoint, now, isFirst);
    this.#addresses = new Set(endpoints.map(({ address }) => address));
    this.refresh();
    // After the additions, so that the listener sees which addresses are still in use.
    for (const member of gone) this.#listener.onRemove(member);
  }

  /** To be called after a member's state changed. */
  refresh(): void {
    const known = [...this.#members.values()];
    const open = known.filter((member) => member.isOpen);
    const wasPanicking = this.isPanicking;
    this.isPanicking = known.length > 0 && open.length < known.length * this.#panicThreshold;
    this.candidates = this.isPanicking ? known : open;
    this.version++;
    this.#fleet.endpoints = Math.max(1, this.candidates.length);
    if (this.isPanicking && !wasPanicking) this.#listener.onPanic(open.length, known.length);
  }

  close(): void {
    const gone = [...this.#members.values()];
    for (const member of gone) this.#remove(member);
    this.candidates = [];
    this.#addresses = new Set();
    for (const member of gone) this.#listener.onRemove(member);
  }

  /** Who is there from the start need not start slowly: all would. */
  #add(endpoint: Endpoint, now: number, isFirst: boolean): void {
    const { weightOf, slowStart } = this.#options;
    const counter = this.#load.useEndpoint(endpoint.id) as WorkCounter;
    const member = new Member(endpoint, counter, this.#fleet, weightBy(weightOf, endpoint));
    if (slowStart !== undefined && !isFirst) {
      member.warmFromMs = now;
      member.warmUntilMs = now + slowStart.windowMs;
      member.leastWarmth = slowStart.leastRatio;
      this.#options.onNew?.(member);
    }
    this.#members.set(endpoint.id, member);
  }

  #remove(member: Member): void {
    this.#members.delete(member.endpoint.id);
    member.isRemoved = true;
    this.#load.forgetEndpoint(member.endpoint.id);
  }
}

/** What the user's function says, where that is a weight; a list is not refused for its mistakes. */
function weightBy(weightOf: TableOptions['weightOf'], endpoint: Endpoint): number {
  const own = endpoint.weight ?? 1;
  if (weightOf === undefined) return own;
  try {
    const weight = weightOf(endpoint);
    return weight !== undefined && weight > 0 && weight < Number.POSITIVE_INFINITY ? weight : own;
  } catch {
    return own;
  }
}
