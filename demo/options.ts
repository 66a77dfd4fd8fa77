/** The command line. Whatever is not understood ends the program with exit code 2 before anything was started. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DURATION_S, QUICK, RATE, SEED, TIME_SCALE } from './parameters.js';

export interface DemoOptions {
  readonly help: boolean;
  readonly quick: boolean;
  readonly seed: number;
  readonly rate: number;
  readonly durationS: number;
  readonly timeScale: number;
  readonly trace: string | undefined;
  readonly report: string;
  readonly json: string | undefined;
  /** Name of the one contender to run. */
  readonly only: string | undefined;
}

/** The command line is wrong; its message says how. */
export class UsageError extends Error {}

const HIGHEST_RATE = 2000;
const LONGEST_S = 3600;

export function usage(contenders: readonly string[]): string {
  return `Usage: npm run demo -- [options]

Eight inference-like servers, two of them slow, one that degrades, one that dies and comes back: the same requests are sent
to them by each contender in turn, and compared.

  --quick           a short run: everything within 30 seconds
  --rate N          requests per second (default ${RATE}; with --quick ${QUICK.rate})
  --duration S      seconds of arrivals for each contender (default ${DURATION_S}; with --quick ${QUICK.durationS})
  --seed N          seed of the workload and of all random choices (default ${SEED})
  --trace PATH      arrivals and token counts from a CSV file TIMESTAMP,ContextTokens,GeneratedTokens, also as .gz
                    (the public Azure LLM inference traces), stretched to the rate
  --only NAME       one contender: ${contenders.join(', ')}
  --report PATH     where the HTML report goes (default: the system's folder for temporary files)
  --json FILE       write the figures as JSON
  --help            this text
`;
}

/** @throws {UsageError} */
export function parseOptions(args: readonly string[], contenders: readonly string[]): DemoOptions {
  const values = parseValues(args);
  const quick = values.quick ?? false;
  const only = values.only;
  if (only !== undefined && !contenders.includes(only)) {
    throw new UsageError(`--only must be one of ${contenders.join(', ')}, not ${only}`);
  }
  const seed = numberOf('--seed', values.seed, SEED, 0, Number.MAX_SAFE_INTEGER);
  if (!Number.isInteger(seed)) throw new UsageError(`--seed must be a whole number, not ${values.seed}`);
  return {
    help: values.help ?? false,
    quick,
    seed,
    rate: numberOf('--rate', values.rate, quick ? QUICK.rate : RATE, 1, HIGHEST_RATE),
    durationS: numberOf('--duration', values.duration, quick ? QUICK.durationS : DURATION_S, 1, LONGEST_S),
    timeScale: quick ? QUICK.timeScale : TIME_SCALE,
    trace: pathOf('--trace', values.trace),
    report: pathOf('--report', values.report) ?? join(tmpdir(), 'evenkeel-demo.html'),
    json: pathOf('--json', values.json),
    only,
  };
}

function parseValues(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const options = {
    quick: flag,
    help: flag,
    rate: text,
    duration: text,
    seed: text,
    trace: text,
    only: text,
    report: text,
    json: text,
  };
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function numberOf(name: string, text: string | undefined, byDefault: number, least: number, most: number): number {
  if (text === undefined) return byDefault;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= least && value <= most)) throw new UsageError(`${name} must be a number from ${least} to ${most}, not ${text}`);
  return value;
}

function pathOf(name: string, path: string | undefined): string | undefined {
  if (path === '') throw new UsageError(`${name} needs a path`);
  return path;
}
