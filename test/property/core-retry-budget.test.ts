import { RetryBudget, virtualClock } from 'evenkeel/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rounds } from '../support/rounds.js';

describe('a retry budget', () => {
  it('keeps retries within ratio x originals + minimum x seconds, in every window that ends with a retry', () => {
    const options = fc.record({
      ratio: fc.constantFrom(0, 0.1, 0.2, 1, 2.5),
      minPerSecond: fc.constantFrom(0, 0.5, 1, 10),
      windowMs: fc.integer({ min: 1000, max: 15_000 }),
    });
    const steps = fc.array(fc.tuple(fc.nat({ max: 4000 }), fc.nat({ max: 30 }), fc.nat({ max: 30 })), { maxLength: 40 });
    fc.assert(
      fc.property(options, steps, (given, list) => {
        const { ratio, minPerSecond, windowMs } = given;
        const budget = new RetryBudget(virtualClock(), given);
        const originals: number[] = [];
        const retries: number[] = [];
        let now = 0;
        for (const [pauseMs, calls, wanted] of list) {
          now += pauseMs;
          for (let i = 0; i < calls; i++) {
            budget.deposit(now);
            originals.push(now);
          }
          for (let i = 0; i < wanted; i++) if (budget.withdraw(now)) retries.push(now);
          const within = (times: number[]) => times.filter((time) => time > now - windowMs).length;
          const most = ratio * within(originals) + (minPerSecond * windowMs) / 1000;
          if (retries.at(-1) === now) expect(within(retries)).toBeLessThanOrEqual(most + 1e-9);
        }
      }),
      { numRuns: rounds(500) },
    );
  });

  it('grants all of it in one burst: it is a bound, not a brake', () => {
    fc.assert(
      fc.property(fc.nat({ max: 500 }), fc.constantFrom(0, 0.2, 1), (calls, ratio) => {
        const budget = new RetryBudget(virtualClock(), { ratio, minPerSecond: 1, windowMs: 10_000 });
        for (let i = 0; i < calls; i++) budget.deposit(5);
        let granted = 0;
        while (budget.withdraw(5)) granted++;
        expect(granted).toBe(Math.floor(ratio * calls + 10 + 1e-9));
      }),
    );
  });
});
