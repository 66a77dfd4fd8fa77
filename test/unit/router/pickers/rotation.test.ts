import { describe, expect, it } from 'vitest';
import { roundRobin, weightedRoundRobin } from '../../../../src/router/pickers/index.js';
import { rounds } from '../../../support/rounds.js';
import { candidates, make, request, setOf, shares } from './candidates.js';

const SEED = 7;

describe('round robin', () => {
  it('takes each in turn, from a start that differs from client to client', () => {
    const set = setOf(candidates(5));
    const starts = new Set<number>();
    for (let seed = 0; seed < rounds(20); seed++) {
      const picker = make(roundRobin(), seed);
      const picks = Array.from({ length: 10 }, () => picker.pickIndex(set, request()));
      picks.slice(1).forEach((index, i) => {
        expect(index).toBe(((picks[i] ?? 0) + 1) % 5);
      });
      starts.add(picks[0] ?? -1);
    }
    expect(starts.size).toBe(5);
  });

  it('stays within a list that shrinks', () => {
    const picker = make(roundRobin(), SEED);
    for (const size of [9, 3, 1, 4]) {
      for (let i = 0; i < 20; i++) expect(picker.pickIndex(setOf(candidates(size)), request())).toBeLessThan(size);
    }
  });
});

describe(`weighted round robin (seed ${SEED}, shares within 0.005)`, () => {
  const expectShares = (found: number[], weights: number[]) => {
    const sum = weights.reduce((a, b) => a + b);
    found.forEach((share, i) => {
      expect(Math.abs(share - (weights[i] ?? 0) / sum)).toBeLessThan(0.005);
    });
  };

  it('goes by static weights', () => {
    const weights = [1, 2, 3, 10];
    const set = setOf(candidates(4, (i) => ({ weight: weights[i] ?? 1 })));
    expectShares(shares(make(weightedRoundRobin(), SEED), set, 20_000), weights);
  });

  it('spreads the turns of one endpoint evenly', () => {
    const picker = make(weightedRoundRobin(), SEED);
    const set = setOf(candidates(2, (i) => ({ weight: i === 0 ? 3 : 1 })));
    const picks = Array.from({ length: 400 }, () => picker.pickIndex(set, request()));
    for (let i = 0; i + 8 <= picks.length; i++) {
      const light = picks.slice(i, i + 8).filter((index) => index === 1).length;
      expect(light).toBeGreaterThanOrEqual(1);
      expect(light).toBeLessThanOrEqual(3);
    }
  });

  it('goes by requests per second over utilization where endpoints report both', () => {
    const list = candidates(3);
    const loads = [0.2, 0.4, 0.8];
    list.forEach((one, i) => {
      one.onReport({ rps: 100, applicationUtilization: loads[i] ?? 1, eps: 0 }, 0);
    });
    expectShares(shares(make(weightedRoundRobin(), SEED), setOf(list), 20_000, request(1)), [4, 2, 1]);
  });

  it('counts errors against an endpoint', () => {
    const list = candidates(2);
    list[0]?.onReport({ rps: 100, cpuUtilization: 0.5 }, 0);
    // 100 / (0.5 + 50 / 100): half of the other's.
    list[1]?.onReport({ rps: 100, cpuUtilization: 0.5, eps: 50 }, 0);
    expectShares(shares(make(weightedRoundRobin(), SEED), setOf(list), 20_000, request(1)), [2, 1]);
  });

  it('gives one without a usable report the mean of the others, and believes none alone', () => {
    const list = candidates(3);
    list[0]?.onReport({ rps: 300, applicationUtilization: 1 }, 0);
    list[1]?.onReport({ rps: 100, applicationUtilization: 1 }, 0);
    list[2]?.onReport({ rps: 0, applicationUtilization: 0 }, 0);
    expectShares(shares(make(weightedRoundRobin(), SEED), setOf(list), 20_000, request(1)), [3, 1, 2]);
    const alone = candidates(2);
    alone[0]?.onReport({ rps: 1000, applicationUtilization: 0.1 }, 0);
    expectShares(shares(make(weightedRoundRobin(), SEED), setOf(alone), 20_000, request(1)), [1, 1]);
  });

  it('forgets reports after three minutes', () => {
    const list = candidates(2);
    list[0]?.onReport({ rps: 300, applicationUtilization: 1 }, 0);
    list[1]?.onReport({ rps: 100, applicationUtilization: 1 }, 0);
    expectShares(shares(make(weightedRoundRobin(), SEED), setOf(list), 20_000, request(180_001)), [1, 1]);
  });

  it('never starves an endpoint, however light', () => {
    const set = setOf(candidates(2, (i) => ({ weight: i === 0 ? 1e9 : 1e-6 })));
    expect(shares(make(weightedRoundRobin(), SEED), set, 200_000)[1]).toBeGreaterThan(0);
  });

  it('weighs a hundred thousand endpoints', () => {
    const set = setOf(candidates(100_000));
    expect(make(weightedRoundRobin(), SEED).pickIndex(set, request())).toBeLessThan(100_000);
  });
});
