/** The fleet with half as much work again as it can do: routers that retry, servers without a limiter and with one each. */
import { auto } from '../../router/pickers/index.js';
import type { Scenario, ScenarioRun } from '../scenario.js';
import { Trace } from '../trace.js';
import { FLEET } from './constants.js';
import { type FleetMachines, type FleetResult, type FleetRunOptions, runFleet } from './fleet-run.js';

const UTILIZATION = 1.5;
const MEASURE_MS = 3000;
const SERVERS = 15;
const MACHINES: FleetMachines = {
  speeds: Array.from({ length: SERVERS }, (_, server) => FLEET.speeds[server % FLEET.speeds.length] as number),
  antagonistOf: () => FLEET.antagonist,
};
const SIDES: readonly { readonly name: string; readonly options: Pick<FleetRunOptions, 'limiter'> }[] = [
  { name: 'no limit', options: {} },
  { name: 'a limiter each', options: { limiter: {} } },
];
const RUN = 1;
/** Of what the fleet can do, with a limiter at each server. */
const LEAST_GOODPUT = 0.8;

export const fleetOverloadScenario: Scenario = {
  name: 'fleet-overload',
  summary: `${SERVERS} uneven servers with ${UTILIZATION} times the work they can do, routers that retry: without limiters and with them`,
  async run(seed): Promise<ScenarioRun> {
    const trace = new Trace();
    const results: [name: string, result: FleetResult][] = [];
    let events = 0;
    for (const { name, options } of SIDES) {
      const result = await runFleet({
        seed,
        clients: 10,
        machines: MACHINES,
        utilization: UTILIZATION,
        picker: () => auto(),
        measureMs: MEASURE_MS,
        isIdempotent: true,
        router: { retry: {}, ejection: {} },
        ...options,
      });
      trace.noteText(RUN, 0, result.hash);
      events += result.events;
      results.push([name, result]);
    }
    const goodput = results.at(-1)?.[1].goodput ?? 0;
    return {
      hash: trace.hash,
      events,
      problems: goodput < LEAST_GOODPUT ? [`goodput with limiters is ${goodput.toFixed(2)}`] : [],
      tables: [
        {
          title: `Utilisation ${UTILIZATION}`,
          columns: ['requests', 'goodput', 'p50', 'p99'],
          rows: results.map(([name, result]) => ({
            name,
            values: [
              String(result.requests),
              `${(100 * result.goodput).toFixed(1)} %`,
              ...[result.p50, result.p99].map((ms) => `${ms.toFixed(1)} ms`),
            ],
          })),
        },
      ],
      plots: [],
      notes: [
        `Goodput: work of what was answered within ${FLEET.timeoutMs} ms, as a share of what the servers can do. Times are of all that ended, refusals too.`,
      ],
    };
  },
};
