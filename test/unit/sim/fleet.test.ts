import { describe, expect, it } from 'vitest';
import { p2c, roundRobin } from '../../../src/router/pickers/index.js';
import { FLEET } from '../../../src/sim/fleet/constants.js';
import { type FleetRunOptions, fleetCapacity, runFleet } from '../../../src/sim/fleet/fleet-run.js';
import { Latencies } from '../../../src/sim/fleet/latencies.js';

const SMALL: FleetRunOptions = {
  seed: 3,
  clients: 5,
  utilization: 0.7,
  picker: () => p2c({ load: 'reported' }),
  measureMs: 300,
};

describe('runFleet', () => {
  it('twice with one seed gives one result, hash and all; another seed gives another', async () => {
    const [first, second, other] = [await runFleet(SMALL), await runFleet(SMALL), await runFleet({ ...SMALL, seed: 4 })];
    expect(second).toEqual(first);
    expect(other.hash).not.toBe(first.hash);
    expect(first.events).toBeGreaterThan(2 * first.requests);
  });

  it('gives two policies the same requests, and other answers', async () => {
    const first = await runFleet(SMALL);
    const second = await runFleet({ ...SMALL, picker: () => roundRobin() });
    expect(second.requests).toBe(first.requests);
    expect(second.hash).not.toBe(first.hash);
  });

  it('keeps series when asked to, and runs as without: windows of 100 ms, all requests in them and in the latencies', async () => {
    const plain = await runFleet(SMALL);
    const { series, ...result } = await runFleet({ ...SMALL, withSeries: true });
    expect(plain.series).toBeUndefined();
    expect(result.hash).toBe(plain.hash);
    expect(series?.tail).toHaveLength(3);
    const sum = (values: readonly number[] = []) => values.reduce((a, b) => a + b, 0);
    expect(sum(series?.requests)).toBe(result.requests);
    expect(sum(series?.timeouts)).toBe(result.timeouts);
    expect(sum(series?.latencies.map(({ share }) => share))).toBeCloseTo(1, 9);
    for (const [i, tail] of (series?.tail ?? []).entries()) expect(tail).toBeGreaterThanOrEqual(series?.mean[i] ?? 0);
  });

  it('offers the utilisation it was asked for', async () => {
    const { requests } = await runFleet({ ...SMALL, measureMs: 2000 });
    const offered = (requests * FLEET.work.meanMs) / 2000 / fleetCapacity();
    expect(Math.abs(offered / 0.7 - 1), 'seed 3').toBeLessThan(0.04);
  });
});

describe('Latencies', () => {
  it('has exact quantiles, and counts what is above', () => {
    const latencies = new Latencies();
    for (let i = 5000; i >= 1; i--) latencies.add(i);
    expect([0, 0.5, 0.99, 0.999, 1].map((share) => latencies.quantile(share))).toEqual([1, 2500, 4950, 4995, 5000]);
    expect(latencies.above(4990)).toBe(10);
    expect(latencies.count).toBe(5000);
    latencies.add(0.5);
    expect(latencies.quantile(0)).toBe(0.5);
    expect(new Latencies().quantile(0.99)).toBe(0);
  });
});
