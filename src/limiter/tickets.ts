/**
 * Permits without objects: a ticket is a number, slot and generation in one. Nothing is allocated while the most in flight does not rise.
 * A ticket that is used twice does nothing the second time, unless its slot was given out 8,192 times in between.
 */
import type { Outcome } from '../core/load-counter.js';
import { checkWeight, MAX_WEIGHT } from './claim.js';
import type { Gate } from './gate.js';

const SLOT_BITS = 16;
const SLOTS = 1 << SLOT_BITS;
const MASK = SLOTS - 1;
/** With the slot below it fits into what V8 keeps without a box. */
const GENERATIONS = 1 << 14;
const FIRST_SIZE = 64;
const NONE = -1;
const RANK = 1;

export class Tickets {
  readonly #gate: Gate;
  /** Not typed: weights are mostly small integers, and stay so on their way. */
  readonly #weights: number[] = new Array(FIRST_SIZE).fill(1);
  #startedAt = new Float64Array(FIRST_SIZE);
  #isTimed = new Uint8Array(FIRST_SIZE);
  /** Odd while the ticket is out. */
  #generations = new Int32Array(FIRST_SIZE);
  /** The next free slot of each free slot. */
  #next = new Int32Array(FIRST_SIZE);
  #free = NONE;
  #used = 0;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  /** -1: no permit is free. */
  enter(weight: number): number {
    const gate = this.#gate;
    if (!(weight > 0 && weight <= MAX_WEIGHT)) checkWeight(weight);
    if (!gate.level.admits(RANK, undefined)) return this.#refuse('level');
    const slot = gate.hasRoom(weight) ? this.#take() : NONE;
    if (slot === NONE) return this.#refuse('limit');
    this.#weights[slot] = weight;
    gate.begin(weight, 0, RANK);
    this.#startedAt[slot] = gate.startedAt;
    this.#isTimed[slot] = gate.isTimed ? 1 : 0;
    const generation = this.#generations[slot] as number;
    return ((generation & (GENERATIONS - 1)) << SLOT_BITS) | slot;
  }

  leave(ticket: number, outcome: Outcome): boolean {
    const slot = ticket & MASK;
    if (ticket < 0 || slot >= this.#used) return false;
    const generation = this.#generations[slot] as number;
    if ((generation & 1) === 0 || (generation & (GENERATIONS - 1)) !== ticket >> SLOT_BITS) return false;
    this.#generations[slot] = generation + 1;
    this.#next[slot] = this.#free;
    this.#free = slot;
    const gate = this.#gate;
    gate.startedAt = this.#startedAt[slot] as number;
    gate.finish(outcome, this.#weights[slot] as number, 0, this.#isTimed[slot] === 1, 0);
    return true;
  }

  #refuse(refusal: 'level' | 'limit'): number {
    this.#gate.count(refusal, RANK);
    return NONE;
  }

  #take(): number {
    let slot = this.#free;
    if (slot !== NONE) this.#free = this.#next[slot] as number;
    else if (this.#used < SLOTS) {
      if (this.#used === this.#next.length) this.#grow();
      slot = this.#used++;
    } else return NONE;
    this.#generations[slot] = (this.#generations[slot] as number) + 1;
    return slot;
  }

  #grow(): void {
    const size = 2 * this.#next.length;
    const grown = <T extends { set(from: T): void }>(larger: T, from: T): T => {
      larger.set(from);
      return larger;
    };
    this.#startedAt = grown(new Float64Array(size), this.#startedAt);
    this.#isTimed = grown(new Uint8Array(size), this.#isTimed);
    this.#generations = grown(new Int32Array(size), this.#generations);
    this.#next = grown(new Int32Array(size), this.#next);
  }
}
