/** The clock of a machine, as something that runs on it sees it: at the machine's rate, with the machine's calendar, held by its pauses. */
import { type Clock, sleepOn, type Timer } from '../core/clock.js';
import type { VirtualClock } from '../core/virtual-clock.js';

/** Whose clock it is. */
export interface ClockOwner {
  readonly world: VirtualClock;
  readonly clockRate: number;
  readonly wallOffsetMs: number;
}

export class SimClock implements Clock {
  readonly #machine: ClockOwner;
  readonly #world: VirtualClock;
  readonly #rate: number;
  /** Runs what a timer does, now or later or never. */
  readonly #enter: (work: () => void) => void;

  constructor(machine: ClockOwner, enter: (work: () => void) => void) {
    this.#machine = machine;
    this.#world = machine.world;
    this.#rate = machine.clockRate;
    this.#enter = enter;
  }

  now(): number {
    return this.#world.now() * this.#rate;
  }

  coarse(): number {
    return this.#world.now() * this.#rate;
  }

  wallTime(): number {
    return this.#world.wallTime() + this.#world.now() * (this.#rate - 1) + this.#machine.wallOffsetMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  timer(ms: number, fire: () => void): Timer {
    let isCancelled = false;
    const timer = this.#world.timer(ms / this.#rate, () =>
      this.#enter(() => {
        if (!isCancelled) fire();
      }),
    );
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }
}
