/**
 * Three ways into an overload that outlasts its cause: more requests for a while, a slower server for a while, and clients that repeat what
 * failed. Each is run without a limiter, with the limiter as it comes, and with clients that hold back by the throttle as it comes besides.
 * @see Huang et al., "Metastable Failures in the Wild", OSDI'22: a trigger, its removal, and whether goodput comes back
 */
import type { Plot, Scenario, ScenarioRun } from '../scenario.js';
import { Trace } from '../trace.js';
import { limiterAdmission } from './limiter-admission.js';
import type { Admission, OverloadClient, OverloadPhase, OverloadResult, OverloadServer, PhaseResult } from './overload.js';
import { runOverload } from './overload-run.js';
import { recoveryMs } from './recovery.js';
import { throttledClient } from './throttled-client.js';

interface Side {
  readonly name: string;
  readonly admission: () => (server: OverloadServer) => Admission;
  readonly throttle?: OverloadClient['throttle'];
}

interface Overload {
  readonly name: string;
  readonly summary: string;
  readonly phases: readonly OverloadPhase[];
  readonly client?: Partial<OverloadClient>;
  /** Index of the phase in which the trigger is gone. */
  readonly after: number;
}

const OVERLOADS: readonly Overload[] = [
  {
    name: 'overload-spike',
    summary: 'ten times the load for 20 s, clients that retry three times: does goodput hold, and come back',
    phases: [
      { load: 0.7, forMs: 5000 },
      { load: 10, forMs: 20_000 },
      { load: 0.7, forMs: 15_000 },
    ],
    after: 2,
  },
  {
    name: 'overload-dip',
    summary: 'a server that is three times slower for 8 s at a load of 0.85: does goodput come back',
    phases: [
      { load: 0.85, forMs: 5000 },
      { load: 0.85, forMs: 8000, speed: 1 / 3 },
      { load: 0.85, forMs: 20_000 },
    ],
    after: 2,
  },
  {
    name: 'overload-retries',
    summary: 'twice the load for 2 s, clients that retry ten times: a short trigger, kept alive by repeats',
    phases: [
      { load: 0.8, forMs: 5000 },
      { load: 2, forMs: 2000 },
      { load: 0.8, forMs: 20_000 },
    ],
    client: { retries: 10 },
    after: 2,
  },
];

const SIDES: readonly Side[] = [
  { name: 'no limit', admission: () => () => ({ arrive: (arrival) => arrival.serve(() => {}) }) },
  { name: 'the limiter', admission: () => limiterAdmission() },
  { name: 'the limiter and the client throttle', admission: () => limiterAdmission(), throttle: throttledClient() },
];

export const overloadScenarios: readonly Scenario[] = OVERLOADS.map((overload) => ({
  name: overload.name,
  summary: overload.summary,
  run: async (seed) => runScenario(overload, seed),
}));

function runScenario({ after, client, phases }: Overload, seed: number): ScenarioRun {
  const trace = new Trace();
  const results: [name: string, result: OverloadResult][] = [];
  let events = 0;
  for (const { admission, name, throttle } of SIDES) {
    const result = runOverload({ seed, phases, client: { ...client, ...(throttle && { throttle }) }, admission: admission() });
    trace.noteText(RUN, 0, result.hash);
    events += result.events;
    results.push([name, result]);
  }
  const fromMs = phases.slice(0, after).reduce((sum, { forMs }) => sum + forMs, 0);
  const expected = (phases[after] as OverloadPhase).load;
  const isWell = (result: OverloadResult) => recoveryMs(result, fromMs, expected) !== Number.POSITIVE_INFINITY;
  return {
    hash: trace.hash,
    events,
    problems: results.slice(1).flatMap(([name, result]) => (isWell(result) ? [] : [`${name}: goodput does not come back`])),
    tables: [
      {
        title: 'Goodput, as a share of what the server can do, and p99 of what was answered in time',
        columns: [
          ...phases.map(({ load, speed = 1 }) => `${load}x${speed === 1 ? '' : ` at ${speed.toFixed(2)} speed`}`),
          'p99',
          'attempts at the server',
          'well again after',
        ],
        rows: results.map(([name, result]) => ({
          name,
          values: [
            ...result.phases.map(({ goodput }) => `${(100 * goodput).toFixed(1)} %`),
            `${result.phases[1]?.p99.toFixed(0)} ms`,
            attemptsOf(result.phases[1] as PhaseResult),
            seconds(recoveryMs(result, fromMs, expected)),
          ],
        })),
      },
    ],
    plots: plots(results, fromMs),
    notes: [
      'Attempts: of the requests of the overload, retries included, as a multiple of what the server can do at full speed meanwhile.',
      'Well again: goodput is back at 95 % of the load, over two seconds and over all that follows. A refusal costs the server a thousandth of a mean request; a client that gives up does not stop its work.',
    ],
  };
}

const RUN = 1;

function seconds(ms: number): string {
  return ms === Number.POSITIVE_INFINITY ? 'never' : `${(ms / 1000).toFixed(2)} s`;
}

function attemptsOf({ attempts, load, offered }: PhaseResult): string {
  return `${((load * attempts) / offered).toFixed(2)}x`;
}

function plots(results: readonly (readonly [string, OverloadResult])[], fromMs: number): Plot[] {
  const over = (values: readonly number[], windowMs: number) =>
    values.flatMap((value, i) => (Number.isNaN(value) ? [] : [[((i + 1) * windowMs) / 1000, value] as const]));
  const marks = [{ axis: 'x', at: fromMs / 1000, label: 'the trigger is gone' }] as const;
  return [
    {
      title: 'Goodput',
      xLabel: 'seconds',
      yLabel: 'share of what the server can do',
      series: results.map(([name, { goodput, windowMs }]) => ({ name, points: over(goodput, windowMs) })),
      marks,
    },
    {
      title: 'Limit',
      xLabel: 'seconds',
      yLabel: 'calls at once; the server has 8 slots',
      series: results.slice(1).map(([name, { limits, windowMs }]) => ({ name, points: over(limits, windowMs) })),
      marks,
    },
  ];
}
