import { expect, it } from 'vitest';
import type { Reply } from '../../../demo/contenders/contender.js';
import { summarize } from '../../../demo/result.js';
import { meaningfulPercentile, percentile, sortNumbers } from '../../../demo/statistics.js';

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const ok = (server: number, tokens = 10): Reply => ({ outcome: 'ok', server, tokens });

it('takes percentiles by nearest rank', () => {
  expect([0, 0.5, 0.9, 0.99, 1].map((share) => percentile(upTo(100), share))).toEqual([1, 50, 90, 99, 100]);
  expect(percentile([7], 0.99)).toBe(7);
  expect(percentile([], 0.5)).toBeNaN();
  expect(percentile(upTo(1000), 0.999)).toBe(999);
});

it('gives no percentile beyond the last value', () => {
  expect(meaningfulPercentile(upTo(999), 0.999)).toBe(999);
  expect(meaningfulPercentile(upTo(500), 0.999)).toBeNaN();
});

it('sorts as numbers, leaving its input', () => {
  const values = [10, 9, 100];
  expect(sortNumbers(values)).toEqual([9, 10, 100]);
  expect(values).toEqual([10, 9, 100]);
});

it('counts timeouts with the time waited and leaves errors out of the latency', () => {
  const samples = [
    ...upTo(98).map((latencyMs) => ({ latencyMs, reply: ok(latencyMs % 2) })),
    { latencyMs: 5000, reply: { outcome: 'timeout', server: undefined, tokens: 0, fault: 'timeout' } as const },
    { latencyMs: 5000, reply: { outcome: 'timeout', server: undefined, tokens: 0, fault: 'timeout' } as const },
    { latencyMs: 1, reply: { outcome: 'error', server: 1, tokens: 0, fault: 'status 503' } as const },
  ];
  const result = summarize({ name: 'n', title: 't', about: 'a' }, { samples, elapsedMs: 2000, load: [[], []] });
  expect(result).toMatchObject({
    requests: 101,
    ok: 98,
    errors: 1,
    timeouts: 2,
    faults: { 'status 503': 1 },
    p50Ms: 50,
    p99Ms: 5000,
    p999Ms: null,
  });
  expect(result.tokensPerSecond).toBe(490);
  expect(result.share.map((share) => Math.round(share * 99))).toEqual([49, 50]);
  expect(result.slowest).toEqual([1, 0]);
});

it('draws a curve that never falls and ends at the slowest', () => {
  const samples = upTo(1000).map((latencyMs) => ({ latencyMs, reply: ok(0) }));
  const { curve } = summarize({ name: 'n', title: 't', about: 'a' }, { samples, elapsedMs: 1, load: [[]] });
  expect(curve.every(({ ms }, index) => ms >= (curve[index - 1]?.ms ?? 0))).toBe(true);
  expect(curve[0]).toEqual({ share: 0, ms: 1 });
  expect(curve.at(-1)?.share).toBeCloseTo(0.999, 6);
});

it('has nothing to say when nothing was answered', () => {
  const samples = [{ latencyMs: 3, reply: { outcome: 'error', server: undefined, tokens: 0 } as const }];
  expect(summarize({ name: 'n', title: 't', about: 'a' }, { samples, elapsedMs: 5, load: [[]] })).toMatchObject({
    p50Ms: null,
    curve: [],
    share: [0],
    faults: { unknown: 1 },
  });
});
