/** The calls of a large fleet under the router as it comes, where memory bandwidth is short. */
import { findHeadroom, type Slo } from './fleet/headroom.js';
import { type RpcRunResult, runRpc } from './rpc-run.js';
import type { Scenario, ScenarioPart, ScenarioRun } from './scenario.js';

const SLO: Slo = { p99Ms: 600, timeoutShare: 0.005 };
const UTILIZATION = 0.6;
const MEASURE_MS = 10_000;
/** Of each of the runs that look for the limit. */
const HEADROOM_MS = 3000;

export const rpcScenario: Scenario = {
  name: 'rpc',
  summary: `calls as they are in a large fleet (10,000 methods), at servers short of memory bandwidth, utilisation ${UTILIZATION}`,
  async run(seed): Promise<ScenarioRun> {
    const result = await runRpc({ seed, utilization: UTILIZATION, measureMs: MEASURE_MS });
    return {
      hash: result.hash,
      events: result.events,
      problems: [],
      tables: [figures(result)],
      plots: [
        {
          title: 'Tail utilisation',
          xLabel: 'seconds',
          yLabel: 'use of the busiest 5 %',
          series: [{ name: 'the default router', points: result.tails.map((tail, i) => [i + 1, tail] as const) }],
        },
      ],
      notes: [
        'Work of a call at most one second. Slowdown: the time of a call over its work. Utilisation is as the operating system shows it, with what waits for memory; its tail: the mean of the busiest 5 % of the servers; its spike: the highest second of that.',
      ],
    };
  },
  async further(seed): Promise<ScenarioPart> {
    const found = await findHeadroom(UTILIZATION, SLO, (utilization) => runRpc({ seed, utilization, measureMs: HEADROOM_MS }));
    return {
      tables: [
        {
          title: `Headroom left at the SLO (p99 <= ${SLO.p99Ms} ms and timeouts <= ${100 * SLO.timeoutShare} %)`,
          columns: ['more work', 'up to utilisation'],
          rows: [{ name: 'the default router', values: [`${(100 * found.headroom).toFixed(0)} %`, found.limit.toFixed(2)] }],
        },
      ],
      plots: [],
      notes: [`Headroom: bisection over the load to within ${found.within}, ${found.runs} runs of ${HEADROOM_MS / 1000} s.`],
    };
  },
};

function figures(result: RpcRunResult) {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  return {
    title: `Utilisation ${UTILIZATION}`,
    columns: [
      'calls',
      'p50',
      'p99',
      'slowdown p50',
      'p99',
      'timeouts',
      'tail utilisation',
      'tail spike',
      'mean',
      'request',
      'response',
    ],
    rows: [
      {
        name: 'the default router',
        values: [
          String(result.requests),
          ms(result.p50),
          ms(result.p99),
          result.slowdown.p50.toFixed(2),
          result.slowdown.p99.toFixed(2),
          `${(100 * result.timeoutShare).toFixed(3)} %`,
          ...[result.tailUtilization, result.tailSpike, result.meanUtilization].map((share) => share.toFixed(3)),
          `${(result.requestBytes / 1024).toFixed(1)} KiB`,
          `${(result.responseBytes / 1024).toFixed(1)} KiB`,
        ],
      },
    ],
  };
}
