/** A worker of a language model that keeps the blocks it last worked on, and what is told of a fleet of them. */
import { type ArrivedCall, type createSimulation, ProcessorSharing } from 'evenkeel/sim';
import { median } from '../support/paired.js';

export const WORKERS = 8;
const SLOTS = 4;

export interface Run {
  readonly hitRate: number;
  /** Busiest worker's work over the mean. */
  readonly imbalance: number;
  readonly p99: number;
}

export interface WorkerRequest {
  readonly chain: readonly string[];
  /** Work to compute a block that is not held, and for the answer. */
  readonly blockMs: number;
  readonly decodeMs: number;
}

export class Worker {
  readonly name: string;
  asked = 0;
  held = 0;
  workMs = 0;
  readonly #processor: ProcessorSharing;
  readonly #requestOf: (path: string) => WorkerRequest;
  readonly #cacheBlocks: number;
  /** Least recently used first. */
  readonly #blocks = new Set<string>();

  /** @param requestOf - What a path asks for. */
  constructor(
    simulation: ReturnType<typeof createSimulation>,
    index: number,
    requestOf: (path: string) => WorkerRequest,
    cacheBlocks: number,
  ) {
    this.#requestOf = requestOf;
    this.#cacheBlocks = cacheBlocks;
    this.name = `worker-${index}`;
    this.#processor = new ProcessorSharing(simulation.clock, { slots: SLOTS });
    const { process } = simulation.machine(this.name);
    simulation.calls(process).listen(`sim://${this.name}`, (call) => this.#serve(call));
  }

  reset(): void {
    this.asked = 0;
    this.held = 0;
    this.workMs = 0;
  }

  #serve(call: ArrivedCall): void {
    const { chain, blockMs, decodeMs } = this.#requestOf(call.request.path);
    let held = 0;
    while (held < chain.length && this.#blocks.has(chain[held] as string)) held++;
    for (const block of chain) {
      this.#blocks.delete(block);
      this.#blocks.add(block);
    }
    for (const block of this.#blocks) {
      if (this.#blocks.size <= this.#cacheBlocks) break;
      this.#blocks.delete(block);
    }
    const workMs = decodeMs + (chain.length - held) * blockMs;
    this.asked += chain.length;
    this.held += held;
    this.workMs += workMs;
    this.#processor.start(workMs, () => call.answer(200, []));
  }
}

export function line(name: string, settings: string, runs: readonly Run[]) {
  const of = (read: (run: Run) => number) => median(runs.map(read));
  return {
    name,
    version: 'simulated',
    settings,
    measured: `hit rate ${(100 * of(({ hitRate }) => hitRate)).toFixed(1)} %, busiest over mean ${of(({ imbalance }) => imbalance).toFixed(2)}, p99 ${of(({ p99 }) => p99).toFixed(0)} ms`,
  };
}
