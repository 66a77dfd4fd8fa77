import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/core/random.js';
import { parseTraceFile, rpcWorkload } from '../../../src/sim/index.js';

const SEED = 7;
const CALLS = 200_000;

function drawn() {
  const workload = rpcWorkload(seededRandom(`methods ${SEED}`));
  const random = seededRandom(SEED);
  const calls = Array.from({ length: CALLS }, () => workload.next(random));
  const quantile = (of: (call: (typeof calls)[number]) => number, share: number) =>
    calls.map(of).sort((a, b) => a - b)[Math.floor(share * CALLS)] as number;
  return { workload, calls, quantile };
}

// Tolerances are of some four deviations at 200,000 calls, more where the tail is heavy.
describe(`calls of a large fleet, seed ${SEED}`, () => {
  const { workload, calls, quantile } = drawn();
  const shareOf = (ranks: number) => calls.filter(({ method }) => method.rank < ranks).length / CALLS;

  it('are mostly to few methods', () => {
    expect(shareOf(1)).toBeCloseTo(0.28, 2);
    expect(shareOf(10)).toBeCloseTo(0.58, 2);
    expect(shareOf(100)).toBeCloseTo(0.91, 2);
  });

  it('have small messages and some huge ones', () => {
    expect(quantile(({ requestBytes }) => requestBytes, 0.5) / 1530).toBeCloseTo(1, 1);
    expect(quantile(({ requestBytes }) => requestBytes, 0.99) / 196_000).toBeCloseTo(1, 0);
    expect(quantile(({ responseBytes }) => responseBytes, 0.5) / 315).toBeCloseTo(1, 1);
    expect(quantile(({ responseBytes }) => responseBytes, 0.99) / 563_000).toBeCloseTo(1, 0);
    expect(calls.every(({ requestBytes }) => requestBytes >= 64)).toBe(true);
  });

  it('go wide', () => {
    expect(quantile(({ descendants }) => descendants, 0.5)).toBeCloseTo(13, 0);
    expect(quantile(({ descendants }) => descendants, 0.9) / 105).toBeCloseTo(1, 1);
  });

  it('spend most of their time in methods that are seldom called', () => {
    const { methods } = workload;
    const below = methods.filter(({ medianMs }) => medianMs < 10.7).length / methods.length;
    expect(below).toBeCloseTo(0.1, 1);
    const slowest = [...methods].sort((a, b) => b.medianMs - a.medianMs).slice(0, methods.length / 10);
    const share = slowest.reduce((sum, method) => sum + method.share, 0);
    expect(share).toBeLessThan(0.03);
  });

  it('fail now and then', () => {
    expect(calls.filter(({ fails }) => fails).length / CALLS).toBeCloseTo(0.019, 2);
  });

  it('are the same again from the same seeds', () => {
    expect(drawn().calls.slice(0, 100)).toEqual(calls.slice(0, 100));
  });
});

describe('a trace file', () => {
  it('of CSV is read with its times', () => {
    const text =
      'TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109\r\n';
    expect(parseTraceFile(text)).toEqual([
      { atMs: 0, inputTokens: 374, outputTokens: 44, prefix: [] },
      { atMs: 4315, inputTokens: 396, outputTokens: 109, prefix: [] },
    ]);
  });

  it('of JSON lines is read with its prefixes, in order of time', () => {
    const text = [
      '{"timestamp": 3000, "input_length": 700, "output_length": 5, "hash_ids": [0, 7]}',
      '{"timestamp": 4500, "input_length": 100, "output_length": 9, "hash_ids": [0]}',
      '{"timestamp": 4000, "input_length": 10, "output_length": 1}',
    ].join('\n');
    expect(parseTraceFile(text)).toEqual([
      { atMs: 0, inputTokens: 700, outputTokens: 5, prefix: ['0', '7'] },
      { atMs: 1000, inputTokens: 10, outputTokens: 1, prefix: [] },
      { atMs: 1500, inputTokens: 100, outputTokens: 9, prefix: ['0'] },
    ]);
  });

  it.each([
    ['a word for a number', 'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,many,44', 'line 2'],
    ['a date that is none', 'yesterday,1,2\nyesterday,1,2', 'line 2'],
    ['a number below 0', '{"timestamp": 1, "input_length": -1, "output_length": 1}', 'line 1'],
    ['half a line', '{"timestamp": 1, "input_length": 1, "output_length": 1}\n{"timestamp"', 'line 2'],
  ])('with %s is refused, and the line is named', (_what, text, where) => {
    expect(() => parseTraceFile(text)).toThrow(where);
  });
});
