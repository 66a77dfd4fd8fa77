import { expect, it } from 'vitest';
import { RetryBudget } from '../../../src/core/retry-budget.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';

it('allows a floor without traffic, and no more', () => {
  const budget = new RetryBudget(virtualClock(), { minPerSecond: 2, windowMs: 10_000 });
  expect(budget.available).toBe(20);
  for (let i = 0; i < 20; i++) expect(budget.withdraw(0)).toBe(true);
  expect(budget.withdraw(0)).toBe(false);
  expect(budget.available).toBe(0);
});

it('allows a share of the originals, forgotten after the window', async () => {
  const clock = virtualClock();
  const budget = new RetryBudget(clock, { ratio: 0.2, minPerSecond: 0 });
  for (let i = 0; i < 100; i++) budget.deposit(0);
  expect(budget.available).toBe(20);
  await clock.advance(9_999);
  expect(budget.available).toBe(20);
  await clock.advance(1);
  expect(budget.available).toBe(0);
});

it('gives spent retries back after the window and one slice', () => {
  const budget = new RetryBudget(virtualClock(), { ratio: 0, minPerSecond: 1, windowMs: 1000 });
  expect([budget.withdraw(0), budget.withdraw(1000), budget.withdraw(1100)]).toEqual([true, false, true]);
});

it('forgets nothing when a reading of the clock is older than the last', () => {
  const budget = new RetryBudget(virtualClock(), { ratio: 0, minPerSecond: 1, windowMs: 1000 });
  expect(budget.withdraw(500)).toBe(true);
  budget.deposit(390);
  expect([budget.withdraw(501), budget.withdraw(1000)]).toEqual([false, false]);
});

it('starts afresh after a long silence', () => {
  const budget = new RetryBudget(virtualClock(), { minPerSecond: 1, windowMs: 1000 });
  budget.withdraw(0);
  expect(budget.withdraw(1e9)).toBe(true);
});

it.each([{ ratio: -1 }, { ratio: Number.NaN }, { minPerSecond: -1 }, { windowMs: 10 }, { windowMs: 1e9 }])(
  'refuses %j',
  (options) => {
    expect(() => new RetryBudget(virtualClock(), options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  },
);
