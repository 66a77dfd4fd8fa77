/** The load metrics that pickers compare. Lower is better; each is what the next call would meet, relative to the endpoint's weight. */
import { type Candidate, STALE_REPORT_MS } from '../candidate.js';
import type { CounterBlend } from './counter-blend.js';
import type { PickRequest } from './picker.js';

/** A report fades with this time constant: what it told of other callers is old news soon. */
const REPORT_FADE_MS = 500;
/** The same for outstanding work at learned costs, which tells more. */
const COST_FADE_MS = 1000;
/** Of one more piece of our own work, how much is signal (others sent there, too) and not chance, once the report is old. */
const OWN_AS_SAMPLE = 0.6;
/** A report of this age is half old. */
const HALF_OLD_MS = 50;
/** Before the first answer an endpoint with work in flight might be dead: it looks this slow; without work it looks free. */
const UNKNOWN_LATENCY_MS = 1000;

/** Own work in flight, counted at dispatch. */
export function ownLoad(candidate: Candidate, request: PickRequest): number {
  return (candidate.counter.weight + request.weight) * candidate.slowdown(request.now) * candidate.inverseWeight;
}

/** The whole host's work counts for this much of a call beside its model's: it decides where the model has next to none. */
const HOST_AS_TIE_BREAK = 0.5;

/** Own work plus what reports told of other callers': of the call's model where its endpoint tells of it, else of the host. */
export function reportedLoad(candidate: Candidate, request: PickRequest): number {
  return loadBy(candidate, request, 1);
}

/** As {@link reportedLoad}, by the counters that `blend` says. */
export function blendedLoad(blend: CounterBlend): (candidate: Candidate, request: PickRequest) => number {
  return (candidate, request) => loadBy(candidate, request, request.loadKey === undefined ? 0 : blend.at(request.now));
}

/** @param share - How much the model's counter counts, 0 to 1. */
function loadBy(candidate: Candidate, { loadKey, now, weight }: PickRequest, share: number): number {
  const host = candidate.counter.weight + othersLoad(candidate, now, weight);
  const perWork = candidate.slowdown(now) * candidate.inverseWeight;
  const told = loadKey === undefined || share === 0 ? undefined : candidate.modelLoad(loadKey);
  if (loadKey === undefined || told === undefined || now - told.atMs > STALE_REPORT_MS) return (host + weight) * perWork;
  // A later report of the host bounds it: one that does no longer name the model says that it has less.
  const others = told.atMs < candidate.reportAtMs ? Math.min(told.others, candidate.others) : told.others;
  const model = candidate.ownOf(loadKey) * weight + others * weight * freshness(now - told.atMs);
  const own = model + (HOST_AS_TIE_BREAK * host) / (host + weight);
  return (share * own + (1 - share) * host + weight) * perWork;
}

/** Peak latency times own work. @see Finagle, PeakEwma.scala */
export function peakEwmaLoad(candidate: Candidate, request: PickRequest): number {
  const { now, weight } = request;
  const latency = candidate.peakLatencyNow(now) || unknownLatency(candidate, now);
  return latency * (candidate.counter.weight + weight) * candidate.slowdown(now) * candidate.inverseWeight;
}

/** Mean latency times all the work there that we know of: the expected time to finish this call. */
export function expectedTime(candidate: Candidate, request: PickRequest): number {
  const { now, weight } = request;
  if (candidate.fleet.unitMs > 0) return costThere(candidate, request);
  const latency = candidate.expectedLatency(now) || unknownLatency(candidate, now);
  const work = candidate.counter.weight + othersLoad(candidate, now, weight) + weight;
  return latency * work * candidate.slowdown(now) * candidate.inverseWeight;
}

/**
 * Milliseconds that this call would wait for and take there: what the server said of its outstanding work, at the costs that it has
 * learned, and our own since.
 *
 * A report is news of the past. Two things are known without delay. Work of our own that is there is a sample of what everybody sent:
 * with others' work so many times as much, one more piece of ours means several of theirs. And work that has been there for longer than
 * answers usually take means that the server has become slower since it last said anything.
 */
export function costThere(candidate: Candidate, { now, weight, loadKey }: PickRequest): number {
  const { fleet } = candidate;
  const isTold = candidate.unitMs > 0;
  // One of which nothing is known, or nothing new, is taken to be like the others.
  const unitMs = isTold ? candidate.unitMsOf(loadKey) : fleet.unitMs;
  const ownUnitMs = isTold ? candidate.ownUnitMs : fleet.unitMs;
  // What came while the call waited for it is newer than the call.
  const age = Math.max(0, now - candidate.costAtMs);
  const isNews = isTold && age <= STALE_REPORT_MS;
  const othersMs = isNews ? (candidate.othersMs * COST_FADE_MS) / (COST_FADE_MS + age) : fleet.othersMs;
  const oldness = isNews ? age / (age + HALF_OLD_MS) : 1;
  const own = candidate.counter.weight * (1 + oldness * OWN_AS_SAMPLE * fleet.othersPerOwn);
  const cost = othersMs + own * ownUnitMs + weight * unitMs;
  const usualMs = candidate.latencyNow(now);
  const slower = usualMs > 0 ? candidate.expectedLatency(now) / usualMs : 1;
  return cost * slower * candidate.slowdown(now);
}

/** Of the host. The server counts calls; one call of other callers is taken to weigh as much as this one. */
function othersLoad({ others, reportAtMs }: Candidate, now: number, weight: number): number {
  return others === 0 ? 0 : others * weight * freshness(now - reportAtMs);
}

/** 1 for a report that has just come, 0 for a stale one. */
function freshness(ageMs: number): number {
  return ageMs > STALE_REPORT_MS ? 0 : REPORT_FADE_MS / (REPORT_FADE_MS + ageMs);
}

function unknownLatency(candidate: Candidate, now: number): number {
  if (candidate.counter.inFlight > 0) return UNKNOWN_LATENCY_MS;
  // Not 0: among several unknown endpoints the one with less work goes first. One that has only failed is no longer unknown.
  return 1e-3 + (candidate.failureShare === 0 ? 0 : UNKNOWN_LATENCY_MS * candidate.failureNow(now));
}
