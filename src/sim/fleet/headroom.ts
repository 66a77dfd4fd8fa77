/** How much more work a fleet takes until it breaks its promise: found by bisection over the load, with whole runs. */
import type { FleetResult } from './fleet-run.js';

/** The promise. */
export interface Slo {
  readonly p99Ms: number;
  readonly timeoutShare: number;
}

export interface Headroom {
  /** The highest load found at which the promise holds. */
  readonly limit: number;
  /** That, against the load asked about: 0.2 is a fifth more work; negative: it is broken already. */
  readonly headroom: number;
  readonly runs: number;
  /** The limit is known to this. */
  readonly within: number;
}

const LEAST_LOAD = 0.1;
const MOST_LOAD = 1.3;
const WITHIN = 0.02;

/** @param run - A run at a load, all else equal. */
export async function findHeadroom(
  load: number,
  slo: Slo,
  run: (load: number) => Promise<Pick<FleetResult, 'p99' | 'timeoutShare'>>,
): Promise<Headroom> {
  let runs = 0;
  const holds = async (at: number) => {
    runs++;
    const { p99, timeoutShare } = await run(at);
    return p99 <= slo.p99Ms && timeoutShare <= slo.timeoutShare;
  };
  let [low, high] = (await holds(load)) ? [load, MOST_LOAD] : [LEAST_LOAD, load];
  while (high - low > WITHIN) {
    const middle = (low + high) / 2;
    if (await holds(middle)) low = middle;
    else high = middle;
  }
  return { limit: low, headroom: low / load - 1, runs, within: WITHIN };
}
