import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isEvenkeelError } from 'evenkeel/core';
import { afterAll, expect, it } from 'vitest';
import { scenarioOf } from '../../../demo/parameters.js';
import { loadTrace, parseTrace } from '../../../demo/workload/trace.js';

const HEADER = 'TIMESTAMP,ContextTokens,GeneratedTokens';
const ROWS = ['2023-11-16 18:15:46.6805900,374,44', '2023-11-16 18:15:50.9951690,396,109', '2023-11-16 18:15:51.2224670,879,55'];
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-trace-'));
afterAll(() => rmSync(folder, { recursive: true }));

const scenario = scenarioOf({ seed: 1, rate: 10, durationS: 60, timeScale: 50 });

async function parse(...lines: string[]) {
  const rows = [];
  for await (const row of parseTrace(
    (async function* () {
      yield* lines;
    })(),
    'trace.csv',
  )) {
    rows.push(row);
  }
  return rows;
}

async function failureOf(promise: Promise<unknown>) {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isEvenkeelError(error)) throw new Error(`not the library's error: ${error}`);
  return error;
}

it('reads times to a part of a millisecond and both token counts', async () => {
  const rows = await parse(HEADER, ...ROWS, '');
  expect(rows.map(({ promptTokens, outputTokens }) => [promptTokens, outputTokens])).toEqual([
    [374, 44],
    [396, 109],
    [879, 55],
  ]);
  expect((rows[1]?.timeMs ?? 0) - (rows[0]?.timeMs ?? 0)).toBeCloseTo(4314.579, 2);
});

it('reads the form of later traces, with an offset', async () => {
  const [row] = await parse(HEADER, '2024-05-10 00:00:00.009930+00:00,2162,5');
  expect(row?.timeMs).toBeCloseTo(Date.UTC(2024, 4, 10) + 9.93, 2);
});

it.each([
  ['time,in,out', 1, 'the first line must be'],
  [`${HEADER}\nyesterday,1,2`, 2, 'TIMESTAMP must look like'],
  [`${HEADER}\n${ROWS[0]}\n2023-11-16 18:15:50.1,12`, 3, 'expected 3 fields, found 2'],
  [`${HEADER}\n2023-11-16 18:15:50.1,12,-4`, 2, 'GeneratedTokens must be a whole number from 1'],
  [`${HEADER}\n2023-11-16 18:15:50.1,1e3,4`, 2, 'ContextTokens must be a whole number from 1'],
  [`${HEADER}\n2023-13-46 18:15:50.1,1,4`, 2, 'TIMESTAMP must look like'],
  [`${HEADER}\n${ROWS[1]}\n${ROWS[0]}`, 3, 'the times must not go backwards'],
])('says what is wrong with %j, and in which line', async (text, line, words) => {
  const error = await failureOf(parse(...text.split('\n')));
  expect(error.code).toBe('invalid-argument');
  expect(error.message).toContain(`trace.csv:${line}: ${words}`);
  expect(error.details?.line).toBe(line);
});

it.each([
  ['plain.csv', Buffer.from(`${HEADER}\r\n${ROWS.join('\r\n')}\r\n`)],
  ['packed.csv.gz', gzipSync(`${HEADER}\n${ROWS.join('\n')}\n`)],
])('stretches the gaps of %s to the rate asked for', async (name, bytes) => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  const { arrivals, source } = await loadTrace(path, scenario);
  expect(source).toBe(`${name}, 3 requests`);
  expect(arrivals[0]?.atMs).toBe(0);
  // Three requests at ten a second.
  expect(arrivals[2]?.atMs).toBeCloseTo(300);
  expect((arrivals[1]?.atMs ?? 0) / 300).toBeCloseTo(4314.579 / 4541.877, 4);
});

it('reads no further than it needs', async () => {
  const path = join(folder, 'long.csv');
  writeFileSync(path, `${HEADER}\n${ROWS.join('\n')}\nbroken\n`);
  const { arrivals } = await loadTrace(path, scenarioOf({ seed: 1, rate: 3, durationS: 1, timeScale: 50 }));
  expect(arrivals).toHaveLength(3);
});

it('says so when there is no such file, it is no gzip, or it is too short', async () => {
  expect((await failureOf(loadTrace(join(folder, 'absent.csv'), scenario))).code).toBe('not-found');
  expect((await failureOf(loadTrace(join(folder, 'absent.csv.gz'), scenario))).code).toBe('not-found');
  const path = join(folder, 'torn.csv.gz');
  writeFileSync(path, 'not gzip');
  expect(await failureOf(loadTrace(path, scenario))).toMatchObject({
    code: 'invalid-argument',
    message: expect.stringContaining('torn.csv.gz cannot be read'),
  });
  writeFileSync(path, gzipSync(`${HEADER}\n${'x'.repeat(9)}`).subarray(0, 20));
  expect((await failureOf(loadTrace(path, scenario))).message).toContain('torn.csv.gz cannot be read');
  writeFileSync(join(folder, 'one.csv'), `${HEADER}\n${ROWS[0]}\n`);
  expect((await failureOf(loadTrace(join(folder, 'one.csv'), scenario))).code).toBe('out-of-range');
  writeFileSync(join(folder, 'empty.csv'), '');
  expect((await failureOf(loadTrace(join(folder, 'empty.csv'), scenario))).message).toContain('empty.csv:1: the file is empty');
});
