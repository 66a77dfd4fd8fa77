/** The fleet under the router as it comes, beside power of two choices on load headers, at one load. */
import { auto, type PickerFactory, p2c } from '../../router/pickers/index.js';
import type { Plot, Scenario, ScenarioPart, ScenarioRun } from '../scenario.js';
import { Trace } from '../trace.js';
import { FLEET } from './constants.js';
import { type FleetResult, runFleet } from './fleet-run.js';
import { findHeadroom, type Slo } from './headroom.js';

/** What the headroom is measured against. */
const SLO: Slo = { p99Ms: 300, timeoutShare: 0.005 };
const UTILIZATION = 0.85;
const MEASURE_MS = 6000;
/** Of each of the runs that look for the limit. */
const HEADROOM_MS = 2000;
const RULES: readonly { readonly name: string; readonly picker: () => PickerFactory }[] = [
  { name: 'the default router', picker: () => auto() },
  { name: 'P2C on load headers', picker: () => p2c({ load: 'reported' }) },
];
const RUN = 1;

export function fleetScenario(name: string, clients: number): Scenario {
  const of = (seed: number, picker: () => PickerFactory, utilization: number) => ({
    seed,
    clients,
    utilization,
    picker,
  });
  return {
    name,
    summary: `${FLEET.servers} uneven servers, ${clients} clients, utilisation ${UTILIZATION}: the default router and P2C on load headers`,
    async run(seed): Promise<ScenarioRun> {
      const trace = new Trace();
      const results: [name: string, result: FleetResult][] = [];
      let events = 0;
      for (const rule of RULES) {
        const result = await runFleet({ ...of(seed, rule.picker, UTILIZATION), measureMs: MEASURE_MS, withSeries: true });
        trace.noteText(RUN, 0, result.hash);
        events += result.events;
        results.push([rule.name, result]);
      }
      return {
        hash: trace.hash,
        events,
        problems: [],
        tables: [figures(results)],
        plots: plots(results),
        notes: [
          `A request slower than ${FLEET.timeoutMs} ms is a timeout. Tail: mean utilisation of the busiest 5 % of the servers; its spike: the highest second of it.`,
        ],
      };
    },
    async further(seed): Promise<ScenarioPart> {
      const rows = [];
      let runs = 0;
      let within = 0;
      for (const rule of RULES) {
        const found = await findHeadroom(UTILIZATION, SLO, (load) =>
          runFleet({ ...of(seed, rule.picker, load), measureMs: HEADROOM_MS }),
        );
        within = found.within;
        runs += found.runs;
        rows.push({ name: rule.name, values: [percent(found.headroom, 0), found.limit.toFixed(2)] });
      }
      const slo = `p99 <= ${SLO.p99Ms} ms and timeouts <= ${percent(SLO.timeoutShare, 1)}`;
      return {
        tables: [{ title: `Headroom left at the SLO (${slo})`, columns: ['more work', 'up to utilisation'], rows }],
        plots: [],
        notes: [
          `Headroom: bisection over the load to within ${within}, ${runs} runs of ${HEADROOM_MS / 1000} s each with seed ${seed}; a run is the same in all but its load. Negative: the promise is broken at ${UTILIZATION} already.`,
        ],
      };
    },
  };
}

function figures(results: readonly (readonly [string, FleetResult])[]) {
  return {
    title: `Utilisation ${UTILIZATION}`,
    columns: ['requests', 'p50', 'p99', 'p99.9', 'timeouts', 'tail utilisation', 'tail spike', 'mean', 'probes/request'],
    rows: results.map(([name, result]) => ({
      name,
      values: [
        String(result.requests),
        ...[result.p50, result.p99, result.p999].map((ms) => `${ms.toFixed(1)} ms`),
        percent(result.timeoutShare, 3),
        ...[result.tailUtilization, result.tailSpike, result.meanUtilization].map((share) => share.toFixed(3)),
        result.probesPerRequest.toFixed(2),
      ],
    })),
  };
}

function plots(results: readonly (readonly [string, FleetResult])[]): Plot[] {
  const each = (points: (result: NonNullable<FleetResult['series']>) => [number, number][]) =>
    results.map(([name, { series }]) => ({ name, points: series === undefined ? [] : points(series) }));
  const over = (values: readonly number[], windowMs: number): [number, number][] =>
    values.map((value, i) => [(i * windowMs) / 1000, value]);
  return [
    {
      title: 'Latency',
      xLabel: 'milliseconds',
      yLabel: 'share of requests',
      isXLogarithmic: true,
      series: each(({ latencies }) => latencies.map(({ fromMs, toMs, share }) => [Math.sqrt(fromMs * toMs), share])),
      marks: [{ axis: 'x', at: FLEET.timeoutMs, label: 'timeout' }],
    },
    {
      title: 'Utilisation of the busiest 5 % of the servers',
      xLabel: 'seconds',
      yLabel: 'utilisation',
      series: each(({ tail, windowMs }) => over(tail, windowMs)),
    },
    {
      title: 'Mean utilisation',
      xLabel: 'seconds',
      yLabel: 'utilisation',
      series: each(({ mean, windowMs }) => over(mean, windowMs)),
    },
    {
      title: 'Timeouts',
      xLabel: 'seconds of arrival',
      yLabel: 'timeouts in 100 ms',
      series: each(({ timeouts, windowMs }) => over(timeouts, windowMs)),
    },
  ];
}

function percent(share: number, digits: number): string {
  return `${(100 * share).toFixed(digits)} %`;
}
