import { describe, expect, it } from 'vitest';
import {
  type AimdLimitOptions,
  aimdLimit,
  type Limit,
  type LimiterOptions,
  type LimitWindow,
} from '../../../src/limiter/index.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { limiterOf } from '../../support/limiter-rig.js';

const made = (options: AimdLimitOptions = {}) => aimdLimit(options)(fakeRuntime());

/** One limit, and windows of a second that follow one another, full unless something else is said. */
class Windows {
  readonly limit: Limit;
  current: number;
  nowMs = 0;

  constructor(options: AimdLimitOptions = {}) {
    this.limit = made(options);
    this.current = this.limit.initial;
  }

  next(own: Partial<LimitWindow> = {}, idleMs = 0): number {
    const lengthMs = own.lengthMs ?? 1000;
    this.nowMs += idleMs + lengthMs;
    this.current = this.limit.next({
      limit: this.current,
      nowMs: this.nowMs,
      lengthMs,
      ended: 100,
      failed: 0,
      dropped: 0,
      retryAfterMs: 0,
      inFlight: this.current,
      mostInFlight: Math.floor(this.current),
      latencyMs: 10,
      latencyErrorMs: 0,
      queueMs: 0,
      refused: 0,
      ...own,
    });
    return this.current;
  }
}

describe('slow start', () => {
  it('grows by a fifth a window, and by a whole call at least', () => {
    const windows = new Windows({ initial: 1 });
    for (let i = 0; i < 60; i++) {
      const before = windows.current;
      const after = windows.next();
      expect(after).toBeLessThanOrEqual(Math.max(before + 1, 1.2 * before) + 1e-9);
      expect(after).toBeGreaterThanOrEqual(Math.min(10_000, before + 1));
    }
    expect(windows.current).toBe(10_000);
  });

  it('is as slow as it is told', () => {
    const windows = new Windows({ initial: 100, slowStartRatio: 0.01, increase: 0.5 });
    expect(windows.next()).toBe(101);
  });

  it('ends where the last loss was, and goes on by steps', () => {
    const windows = new Windows({ initial: 10 });
    windows.next({ limit: 100, dropped: 5, mostInFlight: 100 });
    expect(windows.current).toBe(70);
    expect(windows.next()).toBe(71);
    // Not in use: down by share, and up again by share as far as the threshold.
    for (let i = 0; i < 20 && windows.current > 40; i++) windows.next({ mostInFlight: 1 });
    expect(windows.current).toBeLessThan(40);
    const limits = Array.from({ length: 12 }, () => windows.next());
    expect(limits).toContain(70);
    expect(limits.slice(limits.indexOf(70)).slice(0, 3)).toEqual([70, 71, 72]);
  });
});

describe('loss', () => {
  it('lowers the limit once in a window, however many calls were dropped', () => {
    expect(new Windows({ initial: 100 }).next({ dropped: 2 })).toBe(70);
    expect(new Windows({ initial: 100 }).next({ dropped: 5000, ended: 0, latencyMs: Number.NaN })).toBe(70);
  });

  it('lowers it again in the next window, and never below the least', () => {
    const windows = new Windows({ initial: 100, min: 20 });
    expect([1, 2, 3, 4, 5, 6].map(() => Math.round(windows.next({ dropped: 50 })))).toEqual([70, 49, 34, 24, 20, 20]);
  });

  it.each([
    [0.05, 5, 95, 'no loss', 11],
    [0.05, 6, 94, 'the downstream turned calls away', 7],
    [0, 1, 9999, 'the downstream turned calls away', 7],
    [1, 100, 0, 'no loss', 11],
  ])('counts from a share of %d of the calls on: %i of them', (dropThreshold, dropped, ended, reason, limit) => {
    const windows = new Windows({ initial: 10, dropThreshold, slowStartRatio: 0.01 });
    const next = windows.next({ dropped, ended });
    expect(next).toBe(limit);
    expect(windows.limit.reason).toBe(reason === 'no loss' ? 'slow start' : reason);
  });

  it('is also slowness, where a latency is aimed at', () => {
    const windows = new Windows({ initial: 10, targetLatencyMs: 50 });
    expect(windows.next({ latencyMs: 50 })).toBe(12);
    expect(windows.next({ latencyMs: 51 })).toBeCloseTo(8.4);
    expect(windows.limit.reason).toBe('slower than the target');
    expect(windows.next({ latencyMs: Number.NaN })).toBeCloseTo(9.4);
  });

  it('costs nothing where latency does not count', () => {
    expect(new Windows({ initial: 10 }).next({ latencyMs: 1e9 })).toBe(12);
  });
});

