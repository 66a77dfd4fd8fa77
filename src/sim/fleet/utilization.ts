/**
 * How busy the servers are, second by second: the tail (the mean of the busiest 5 %), which decides how much headroom a fleet needs.
 * @see Meta, "Taming the tail utilization of ads inference"
 */
import type { Timer } from '../../core/clock.js';
import type { VirtualClock } from '../../core/virtual-clock.js';
import type { SimMachine } from '../machine.js';
import type { Processor } from '../processor.js';

const WINDOW_MS = 1000;
const TAIL_SHARE = 0.05;

export interface FleetUse {
  readonly tailUtilization: number;
  readonly tailSpike: number;
  readonly meanUtilization: number;
}

/** What of a server is measured. */
export interface MeteredServer {
  readonly machine: SimMachine;
  readonly processor: Pick<Processor, 'cpuMs'>;
}

export class UtilizationMeter {
  readonly #clock: VirtualClock;
  readonly #servers: readonly MeteredServer[];
  readonly #windowMs: number;
  #last: number[] = [];
  #atMs = 0;
  #timer: Timer | undefined;
  /** Of each window. */
  readonly tails: number[] = [];
  readonly means: number[] = [];

  constructor(clock: VirtualClock, servers: readonly MeteredServer[], windowMs = WINDOW_MS) {
    this.#clock = clock;
    this.#servers = servers;
    this.#windowMs = windowMs;
  }

  start(): void {
    this.#last = this.#servers.map(({ processor }) => processor.cpuMs);
    this.#atMs = this.#clock.now();
    this.#timer = this.#clock.timer(this.#windowMs, this.#onWindow);
  }

  stop(): FleetUse {
    this.#timer?.cancel();
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
    return {
      tailUtilization: mean(this.tails),
      tailSpike: Math.max(0, ...this.tails),
      meanUtilization: mean(this.means),
    };
  }

  readonly #onWindow = (): void => {
    const now = this.#clock.now();
    const elapsed = now - this.#atMs;
    const uses = this.#servers.map(({ processor, machine }, index) => {
      const cpuMs = processor.cpuMs;
      const use = (cpuMs - (this.#last[index] as number)) / (elapsed * machine.host.processors);
      this.#last[index] = cpuMs;
      return use;
    });
    uses.sort((a, b) => b - a);
    const tail = uses.slice(0, Math.max(1, Math.round(uses.length * TAIL_SHARE)));
    this.tails.push(tail.reduce((sum, use) => sum + use, 0) / tail.length);
    this.means.push(uses.reduce((sum, use) => sum + use, 0) / uses.length);
    this.#atMs = now;
    this.#timer = this.#clock.timer(this.#windowMs, this.#onWindow);
  };
}
