/**
 * Who is turned away at the door while there is more than can be served: those of least priority, and always the same for a while.
 *
 * Priorities are 4 criticalities times 128 cohorts. While calls are refused, arrivals are counted by priority, and every period the level
 * moves to where those it admits are three times as many as could be served: the queue behind always has somebody to choose from.
 * The level is told to callers, who then shed at home what would be turned away here.
 * @see Zhou et al. (DAGOR), SoCC'18, section 4.2; here the level follows what was served, and not a fixed step of 5 %
 */
import { CRITICALITIES } from '../core/call-context.js';
import type { Clock } from '../core/clock.js';
import { COHORTS } from '../core/cohort.js';
import type { Random } from '../core/random.js';

/** Priorities in all; also the level that admits everybody. */
export const ALL_PRIORITIES = CRITICALITIES.length * COHORTS;

/** A period lasts this long, and then until enough calls were served to know the rate, */
const PERIOD_MS = 250;
const PERIOD_CALLS = 64;
/** but no longer. */
const LONGEST_PERIOD_MS = 2000;
/** Nobody came in so long: nothing is known any more. */
const SILENCE_MS = LONGEST_PERIOD_MS + PERIOD_MS;
/** Periods with refusals in a row before anybody is turned away at the door: a queue that is full for a moment is no overload. */
const PERIODS = 4;
/** Admitted by priority, as a share of what was served: more than the server can take keeps its queue from running dry. */
const MARGIN = 3;
/** Share of a period's arrivals refused by the queue from which on the level counts. */
const NOTABLE = 0.02;
/** Priorities the level rises by in a period in which nothing was refused behind it. */
const OPENING = 16;

export class AdmissionLevel {
  #value = ALL_PRIORITIES;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #arrivals = new Float64Array(ALL_PRIORITIES);
  #isWatching = false;
  #begunAtMs = 0;
  #served = 0;
  #refused = 0;
  #shortPeriods = 0;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Priorities below it are admitted. */
  get value(): number {
    return this.#isWatching && this.#clock.coarse() - this.#begunAtMs >= SILENCE_MS ? ALL_PRIORITIES : this.#value;
  }

  /** A call is here; false: it is turned away. `cohort` undefined: one by chance. Costs a field while nothing is ever refused. */
  admits(rank: number, cohort: number | undefined): boolean {
    return !this.#isWatching || this.#isAbove(rank, cohort);
  }

  #isAbove(rank: number, cohort: number | undefined): boolean {
    const now = this.#clock.coarse();
    const elapsed = now - this.#begunAtMs;
    if (elapsed >= PERIOD_MS && (this.#served >= PERIOD_CALLS || elapsed >= LONGEST_PERIOD_MS)) this.#roll(now, elapsed);
    const priority = rank * COHORTS + (cohort ?? this.#random.int(COHORTS));
    this.#arrivals[priority] = (this.#arrivals[priority] as number) + 1;
    return priority < this.#value;
  }

  /** One that was admitted has its permit. */
  onServed(): void {
    this.#served++;
  }

  /** One that was admitted found no room. */
  onRefused(): void {
    this.#refused++;
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#begin(this.#clock.coarse());
  }

  #begin(now: number): void {
    this.#begunAtMs = now;
    this.#served = 0;
    this.#refused = 0;
    this.#arrivals.fill(0);
  }

  #roll(now: number, elapsed: number): void {
    const isShort = this.#refused > NOTABLE * (this.#served + this.#refused);
    this.#shortPeriods = isShort ? this.#shortPeriods + 1 : 0;
    if (elapsed >= SILENCE_MS) this.#value = ALL_PRIORITIES;
    else if (!isShort)
      this.#value = Math.max(this.#levelFor(MARGIN * this.#served), Math.min(ALL_PRIORITIES, this.#value + OPENING));
    // One in which nothing was served is an outage: it says who comes, and not how many could be served.
    else if (this.#shortPeriods > PERIODS && this.#served > 0) this.#value = this.#levelFor(MARGIN * this.#served);
    if (!isShort && this.#value === ALL_PRIORITIES) this.#isWatching = false;
    this.#begin(now);
  }

  /** The least level with at least `wanted` of the period's arrivals above it. */
  #levelFor(wanted: number): number {
    let sum = 0;
    for (let priority = 0; priority < ALL_PRIORITIES; priority++) {
      sum += this.#arrivals[priority] as number;
      if (sum >= wanted) return priority + 1;
    }
    return ALL_PRIORITIES;
  }
}
