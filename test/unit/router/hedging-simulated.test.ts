import { expect, it } from 'vitest';
import { p2c } from '../../../src/router/index.js';
import { ONE_SLOW, runFleet } from '../../../src/sim/index.js';

const run = (seed: number, hedge: object | false) =>
  runFleet({
    seed,
    clients: 4,
    utilization: 0.4,
    picker: () => p2c(),
    workSigma: ONE_SLOW.workSigma,
    measureMs: 2500,
    isIdempotent: true,
    machines: { speeds: [0.1, 1, 1, 1, 1, 1, 1, 1], stopsWhenCancelled: true },
    router: { hedge },
  });

it('a simulated fleet that hedges replays from its seed, stays within its share, and shortens the tail', async () => {
  for (const seed of [1, 2]) {
    const [one, two, without] = [await run(seed, {}), await run(seed, {}), await run(seed, false)];
    expect(one.hash, `seed ${seed}`).toBe(two.hash);
    expect(one.hedges, `seed ${seed}`).toBeGreaterThan(0);
    expect(one.hedges, `seed ${seed}`).toBeLessThanOrEqual(one.calls * 0.01);
    expect(one.p999, `seed ${seed}`).toBeLessThan(without.p999);
  }
});
