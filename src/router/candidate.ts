/**
 * One endpoint as the router knows it: its work in flight, how long it takes, how it fails, what it says of itself.
 *
 * The figures are plain fields, written at the end of each attempt and read by pickers at each call.
 */
import type { Endpoint } from '../core/endpoint.js';
import type { Outcome, WorkCounter } from '../core/load-counter.js';
import { type LoadReport, OUTSTANDING_MS, UNIT_MS } from '../core/load-report.js';
import { FleetView } from './fleet-view.js';
import { type ModelLoad, ModelLoads } from './model-loads.js';
import { UnitCosts } from './unit-costs.js';

/** Time constant of the latency and failure estimates: Finagle's and Linkerd's. */
export const DECAY_MS = 10_000;
/** How much slower an endpoint that fails every time looks: a failure stands for a wait of seconds where answers take tens of ms. */
export const FAILURE_SLOWDOWN = 250;
/** How long one failure keeps others away, unless a success comes first. */
export const FAILURE_PENALTY_MS = 5000;
/** What a server said so long ago is no longer taken into account: it fades before, see pickers/load.ts. */
export const STALE_REPORT_MS = 10_000;
/** A server's Retry-After beyond this is not believed. */
export const MAX_RETRY_AFTER_MS = 300_000;

export class Candidate {
  readonly endpoint: Endpoint;
  readonly counter: WorkCounter;
  readonly fleet: FleetView;
  readonly weight: number;
  readonly inverseWeight: number;
  /** Not listed any more: what is kept of it elsewhere may go. */
  isRemoved = false;

  /** Milliseconds per unit of weight: mean of the first answers, then over DECAY_MS. 0 before the first success. */
  latencyMs = 0;
  #latencySamples = 0;
  /** The same, but jumping to every peak and decaying from there. */
  peakLatencyMs = 0;
  latencyAtMs = 0;

  /** Our own work in flight: how much, and the sum of its starts. */
  #begun = 0;
  #begunAtSum = 0;

  consecutiveFailures = 0;
  penaltyUntilMs = 0;
  /** Mean of failed (1) and succeeded (0) attempts over DECAY_MS. */
  failureShare = 0;
  /** Of the last sample that counted; a first failure is the whole of what is known. */
  failureAtMs = Number.NEGATIVE_INFINITY;

  report: LoadReport | undefined;
  reportAtMs = 0;
  /** Name of the load source it came from. */
  reportSource = '';
  /** Other callers' pieces of work at that time, by the host's counter. */
  others = 0;
  readonly #costs = new UnitCosts();
  /** When it told so. */
  costAtMs = 0;
  /** Other callers' outstanding work at that time, in the same milliseconds. */
  othersMs = 0;
  /** Our own calls in flight by the counter they are for; only keys above 0, so no larger than what is in flight. */
  readonly #own = new Map<string, number>();
  readonly #models = new ModelLoads();
  readonly #ownByKey = (loadKey: string) => this.ownOf(loadKey);

  /** Slow start: until then it gets less, from `leastWarmth` of its share at `warmFromMs` on. */
  warmFromMs = 0;
  warmUntilMs = 0;
  leastWarmth = 1;

  /** @param fleet - Shared by all candidates of a router. @param weight - Default: the endpoint's own. */
  constructor(endpoint: Endpoint, counter: WorkCounter, fleet: FleetView = new FleetView(), weight = endpoint.weight ?? 1) {
    this.endpoint = endpoint;
    this.counter = counter;
    this.fleet = fleet;
    this.weight = weight;
    this.inverseWeight = 1 / this.weight;
  }

  /** An attempt ended; `latencyMs` is per unit of weight. */
  onEnd(outcome: Outcome, latencyMs: number, retryAfterMs: number, now: number): void {
    if (outcome === 'ignored') return;
    if (outcome === 'ok') {
      this.consecutiveFailures = 0;
      if (this.failureShare > 0) this.#noteFailure(0, now);
      else this.failureAtMs = now;
      this.#noteLatency(latencyMs, now);
      this.fleet.noteLatency(latencyMs);
    } else {
      this.consecutiveFailures++;
      this.penaltyUntilMs = now + Math.min(MAX_RETRY_AFTER_MS, Math.max(FAILURE_PENALTY_MS, retryAfterMs));
      this.#noteFailure(1, now);
    }
  }

