import { liveClock, seededRandom } from 'evenkeel/core';
import { auto, p2c, pickSet, weightedRoundRobin } from 'evenkeel/router';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const report = fc.record(
  { rps: number, eps: number, applicationUtilization: number, cpuUtilization: number, namedMetrics: fc.record({ host: number }) },
  { requiredKeys: [] },
);

describe('whatever finite numbers servers report', () => {
  for (const [name, make] of Object.entries({
    weightedRoundRobin: weightedRoundRobin(),
    auto: auto(),
    reported: p2c({ load: 'reported' }),
  })) {
    it(`${name} goes on picking endpoints that are there`, () => {
      fc.assert(
        fc.property(fc.array(fc.option(report), { minLength: 1, maxLength: 6 }), fc.integer(), (reports, seed) => {
          const set = pickSet(
            reports.map((_, i) => `http://h${i}:1`),
            liveClock(),
          );
          reports.forEach((told, i) => {
            if (told !== null) set.candidates[i]?.onReport(told, 0);
          });
          const picker = make(seededRandom(seed));
          for (let i = 0; i < 50; i++) {
            const index = picker.pickIndex(set, { now: i, weight: 1, loadKey: undefined });
            expect(set.candidates[index]).toBeDefined();
          }
        }),
      );
    });
  }

  it('weighted round robin shares alike between endpoints that claim the impossible', () => {
    const set = pickSet(['http://a:1', 'http://b:1'], liveClock());
    for (const candidate of set.candidates) candidate.onReport({ rps: 100, applicationUtilization: 0.5, eps: -50 }, 0);
    const picker = weightedRoundRobin()(seededRandom(1));
    const picks = Array.from({ length: 1000 }, () => picker.pickIndex(set, { now: 1, weight: 1, loadKey: undefined }));
    expect(picks.filter((index) => index === 0)).toHaveLength(500);
  });
});
