/**
 * The workload from a file in the format of the public Azure LLM inference traces: `TIMESTAMP,ContextTokens,GeneratedTokens`, also
 * compressed with gzip. It is read as a stream and only as far as needed; its gaps are stretched to the rate asked for, so bursts
 * stay bursts.
 */
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { EvenkeelError, isEvenkeelError, seededRandom } from 'evenkeel/core';
import type { Scenario } from '../parameters.js';
import { toArrival, type Workload } from './arrival.js';

export interface TraceRow {
  readonly timeMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
}

const HEADER = 'TIMESTAMP,ContextTokens,GeneratedTokens';
/** `2023-11-16 18:15:46.6805900`, with T in place of the space, and with an offset (as later traces have): all in UTC. */
const TIMESTAMP = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,9})?(?:Z|\+00:00)?$/;
/** Longer than any model's context. */
const MOST_TOKENS = 10_000_000;

/** @throws {EvenkeelError} `not-found`, `invalid-argument` (naming the line) or `out-of-range` (too short to be played). */
export async function loadTrace(path: string, scenario: Scenario): Promise<Workload> {
  const wanted = Math.ceil((scenario.rate * scenario.durationMs) / 1000);
  const rows: TraceRow[] = [];
  for await (const row of readTrace(path)) {
    rows.push(row);
    if (rows.length === wanted) break;
  }
  return { arrivals: scaleTrace(rows, scenario, basename(path)), source: `${basename(path)}, ${rows.length} requests` };
}

/** Stretches the gaps so that the mean rate is the one asked for. */
export function scaleTrace(rows: readonly TraceRow[], { rate, seed }: Scenario, name: string): Workload['arrivals'] {
  const first = rows[0];
  const last = rows.at(-1);
  if (first === undefined || last === undefined || last.timeMs <= first.timeMs) {
    throw new EvenkeelError('out-of-range', `${name}: a trace needs at least two requests at different times`);
  }
  const factor = (rows.length * 1000) / rate / (last.timeMs - first.timeMs);
  const random = seededRandom(seed).fork('streamed');
  return rows.map((row) => toArrival((row.timeMs - first.timeMs) * factor, row.promptTokens, row.outputTokens, random));
}

async function* readTrace(path: string): AsyncGenerator<TraceRow> {
  const name = basename(path);
  const file = createReadStream(path);
  // pipeline passes a failure of the file on and closes it when the reader leaves early.
  const input = path.endsWith('.gz') ? pipeline(file, createGunzip(), () => {}) : file;
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  // readline does not tell failures of its input to who iterates over it.
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
    lines.close();
  };
  input.on('error', fail);
  file.on('error', fail);
  try {
    yield* parseTrace(lines, name);
    if (failure !== undefined) throw unreadable(name, failure);
  } catch (error) {
    throw isEvenkeelError(error) && failure === undefined ? error : unreadable(name, failure ?? error);
  } finally {
    lines.close();
    file.destroy();
  }
}

/** @throws {EvenkeelError} `invalid-argument` naming the line. */
export async function* parseTrace(lines: AsyncIterable<string>, name: string): AsyncGenerator<TraceRow> {
  let number = 0;
  let previousMs = Number.NEGATIVE_INFINITY;
  for await (const raw of lines) {
    number++;
    const line = raw.trim();
    if (number === 1) {
      if (line.replace(/^\uFEFF/, '') !== HEADER) throw malformed(name, number, `the first line must be ${HEADER}`, line);
      continue;
    }
    if (line === '') continue;
    const row = parseRow(line, name, number);
    if (row.timeMs < previousMs) throw malformed(name, number, 'the times must not go backwards', line);
    previousMs = row.timeMs;
    yield row;
  }
  if (number === 0) throw malformed(name, 1, 'the file is empty', '');
}

function parseRow(line: string, name: string, number: number): TraceRow {
  const fields = line.split(',');
  if (fields.length !== 3) throw malformed(name, number, `expected 3 fields, found ${fields.length}`, line);
  const [time = '', prompt = '', output = ''] = fields;
  return {
    timeMs: parseTime(time, name, number, line),
    promptTokens: parseTokens(prompt, 'ContextTokens', name, number, line),
    outputTokens: parseTokens(output, 'GeneratedTokens', name, number, line),
  };
}

function parseTime(text: string, name: string, number: number, line: string): number {
  const [, day, time, fraction = '0'] = TIMESTAMP.exec(text.trim()) ?? [];
  const seconds = Date.parse(`${day}T${time}Z`);
  if (Number.isNaN(seconds)) throw malformed(name, number, 'TIMESTAMP must look like 2023-11-16 18:15:46.6805900', line);
  return seconds + Number(fraction) * 1000;
}

function parseTokens(text: string, field: string, name: string, number: number, line: string): number {
  const tokens = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(tokens >= 1 && tokens <= MOST_TOKENS)) throw malformed(name, number, `${field} must be a whole number from 1`, line);
  return tokens;
}

const SHOWN_CHARACTERS = 80;

function malformed(name: string, line: number, reason: string, text: string): EvenkeelError {
  const shown = text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  return new EvenkeelError('invalid-argument', `${name}:${line}: ${reason}: ${JSON.stringify(shown)}`, { details: { line } });
}

function unreadable(name: string, cause: unknown): EvenkeelError {
  const isAbsent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  const reason = isAbsent ? 'no such file' : cause instanceof Error ? cause.message : String(cause);
  return new EvenkeelError(isAbsent ? 'not-found' : 'invalid-argument', `${name} cannot be read: ${reason}`, { cause });
}