  /** Work was taken away from it after so long: what its latency would have been is more than that. */
  onOutrun(latencyMs: number, now: number): void {
    if (latencyMs > this.latencyMs) this.#noteLatency(latencyMs, now);
  }

  /** @param loadKey - The kind of call that the cost in the report is of; undefined: all of them. */
  onReport(report: LoadReport, now: number, source = '', loadKey?: string): void {
    this.report = report;
    this.reportSource = source;
    this.reportAtMs = now;
    // Our own work is part of what it tells.
    this.others = Math.max(0, (outstandingOf(report) ?? 0) - this.counter.inFlight);
    if (report.namedMetrics !== undefined) this.#models.note(report.namedMetrics, this.#ownByKey, now);
    const unitMs = report.requestCost?.[UNIT_MS] ?? 0;
    const outstandingMs = report.namedMetrics?.[OUTSTANDING_MS] ?? 0;
    // A report of another kind says nothing of costs; one that is beyond belief says nothing at all.
    if (unitMs > 0 && unitMs <= MAX_UNIT_MS && outstandingMs >= 0 && outstandingMs <= MAX_OUTSTANDING_MS) {
      this.#costs.note(loadKey, unitMs, loadKey === undefined ? 0 : this.ownOf(loadKey));
      this.costAtMs = now;
      this.othersMs = Math.max(0, outstandingMs - this.counter.weight * this.ownUnitMs);
      this.fleet.note(unitMs, this.othersMs);
    }
  }

  /** Milliseconds of the whole server for one unit of work of any kind, as the server has learned; 0: it does not tell. */
  get unitMs(): number {
    return this.#costs.anyMs;
  }

  /** The same for calls that are for the counter `loadKey`. */
  unitMsOf(loadKey: string | undefined): number {
    return this.#costs.of(loadKey);
  }

  /** The mean of our calls in flight there. */
  get ownUnitMs(): number {
    return this.#costs.meanOf(this.#begun);
  }

  /** The report is too old to say anything. */
  isStale(now: number): boolean {
    return this.report !== undefined && now - this.reportAtMs > STALE_REPORT_MS;
  }

  /** Our own calls in flight there that are for the counter `loadKey`. */
  ownOf(loadKey: string): number {
    return this.#own.get(loadKey) ?? 0;
  }

  /** Other callers' work for that counter, as told last; undefined: no report has named it. */
  modelLoad(loadKey: string): ModelLoad | undefined {
    return this.#models.of(loadKey);
  }

  #countOwn(loadKey: string, difference: 1 | -1): void {
    const count = (this.#own.get(loadKey) ?? 0) + difference;
    if (count > 0) this.#own.set(loadKey, count);
    else this.#own.delete(loadKey);
    this.#costs.count(loadKey, difference);
  }

  /** A second chance starts without the past: unknown looks attractive, and probation lets one request through. */
  forgive(): void {
    this.consecutiveFailures = 0;
    this.penaltyUntilMs = 0;
    this.failureShare = 0;
    this.latencyMs = 0;
    this.peakLatencyMs = 0;
  }

  /** Calls of this router in flight; the counter has those of every router of the process. */
  get ownInFlight(): number {
    return this.#begun;
  }

  /** Work begins here. `loadKey`: the counter it is for on the server, when it is not the host's alone. */
  begin(weight: number, now: number, loadKey: string | undefined): void {
    this.counter.enter(weight);
    if (loadKey !== undefined) this.#countOwn(loadKey, 1);
    this.#begun++;
    this.fleet.ownInFlight++;
    this.#begunAtSum += now;
  }

  /** Work that began at `startedAt` ended; `weight` as the counter has it now. */
  end(outcome: Outcome, weight: number, loadKey: string | undefined, startedAt: number, retryAfterMs: number, now: number): void {
    this.counter.leave(weight, outcome, startedAt, now);
    if (loadKey !== undefined) this.#countOwn(loadKey, -1);
    this.#begun--;
    this.fleet.ownInFlight--;
    this.#begunAtSum = this.#begun === 0 ? 0 : this.#begunAtSum - startedAt;
    this.onEnd(outcome, (now - startedAt) / weight, retryAfterMs, now);
  }

  /**
   * Milliseconds per unit of weight to expect: the smoothed latency, or what the work in flight has taken so far where that is more.
   * Then the endpoint has become slower, and this tells before any of that work ends.
   */
  expectedLatency(now: number): number {
    const latency = this.latencyNow(now);
    const age = this.#begun * now - this.#begunAtSum;
    return age > latency * this.counter.weight ? age / this.counter.weight : latency;
  }

