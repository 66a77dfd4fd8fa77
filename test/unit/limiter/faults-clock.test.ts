/** A monotonic clock that leaps: the machine slept, the container was frozen, and timers are hours late. */
import { describe, expect, it } from 'vitest';
import { type Clock, createRuntime, virtualClock } from '../../../src/core/index.js';
import { aimdLimit, createLimiter, gradientLimit, queueDelayLimit } from '../../../src/limiter/index.js';
import { FakeHost } from '../../support/fake-host.js';

describe('a process that was suspended', () => {
  it.each([
    ['gradient', gradientLimit()],
    ['aimd', aimdLimit({ targetLatencyMs: 1000 })],
    ['queueDelay', queueDelayLimit()],
  ])('goes on under the %s limit where it was: calls of an hour are no knee', async (_, limit) => {
    const clock = virtualClock();
    let aheadMs = 0;
    const leaping: Clock = {
      ...clockOf(clock),
      now: () => clock.now() + aheadMs,
      coarse: () => clock.coarse() + aheadMs,
    };
    const limiter = createLimiter({ runtime: createRuntime({ clock: leaping, host: new FakeHost() }), limit });
    let answered = 0;
    const call = () => {
      limiter
        .run(() => clock.sleep(10))
        .then(
          () => answered++,
          () => {},
        );
    };
    const serve = async (ms: number) => {
      answered = 0;
      for (let i = 0; i < ms; i++) {
        call();
        await clock.advance(1);
      }
      return answered / ms;
    };
    await serve(5000);
    expect(await serve(1000)).toBeGreaterThan(0.98);
    aheadMs = 3_600_000;
    await serve(2000);
    expect(await serve(1000)).toBeGreaterThan(0.98);
    expect(limiter.snapshot()).toMatchObject({ typicalMs: 10, level: 512 });
  });
});

/** Its methods, so that one may be another. */
function clockOf(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    coarse: () => clock.coarse(),
    wallTime: () => clock.wallTime(),
    sleep: (ms, signal, holds) => clock.sleep(ms, signal, holds),
    timer: (ms, fire, holds) => clock.timer(ms, fire, holds),
  };
}
