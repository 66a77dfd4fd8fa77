/** Limits and signals that contradict themselves, throw, or fall silent. */
import { describe, expect, it } from 'vitest';
import {
  aimdLimit,
  createLimiter,
  fixedLimit,
  gradientLimit,
  type Limit,
  type Limiter,
  type LimiterOptions,
  queueDelayLimit,
} from '../../../src/limiter/index.js';
import { type FakeRuntime, fakeRuntime } from '../../support/fake-host.js';
import { codeOf, limiterOf } from '../../support/limiter-rig.js';

/** A limit of somebody else's, with a window for each call. */
function ownLimit(next: (limit: number) => number, own: Partial<Limit> = {}) {
  const limit: Limit = {
    initial: 4,
    min: 1,
    max: 100,
    windowMs: 1,
    windowCalls: 1,
    quantile: 0.5,
    next: (window) => next(window.limit),
    reason: 'own',
    ...own,
  };
  return () => limit;
}

/** Ends `n` windows, each of 16 calls and as long as two of them. */
async function windows(limiter: Limiter, { clock }: FakeRuntime, n: number): Promise<void> {
  for (let i = 0; i < n; i++) {
    await clock.advance(100);
    const permits = Array.from({ length: 16 }, () => limiter.tryAcquire({ weight: 1e-3 }));
    await clock.advance(100);
    for (const permit of permits) permit?.end();
  }
}

const invalid = expect.objectContaining({ code: 'invalid-argument' });