  /** Smoothed latency, fading while nothing is sent there, so that an endpoint which was slow is tried again. */
  latencyNow(now: number): number {
    return this.latencyMs * fade(now - this.#quietSince(this.latencyAtMs));
  }

  peakLatencyNow(now: number): number {
    return this.peakLatencyMs * fade(now - this.#quietSince(this.latencyAtMs));
  }

  /** 1 for an endpoint that does not fail, up to FAILURE_SLOWDOWN: failing fast must not look like being fast. */
  slowdown(now: number): number {
    return this.failureShare === 0 && now >= this.warmUntilMs ? 1 : this.#slowdownOfFailing(now) / this.warmth(now);
  }

  /** 1, or less while it starts slowly. @see Envoy, slow start mode, linear */
  warmth(now: number): number {
    if (now >= this.warmUntilMs) return 1;
    return Math.max(this.leastWarmth, (now - this.warmFromMs) / (this.warmUntilMs - this.warmFromMs));
  }

  #slowdownOfFailing(now: number): number {
    return 1 + FAILURE_SLOWDOWN * this.failureNow(now);
  }

  /** The share of failures: 1 while a failure keeps calls away, then fading. */
  failureNow(now: number): number {
    if (now < this.penaltyUntilMs && this.consecutiveFailures > 0) return 1;
    return this.failureShare * fade(now - this.#quietSince(this.failureAtMs));
  }

  /** Estimates fade from here on: while a failure keeps calls away, silence is no news. */
  #quietSince(lastAtMs: number): number {
    return this.consecutiveFailures > 0 && this.penaltyUntilMs > lastAtMs ? this.penaltyUntilMs : lastAtMs;
  }

  #noteLatency(latencyMs: number, now: number): void {
    if (this.latencyMs === 0) {
      this.latencyMs = latencyMs;
      this.peakLatencyMs = latencyMs;
      this.#latencySamples = 1;
    } else {
      const forgotten = forgottenShare(now - this.latencyAtMs);
      // The first answers count alike, or the very first would rule for seconds; at high rates a sample counts for at least one in
      // 500, so that the estimate follows a change within some hundred answers.
      const share = Math.max(forgotten, 0.002, 1 / ++this.#latencySamples);
      this.latencyMs += (latencyMs - this.latencyMs) * share;
      this.peakLatencyMs = Math.max(latencyMs, this.peakLatencyMs + (latencyMs - this.peakLatencyMs) * forgotten);
    }
    this.latencyAtMs = now;
  }

  #noteFailure(failed: 0 | 1, now: number): void {
    const share = Math.max(forgottenShare(now - this.failureAtMs), 0.01);
    this.failureShare += (failed - this.failureShare) * share;
    if (this.failureShare < 1e-4) this.failureShare = 0;
    this.failureAtMs = now;
  }
}

/** Outstanding work of the host that `report` tells, in the server's unit; undefined: it does not say. */
export function outstandingOf({ namedMetrics }: LoadReport): number | undefined {
  // vLLM's report names its queue alone.
  return namedMetrics?.host ?? namedMetrics?.num_requests_waiting;
}

/** A unit of work that takes a server longer than an hour, or a year of work waiting, is a mistake. */
const MAX_UNIT_MS = 3_600_000;
const MAX_OUTSTANDING_MS = 3.2e10;

/** Younger estimates have not faded by a hundredth. */
const FRESH_MS = 100;

/** (1 - x/16)^16, which is exp(-x) nearly enough: four multiplications, no division on the way to a pick. Never 0, never negative. */
function fade(elapsedMs: number): number {
  if (elapsedMs < FRESH_MS) return 1;
  const base = Math.max(1 - elapsedMs * FADE_STEP, LEAST_BASE);
  const second = base * base;
  const fourth = second * second;
  const eighth = fourth * fourth;
  return eighth * eighth;
}

/** How much of an estimate that old a new sample replaces; exact to half a percent, and without exp(), where samples come thick. */
function forgottenShare(elapsedMs: number): number {
  return elapsedMs < FRESH_MS ? Math.max(0, elapsedMs / DECAY_MS) : 1 - Math.exp(-elapsedMs / DECAY_MS);
}

const FADE_STEP = 1 / (16 * DECAY_MS);
/** To the 16th power a millionth. */
const LEAST_BASE = 0.42;
