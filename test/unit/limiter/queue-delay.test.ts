import { describe, expect, it } from 'vitest';
import { type LimitWindow, type QueueDelayLimitOptions, queueDelayLimit } from '../../../src/limiter/index.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { limiterOf } from '../../support/limiter-rig.js';

function setUp(options: QueueDelayLimitOptions = {}) {
  const runtime = fakeRuntime();
  const limit = queueDelayLimit({ initial: 100, ...options })(runtime);
  const next = (own: Partial<LimitWindow> = {}) => {
    const window = {
      limit: 100,
      nowMs: 1000,
      lengthMs: 250,
      ended: 100,
      failed: 0,
      dropped: 0,
      retryAfterMs: 0,
      inFlight: 100,
      mostInFlight: 100,
      latencyMs: 10,
      latencyErrorMs: 0,
      queueMs: 0,
      refused: 0,
      ...own,
    };
    return limit.next(window);
  };
  return { host: runtime.host, limit, next };
}

describe('a limit by the delay of the event loop', () => {
  it.each([
    [0, 105],
    [20, 105],
    [20.5, 95],
    [25, 80],
    [40, 70],
    [10_000, 70],
  ])('of %d ms goes from 100 to %d', (delayMs, expected) => {
    const { host, next } = setUp();
    host.delayMs = delayMs;
    expect(next()).toBeCloseTo(expected);
  });

  it('does not rise while the loop has no time left', () => {
    const { host, limit, next } = setUp();
    host.loopUtilization = 0.96;
    expect(next()).toBe(100);
    expect(limit.reason).toBe('the event loop has no time left');
    host.loopUtilization = 0.95;
    expect(next()).toBe(105);
  });

  it('does not rise when it is not in use, and falls for the dropped', () => {
    const { next } = setUp();
    expect(next({ mostInFlight: 80 })).toBe(100);
    expect(next({ dropped: 1 })).toBe(95);
  });

  it('stays within its bounds, and rises by half a call at least', () => {
    const { host, next } = setUp({ initial: 50, min: 40, max: 60 });
    expect(next({ limit: 59 })).toBe(60);
    expect(next({ limit: 5, mostInFlight: 5 })).toBe(40);
    host.delayMs = 1000;
    expect(next({ limit: 50 })).toBe(40);
    const small = setUp({ initial: 2 });
    expect(small.next({ limit: 2, mostInFlight: 2 })).toBe(2.5);
  });
});

describe('a wait of its own', () => {
  it('counts beside that of the loop, whichever is more', () => {
    let waitMs = 40;
    const { host, next } = setUp({ delayMs: () => waitMs });
    expect(next()).toBeCloseTo(70);
    waitMs = 0;
    host.delayMs = 25;
    expect(next()).toBeCloseTo(80);
  });

  it('counts alone where the loop does not', () => {
    const { host, next } = setUp({ eventLoop: false, delayMs: () => 5 });
    host.delayMs = 1000;
    host.loopUtilization = 1;
    expect(next()).toBe(105);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('pool');
      },
    ],
    ['is NaN', () => Number.NaN],
    ['is Infinity', () => Number.POSITIVE_INFINITY],
    ['is negative', () => -5],
  ])('that %s is left out', (_what, delayMs) => {
    const { host, next } = setUp({ delayMs });
    expect(next()).toBe(105);
    host.delayMs = 40;
    expect(next()).toBe(70);
  });
});

it.each([
  { targetMs: 0 },
  { targetMs: Number.NaN },
  { maxUtilization: 1.1 },
  { eventLoop: false },
  { delayMs: 5 as never },
  { windowMs: 49 },
  { initial: 5, min: 6 },
])('%j is refused', (options) => {
  expect(() => queueDelayLimit(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

it('follows the delay of its loop behind a gate, down and up again', async () => {
  const { clock, limiter, runtime } = limiterOf({ limit: queueDelayLimit({ initial: 50, windowMs: 100 }) });
  const run = async (windows: number) => {
    for (let i = 0; i < windows; i++) {
      const permits = [];
      for (let permit = limiter.tryAcquire(); permit !== undefined; permit = limiter.tryAcquire()) permits.push(permit);
      await clock.advance(100);
      for (const permit of permits) permit.end();
    }
  };
  runtime.host.delayMs = 60;
  await run(40);
  expect(limiter.limit).toBe(1);
  runtime.host.delayMs = 2;
  await run(120);
  expect(limiter.limit).toBeGreaterThan(20);
});
