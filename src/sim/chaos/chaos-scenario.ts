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
      notes: ['Calls of a process that died are neither settled nor failed: nobody is there to be told.'],
    };
  },
};
