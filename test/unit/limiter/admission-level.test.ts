import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/core/random.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';
import { AdmissionLevel, ALL_PRIORITIES } from '../../../src/limiter/admission-level.js';

const CRITICAL = 1;
const SHEDDABLE = 3;

function rigOf() {
  const clock = virtualClock();
  const level = new AdmissionLevel(clock, seededRandom(1));
  let turn = 0;
  /** For `ms`, each millisecond: `arrivals` calls of all cohorts in turn, of which those admitted are served up to `served`, and refused beyond. */
  const pass = async (ms: number, { arrivals, rank = CRITICAL, served }: { arrivals: number; rank?: number; served: number }) => {
    for (let i = 0; i < ms; i++) {
      let room = served;
      for (let k = 0; k < arrivals; k++) {
        if (!level.admits(rank, (37 * turn++) % 128)) continue;
        if (room-- > 0) level.onServed();
        else level.onRefused();
      }
      await clock.advance(1);
    }
  };
  return { clock, level, pass };
}

describe('the admission level', () => {
  it('admits everybody while nothing is refused', async () => {
    const { level, pass } = rigOf();
    await pass(3000, { arrivals: 10, served: 10 });
    expect(level.value).toBe(ALL_PRIORITIES);
  });

  it('leaves a burst of less than a second alone', async () => {
    const { level, pass } = rigOf();
    await pass(800, { arrivals: 20, served: 1 });
    expect(level.value).toBe(ALL_PRIORITIES);
  });

  it('comes to about three times as many as are served, the same cohorts all the time', async () => {
    const { level, pass } = rigOf();
    await pass(5000, { arrivals: 20, served: 1 });
    // A twentieth is served, three twentieths are admitted: some 19 of 128 cohorts of critical calls.
    expect(level.value).toBeGreaterThan(128 + 14);
    expect(level.value).toBeLessThan(128 + 30);
    expect([level.admits(0, 127), level.admits(CRITICAL, 0), level.admits(CRITICAL, 100), level.admits(SHEDDABLE, 0)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('is told as open when nobody has come for a while', async () => {
    const { clock, level, pass } = rigOf();
    await pass(5000, { arrivals: 20, served: 1 });
    expect(level.value).toBeLessThan(ALL_PRIORITIES);
    await clock.advance(3000);
    expect(level.value).toBe(ALL_PRIORITIES);
    expect(level.admits(SHEDDABLE, 127)).toBe(true);
  });

  it('opens as soon as no more come than could be served', async () => {
    const { level, pass } = rigOf();
    await pass(5000, { arrivals: 20, served: 1 });
    await pass(1500, { arrivals: 1, served: 1 });
    expect(level.value).toBe(ALL_PRIORITIES);
  });

  it('stays where it is while nothing at all is served', async () => {
    const { level, pass } = rigOf();
    await pass(20_000, { arrivals: 5, served: 0 });
    expect(level.value).toBe(ALL_PRIORITIES);
  });

  it('forgets what it knew after a while without arrivals', async () => {
    const { clock, level, pass } = rigOf();
    await pass(5000, { arrivals: 20, served: 1 });
    await clock.advance(10_000);
    level.admits(SHEDDABLE, 127);
    expect(level.admits(SHEDDABLE, 127)).toBe(true);
  });
});
