/**
 * `npm run demo`: eight inference-like servers in processes of their own, of which two are slow, one degrades and one dies and
 * returns; the same requests sent to them by undici's pools, by hand-written power of two choices, and by evenkeel's router.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, resolve } from 'node:path';
import { isEvenkeelError } from 'evenkeel/core';
import { CONTENDERS, OURS } from './contenders/index.js';
import { formatCount, formatMs } from './format.js';
import { incidentsOf } from './incidents.js';
import { type DemoOptions, parseOptions, UsageError, usage } from './options.js';
import { roleOf, SERVERS, scenarioOf } from './parameters.js';
import { Progress } from './progress.js';
import { renderReport } from './report/report.js';
import type { ContenderResult, DemoResult } from './result.js';
import { runContender } from './run-contender.js';
import { renderShares, renderTable } from './table.js';
import { compare } from './verdict.js';
import { generateWorkload } from './workload/generate.js';
import { loadTrace } from './workload/trace.js';

const NAMES = CONTENDERS.map(({ name }) => name);

async function main(options: DemoOptions, signal: AbortSignal): Promise<void> {
  const scenario = scenarioOf(options);
  const workload = options.trace === undefined ? generateWorkload(scenario) : await loadTrace(options.trace, scenario);
  const { arrivals, source } = workload;
  // A trace may be shorter than asked for.
  const durationMs = options.trace === undefined ? scenario.durationMs : (arrivals.at(-1)?.atMs ?? 0);
  const incidents = incidentsOf(durationMs);
  const kinds = CONTENDERS.filter(({ name }) => options.only === undefined || name === options.only);
  const progress = new Progress(process.stdout, kinds.length, durationMs);
  console.log(`${formatCount(arrivals.length)} requests at ${scenario.rate}/s to ${SERVERS} servers`);
  console.log(`workload: ${source}\n`);

  const contenders: ContenderResult[] = [];
  for (const kind of kinds) {
    progress.begin(kind.title);
    try {
      const onProgress = progress.update.bind(progress);
      const result = await runContender(kind, { scenario, arrivals, incidents, signal, onProgress });
      contenders.push(result);
      progress.end(`p50 ${formatMs(result.p50Ms)}, p99 ${formatMs(result.p99Ms)}`);
    } catch (error) {
      progress.clear();
      throw error;
    }
  }
  const roles = Array.from({ length: SERVERS }, (_, server) => roleOf(server));
  const run = { ...scenario, durationMs };
  show({ scenario: run, source, requests: arrivals.length, roles, incidents, versions: versions(), contenders }, options);
}

function show(result: DemoResult, { report, json }: DemoOptions): void {
  const { contenders, roles } = result;
  console.log(`\n${renderTable(contenders)}\n\n${renderShares(contenders, roles)}\n`);
  for (const { sentence } of compare(contenders, OURS)) console.log(`evenkeel: ${sentence}`);
  writeFileSync(report, renderReport(result, OURS));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`\nreport: ${resolve(report)}`);
}

function versions(): Record<string, string> {
  const require = createRequire(import.meta.url);
  const of = (path: string): string => JSON.parse(readFileSync(path, 'utf8')).version;
  return {
    node: process.versions.node,
    undici: of(require.resolve('undici/package.json')),
    evenkeel: of(new URL('../../package.json', import.meta.url).pathname),
  };
}

/** Before the run rather than after it. */
function checkFolders(paths: readonly (string | undefined)[]): void {
  for (const path of paths) {
    if (path === undefined) continue;
    const folder = dirname(resolve(path));
    if (!existsSync(folder)) throw new UsageError(`${path} cannot be written: there is no folder ${folder}`);
  }
}

/** The first signal stops everything in order; with a second one nobody waits any longer. */
function stopOnSignals(): { signal: AbortSignal; received: () => NodeJS.Signals | undefined } {
  const stop = new AbortController();
  let received: NodeJS.Signals | undefined;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      // Servers whose parent is gone exit by themselves.
      if (received !== undefined) process.exit(128 + constants.signals[name]);
      received = name;
      stop.abort(new Error(`stopped by ${name}`));
    });
  }
  return { signal: stop.signal, received: () => received };
}

async function run(): Promise<number> {
  let options: DemoOptions;
  try {
    options = parseOptions(process.argv.slice(2), NAMES);
    checkFolders([options.report, options.json]);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\nTry npm run demo -- --help`);
    return 2;
  }
  if (options.help) {
    console.log(usage(NAMES));
    return 0;
  }
  const { signal, received } = stopOnSignals();
  try {
    await main(options, signal);
    return 0;
  } catch (error) {
    const name = received();
    console.error(name === undefined ? `the demo failed: ${describe(error)}` : `stopped by ${name}, all servers have ended`);
    return name === undefined ? 1 : 128 + constants.signals[name];
  }
}

function describe(error: unknown): string {
  if (isEvenkeelError(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

process.exitCode = await run();