describe('a limit that is not in use', () => {
  it('stays, while half of it is', () => {
    const windows = new Windows({ initial: 100 });
    expect(windows.next({ mostInFlight: 60 })).toBe(100);
    expect(windows.limit.reason).toBe('not in use up to the limit');
  });

  it('falls by a fifth a window to what is used, and not below what it began with', () => {
    const windows = new Windows({ initial: 10 });
    for (let i = 0; i < 14; i++) windows.next();
    expect(windows.current).toBeGreaterThan(100);
    const before = windows.current;
    expect(windows.next({ mostInFlight: 5 })).toBeCloseTo(0.8 * before);
    for (let i = 0; i < 50; i++) windows.next({ mostInFlight: 7 });
    expect(windows.current).toBe(14);
    for (let i = 0; i < 50; i++) windows.next({ mostInFlight: 1 });
    expect(windows.current).toBe(10);
  });

  it('does not grow in the first window after idleness, and by a fifth in the next ones', () => {
    for (const idle of [{ lengthMs: 60_000 }, {}]) {
      const windows = new Windows({ initial: 10 });
      windows.next();
      windows.next();
      const before = windows.current;
      expect(windows.next(idle, 60_000)).toBeLessThanOrEqual(before);
      const after = windows.current;
      expect(windows.next()).toBeLessThanOrEqual(1.2 * after + 1e-9);
    }
  });
});

describe('a wait that the downstream asked for', () => {
  it('holds growth until it is over', () => {
    const windows = new Windows({ initial: 100 });
    expect(windows.next({ dropped: 5, retryAfterMs: 3000 })).toBe(70);
    expect([windows.next(), windows.next()]).toEqual([70, 70]);
    expect(windows.limit.reason).toBe('the downstream asked to wait');
    expect([windows.next(), windows.next()]).toEqual([71, 72]);
  });

  it('holds it for one call below the threshold as well', () => {
    const windows = new Windows({ initial: 100, dropThreshold: 0.1 });
    expect([windows.next({ dropped: 1, retryAfterMs: 2000 }), windows.next(), windows.next()]).toEqual([100, 100, 120]);
  });

  it('does not hold the limit up: more loss lowers it', () => {
    const windows = new Windows({ initial: 100 });
    windows.next({ dropped: 5, retryAfterMs: 10_000 });
    expect(windows.next({ dropped: 5 })).toBeCloseTo(49);
  });

  it.each([3_600_000, Number.POSITIVE_INFINITY])('of %d ms holds it for a minute', (retryAfterMs) => {
    const windows = new Windows({ initial: 100 });
    windows.next({ dropped: 5, retryAfterMs });
    for (let i = 0; i < 59; i++) expect(windows.next()).toBe(70);
    expect(windows.next()).toBe(71);
  });
});

