import { describe, expect, it } from 'vitest';
import { liveRandom, type Random, randomId, seededRandom } from '../../../src/core/random.js';

const draws = (random: Random, count = 20) => Array.from({ length: count }, () => random.next());

describe('seededRandom', () => {
  it('repeats itself for a seed, number or text, and differs for another', () => {
    expect(draws(seededRandom(7))).toEqual(draws(seededRandom('7')));
    expect(draws(seededRandom(7))).not.toEqual(draws(seededRandom(8)));
  });

  it('forks by label alone, however much was drawn', () => {
    const used = seededRandom(1);
    draws(used, 1000);
    expect(draws(used.fork('a'))).toEqual(draws(seededRandom(1).fork('a')));
    expect(draws(used.fork('a'))).not.toEqual(draws(used.fork('b')));
    expect(draws(used.fork('a').fork('b'))).not.toEqual(draws(used.fork('b').fork('a')));
  });

  it('is not moved by draws from its forks', () => {
    const random = seededRandom(1);
    draws(random.fork('a'));
    expect(draws(random)).toEqual(draws(seededRandom(1)));
  });

  it.each([1, 2, 3])('is uniform over 64 bins: chi-square within its 99.99 % bound (seed %i)', (seed) => {
    const random = seededRandom(seed);
    const bins = new Array<number>(64).fill(0);
    const count = 64_000;
    for (let i = 0; i < count; i++) {
      const bin = random.int(64);
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
    const expected = count / 64;
    const chiSquare = bins.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    // 63 degrees of freedom: 114 is exceeded once in ten thousand.
    expect(chiSquare, `seed ${seed}`).toBeLessThan(114);
    expect(chiSquare, `seed ${seed}: suspiciously even`).toBeGreaterThan(28);
  });

  it('has uncorrelated forks: |r| below 0.02 over 40,000 pairs (seed 5)', () => {
    const [a, b] = [seededRandom(5).fork('a'), seededRandom(5).fork('b')];
    let sum = 0;
    const count = 40_000;
    for (let i = 0; i < count; i++) sum += (a.next() - 0.5) * (b.next() - 0.5);
    expect(Math.abs((sum / count) * 12)).toBeLessThan(0.02);
  });

  it('draws whole numbers below their bound, the whole range of 32 bits included', () => {
    const random = seededRandom(1);
    for (let i = 0; i < 1000; i++) expect(random.int(3)).toBeLessThan(3);
    expect(random.int(1)).toBe(0);
    expect(Number.isInteger(random.int(2 ** 32))).toBe(true);
  });
});

describe('randomId', () => {
  it('has 32 hex digits and repeats only with its seed', () => {
    expect(randomId(seededRandom(1))).toMatch(/^[0-9a-f]{32}$/);
    expect(randomId(seededRandom(1))).toBe(randomId(seededRandom(1)));
    expect(randomId(liveRandom())).not.toBe(randomId(liveRandom()));
  });
});
