/** Runs of an overload, by as many processes as there are processors; each is run once. */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import type { OverloadPhase, OverloadResult } from 'evenkeel/sim';
import { startChild } from '../support/child.js';
import type { PolicyName } from './policies.js';

export type WorkName = 'log-normal' | 'bimodal';

export interface Job {
  readonly policy: PolicyName;
  readonly slots: number;
  readonly work: WorkName;
  readonly refusalShare: number;
  readonly phases: readonly OverloadPhase[];
  readonly seed: number;
  readonly criticalShare?: number;
  /** Clients hold back by themselves, too. */
  readonly isThrottled?: boolean;
}

export class Jobs {
  readonly #results = new Map<string, OverloadResult>();
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  get(job: Job): OverloadResult {
    return this.#results.get(JSON.stringify(job)) as OverloadResult;
  }

  async run(jobs: readonly Job[]): Promise<void> {
    const queue = [...new Map(jobs.map((job) => [JSON.stringify(job), job])).entries()].filter(
      ([key]) => !this.#results.has(key),
    );
    const total = queue.length;
    let done = 0;
    queue.sort(([, a], [, b]) => costOf(b) - costOf(a));
    const work = async () => {
      await using child = await startChild<string>(new URL('./job-worker.mjs', import.meta.url), []);
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [key, job] = next;
        child.process.send(job);
        const [result] = (await once(child.process, 'message')) as [OverloadResult];
        this.#results.set(key, result);
        if (++done % REPORT_EVERY === 0) this.#say(`limiter: ${done} of ${total} runs`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), total) }, work));
  }
}

const REPORT_EVERY = 100;

/** The longest first, or one process ends long after the others. */
function costOf({ phases, slots }: Job): number {
  return slots * phases.reduce((sum, { forMs, load }) => sum + forMs * load, 0);
}
