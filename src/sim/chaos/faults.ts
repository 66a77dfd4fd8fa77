/**
 * What goes wrong in an hour of chaos: one fault after another, of random kinds, at random moments, for random times. Each heals by
 * itself, and two may be there at once.
 */
import type { Random } from '../../core/random.js';
import { exponential, uniform } from '../distributions.js';
import type { SimMachine } from '../machine.js';
import type { Simulation } from '../simulation.js';
import type { Pauses } from './pauses.js';

/** Means, milliseconds. */
const LASTS_MS = { down: 4000, pause: 1200, cut: 4000, noise: 5000, slow: 8000 } as const;
const MOST_JUMP_MS = 3_600_000;

/** A machine whose processors somebody else can take. */
export interface Slowable {
  readonly machine: SimMachine;
  slow(share: number): void;
}

export interface FaultOptions {
  readonly simulation: Simulation;
  readonly machines: readonly SimMachine[];
  readonly slowable: readonly Slowable[];
  readonly pauses: Pauses;
  /** Between two faults, on average. */
  readonly everyMs: number;
  /** Trace. */
  note(kind: string, machine: string): void;
}

export class Faults {
  readonly counts: Record<string, number> = {};
  readonly #options: FaultOptions;
  readonly #random: Random;
  readonly #planned: (() => void)[] = [];
  #isOver = false;
  /** Noise on the links: one at a time. */
  #isNoisy = false;

  constructor(options: FaultOptions) {
    this.#options = options;
    this.#random = options.simulation.random.fork('faults');
    // However a process dies, another follows.
    for (const machine of options.machines) {
      machine.onBoot((process) => {
        process.onKill(() => this.#after(LASTS_MS.down, () => machine.isUp || machine.boot()));
      });
    }
    this.#next();
  }

  /** No more of them; what is there ends. */
  stop(): void {
    this.#isOver = true;
    for (const cancel of this.#planned) cancel();
  }

  #next(): void {
    this.#after(this.#options.everyMs, () => {
      if (this.#isOver) return;
      this.#strike();
      this.#next();
    });
  }

  #strike(): void {
    const kinds = Object.entries(this.#kinds);
    const [kind, strike] = kinds[this.#random.int(kinds.length)] as (typeof kinds)[number];
    const machine = this.#pick(this.#options.machines);
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    this.#options.note(kind, machine.name);
    strike(machine);
  }

  readonly #kinds: Record<string, (machine: SimMachine) => void> = {
    crash: (machine) => machine.crash(),
    'crash at an operation': (machine) => {
      if (!machine.isUp) return;
      const side = this.#random.next() < 0.5 ? 'before' : 'after';
      this.#planned.push(machine.process.crashAtOperation(1 + this.#random.int(20), side));
    },
    pause: (machine) => this.#options.pauses.pause(machine, exponential(LASTS_MS.pause)(this.#random)),
    'cut one way': (machine) => this.#cut([[machine.name, '*']]),
    'cut off': (machine) =>
      this.#cut([
        [machine.name, '*'],
        ['*', machine.name],
      ]),
    'cut two apart': (machine) => this.#cut([[machine.name, this.#pick(this.#options.machines).name]]),
    noise: () => this.#noise(),
    'calendar jump': (machine) => machine.jumpWallTime((2 * this.#random.next() - 1) * MOST_JUMP_MS),
    slow: () => {
      const slowable = this.#pick(this.#options.slowable);
      slowable.slow(uniform(0.5, 0.95)(this.#random));
      this.#after(LASTS_MS.slow, () => slowable.slow(0));
    },
  };

  #cut(directions: readonly (readonly [from: string, to: string])[]): void {
    const { network } = this.#options.simulation;
    for (const [from, to] of directions) network.cut(from, to);
    this.#after(LASTS_MS.cut, () => {
      for (const [from, to] of directions) network.heal(from, to);
    });
  }

  #noise(): void {
    if (this.#isNoisy) return;
    this.#isNoisy = true;
    const { network } = this.#options.simulation;
    const share = () => 0.1 * this.#random.next();
    network.setDefault({ loss: share(), duplicate: share(), latencyMs: exponential(1 + 20 * this.#random.next()) });
    this.#after(LASTS_MS.noise, () => {
      this.#isNoisy = false;
      network.setDefault({ loss: 0, duplicate: 0, latencyMs: 0.5 });
    });
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random.int(from.length)] as T;
  }

  #after(meanMs: number, act: () => void): void {
    this.#options.simulation.clock.timer(exponential(meanMs)(this.#random), act);
  }
}
