/** What the latency tax tells, and how it is laid out for people. */
import type { TaxPart } from './tax-parts.js';
import { PARTS } from './tax-parts.js';
import type { TaxRow } from './tax-rows.js';

export interface WastedWork {
  attempts: number;
  /** As the server told, else from dispatch to the end. */
  serverMs: number;
}

export interface OutcomeTax extends WastedWork {
  /** CPU of this process in the transport and in the router, from the sampled attempts. */
  cpuUs: number;
}

/** Plain JSON. */
export interface TaxReport {
  /** Since a router was first given it. */
  readonly elapsedMs: number;
  /** Attempts begun. */
  readonly attempts: number;
  /** 99th percentile since the last report: it hides in every part. */
  readonly eventLoopDelayMs: number;
  /** The halves of the wire are an assumption: only their sum is measured. */
  readonly wireIsSplitEvenly: true;
  /** Microseconds of CPU for each attempt. */
  readonly cpuUs: {
    /** All of this process, whatever it did meanwhile. */
    readonly process: number;
    readonly compression: number;
    /** The choice of an endpoint and the request's head; bodies come in bytes, so that their making is the application's. */
    readonly serialization: number;
    readonly network: number;
    readonly rpcLibrary: number;
    /** What is left of the process: the application, the runtime, garbage collection, reads from sockets. */
    readonly rest: number;
    readonly sampled: number;
  };
  /** Attempts whose answer nobody used: given up by the caller, outrun by another attempt, or too late. */
  readonly wasted: Readonly<Record<'cancelled' | 'hedged' | 'late', WastedWork>>;
  /** By `ok` or the error's code. */
  readonly outcomes: Readonly<Record<string, OutcomeTax>>;
  readonly all: TaxRow;
  /** Each list: what there is most to win of comes first. Attempts that ended with a response. */
  readonly byMethod: readonly TaxRow[];
  readonly byLocality: readonly TaxRow[];
  /** By how busy the servers say they are. */
  readonly byPressure: readonly TaxRow[];
}

export function taxTable(report: TaxReport): string {
  const { cpuUs, wasted } = report;
  const lines = [
    `${report.attempts} attempts in ${(report.elapsedMs / 1000).toFixed(1)} s, event loop delay p99 ${ms(report.eventLoopDelayMs)}`,
    `CPU us an attempt: ${Object.entries(cpuUs)
      .filter(([name]) => name !== 'sampled')
      .map(([name, us]) => `${name} ${us.toFixed(1)}`)
      .join(', ')}`,
    `wasted at servers: ${Object.entries(wasted)
      .map(([kind, { attempts, serverMs }]) => `${kind} ${attempts} (${ms(serverMs)})`)
      .join(', ')}`,
  ];
  for (const [title, rows] of [
    ['method', [...report.byMethod, report.all]],
    ['locality', report.byLocality],
    ["servers' load", report.byPressure],
  ] as const) {
    lines.push('', ...section(title, rows));
  }
  return lines.join('\n');
}

function section(title: string, rows: readonly TaxRow[]): string[] {
  const head = [title, 'attempts', 'p50', 'p95', 'p99', 'tax', 'to win', 'largest parts of the tax'];
  const cells = rows.map((row) => [
    row.name,
    String(row.attempts),
    ms(row.totalMs.p50),
    ms(row.totalMs.p95),
    ms(row.totalMs.p99),
    row.tax === null ? 'untold' : `${(100 * row.tax).toFixed(1)} %`,
    ms(row.taxMs),
    largest(row),
  ]);
  const widths = head.map((name, column) => Math.max(name.length, ...cells.map((line) => (line[column] as string).length)));
  const lay = (line: readonly string[]) =>
    line
      .map((cell, column) =>
        (column === 0 || column === head.length - 1 ? cell.padEnd : cell.padStart).call(cell, widths[column] as number),
      )
      .join('  ')
      .trimEnd();
  return [lay(head), ...cells.map(lay)];
}

function largest({ parts }: TaxRow): string {
  return PARTS.filter((part) => part !== 'application' && parts[part].mean > 0)
    .sort((a, b) => parts[b].mean - parts[a].mean)
    .slice(0, 3)
    .map((part: TaxPart) => `${part} ${ms(parts[part].mean)}`)
    .join(', ');
}

function ms(value: number): string {
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  return value >= 1 ? `${value.toFixed(1)} ms` : `${(1000 * value).toFixed(0)} us`;
}
