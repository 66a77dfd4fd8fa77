/** A server's own load as it tells it: what its board counts, and what its requests have been learned to cost. */
import { type LoadReport, OUTSTANDING_MS, UNIT_MS } from '../core/load-report.js';
import type { Runtime } from '../core/runtime.js';
import { RequestCosts } from './request-costs.js';

export class ServerLoad {
  readonly runtime: Runtime;
  readonly costs: RequestCosts;

  /** @param capacity - Requests it works on at once; default: as many as it has processors. */
  constructor(runtime: Runtime, capacity: number | undefined) {
    this.runtime = runtime;
    runtime.load.counter('host', capacity === undefined ? {} : { capacity });
    const { host, clock } = runtime;
    this.costs = new RequestCosts(clock, () => capacity ?? host.parallelism());
  }

  /** The report as of now, with the counters `keys` (default: all that are busy) and the cost of requests of that class. */
  report(keys: readonly string[] | undefined, ofClass: string | undefined): LoadReport {
    const { costs, runtime } = this;
    const unitMs = costs.unitMs(ofClass);
    if (unitMs === 0) return runtime.load.report(keys);
    const report = runtime.load.report(keys === undefined ? undefined : [OUTSTANDING_MS, ...keys]);
    const slowness = costs.slowness();
    const namedMetrics = { ...report.namedMetrics };
    namedMetrics[OUTSTANDING_MS] = (namedMetrics[OUTSTANDING_MS] ?? 0) * slowness;
    return { ...report, requestCost: { [UNIT_MS]: unitMs * slowness }, namedMetrics };
  }
}
