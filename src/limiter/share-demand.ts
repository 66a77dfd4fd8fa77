/**
 * What an instance could use of a quota: what is in flight, what waits, and what those calls would have been that were refused for lack of it: as many as
 * came in the time that one takes. The most of the last period counts, or a quick call would be missed between two looks.
 */
import type { Clock } from '../core/clock.js';
import type { Gate } from './gate.js';
import { REFUSAL_NAMES, type Refusal } from './refusal.js';

const FOR_ROOM: readonly Refusal[] = ['limit', 'full', 'evicted', 'waited', 'level'];
const RANKS = 4;
const SAMPLES = 4;

export class ShareDemand {
  readonly #gate: Gate;
  readonly #clock: Clock;
  readonly #samples = new Float64Array(SAMPLES);
  #next = 0;
  #refused = 0;
  #atMs: number;

  constructor(gate: Gate, clock: Clock) {
    this.#gate = gate;
    this.#clock = clock;
    this.#atMs = clock.now();
  }

  /** In units of the limit. To be asked `SAMPLES` times a period. */
  sample(): number {
    const { inFlight, meter, queuedWeight, weight } = this.#gate;
    const now = this.#clock.now();
    const refused = this.#refusedSoFar();
    const more = refused - this.#refused;
    const elapsedMs = Math.max(1, now - this.#atMs);
    const mean = inFlight === 0 ? 1 : weight / inFlight;
    this.#refused = refused;
    this.#atMs = now;
    // How long a call takes is not known at first: then each stands for one that would be in flight now.
    const share = meter.typicalMs === 0 ? 1 : meter.typicalMs / elapsedMs;
    const turnedAway = more === 0 ? 0 : Math.max(1, more * share) * mean;
    this.#samples[this.#next] = weight + queuedWeight + turnedAway;
    this.#next = (this.#next + 1) % SAMPLES;
    return Math.max(...this.#samples);
  }

  #refusedSoFar(): number {
    let sum = 0;
    for (const reason of FOR_ROOM) {
      const first = REFUSAL_NAMES.indexOf(reason) * RANKS;
      for (let rank = 0; rank < RANKS; rank++) sum += this.#gate.refusals[first + rank] as number;
    }
    return sum;
  }
}
