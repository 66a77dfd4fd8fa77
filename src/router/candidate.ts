/**
 * One endpoint as the router knows it: its work in flight, how long it takes, how it fails, what it says of itself.
 *
 * The figures are plain fields, written at the end of each attempt and read by pickers at each call.
 */
import type { Endpoint } from '../core/endpoint.js';
import type { Outcome, WorkCounter } from '../core/load-counter.js';
import type { LoadReport } from '../core/load-report.js';

/** Time constant of the latency and failure estimates: Finagle's and Linkerd's. */
export const DECAY_MS = 10_000;
/** How much slower an endpoint that fails every time looks: a failure stands for a wait of seconds where answers take tens of ms. */
export const FAILURE_SLOWDOWN = 250;
/** How long one failure keeps others away, unless a success comes first. */
export const FAILURE_PENALTY_MS = 5000;
/** A server's Retry-After beyond this is not believed. */
export const MAX_RETRY_AFTER_MS = 300_000;

export class Candidate {
  readonly endpoint: Endpoint;
  readonly counter: WorkCounter;
  readonly weight: number;

  /** Milliseconds per unit of weight: mean over DECAY_MS. 0 before the first success. */
  latencyMs = 0;
  /** The same, but jumping to every peak and decaying from there. */
  peakLatencyMs = 0;
  latencyAtMs = 0;

  consecutiveFailures = 0;
  penaltyUntilMs = 0;
  /** Mean of failed (1) and succeeded (0) attempts over DECAY_MS. */
  failureShare = 0;
  /** Of the last sample that counted; a first failure is the whole of what is known. */
  failureAtMs = Number.NEGATIVE_INFINITY;

  report: LoadReport | undefined;
  reportAtMs = 0;
  /** Our own work in flight when the report came: the rest of what it tells is other callers'. */
  ownAtReport = 0;

  constructor(endpoint: Endpoint, counter: WorkCounter) {
    this.endpoint = endpoint;
    this.counter = counter;
    this.weight = endpoint.weight ?? 1;
  }

  /** An attempt ended; `latencyMs` is per unit of weight. */
  onEnd(outcome: Outcome, latencyMs: number, retryAfterMs: number, now: number): void {
    if (outcome === 'ignored') return;
    if (outcome === 'ok') {
      this.consecutiveFailures = 0;
      if (this.failureShare > 0) this.#noteFailure(0, now);
      else this.failureAtMs = now;
      this.#noteLatency(latencyMs, now);
    } else {
      this.consecutiveFailures++;
      this.penaltyUntilMs = now + Math.min(MAX_RETRY_AFTER_MS, Math.max(FAILURE_PENALTY_MS, retryAfterMs));
      this.#noteFailure(1, now);
    }
  }

  onReport(report: LoadReport, now: number): void {
    this.report = report;
    this.reportAtMs = now;
    this.ownAtReport = this.counter.inFlight;
  }

  /** A second chance starts without the past: unknown looks attractive, and probation lets one request through. */
  forgive(): void {
    this.consecutiveFailures = 0;
    this.penaltyUntilMs = 0;
    this.failureShare = 0;
    this.latencyMs = 0;
    this.peakLatencyMs = 0;
  }

  /** Smoothed latency, fading while nothing is sent there, so that an endpoint which was slow is tried again. */
  latencyNow(now: number): number {
    return this.latencyMs * fade(now - this.latencyAtMs);
  }

  peakLatencyNow(now: number): number {
    return this.peakLatencyMs * fade(now - this.latencyAtMs);
  }

  /** 1 for an endpoint that does not fail, up to FAILURE_SLOWDOWN: failing fast must not look like being fast. */
  slowdown(now: number): number {
    if (this.failureShare === 0) return 1;
    const share = now < this.penaltyUntilMs && this.consecutiveFailures > 0 ? 1 : this.failureNow(now);
    return 1 + FAILURE_SLOWDOWN * share;
  }

  /** The share of failures, fading while nothing is sent. */
  failureNow(now: number): number {
    return this.failureShare * fade(now - this.failureAtMs);
  }

  #noteLatency(latencyMs: number, now: number): void {
    if (this.latencyMs === 0) {
      this.latencyMs = latencyMs;
      this.peakLatencyMs = latencyMs;
    } else {
      const kept = Math.exp((this.latencyAtMs - now) / DECAY_MS);
      // At high rates a sample counts for at least one in 500: the estimate follows a change within some hundred answers.
      const share = Math.max(1 - kept, 0.002);
      this.latencyMs += (latencyMs - this.latencyMs) * share;
      this.peakLatencyMs = Math.max(latencyMs, this.peakLatencyMs + (latencyMs - this.peakLatencyMs) * (1 - kept));
    }
    this.latencyAtMs = now;
  }

  #noteFailure(failed: 0 | 1, now: number): void {
    const share = Math.max(1 - Math.exp((this.failureAtMs - now) / DECAY_MS), 0.01);
    this.failureShare += (failed - this.failureShare) * share;
    if (this.failureShare < 1e-4) this.failureShare = 0;
    this.failureAtMs = now;
  }
}

/** exp(-t / DECAY_MS) by its first four terms: no call into libm on the way to a pick, and never negative. */
function fade(elapsedMs: number): number {
  const x = elapsedMs / DECAY_MS;
  return x <= 0 ? 1 : 1 / (1 + x * (1 + x * (0.5 + x / 6)));
}
