/**
 * Those who would begin more work and wait until there is room: the readers of queues and streams. The most critical first, and of them whoever came
 * first.
 */
import { CRITICALITIES } from '../core/call-context.js';
import type { Clock, Timer } from '../core/clock.js';
import { COHORTS } from '../core/cohort.js';
import type { Gate } from './gate.js';
import { cancelledError } from './refusal.js';

export interface RoomWanted {
  readonly weight: number;
  readonly rank: number;
}

/** Between two looks while somebody waits: a level that rises since nobody comes any more tells nobody. A period of the level. */
const LOOK_EVERY_MS = 250;

export class RoomWaiters {
  readonly #gate: Gate;
  readonly #clock: Clock;
  /** By rank. */
  readonly #waiting = CRITICALITIES.map(() => new Set<RoomWaiter>());
  #next: Timer | undefined;

  constructor(gate: Gate, clock: Clock) {
    this.#gate = gate;
    this.#clock = clock;
  }

  get isEmpty(): boolean {
    return this.#waiting.every(({ size }) => size === 0);
  }

  /** Resolves when there is room and nobody waits for it who goes before. */
  async ready(wanted: RoomWanted, signal: AbortSignal | undefined): Promise<void> {
    const { rank, weight } = wanted;
    const isNext = this.#waiting.every(({ size }, other) => other > rank || size === 0);
    if (isNext && this.#isAdmitted(rank) && this.#gate.hasRoom(weight)) return;
    if (signal?.aborted) throw cancelledError(signal);
    this.#gate.isAwaited = true;
    const woken = this.#wait(wanted, signal);
    this.#wakeLater(LOOK_EVERY_MS);
    await woken;
  }

  /** One after the other, each with time to take what it was woken for: it may find that it has no work, or there may be room for more. */
  wake(): void {
    for (const [rank, waiting] of this.#waiting.entries()) {
      const [first] = waiting;
      if (first === undefined || !this.#isAdmitted(rank)) continue;
      if (!this.#gate.hasRoom(first.wanted.weight)) return;
      first.settle();
      this.#wakeLater(0);
      return;
    }
  }

  fail(error: Error): void {
    this.#next?.cancel();
    this.#next = undefined;
    for (const waiting of this.#waiting) for (const waiter of waiting) waiter.settle(error);
  }

  #wait(wanted: RoomWanted, signal: AbortSignal | undefined): Promise<void> {
    const waiting = this.#waiting[wanted.rank] as Set<RoomWaiter>;
    return new Promise((resolve, reject) => {
      const waiter: RoomWaiter = {
        wanted,
        settle: (error) => {
          waiting.delete(waiter);
          signal?.removeEventListener('abort', onAbort);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      const onAbort = () => {
        waiter.settle(cancelledError(signal));
        // There may be room for the next, who wants less.
        this.wake();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      waiting.add(waiter);
    });
  }

  /** Calls of that criticality are not turned away at the door, or not all. */
  #isAdmitted(rank: number): boolean {
    return this.#gate.level.value > rank * COHORTS;
  }

  #wakeLater(ms: number): void {
    if (this.isEmpty) return;
    if (ms === 0) this.#next?.cancel();
    else if (this.#next !== undefined) return;
    const look = () => {
      this.#next = undefined;
      this.wake();
      this.#wakeLater(LOOK_EVERY_MS);
    };
    this.#next = this.#clock.timer(ms, look, ms === 0);
  }
}

interface RoomWaiter {
  readonly wanted: RoomWanted;
  settle(error?: Error): void;
}
