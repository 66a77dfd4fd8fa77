import { describe, expect, it } from 'vitest';
import { findHeadroom } from '../../../src/sim/fleet/headroom.js';

const SLO = { p99Ms: 300, timeoutShare: 0.005 };
/** A fleet that breaks its promise from `limit` up. */
const fleet =
  (limit: number, loads: number[] = []) =>
  async (load: number) => {
    loads.push(load);
    return { p99: load <= limit ? 100 : 1000, timeoutShare: 0 };
  };

describe('findHeadroom', () => {
  it('finds the limit above the load', async () => {
    const found = await findHeadroom(0.7, SLO, fleet(0.93));
    expect(found.limit).toBeLessThanOrEqual(0.93);
    expect(found.limit).toBeGreaterThan(0.93 - found.within);
    expect(found.headroom).toBeCloseTo(found.limit / 0.7 - 1, 9);
  });

  it('is negative when the promise is broken at the load already', async () => {
    const found = await findHeadroom(0.85, SLO, fleet(0.6));
    expect(found.headroom).toBeLessThan(-0.28);
    expect(found.limit).toBeLessThanOrEqual(0.6);
  });

  it('breaks the promise by timeouts alone, too, and counts its runs', async () => {
    const loads: number[] = [];
    const found = await findHeadroom(0.7, SLO, async (load) => {
      loads.push(load);
      return { p99: 100, timeoutShare: load > 0.8 ? 0.01 : 0 };
    });
    expect(found.limit).toBeLessThanOrEqual(0.8);
    expect(found.runs).toBe(loads.length);
    expect(new Set(loads).size).toBe(loads.length);
  });
});
