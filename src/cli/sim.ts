/** `evenkeel sim`: a named scenario in virtual time, run twice, and the page with its plots. */
import { parseArgs } from 'node:util';
import type { Scenario } from '../sim/scenario.js';
import { SCENARIOS } from '../sim/scenarios.js';
import { type Command, misuse } from './command.js';
import { reportLines, runTwice } from './sim/report.js';
import { reportPage } from './sim/report-page.js';

const DEFAULT_SEED = 1;

const help = (scenarios: readonly Scenario[]) => `usage: evenkeel sim SCENARIO [options]

Runs a scenario in virtual time, twice with one seed, and fails when the two differ in anything that happened.

${scenarios.map(({ name, summary }) => `  ${name.padEnd(20)} ${summary}`).join('\n')}

  --seed N      a whole number; the same one gives the same run. Default ${DEFAULT_SEED}
  --html FILE   where to write the page with figures and plots. Default sim-SCENARIO-SEED.html
  --no-html     write no page
  --json        print the report as JSON; a page is written with --html only
  --list        print the names of the scenarios

exit codes: 0 all is well; 1 the two runs differ, or the scenario found a fault; 2 wrongly called`;

export const simCommand: Command = simCommandOf(SCENARIOS);

export function simCommandOf(scenarios: readonly Scenario[]): Command {
  return {
    name: 'sim',
    summary: 'runs a scenario in virtual time and draws its plots',
    help: help(scenarios),
    async run(args, io) {
      let parsed: ReturnType<typeof parse>;
      try {
        parsed = parse(args);
      } catch (error) {
        return misuse(io, 'sim', error);
      }
      const { values, positionals } = parsed;
      if (values.list) {
        for (const { name } of scenarios) io.out(name);
        return 0;
      }
      const [name] = positionals;
      const scenario = scenarios.find((one) => one.name === name);
      if (positionals.length !== 1 || scenario === undefined) {
        return misuse(io, 'sim', name === undefined ? 'no scenario given' : `'${positionals.join(' ')}' is no scenario`);
      }
      const seed = Number(values.seed ?? DEFAULT_SEED);
      if (!Number.isSafeInteger(seed) || values.seed === '') {
        return misuse(io, 'sim', `--seed is '${values.seed}'; expected a whole number`);
      }
      const report = await runTwice(scenario, seed, io.version);
      if (values.json) io.out(JSON.stringify(report));
      else for (const line of reportLines(report)) io.out(line);
      for (const problem of report.problems) io.error(`seed ${seed}, trace ${report.hashes[0]}: ${problem}`);
      const page = values.html ?? (values.json || values['no-html'] ? undefined : `sim-${name}-${seed}.html`);
      if (page !== undefined) {
        try {
          await io.runtime.host.writeFile(page, new TextEncoder().encode(reportPage(report)));
          if (!values.json) io.out(`figures and plots: ${page}`);
        } catch (error) {
          io.error(`evenkeel sim: ${error instanceof Error ? error.message : error}`);
          return 1;
        }
      }
      return report.problems.length === 0 ? 0 : 1;
    },
  };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seed: { type: 'string' },
      html: { type: 'string' },
      'no-html': { type: 'boolean' },
      json: { type: 'boolean' },
      list: { type: 'boolean' },
    },
  });
}
