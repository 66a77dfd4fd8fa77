import { describe, expect, it } from 'vitest';
import { liveHost } from '../../../src/core/host.js';
import { createLoadBoard } from '../../../src/core/load-board.js';
import { seededRandom } from '../../../src/core/random.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';
import { type GradientLimitOptions, gradientLimit, type Limit, type LimitWindow } from '../../../src/limiter/index.js';

const clock = virtualClock();
const host = liveHost();
const surroundings = { clock, host, load: createLoadBoard({ clock, host }) };

/** A server that works on `knee` calls at once; more only share. */
const latencyAt = (inFlight: number, knee: number, aloneMs = 10) => aloneMs * Math.max(1, inFlight / knee);

function windowOf(limit: number, latencyMs: number, inFlight = limit): LimitWindow {
  return {
    limit,
    nowMs: 0,
    lengthMs: 100,
    ended: 100,
    failed: 0,
    dropped: 0,
    retryAfterMs: 0,
    inFlight,
    mostInFlight: inFlight,
    latencyMs,
    latencyErrorMs: 0,
    queueMs: 0,
    refused: 0,
  };
}

/** Runs `windows` windows under more load than the server takes, and returns the limits. */
function overload(limit: Limit, knee: number, windows: number, from = limit.initial, aloneMs = 10): number[] {
  const limits: number[] = [];
  let current = from;
  for (let i = 0; i < windows; i++) {
    const inFlight = Math.max(1, Math.floor(current));
    const ended = Math.round((1000 / aloneMs) * Math.min(knee, inFlight));
    current = limit.next({ ...windowOf(current, latencyAt(inFlight, knee, aloneMs), inFlight), ended });
    limits.push(current);
  }
  return limits;
}

const made = (options: GradientLimitOptions = {}) => gradientLimit(options)(surroundings);

/** Dips left out. */
const steady = (limits: readonly number[]) => [...limits].sort((a, b) => a - b)[limits.length >> 1] as number;

describe('the gradient', () => {
  it.each([1, 2, 8, 64, 256])('finds the knee %i, whether it begins far below or far above', (knee) => {
    for (const initial of [1, 8, 200]) {
      const limits = overload(made({ initial }), knee, 30);
      const last = steady(limits.slice(-5));
      expect(last).toBeGreaterThanOrEqual(Math.max(1, 0.75 * knee));
      expect(last).toBeLessThanOrEqual(Math.max(3, 2 * knee));
    }
  });

  it('does not drift under an overload that lasts for hours', () => {
    const limits = overload(made(), 8, 50_000);
    const early = steady(limits.slice(100, 400));
    for (let at = 1000; at < limits.length; at += 1000) {
      expect(Math.abs(steady(limits.slice(at - 300, at)) / early - 1)).toBeLessThan(0.05);
    }
  });

  it('keeps its limit when the server becomes three times slower, for its knee is where it was', () => {
    const limit = made();
    overload(limit, 8, 100);
    const slower = overload(limit, 8, 120, 11, 30);
    expect(steady(slower.slice(-20))).toBeGreaterThan(8);
    const back = overload(limit, 8, 120, slower.at(-1), 10);
    expect(steady(back.slice(-20))).toBeGreaterThan(8);
    expect(steady(back.slice(-20))).toBeLessThan(13);
  });

  it('follows a knee that moves', () => {
    const limit = made();
    overload(limit, 64, 60);
    // Within a second; and then for good.
    const fewer = overload(limit, 16, 60, 85);
    expect(Math.max(...fewer.slice(9))).toBeLessThan(32);
    expect(steady(fewer.slice(-10))).toBeLessThan(22);
    const more = overload(limit, 64, 120, fewer.at(-1));
    expect(steady(more.slice(-10))).toBeGreaterThan(60);
  });

  it('does not grow while nobody fills it, and comes down to a multiple of what is in flight', () => {
    const limit = made({ initial: 8 });
    let current = 8;
    for (let i = 0; i < 20; i++) current = limit.next(windowOf(current, 10, 3));
    expect(current).toBe(8);
    current = 1000;
    for (let i = 0; i < 50; i++) current = limit.next(windowOf(current, 10, 20));
    expect(current).toBe(100);
  });

  it.each([
    [80, 'more calls at once bring nothing'],
    [120, 'there is room'],
  ])('rises for one window every 20 windows between two dips: %i calls ended in it', (ended, reason) => {
    const limit = made();
    let current = limit.initial;
    const next = (own: Partial<LimitWindow> = {}) => {
      const inFlight = Math.max(1, Math.floor(current));
      const window = { ...windowOf(current, latencyAt(inFlight, 8), inFlight), ended: 10 * Math.min(8, inFlight) };
      current = limit.next({ ...window, ...own });
    };
    let sinceDip = 0;
    for (let i = 0; i < 300 || !limit.reason.startsWith('rise'); i++) {
      sinceDip = limit.reason.startsWith('dip') ? 0 : sinceDip + 1;
      next();
    }
    const risen = current;
    expect(sinceDip % 20).toBe(0);
    next({ ended, latencyMs: ended === 80 ? latencyAt(risen, 8) : 12 });
    expect(limit.reason).toBe(reason);
    expect(current).toBeCloseTo(ended === 80 ? risen / 1.5 : risen);
  });

  it('is not driven down by windows whose few calls are short or long by chance', () => {
    const [seed, error] = ['chance 1', 0.15];
    const random = seededRandom(seed);
    const limit = made();
    let current = limit.initial;
    let lower = 0;
    for (let i = 0; i < 20_000; i++) {
      const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
      // Half full on the mean, and full for moments.
      const window = windowOf(current, 10 * Math.exp(error * normal), 4);
      current = limit.next({ ...window, latencyErrorMs: 10 * error, mostInFlight: Math.floor(current) });
      if (current < 6.5) lower++;
    }
    // The dips that measure the baseline, one in fifty.
    expect(lower, `seed ${seed}`).toBeLessThan(20_000 / 40);
  });

  it('backs off when more than a hundredth of the calls was dropped', () => {
    const limit = made();
    expect(limit.next({ ...windowOf(100, 10), ended: 98, dropped: 2 })).toBeCloseTo(90);
    expect(limit.reason).toBe('calls were dropped');
    const other = made();
    other.next({ ...windowOf(100, 10), ended: 99, dropped: 1 });
    expect(other.reason).not.toBe('calls were dropped');
  });

  it('stays where it is after a window that timed no call', () => {
    const limit = made();
    expect(limit.next(windowOf(8, Number.NaN))).toBe(8);
    expect(limit.next(windowOf(8, 0))).toBe(8);
  });

  it('never leaves its bounds', () => {
    const limits = overload(made({ min: 3, max: 20, initial: 5 }), 1000, 200);
    expect(Math.max(...limits)).toBeLessThanOrEqual(20);
    expect(Math.min(...overload(made({ min: 3, max: 20, initial: 5 }), 1, 200))).toBeGreaterThanOrEqual(3);
  });

  it.each([
    { min: 10, max: 5 },
    { initial: 0 },
    { initial: 30, max: 20 },
    { tolerance: 0.9 },
    { quantile: 1 },
    { quantile: 0 },
    { windowMs: 0 },
    { windowCalls: 3 },
    { measureEvery: 1.5e4 },
  ])('refuses %j', (options) => {
    expect(() => gradientLimit(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
