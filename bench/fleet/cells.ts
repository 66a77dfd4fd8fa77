/** Cells of the fleet's table: a policy, a number of clients, a load, a seed. Run once each, by as many processes as there are processors. */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import type { FleetResult } from 'evenkeel/sim';
import { startChild } from '../support/child.js';
import type { PolicyName } from './policies.js';

export interface Cell {
  readonly policy: PolicyName;
  readonly clients: number;
  readonly utilization: number;
  readonly seed: number;
}

export interface CellResult extends FleetResult {
  /** CPU time of the simulation for one request, whatever took it. */
  readonly cpuUs: number;
}

export class Cells {
  readonly #results = new Map<string, CellResult>();
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  get(cell: Cell): CellResult {
    return this.#results.get(keyOf(cell)) as CellResult;
  }

  /** One result a seed. */
  all(policy: PolicyName, clients: number, utilization: number, seeds: readonly number[]): CellResult[] {
    return seeds.map((seed) => this.get({ policy, clients, utilization, seed }));
  }

  /** Runs those that have not been run yet. */
  async run(cells: readonly Cell[]): Promise<void> {
    const queue = [...new Map(cells.map((cell) => [keyOf(cell), cell])).values()].filter(
      (cell) => !this.#results.has(keyOf(cell)),
    );
    const total = queue.length;
    let done = 0;
    // The longest first, or one process ends long after the others.
    queue.sort((a, b) => b.clients * b.utilization - a.clients * a.utilization);
    const work = async () => {
      await using child = await startChild<string>(new URL('./cell-worker.mjs', import.meta.url), []);
      for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
        child.process.send(cell);
        const [result] = (await once(child.process, 'message')) as [CellResult];
        this.#results.set(keyOf(cell), result);
        if (++done % REPORT_EVERY === 0) this.#say(`fleet: ${done} of ${total} cells`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), total) }, work));
  }
}

const REPORT_EVERY = 25;

function keyOf({ policy, clients, utilization, seed }: Cell): string {
  return `${policy} ${clients} ${utilization} ${seed}`;
}
