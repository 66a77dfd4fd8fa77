import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/core/random.js';
import {
  constant,
  type Distribution,
  exponential,
  logNormal,
  logNormalOf,
  pareto,
  uniform,
  weighted,
  zipfWeights,
} from '../../../src/sim/distributions.js';

const DRAWS = 200_000;
const SEED = 7;

function sorted(distribution: Distribution): Float64Array {
  const random = seededRandom(SEED);
  return Float64Array.from({ length: DRAWS }, () => distribution(random)).sort();
}

const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
const quantile = (values: Float64Array, share: number) => values[Math.ceil(share * values.length) - 1] as number;

/** `share`: how far off, as a share of what is expected. */
function expectNear(actual: number, expected: number, share: number, what: string): void {
  expect(Math.abs(actual / expected - 1), `${what}: ${actual} for ${expected}, seed ${SEED}`).toBeLessThan(share);
}

describe(`distributions, ${DRAWS} draws of seed ${SEED}`, () => {
  it('a constant is one, and a uniform stays within its ends', () => {
    expect(new Set(sorted(constant(3)))).toEqual(new Set([3]));
    const values = sorted(uniform(2, 6));
    expect(values[0]).toBeGreaterThanOrEqual(2);
    expect(values.at(-1)).toBeLessThan(6);
    expectNear(mean(values), 4, 0.01, 'mean');
  });

  it('an exponential has its mean, and its median at ln 2 of it', () => {
    const values = sorted(exponential(50));
    expectNear(mean(values), 50, 0.01, 'mean');
    expectNear(quantile(values, 0.5), 50 * Math.LN2, 0.015, 'median');
    expectNear(quantile(values, 0.99), 50 * Math.log(100), 0.02, 'p99');
  });

  it('a log-normal has the mean it was given, whatever its width', () => {
    for (const sigma of [0, 0.5, 1]) expectNear(mean(sorted(logNormal(20, sigma))), 20, 0.02, `mean at sigma ${sigma}`);
    expectNear(quantile(sorted(logNormal(20, 1)), 0.5), 20 * Math.exp(-0.5), 0.02, 'median');
  });

  it('a log-normal of two quantiles has these quantiles', () => {
    const values = sorted(logNormalOf(10, 225));
    expectNear(quantile(values, 0.5), 10, 0.02, 'median');
    expectNear(quantile(values, 0.99), 225, 0.04, 'p99');
  });

  it('a Pareto starts at its scale, falls by its power, and ends at its cut', () => {
    const values = sorted(pareto(2, 1.5, 100));
    expect(values[0]).toBeGreaterThanOrEqual(2);
    expect(values.at(-1)).toBe(100);
    // P(X > x) = (scale / x)^alpha.
    expectNear(quantile(values, 0.9), 2 * 10 ** (1 / 1.5), 0.02, 'p90');
  });

  it('weights are the frequencies of indexes, and a weight of 0 never comes', () => {
    const counts = [0, 0, 0, 0];
    const draw = weighted([1, 0, 2, 5]);
    const random = seededRandom(SEED);
    for (let i = 0; i < DRAWS; i++) {
      const index = draw(random);
      counts[index] = (counts[index] as number) + 1;
    }
    expect(counts[1]).toBe(0);
    for (const [index, weight] of [1, 0, 2, 5].entries()) {
      if (weight > 0) expectNear((counts[index] as number) / DRAWS, weight / 8, 0.02, `index ${index}`);
    }
  });

  it('weights by rank fall as Zipf says', () => {
    expect(zipfWeights(4, 1)).toEqual([1, 1 / 2, 1 / 3, 1 / 4]);
  });

  it('one stream gives the same draws again', () => {
    expect(sorted(logNormal(20, 1))).toEqual(sorted(logNormal(20, 1)));
  });

  it('what is no distribution is refused', () => {
    for (const make of [
      () => uniform(2, 1),
      () => exponential(-1),
      () => logNormal(0, 1),
      () => pareto(1, 0),
      () => weighted([]),
    ]) {
      expect(make).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    }
    expect(() => logNormalOf(10, 9)).toThrow(/p99/);
  });
});