describe('behind a gate', () => {
  it('learns what the downstream takes, and keeps to it', async () => {
    const { clock, limiter } = limiterOf({ limit: aimdLimit({ initial: 4, windowMs: 100 }) });
    const limits: number[] = [];
    // 20 at once; the rest of each round is turned away.
    for (let round = 0; round < 400; round++) {
      const permits = [];
      for (let permit = limiter.tryAcquire(); permit !== undefined; permit = limiter.tryAcquire()) permits.push(permit);
      await clock.advance(50);
      for (const [i, permit] of permits.entries()) permit.end(i < 20 ? 'ok' : 'dropped');
      if (round > 100) limits.push(limiter.limit);
    }
    expect(Math.max(...limits)).toBeLessThan(23);
    expect(Math.min(...limits)).toBeGreaterThan(13);
  });

  it('lowers a limit where all is dropped or failed, and nothing ends well', async () => {
    const { clock, limiter } = limiterOf({ limit: aimdLimit({ initial: 100 }) });
    for (let i = 0; i < 10; i++) {
      const permits = Array.from({ length: 60 }, () => limiter.tryAcquire());
      await clock.advance(1000);
      for (const [n, permit] of permits.entries()) permit?.end(n % 2 === 0 ? 'error' : 'dropped');
    }
    expect(limiter.limit).toBeLessThan(25);
  });

  it('answers a refusal within a window where calls are few', async () => {
    const { clock, limiter } = limiterOf({ limit: aimdLimit({ initial: 10 }) });
    for (let i = 0; i < 3; i++) {
      await clock.advance(700);
      limiter.tryAcquire()?.end('ok');
    }
    const before = limiter.limit;
    await clock.advance(700);
    limiter.tryAcquire()?.end('dropped');
    await clock.advance(700);
    limiter.tryAcquire()?.end('dropped');
    expect(limiter.limit).toBeLessThan(before);
  });
});

it.each([
  { backoffRatio: 0 },
  { backoffRatio: 1 },
  { backoffRatio: Number.NaN },
  { increase: 0 },
  { dropThreshold: 1.1 },
  { targetLatencyMs: 0 },
  { slowStartRatio: 0 },
  { windowMs: 9 },
  { windowCalls: 0 },
])('%j is refused', (options) => {
  expect(() => aimdLimit(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

describe('a limiter that nobody used for a while', () => {
  const rig = (own: LimiterOptions = {}) => {
    const limit = aimdLimit({ initial: 10, max: 100, windowMs: 10 });
    const { clock, limiter, runtime } = limiterOf({ limit, queue: false, ...own });
    const grow = async () => {
      while (limiter.limit < 100) {
        const permits = Array.from({ length: 100 }, () => limiter.tryAcquire());
        await clock.advance(10);
        for (const permit of permits) permit?.end();
      }
    };
    const burst = () => {
      const permits = Array.from({ length: 100 }, () => limiter.tryAcquire()).filter((permit) => permit !== undefined);
      for (const permit of permits) permit.end();
      return permits.length;
    };
    return { clock, limiter, runtime, grow, burst };
  };

  it('lets its first burst have no more than it began with', async () => {
    const { burst, clock, grow, limiter } = rig();
    await grow();
    await clock.advance(1000);
    expect(burst()).toBe(10);
    expect(limiter.explain().changes).toBeGreaterThan(1);
  });

  it('has lost a share for each window of a short pause, and nothing after a moment', async () => {
    const { burst, clock, grow } = rig();
    await grow();
    await clock.advance(40);
    expect(burst()).toBe(100);
    await clock.advance(60);
    expect(burst()).toBe(Math.floor(100 * 0.8 ** 6));
  });

  it('begins slowly though a namesake was busy meanwhile', async () => {
    const { burst, clock, grow, runtime } = rig();
    const namesake = limiterOf({ runtime }).limiter;
    await grow();
    for (let i = 0; i < 10; i++) {
      await clock.advance(100);
      namesake.tryAcquire()?.end();
    }
    expect(burst()).toBe(10);
  });

  it('wakes up slowly behind signals that are below their maxima, too', async () => {
    const { burst, clock, grow, runtime } = rig({ signals: [{ key: 'gpu', max: 0.9 }] });
    runtime.load.signal('gpu', () => 0.5, { kind: 'utilization' });
    await grow();
    await clock.advance(1000);
    expect(burst()).toBe(10);
  });
});
