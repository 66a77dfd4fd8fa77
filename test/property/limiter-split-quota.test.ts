import { type QuotaDemand, splitQuota } from 'evenkeel/limiter';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rounds } from '../support/rounds.js';

const demand = fc.record({
  demand: fc.oneof(fc.constant(0), fc.nat({ max: 30 }), fc.double({ min: 0, max: 1e6, noNaN: true })),
  holds: fc.nat({ max: 20 }),
  starved: fc.nat({ max: 20 }),
});
const demands = fc
  .array(demand, { maxLength: 40 })
  .map((list) => list.map((one, index): QuotaDemand => ({ ...one, id: `i${index}` })));
const quotas = fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 1e9 }));

describe('the split of a quota', () => {
  it('is whole shares that come to the quota', () => {
    fc.assert(
      fc.property(quotas, demands, (quota, list) => {
        const shares = splitQuota(quota, list);
        expect(shares.every((share) => Number.isInteger(share) && share >= 0)).toBe(true);
        const wanting = list.some((one) => one.demand > 0) || list.length > 0;
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(wanting ? quota : 0);
      }),
      { numRuns: rounds(1000) },
    );
  });

  it('gives whoever wants an even part at least that', () => {
    fc.assert(
      fc.property(quotas, demands, (quota, list) => {
        const even = Math.floor(quota / list.length);
        splitQuota(quota, list).forEach((share, i) => {
          expect(share).toBeGreaterThanOrEqual(Math.min(even, Math.ceil(list[i]?.demand as number)));
        });
      }),
      { numRuns: rounds(1000) },
    );
  });

  it('gives nobody more than another that wants more, but for one unit', () => {
    fc.assert(
      fc.property(quotas, demands, (quota, list) => {
        const shares = splitQuota(quota, list);
        for (const [i, a] of list.entries()) {
          for (const [j, b] of list.entries()) {
            const isLess = (shares[i] as number) < (shares[j] as number) - 1;
            if (isLess && a.demand > (shares[i] as number)) expect(b.demand).toBeLessThanOrEqual(a.demand);
            if (isLess) expect(Math.ceil(a.demand)).toBeLessThanOrEqual(Math.max(shares[i] as number, 0));
          }
        }
      }),
      { numRuns: rounds(1000) },
    );
  });

  it('does not depend on the order of the documents', () => {
    fc.assert(
      fc.property(quotas, demands, (quota, list) => {
        const there = splitQuota(quota, list);
        const back = splitQuota(quota, [...list].reverse()).reverse();
        expect(back).toEqual(there);
      }),
      { numRuns: rounds(500) },
    );
  });
});
