/**
 * What requests cost this server, learned: milliseconds of the whole server for one unit of work, by class of request (its model).
 *
 * A request that takes 40 ms beside 19 others on 8 slots has used 40 / 20 ms of the server; beside 3 others, 40 / 8, for nobody else
 * could have used the slots that stood empty any better. So a sample is elapsed / max(in flight at arrival, slots), and its slow mean
 * does not rise and fall with the load, as latency does: only with the hardware and the class.
 *
 * Neighbours who take processors away show within a tenth of a second as slowness: the time the server was busy, over what it got done in
 * that time at learned costs. No answer at all is news, too: then only the busy time grows.
 *
 * Outstanding work, each piece at the cost of its class times the slowness of now, is what a new request has to wait for: the
 * "outstanding examples CPU" of the paper, normalised by the cores that work on it.
 * @see Meta, "Taming the tail utilization of ads inference", load counters
 */
import { type Cache, createCache } from '../core/cache.js';
import type { Clock } from '../core/clock.js';

/** A class seldom seen gives way to a new one; then it is learned anew. */
const MAX_CLASSES = 256;
/** A sample counts for at least this: at hundreds of requests a second the mean covers about a second. */
const LEAST_SHARE = 0.005;
/** At low rates the mean covers this time. */
const MEMORY_MS = 10_000;
/** Slowness is that of the last while, fading with this time constant. */
const SLOWNESS_MS = 100;
/** So many requests at their usual cost are added to both sides of slowness: a few answers alone say little. */
const PRIOR_REQUESTS = 5;

class LearnedCost {
  ms = 0;
  #samples = 0;
  #atMs = 0;

  note(ms: number, now: number): void {
    const share = Math.max(LEAST_SHARE, Math.min(1, (now - this.#atMs) / MEMORY_MS), 1 / ++this.#samples);
    this.ms += (ms - this.ms) * share;
    this.#atMs = now;
  }
}

export class RequestCosts {
  readonly #clock: Clock;
  readonly #slots: () => number;
  readonly #all = new LearnedCost();
  readonly #classes: Cache<string, LearnedCost>;
  #inFlight = 0;
  #atMs: number;
  /** Both fading. */
  #busyMs = 0;
  #doneMs = 0;

  /** @param slots - How many requests this server works on at once without slowing any of them down. */
  constructor(clock: Clock, slots: () => number) {
    this.#clock = clock;
    this.#slots = slots;
    this.#atMs = clock.now();
    this.#classes = createCache({ clock, maxEntries: MAX_CLASSES });
  }

  /** Milliseconds of the whole server for one unit of work of that class; of all classes while it is unknown; 0: nothing is known. */
  unitMs(ofClass: string | undefined): number {
    const known = ofClass === undefined ? undefined : this.#classes.get(ofClass);
    return known?.ms ?? this.#all.ms;
  }

  /** How many times longer work takes now than it usually does. */
  slowness(): number {
    this.#advance(this.#clock.now());
    const prior = PRIOR_REQUESTS * this.#all.ms;
    return prior === 0 ? 1 : (this.#busyMs + prior) / (this.#doneMs + prior);
  }

  /** A request has come. Returns how many are in flight, itself included. */
  begin(now: number): number {
    this.#advance(now);
    return ++this.#inFlight;
  }

  /** A request is over without having taken what its class takes. */
  abandon(now: number): void {
    this.#advance(now);
    this.#inFlight--;
  }

  /** A request of that class and weight, begun at `startedAt`, has been answered. `inFlight`: what `begin` told. */
  learn(ofClass: string | undefined, weight: number, startedAt: number, inFlight: number, now: number): void {
    this.abandon(now);
    if (!(weight > 0)) return;
    this.#doneMs += this.unitMs(ofClass) * weight;
    const ms = (now - startedAt) / Math.max(inFlight, this.#slots()) / weight;
    this.#all.note(ms, now);
    if (ofClass !== undefined) this.#classOf(ofClass).note(ms, now);
  }

  #classOf(name: string): LearnedCost {
    let cost = this.#classes.get(name);
    if (cost === undefined) {
      cost = new LearnedCost();
      this.#classes.set(name, cost);
    }
    return cost;
  }

  #advance(now: number): void {
    const elapsed = now - this.#atMs;
    if (elapsed <= 0) return;
    this.#atMs = now;
    const keep = Math.exp(-elapsed / SLOWNESS_MS);
    this.#busyMs = this.#busyMs * keep + elapsed * Math.min(1, this.#inFlight / this.#slots());
    this.#doneMs *= keep;
  }
}
