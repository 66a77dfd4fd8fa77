import { describe, expect, it } from 'vitest';
import { deadlineSignal, liveClock } from '../../../src/core/clock.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';

/** The only tests of core that wait, a few milliseconds each: the live clock is what they are about. */
describe('the live clock', () => {
  const clock = liveClock();

  it('is monotonic, and its coarse reading is not ahead', async () => {
    const coarse = clock.coarse();
    const now = clock.now();
    expect(coarse).toBeLessThanOrEqual(now);
    expect(clock.coarse()).toBe(coarse);
    await clock.sleep(20);
    expect(clock.coarse()).toBeGreaterThan(coarse);
    expect(clock.now()).toBeGreaterThan(now);
    expect(Math.abs(clock.wallTime() - Date.now())).toBeLessThan(1000);
  });

  it('fires a timer once, and not after cancel', async () => {
    const fired: string[] = [];
    clock.timer(1, () => fired.push('a'));
    const cancelled = clock.timer(1, () => fired.push('b'));
    cancelled.cancel();
    cancelled.cancel();
    await clock.sleep(10);
    expect(fired).toEqual(['a']);
  });

  it('takes times longer than the system does', async () => {
    let hasFired = false;
    const timer = clock.timer(2 ** 40, () => {
      hasFired = true;
    });
    await clock.sleep(5);
    expect(hasFired).toBe(false);
    timer.cancel();
  });

  it('rejects a sleep whose signal aborts, before or during it', async () => {
    const reason = new Error('enough');
    await expect(clock.sleep(60_000, AbortSignal.abort(reason))).rejects.toMatchObject({ code: 'cancelled', cause: reason });
    const controller = new AbortController();
    const sleep = clock.sleep(60_000, controller.signal);
    controller.abort(reason);
    await expect(sleep).rejects.toMatchObject({ code: 'cancelled', cause: reason });
  });
});

describe('a deadline signal', () => {
  it('aborts with deadline-exceeded on the clock it was given, unless disposed', async () => {
    const clock = virtualClock();
    const signal = deadlineSignal(clock, 100);
    const disposed = deadlineSignal(clock, 100);
    disposed[Symbol.dispose]();
    await clock.advance(99);
    expect(signal.aborted).toBe(false);
    await clock.advance(1);
    expect([signal.aborted, disposed.aborted]).toEqual([true, false]);
    expect(signal.reason).toMatchObject({ code: 'deadline-exceeded', retryable: 'unknown' });
  });

  it('whose time is over already aborts at the next chance', async () => {
    const clock = virtualClock();
    const signal = deadlineSignal(clock, -5);
    await clock.advance(0);
    expect(signal.aborted).toBe(true);
  });
});
