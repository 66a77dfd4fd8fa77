import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/core/index.js';
import type { Candidate } from '../../../../src/router/candidate.js';
import {
  auto,
  leastLoaded,
  type PickerFactory,
  p2c,
  peakEwma,
  random,
  roundRobin,
} from '../../../../src/router/pickers/index.js';
import { SamplingPicker } from '../../../../src/router/pickers/sampling.js';
import { candidate, candidates, make, request, setOf, shares } from './candidates.js';

/** Fixed, so that a failure repeats; in the names, so that it is printed. */
const SEED = 20261122;
const PICKS = 40_000;
/** Five standard deviations of a share of 1/10 over PICKS picks: sqrt(0.1 x 0.9 / 40,000) = 0.0015. */
const TOLERANCE = 0.0075;

const all: [string, PickerFactory][] = [
  ['random', random()],
  ['p2c', p2c()],
  ['p2c of 3', p2c({ choices: 3 })],
  ['p2c of 12', p2c({ choices: 12 })],
  ['p2c on reported load', p2c({ load: 'reported' })],
  ['least-loaded', leastLoaded()],
  ['peak-ewma', peakEwma()],
  ['auto', auto()],
  ['round-robin', roundRobin()],
];

describe(`pickers with equal candidates (seed ${SEED}, shares within ${TOLERANCE})`, () => {
  it.each(all)('%s shares ties evenly', (_name, factory) => {
    for (const share of shares(make(factory, SEED), setOf(candidates(10)), PICKS)) {
      expect(Math.abs(share - 0.1)).toBeLessThan(TOLERANCE);
    }
  });

  it.each(all)('%s picks the only one', (_name, factory) => {
    expect(shares(make(factory, SEED), setOf(candidates(1)), 100)).toEqual([1]);
  });

  it.each(all)('%s repeats with the same seed', (_name, factory) => {
    const run = () => {
      const picker = make(factory, SEED);
      return Array.from({ length: 100 }, () => picker.pickIndex(setOf(candidates(10)), request()));
    };
    expect(run()).toEqual(run());
  });
});

describe('power of k choices', () => {
  it('picks the better of two, always', () => {
    const set = setOf([candidate('idle'), candidate('busy', { inFlight: 1 })]);
    for (const factory of [p2c(), leastLoaded(), auto(), peakEwma()])
      expect(shares(make(factory, SEED), set, 1000)).toEqual([1, 0]);
  });

  it('never picks the worst of the fleet, and picks rank r with the chance that theory gives it', () => {
    // With two distinct of n: P(rank r, best first) = 2 (n - 1 - r) / (n (n - 1)).
    const set = setOf(candidates(10, (i) => ({ inFlight: i })));
    const found = shares(make(p2c(), SEED), set, PICKS);
    found.forEach((share, rank) => {
      expect(Math.abs(share - (2 * (9 - rank)) / 90)).toBeLessThan(0.012);
    });
    expect(found[9]).toBe(0);
  });

  it('looks at k distinct candidates: with k of n the k - 1 worst are never picked', () => {
    for (const choices of [3, 5, 8, 9]) {
      const found = shares(make(p2c({ choices }), SEED), setOf(candidates(10, (i) => ({ inFlight: i }))), 5000);
      expect(found.slice(10 - choices + 1).every((share) => share === 0)).toBe(true);
      // Best first: C(n - 1 - r, k - 1) / C(n, k); for the best that is k / n.
      expect(Math.abs((found[0] ?? 0) - choices / 10)).toBeLessThan(0.04);
    }
  });

  it('looks at no candidate twice, for any number of choices and candidates', () => {
    for (let size = 2; size <= 24; size++) {
      for (let choices = 1; choices <= size; choices++) {
        const looked: Candidate[] = [];
        const score = (one: Candidate) => looked.push(one);
        const picker = new SamplingPicker('spy', seededRandom(SEED + size * 100 + choices), choices, score);
        const set = setOf(candidates(size));
        for (let i = 0; i < 20; i++) {
          looked.length = 0;
          picker.pickIndex(set, request());
          expect(new Set(looked).size, `${choices} of ${size}`).toBe(choices);
        }
      }
    }
  });

  it('is the best of all when there are no more candidates than choices', () => {
    const set = setOf(candidates(4, (i) => ({ inFlight: 4 - i })));
    expect(shares(make(p2c({ choices: 4 }), SEED), set, 500)).toEqual([0, 0, 0, 1]);
    expect(shares(make(auto(), SEED), set, 500)).toEqual([0, 0, 0, 1]);
  });

  it('compares relative to weight', () => {
    // (3 + 1) / 4 = 1 against (1 + 1) / 1 = 2.
    const set = setOf([candidate('big', { inFlight: 3, weight: 4 }), candidate('small', { inFlight: 1 })]);
    for (const factory of [p2c(), leastLoaded()]) expect(shares(make(factory, SEED), set, 500)).toEqual([1, 0]);
  });

  it('refuses choices out of range', () => {
    for (const choices of [0, 65, 1.5, Number.NaN]) expect(() => make(p2c({ choices }))).toThrow(/choices is/);
    expect(() => make(peakEwma({ choices: 0 }))).toThrow(/choices is/);
  });
});

