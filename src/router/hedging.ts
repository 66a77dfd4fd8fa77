/**
 * When a call is sent to a second endpoint while the first still works on it: rarely, late, and never when the servers are short.
 *
 * It goes out once the call has waited longer than all but `maxExtraLoad` of the recent calls, so that about that share of them is sent
 * twice; a budget of its own holds the share whatever latencies do, and the budget of the retries holds both together.
 * @see Dean and Barroso, "The Tail at Scale", hedged requests; Finagle, BackupRequestFilter.scala
 */
import type { Clock } from '../core/clock.js';
import { checkNumber } from '../core/errors.js';
import { RetryBudget } from '../core/retry-budget.js';
import type { Candidate } from './candidate.js';
import { LatencyWindow } from './latency-window.js';
import { isOff, type RouterSwitches } from './switches.js';

export interface HedgeOptions {
  /** Share of the calls that may be sent twice; the delay is the latency that this share of the calls exceeds. Default 0.01; above 0, at most 0.2. */
  maxExtraLoad?: number;
  /** Least delay, milliseconds. Default 1. It fires up to one tick of 8 ms late. */
  minDelayMs?: number;
}

export const DEFAULT_MAX_EXTRA_LOAD = 0.01;
export const DEFAULT_MIN_HEDGE_DELAY_MS = 1;
/** How far back latencies and the budget look. */
const WINDOW_MS = 30_000;
/** Calls beyond the delay that the window must hold before it means anything. */
const LEAST_BEYOND = 2;
const LEAST_SAMPLES = 50;
/** The delay, and whether the fleet is busy, are found out this often. */
const REFRESH_MS = 1000;
/** An endpoint whose fresh report tells of more is busy; so is one that fails or sheds. */
const BUSY_UTILIZATION = 0.8;

/** What it needs of the endpoint table. */
export interface HedgedTable {
  readonly candidates: readonly Candidate[];
  readonly isPanicking: boolean;
}

export class Hedging {
  readonly #share: number;
  readonly #minDelayMs: number;
  readonly #leastSamples: number;
  readonly #window: LatencyWindow;
  /** Hedges alone: at most `share` of the calls in any window, without a floor. */
  readonly #budget: RetryBudget;
  readonly #retries: RetryBudget;
  readonly #table: HedgedTable;
  readonly #switches: RouterSwitches;
  #refreshAtMs = 0;
  #delayMs = Number.POSITIVE_INFINITY;
  #isFleetBusy = false;

  constructor(options: HedgeOptions, clock: Clock, retries: RetryBudget, table: HedgedTable, switches: RouterSwitches) {
    this.#share = checkNumber('hedge.maxExtraLoad', options.maxExtraLoad ?? DEFAULT_MAX_EXTRA_LOAD, 1e-4, 0.2);
    this.#minDelayMs = checkNumber('hedge.minDelayMs', options.minDelayMs ?? DEFAULT_MIN_HEDGE_DELAY_MS, 0);
    this.#leastSamples = Math.max(LEAST_SAMPLES, Math.ceil(LEAST_BEYOND / this.#share));
    this.#window = new LatencyWindow(WINDOW_MS, clock.now());
    this.#budget = new RetryBudget(clock, { ratio: this.#share, minPerSecond: 0, windowMs: WINDOW_MS });
    this.#retries = retries;
    this.#table = table;
    this.#switches = switches;
  }

  /** A call goes out for the first time. */
  deposit(now: number): void {
    this.#budget.deposit(now);
  }

  /** The first response of a call began so long after its first attempt. */
  noteLatency(latencyMs: number, now: number): void {
    this.#window.note(latencyMs, now);
  }

  /** Milliseconds after its first attempt at which a call is to be sent again; Infinity: not at all. */
  delayMs(now: number): number {
    if (now >= this.#refreshAtMs) this.#refresh(now);
    return isOff(this.#switches.hedging) ? Number.POSITIVE_INFINITY : this.#delayMs;
  }

  /** The servers can bear it, and both budgets have one left; `take` takes it. */
  isAllowed(now: number): boolean {
    if (this.#isFleetBusy || this.#table.isPanicking || this.#table.candidates.length < 2) return false;
    return this.#budget.canWithdraw(now) && this.#retries.canWithdraw(now);
  }

  take(now: number): void {
    this.#budget.withdraw(now);
    this.#retries.withdraw(now);
  }

  #refresh(now: number): void {
    this.#refreshAtMs = now + REFRESH_MS;
    const isKnown = this.#window.count(now) >= this.#leastSamples;
    this.#delayMs = isKnown ? Math.max(this.#minDelayMs, this.#window.quantile(1 - this.#share)) : Number.POSITIVE_INFINITY;
    const { candidates } = this.#table;
    let busy = 0;
    for (const candidate of candidates) if (isBusy(candidate, now)) busy++;
    this.#isFleetBusy = 2 * busy > candidates.length;
  }
}

function isBusy(candidate: Candidate, now: number): boolean {
  const { report, penaltyUntilMs, consecutiveFailures } = candidate;
  if (consecutiveFailures > 0 && now < penaltyUntilMs) return true;
  if (report === undefined || candidate.isStale(now)) return false;
  return (report.applicationUtilization ?? report.cpuUtilization ?? 0) >= BUSY_UTILIZATION;
}
