/** What a limit sees of the calls in a window. */
import { describe, expect, it } from 'vitest';
import { gradientLimit, type Limit, type LimitWindow } from '../../../src/limiter/index.js';
import { limiterOf } from '../../support/limiter-rig.js';

/** A limit of `most` that keeps the windows it sees, each of ten calls. */
function recorded(most = 10) {
  const windows: LimitWindow[] = [];
  const next = (window: LimitWindow) => {
    windows.push({ ...window });
    return most;
  };
  const limit: Limit = { initial: most, min: 1, max: most, windowMs: 1, windowCalls: 10, quantile: 0.5, next, reason: 'kept' };
  const rig = limiterOf({ limit: () => limit, queue: false });
  /** Ten calls at once, each `outcome` after `ms`. */
  const round = async (outcome: 'ok' | 'error' | 'dropped' | 'ignored', ms: number) => {
    const permits = Array.from({ length: 10 }, () => rig.limiter.tryAcquire());
    await rig.clock.advance(ms);
    for (const permit of permits) permit?.end(outcome);
    return windows.at(-1) as LimitWindow;
  };
  return { ...rig, windows, round };
}

describe('the window of a limit', () => {
  it('has the median and its standard error', async () => {
    const { clock, limiter, windows } = recorded(100);
    const permits = Array.from({ length: 100 }, () => limiter.tryAcquire());
    for (const permit of permits) {
      await clock.advance(1);
      permit?.end();
    }
    // Ten calls were over at 100 in flight: the window is long enough when they were replaced twice, here never before the last.
    const { latencyErrorMs, latencyMs } = windows.at(-1) as LimitWindow;
    expect(latencyMs).toBeGreaterThan(30);
    // Half of the distance of the values one standard error of the rank, half the root of their number, below and above.
    expect(latencyErrorMs).toBeGreaterThan(2);
    expect(latencyErrorMs).toBeLessThan(6);
  });

  it.each(['error', 'ignored'] as const)('takes calls that ended %s after long for at least as slow', async (outcome) => {
    const { round } = recorded();
    await round('ok', 10);
    const slow = await round(outcome, 500);
    expect(slow).toMatchObject({ ended: 10, failed: 10 });
    expect(slow.latencyMs).toBe(500);
  });

  it('takes calls that failed at once for no quick server', async () => {
    const { round, windows } = recorded();
    await round('ok', 10);
    expect((await round('error', 1)).latencyMs).toBeNaN();
    const { length } = windows;
    await round('ignored', 1);
    expect(windows.length).toBe(length);
  });

  it('keeps what a call takes that is answered, when most are given up', async () => {
    const { limiter, round } = recorded();
    await round('ok', 10);
    await round('ignored', 500);
    expect(limiter.snapshot().typicalMs).toBe(10);
  });

  it('is over also when nearly all calls were dropped and none of the others was timed', async () => {
    const { clock, limiter, round, windows } = recorded();
    for (let i = 0; i < 200; i++) {
      // So many calls in a window that only some are timed.
      for (let call = 0; call < 5000; call++) limiter.tryAcquire()?.end();
      await clock.advance(2);
      limiter.tryAcquire()?.end();
    }
    const { length } = windows;
    await round('dropped', 5);
    expect(windows.length).toBe(length + 1);
    expect(windows.at(-1)).toMatchObject({ dropped: 10 });
  });
});

describe('the gradient', () => {
  it('comes down when callers give every call up, until some are answered again', async () => {
    const { clock, limiter } = limiterOf({ limit: gradientLimit({ initial: 64 }), queue: false });
    const patienceMs = 50;
    /** As many calls as there is room for; a server that works on `knee` of them at once in 10 ms. */
    const round = async (knee: number) => {
      const permits = Array.from({ length: 200 }, () => limiter.tryAcquire()).filter((permit) => permit !== undefined);
      const tookMs = 10 * Math.max(1, permits.length / knee);
      await clock.advance(Math.min(patienceMs, tookMs));
      for (const permit of permits) permit.end(tookMs > patienceMs ? 'ignored' : 'ok');
      return tookMs <= patienceMs;
    };
    for (let i = 0; i < 100; i++) await round(64);
    expect(await round(8)).toBe(false);
    let answered = 0;
    for (let i = 0; i < 100; i++) if (await round(8)) answered++;
    expect(answered).toBeGreaterThan(50);
  });
});
