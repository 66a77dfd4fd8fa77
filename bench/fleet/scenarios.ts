/** Scenarios side by side, as many as there are processors: each is deterministic, whatever runs beside it. */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { startChild } from '../support/child.js';
import type { Claim, SuiteOptions } from '../support/claim.js';

/** The longest first. */
export const SCENARIO_IDS = ['F6', 'F5', 'F4', 'F9', 'F8', 'F7'] as const;

export async function scenarios(ids: readonly string[], options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const queue = [...ids];
  const work = async () => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      await using child = await startChild<string>(new URL('./scenario-worker.mjs', import.meta.url), [
        id,
        String(options.seed),
        options.trace ?? '',
      ]);
      child.process.on('message', (claim) => onClaim(claim as Claim));
      const [code] = await once(child.process, 'exit');
      if (code !== 0) throw new Error(`${id} ended with ${code}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), ids.length) }, work));
}
