/**
 * Work in flight, counted at dispatch and given back at its true end.
 *
 * When does work end? When its last byte is out or its failure is known: the end of a stream, not the first answer. A count taken
 * at dispatch has no lag; gauges scraped from servers trail it by seconds.
 */
import type { Clock } from './clock.js';
import { checkNumber } from './errors.js';

export type LoadUnit = 'calls' | 'tokens' | 'blocks' | 'bytes' | 'milliseconds';

/** How work ended. `dropped`: turned away for lack of room; `ignored`: says nothing of the server (the caller went away). */
export type Outcome = 'ok' | 'error' | 'dropped' | 'ignored';

export interface LoadCounter {
  readonly key: string;
  readonly unit: LoadUnit;
  /** What can be in flight at once, in `unit`; Infinity when unknown. */
  capacity: number;
  /** Counts `weight` (default 1) as in flight from now on. Allocates the handle only. */
  begin(weight?: number): InFlight;
  read(): LoadSample;
}

export interface InFlight {
  /** Corrects an estimate while the work runs; after the end it does nothing. */
  reweigh(weight: number): void;
  /** Ends the work; the first call counts, later ones do nothing. Default `'ok'`. */
  end(outcome?: Outcome): void;
}

export interface LoadSample {
  /** Pieces of work. */
  readonly inFlight: number;
  /** Their sum, in the counter's unit. */
  readonly weight: number;
  readonly capacity: number;
  /** weight / capacity; 0 while the capacity is unknown; may exceed 1. */
  readonly utilization: number;
  /** Pieces ended per second, over the last one to two seconds. */
  readonly ratePerSecond: number;
  /** Of these, ended as `error` or `dropped`. */
  readonly errorsPerSecond: number;
  /** Mean time in flight of those that ended well over the last one to two seconds, milliseconds; the last known mean when there were none. */
  readonly latencyMs: number;
  /** Clock.now(). */
  readonly atMs: number;
}

const WINDOW_MS = 1000;

/** The counter itself, with the inner forms that hot paths of the library use: no handle, the caller keeps weight and start. */
export class WorkCounter implements LoadCounter {
  readonly key: string;
  readonly unit: LoadUnit;
  capacity: number;
  /** Read-only for everyone else; plain fields because pickers read them at every call. */
  inFlight = 0;
  weight = 0;
  /** Of the work that `leaveAt` ends: readings of the clock, when it began and now. */
  beganAt = 0;
  endedAt = 0;
  readonly #clock: Clock;
  // The window that runs, in the counter itself: each end of work touches one object.
  #startMs: number;
  #ended = 0;
  #failed = 0;
  /** Sum over those that ended well. */
  #latencyMs = 0;
  readonly #previous = { lengthMs: 0, ended: 0, failed: 0, latencyMs: 0 };
  #lastLatencyMs = 0;

  constructor(clock: Clock, key: string, unit: LoadUnit, capacity: number) {
    this.#clock = clock;
    this.key = key;
    this.unit = unit;
    this.capacity = capacity;
    this.#startMs = clock.now();
  }

  begin(weight = 1): InFlight {
    checkNumber('weight', weight, 0);
    this.enter(weight);
    return new CountedWork(this, weight, this.#clock.now());
  }

  read(): LoadSample {
    const now = this.#clock.now();
    if (now - this.#startMs >= WINDOW_MS) this.#roll(now);
    const previous = this.#previous;
    const seconds = Math.max(previous.lengthMs + now - this.#startMs, WINDOW_MS) / 1000;
    const ended = this.#ended + previous.ended;
    const failed = this.#failed + previous.failed;
    if (ended > failed) this.#lastLatencyMs = (this.#latencyMs + previous.latencyMs) / (ended - failed);
    return {
      inFlight: this.inFlight,
      weight: this.weight,
      capacity: this.capacity,
      utilization: this.capacity === Number.POSITIVE_INFINITY ? 0 : this.weight / this.capacity,
      ratePerSecond: ended / seconds,
      errorsPerSecond: failed / seconds,
      latencyMs: this.#lastLatencyMs,
      atMs: now,
    };
  }

  /** Inner form of begin: allocates nothing, checks nothing. */
  enter(weight: number): void {
    this.inFlight++;
    this.weight += weight;
  }

  /** Inner form of end. `now` and `startedAt` are the caller's readings of the clock. */
  leave(weight: number, outcome: Outcome, startedAt: number, now: number): void {
    this.beganAt = startedAt;
    this.endedAt = now;
    this.leaveAt(weight, outcome);
  }

  /** As `leave`, with both readings in their fields: where a call is not inlined, a number with a fraction costs an object as an argument. */
  leaveAt(weight: number, outcome: Outcome): void {
    this.inFlight--;
    // Sums of fractions drift; an idle counter reads exactly 0.
    this.weight = this.inFlight === 0 ? 0 : this.weight - weight;
    if (outcome === 'ignored') return;
    const now = this.endedAt;
    if (now - this.#startMs >= WINDOW_MS) this.#roll(now);
    this.#ended++;
    if (outcome === 'ok') this.#latencyMs += now - this.beganAt;
    else this.#failed++;
  }

  /** As `leave`, reading the clock itself. */
  finish(weight: number, outcome: Outcome, startedAt: number): void {
    this.leave(weight, outcome, startedAt, this.#clock.now());
  }

  /** Inner form of reweigh. */
  adjust(difference: number): void {
    this.weight += difference;
  }

  /** The window is over. After a long silence what is in it is old: the rate over the whole silence is the truth. */
  #roll(now: number): void {
    const previous = this.#previous;
    const timed = this.#ended - this.#failed;
    if (timed > 0) this.#lastLatencyMs = this.#latencyMs / timed;
    previous.lengthMs = now - this.#startMs;
    previous.ended = this.#ended;
    previous.failed = this.#failed;
    previous.latencyMs = this.#latencyMs;
    this.#startMs = now;
    this.#ended = 0;
    this.#failed = 0;
    this.#latencyMs = 0;
  }
}

class CountedWork implements InFlight {
  readonly #counter: WorkCounter;
  readonly #startedAt: number;
  #weight: number;
  #isOpen = true;

  constructor(counter: WorkCounter, weight: number, startedAt: number) {
    this.#counter = counter;
    this.#weight = weight;
    this.#startedAt = startedAt;
  }

  reweigh(weight: number): void {
    if (!this.#isOpen) return;
    checkNumber('weight', weight, 0);
    this.#counter.adjust(weight - this.#weight);
    this.#weight = weight;
  }

  end(outcome: Outcome = 'ok'): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#counter.finish(this.#weight, outcome, this.#startedAt);
  }
}