describe('limits that contradict each other', () => {
  it.each([
    { min: 5, max: 4 },
    { initial: 0.5 },
    { initial: 11, max: 10 },
    { initial: Number.NaN },
    { min: 0 },
    { min: -1 },
    { max: Number.POSITIVE_INFINITY },
    { min: 20, initial: 8 },
  ])('%j is refused by every limit that learns', (options) => {
    for (const make of [aimdLimit, gradientLimit, queueDelayLimit]) expect(() => make(options)).toThrow(invalid);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('a fixed limit of %s is refused', (limit) => {
    expect(() => fixedLimit(limit)).toThrow(invalid);
  });

  it.each([
    { min: 5, max: 4 },
    { min: -1 },
    { min: Number.NaN },
    { max: Number.NaN },
    { initial: 101 },
    { initial: Number.NaN },
    { windowMs: Number.NaN },
    { windowCalls: Number.NaN },
    { quantile: 2 },
  ])('%j of a limit that somebody wrote is refused when the limiter is made', (own) => {
    expect(() => limiterOf({ limit: ownLimit((limit) => limit, own) })).toThrow(invalid);
  });

  it('a factory that makes none is refused', () => {
    expect(() => limiterOf({ limit: (() => undefined) as never })).toThrow(invalid);
    expect(() => limiterOf({ limit: (() => ({})) as never })).toThrow(invalid);
  });

  it.each([
    { partitions: { a: 1.1 } },
    { partitions: { a: Number.NaN } },
    { partitions: { a: 0.6, b: 0.6 } },
  ] as LimiterOptions[])('%j is refused', (options) => {
    expect(() => limiterOf(options)).toThrow(invalid);
  });
});

describe('a limit that somebody wrote', () => {
  const broken: [string, () => number][] = [
    ['returns NaN', () => Number.NaN],
    ['returns Infinity', () => Number.POSITIVE_INFINITY],
    ['returns less than its least', () => -3],
    ['returns 0', () => 0],
    ['returns no number', () => undefined as never],
    ['returns text', () => '7' as never],
    [
      'throws',
      () => {
        throw new Error('own');
      },
    ],
  ];

  it.each(broken)('that %s leaves the last limit in force, and the operator is told once', async (_what, next) => {
    let answers = 0;
    const { limiter, runtime } = limiterOf({ limit: ownLimit(() => (answers++ === 0 ? 7 : next())) });
    await windows(limiter, runtime, 10);
    expect(answers).toBeGreaterThan(5);
    expect(limiter).toMatchObject({ limit: 7, inFlight: 0, weight: 0 });
    expect(runtime.diagnostics.total).toBe(1);
    expect(runtime.host.warnings).toHaveLength(1);
    expect(limiter.explain()).toMatchObject({ changes: 1, last: { from: 4, to: 7, reason: 'own' } });
  });

  it('that fails while others wait keeps nobody from a permit', async () => {
    const { clock, limiter } = limiterOf({
      limit: ownLimit(
        () => {
          throw new Error('own');
        },
        { initial: 1 },
      ),
    });
    const running = limiter.tryAcquire();
    const waiting = [1, 2, 3].map(() => codeOf(limiter.run(() => 1)));
    await clock.advance(5);
    expect(() => running?.end()).not.toThrow();
    expect(await Promise.all(waiting)).toEqual(['ok', 'ok', 'ok']);
  });

  it('that recovers is followed again, up to its most', async () => {
    let answers = 0;
    const { limiter, runtime } = limiterOf({ limit: ownLimit(() => (++answers < 5 ? Number.NaN : 1000)) });
    await windows(limiter, runtime, 10);
    expect(limiter.limit).toBe(100);
  });
});

describe('signals', () => {
  const signals = [{ key: 'gpu', max: 0.8 }];

  it('are not looked at for a limiter that was refused', async () => {
    const runtime = fakeRuntime();
    runtime.load.signal('gpu', () => 1, { kind: 'utilization' });
    for (const bad of [
      { queue: { maxQueued: -1 } },
      { partitions: { a: 2 } },
      { share: {} as never },
      { unit: 'bytes' as const },
    ])
      expect(() => {
        runtime.load.counter('limiter:bad', { unit: 'calls' });
        createLimiter({ name: 'bad', runtime, signals, ...bad });
      }).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(runtime.clock.pending).toBe(0);
    await runtime.clock.advance(1000);
  });

  const rig = () => limiterOf({ limit: fixedLimit(100), signals });

  it('nobody publishes brake nothing', async () => {
    const { limiter, runtime } = rig();
    await windows(limiter, runtime, 5);
    expect(limiter.limit).toBe(100);
  });

  it.each([
    ['throws', () => JSON.parse('{')],
    ['returns NaN', () => Number.NaN],
    ['returns Infinity', () => Number.POSITIVE_INFINITY],
    ['stands at its maximum', () => 0.8],
  ])('whose source %s brake nothing', async (_what, read) => {
    const { limiter, runtime } = rig();
    runtime.load.signal('gpu', read, { kind: 'utilization' });
    await windows(limiter, runtime, 5);
    expect(limiter.limit).toBe(100);
  });

  it('that are full lower even a fixed limit, by a tenth every 100 ms and to no less than one, and let it come back as fast', async () => {
    const { limiter, runtime } = rig();
    let reading = 0.81;
    runtime.load.signal('gpu', () => reading, { kind: 'utilization' });
    const held = limiter.tryAcquire();
    await runtime.clock.advance(100);
    expect(limiter.limit).toBe(90);
    expect(limiter.explain().last).toMatchObject({ from: 100, to: 90, reason: 'signal gpu is above 0.8' });
    await windows(limiter, runtime, 100);
    expect(limiter.limit).toBe(1);
    reading = 0.5;
    await runtime.clock.advance(2000);
    expect(limiter.limit).toBeCloseTo(0.9 ** -20);
    expect(limiter.explain().last.reason).toBe('signals are below their maxima');
    await runtime.clock.advance(3000);
    expect(limiter.limit).toBe(100);
    held?.end();
  });

  it('that are full keep the limit behind from learning of it', async () => {
    const { limiter, runtime } = limiterOf({ limit: ownLimit((limit) => limit - 1), signals });
    let reading = 0.9;
    runtime.load.signal('gpu', () => reading, { kind: 'utilization' });
    await runtime.clock.advance(100);
    await windows(limiter, runtime, 1);
    expect(limiter.limit).toBeCloseTo(4 * 0.9 ** 3);
    reading = 0;
    await runtime.clock.advance(2000);
    expect(limiter.limit).toBe(4);
    await windows(limiter, runtime, 1);
    expect(limiter.limit).toBe(3);
  });

  it('whose owner goes while they are full let go', async () => {
    const { limiter, runtime } = rig();
    const signal = runtime.load.signal('gpu', () => 1, { kind: 'utilization' });
    await runtime.clock.advance(300);
    expect(limiter.limit).toBeCloseTo(72.9);
    signal[Symbol.dispose]();
    await runtime.clock.advance(300);
    expect(limiter.limit).toBe(100);
  });

  it('are looked at no more by a limiter that is closed', async () => {
    const { limiter, runtime } = rig();
    let looks = 0;
    runtime.load.signal('gpu', () => ++looks && 0.1, { kind: 'utilization' });
    await runtime.clock.advance(1000);
    expect(looks).toBe(10);
    await limiter.close();
    await runtime.clock.advance(1000);
    expect(looks).toBe(10);
  });

  it('that are full keep what is in flight, and nothing begins until it is below', async () => {
    const { limiter, runtime } = limiterOf({ limit: fixedLimit(10), signals });
    runtime.load.signal('gpu', () => 1, { kind: 'utilization' });
    const held = limiter.tryAcquire({ weight: 9.5 });
    await runtime.clock.advance(100);
    expect(limiter.limit).toBe(9);
    expect(limiter.weight).toBe(9.5);
    expect(limiter.tryAcquire({ weight: 0.1 })).toBeUndefined();
    held?.end();
    expect(limiter.tryAcquire({ weight: 8 })).toBeDefined();
  });
});
