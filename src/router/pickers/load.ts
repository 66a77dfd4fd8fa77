/** The load metrics that pickers compare. Lower is better; each is what the next call would meet, relative to the endpoint's weight. */
import type { Candidate } from '../candidate.js';
import type { PickRequest } from './picker.js';

/** A report fades with this time constant: what it told of other callers is old news soon. */
const REPORT_FADE_MS = 500;
/** Before the first answer an endpoint with work in flight might be dead: it looks this slow; without work it looks free. */
const UNKNOWN_LATENCY_MS = 1000;

/** Own work in flight, counted at dispatch. */
export function ownLoad(candidate: Candidate, request: PickRequest): number {
  return (candidate.counter.weight + request.weight) * candidate.slowdown(request.now) * candidate.inverseWeight;
}

/** Own work plus what the last report told of other callers' work. */
export function reportedLoad(candidate: Candidate, request: PickRequest): number {
  const load = candidate.counter.weight + othersLoad(candidate, request) + request.weight;
  return load * candidate.slowdown(request.now) * candidate.inverseWeight;
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
  const latency = candidate.expectedLatency(now) || unknownLatency(candidate, now);
  const work = candidate.counter.weight + othersLoad(candidate, request) + weight;
  return latency * work * candidate.slowdown(now) * candidate.inverseWeight;
}

function othersLoad(candidate: Candidate, { now, weight, loadKey }: PickRequest): number {
  const others = loadKey === undefined ? candidate.others : candidate.othersOf(loadKey);
  // The server counts calls; one call of other callers is taken to weigh as much as this one.
  return others === 0 ? 0 : (others * weight * REPORT_FADE_MS) / (REPORT_FADE_MS + now - candidate.reportAtMs);
}

function unknownLatency(candidate: Candidate, now: number): number {
  if (candidate.counter.inFlight > 0) return UNKNOWN_LATENCY_MS;
  // Not 0: among several unknown endpoints the one with less work goes first. One that has only failed is no longer unknown.
  return 1e-3 + (candidate.failureShare === 0 ? 0 : UNKNOWN_LATENCY_MS * candidate.failureNow(now));
}
