/** What a scenario came to, twice run: for the terminal, for programs, for the page. */
import type { Plot, Scenario, Table } from '../../sim/scenario.js';

export interface SimReport {
  readonly scenario: string;
  readonly summary: string;
  readonly version: string;
  readonly seed: number;
  /** Of the two runs. */
  readonly hashes: readonly [string, string];
  readonly events: number;
  readonly problems: readonly string[];
  readonly tables: readonly Table[];
  readonly plots: readonly Plot[];
  readonly notes: readonly string[];
}

export async function runTwice(scenario: Scenario, seed: number, version: string): Promise<SimReport> {
  const first = await scenario.run(seed);
  const second = await scenario.run(seed);
  const further = await scenario.further?.(seed);
  const problems = [...first.problems];
  if (first.hash !== second.hash) problems.push(`two runs of seed ${seed} differ: ${first.hash}, ${second.hash}`);
  return {
    scenario: scenario.name,
    summary: scenario.summary,
    version,
    seed,
    hashes: [first.hash, second.hash],
    events: first.events,
    problems,
    tables: [...first.tables, ...(further?.tables ?? [])],
    plots: [...first.plots, ...(further?.plots ?? [])],
    notes: [...first.notes, ...(further?.notes ?? [])],
  };
}

/** Lines for a terminal. */
export function reportLines({ scenario, seed, hashes, events, tables, notes }: SimReport): string[] {
  const repeated = hashes[0] === hashes[1] ? 'twice' : `and then ${hashes[1]}`;
  return [
    `${scenario}, seed ${seed}: trace ${hashes[0]} ${repeated}, ${events} events`,
    ...tables.flatMap((table) => ['', ...tableLines(table)]),
    '',
    ...notes,
  ];
}

function tableLines({ title, columns, rows }: Table): string[] {
  const name = Math.max(0, ...rows.map((row) => row.name.length));
  const widths = columns.map((column, i) => Math.max(column.length, ...rows.map(({ values }) => values[i]?.length ?? 0)));
  const line = (first: string, cells: readonly string[]) =>
    `  ${first.padEnd(name)}${cells.map((cell, i) => cell.padStart((widths[i] ?? 0) + 2)).join('')}`;
  return [title, line('', columns), ...rows.map((row) => line(row.name, row.values))];
}
