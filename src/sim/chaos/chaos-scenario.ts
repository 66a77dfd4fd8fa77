/** The hour of chaos, with its ledger. */
import type { Scenario, ScenarioRun } from '../scenario.js';
import { type ChaosResult, runChaos } from './chaos-run.js';

export const chaosScenario: Scenario = {
  name: 'chaos',
  summary: 'an hour of crashes, pauses, partitions, lost messages and slow machines: no call lost, none counted twice',
  async run(seed): Promise<ScenarioRun> {
    const result = await runChaos({ seed });
    const of = (value: (minute: ChaosResult['minutes'][number]) => number): [number, number][] =>
      result.minutes.map((minute, i) => [i, value(minute)]);
    const count = (counts: Readonly<Record<string, number>>) =>
      Object.entries(counts)
        .sort(([, a], [, b]) => b - a)
        .map(([name, times]) => ({ name, values: [String(times)] }));
    return {
      hash: result.hash,
      events: result.events,
      problems: result.problems,
      tables: [
        { title: `${result.calls} calls, ${result.attempts} attempts`, columns: ['calls'], rows: count(result.outcomes) },
        {
          title: 'Use of the servers, neighbours included, minute by minute',
          columns: ['tail utilisation', 'tail spike', 'mean'],
          rows: [
            {
              name: 'all clients',
              values: [result.use.tailUtilization, result.use.tailSpike, result.use.meanUtilization].map((share) =>
                share.toFixed(3),
              ),
            },
          ],
        },
        { title: 'Faults', columns: ['times'], rows: count(result.faults) },
      ],
      plots: [
        {
          title: 'Calls a minute',
          xLabel: 'minutes',
          yLabel: 'calls',
          series: [
            { name: 'settled', points: of(({ settled }) => settled) },
            { name: 'failed', points: of(({ failed }) => failed) },
            { name: 'faults', points: of(({ faults }) => faults) },
          ],
        },
      ],
      notes: [
        'Tail: the busiest 5 % of the servers, one of six. No headroom is looked for: what is broken here decides, not the load.',
        'Calls of a process that died are neither settled nor failed: nobody is there to be told.',
      ],
    };
  },
};