describe('pickers by latency', () => {
  it.each([
    ['auto', auto()],
    ['peak-ewma', peakEwma()],
  ])('%s prefers the faster of two equally busy ones, and the slower when its queue is shorter by more', (_name, factory) => {
    const fast = candidate('fast', { latencyMs: 10, inFlight: 3 });
    const slow = candidate('slow', { latencyMs: 30, inFlight: 3 });
    expect(shares(make(factory, SEED), setOf([fast, slow]), 500)).toEqual([1, 0]);
    // Ten times (11 + 1) against thirty times (1 + 1).
    const queued = setOf([candidate('fast', { latencyMs: 10, inFlight: 11 }), candidate('slow', { latencyMs: 30, inFlight: 1 })]);
    expect(shares(make(factory, SEED), queued, 500)).toEqual([0, 1]);
  });

  it.each([
    ['auto', auto()],
    ['peak-ewma', peakEwma()],
  ])('%s tries one slow endpoint again after its estimate faded', (_name, factory) => {
    const slow = candidate('slow', { latencyMs: 1000 });
    const fast = candidate('fast', { latencyMs: 10 });
    const picker = make(factory, SEED);
    const picksSlow = (now: number) => {
      // The fast one is used all the time, so its estimate stands.
      fast.onEnd('ok', 10, 0, now);
      return picker.pickIndex(setOf([slow, fast]), request(now)) === 0;
    };
    expect([1000, 5000, 10_000, 30_000].some(picksSlow)).toBe(false);
    const tried = [60_000, 120_000, 300_000].find(picksSlow);
    expect(tried).toBeLessThanOrEqual(120_000);
  });

  it('peak-ewma sees a peak at once, auto its mean', () => {
    const jumpy = candidate('jumpy');
    for (let now = 0; now < 100; now++) jumpy.onEnd('ok', 10, 0, now);
    jumpy.onEnd('ok', 500, 0, 100);
    const steady = candidate('steady', { latencyMs: 100 });
    steady.onEnd('ok', 100, 0, 100);
    const set = setOf([jumpy, steady]);
    expect(make(peakEwma(), SEED).pickIndex(set, request(100))).toBe(1);
    expect(make(auto(), SEED).pickIndex(set, request(100))).toBe(0);
  });

  it('auto takes a small advantage where less work waits, and a clear one only where as much does', () => {
    const lucky = (inFlight: number) =>
      setOf([candidate('a', { latencyMs: 10, inFlight: 4 }), candidate('b', { latencyMs: 9, inFlight })]);
    const [, ofEqual = 0] = shares(make(auto(), SEED), lucky(4), 500);
    expect(Math.abs(ofEqual - 0.5)).toBeLessThan(0.12);
    expect(shares(make(auto(), SEED), lucky(3), 500)).toEqual([0, 1]);
  });

  it('auto gives an unknown idle endpoint its first call, and not a second before it has answered', () => {
    const known = candidate('known', { latencyMs: 10 });
    const fresh = candidate('fresh');
    const picker = make(auto(), SEED);
    expect(picker.pickIndex(setOf([known, fresh]), request(1))).toBe(1);
    fresh.counter.enter(1);
    expect(picker.pickIndex(setOf([known, fresh]), request(1))).toBe(0);
  });
});

describe('pickers and failures', () => {
  const byLoad: [string, PickerFactory][] = all.filter(([name]) => name !== 'random' && name !== 'round-robin');

  it.each(byLoad)('%s sends a fast-failing endpoint less than 1 in 100 while others are busy', (_name, factory) => {
    const list = candidates(8, (i) => ({ latencyMs: 20, inFlight: i === 0 ? 0 : 3 }));
    list[0]?.onEnd('error', 0.1, 0, 1);
    const [bad = 1] = shares(make(factory, SEED), setOf(list), 5000, request(2));
    expect(bad).toBeLessThan(0.01);
  });

  it.each(byLoad)('%s sends almost nothing to one that has done nothing but fail', (_name, factory) => {
    const list = candidates(8, (i) => (i === 0 ? {} : { latencyMs: 20, inFlight: 3 }));
    list[0]?.onEnd('error', 0.1, 0, 1);
    const [bad = 1] = shares(make(factory, SEED), setOf(list), 5000, request(2));
    expect(bad).toBeLessThan(0.01);
  });

  it.each(byLoad)('%s still picks somebody when all fail', (_name, factory) => {
    const list = candidates(4);
    for (const one of list) one.onEnd('dropped', 1, 0, 1);
    expect(shares(make(factory, SEED), setOf(list), 1000, request(2)).reduce((a, b) => a + b)).toBeCloseTo(1);
  });
});
