import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../../src/core/virtual-clock.js';
import { RequestCosts } from '../../../src/router/request-costs.js';

/** Serves `count` requests one after another, each taking `ms` beside `beside` others. */
async function serve(
  costs: RequestCosts,
  clock: ReturnType<typeof virtualClock>,
  ms: number,
  count: number,
  beside = 0,
  cls?: string,
) {
  for (let i = 0; i < beside; i++) costs.begin(clock.now());
  for (let i = 0; i < count; i++) {
    const startedAt = clock.now();
    const inFlight = costs.begin(startedAt);
    await clock.advance(ms);
    costs.learn(cls, 1, startedAt, inFlight, clock.now());
  }
  for (let i = 0; i < beside; i++) costs.abandon(clock.now());
}

describe('the cost of a request', () => {
  it('is unknown before the first answer', () => {
    const costs = new RequestCosts(virtualClock(), () => 8);
    expect(costs.unitMs(undefined)).toBe(0);
    expect(costs.slowness()).toBe(1);
  });

  it('is its time over the slots while they are not all taken, and over the work in flight when they are', async () => {
    const clock = virtualClock();
    const idle = new RequestCosts(clock, () => 8);
    await serve(idle, clock, 40, 50);
    expect(idle.unitMs(undefined)).toBeCloseTo(5, 6);
    const busy = new RequestCosts(clock, () => 8);
    await serve(busy, clock, 100, 50, 19);
    expect(busy.unitMs(undefined)).toBeCloseTo(5, 6);
  });

  it('is learned class by class, and an unknown class is taken for the mean of all', async () => {
    const clock = virtualClock();
    const costs = new RequestCosts(clock, () => 1);
    await serve(costs, clock, 10, 100, 0, 'small');
    await serve(costs, clock, 90, 100, 0, 'large');
    expect(costs.unitMs('small')).toBeCloseTo(10, 6);
    expect(costs.unitMs('large')).toBeCloseTo(90, 6);
    expect(costs.unitMs('never seen')).toBe(costs.unitMs(undefined));
    expect(costs.unitMs(undefined)).toBeGreaterThan(10);
  });

  it('forgets the class least recently seen beyond 256 of them', async () => {
    const clock = virtualClock();
    const costs = new RequestCosts(clock, () => 1);
    await serve(costs, clock, 5, 1, 0, 'first');
    for (let i = 0; i < 256; i++) await serve(costs, clock, 50, 1, 0, `class ${i}`);
    expect(costs.unitMs('first')).toBe(costs.unitMs(undefined));
  });

  it('ignores work without weight', async () => {
    const clock = virtualClock();
    const costs = new RequestCosts(clock, () => 1);
    costs.learn(undefined, 0, 0, 1, 10);
    expect(costs.unitMs(undefined)).toBe(0);
  });
});

describe('slowness', () => {
  it.each([1, 4, 16])('is about 1 while requests take what they always take, %i at a time', async (atOnce) => {
    const clock = virtualClock();
    const costs = new RequestCosts(clock, () => 4);
    for (let round = 0; round < 100; round++) {
      const startedAt = clock.now();
      const inFlight = Array.from({ length: atOnce }, () => costs.begin(startedAt));
      await clock.advance(5 * Math.max(4, atOnce));
      for (const beside of inFlight) costs.learn(undefined, 1, startedAt, Math.max(beside, atOnce), clock.now());
    }
    expect(costs.slowness()).toBeGreaterThan(0.8);
    expect(costs.slowness()).toBeLessThan(1.25);
  });

  it('rises while work is in flight and nothing is answered', async () => {
    const clock = virtualClock();
    const costs = new RequestCosts(clock, () => 1);
    await serve(costs, clock, 10, 200);
    const usual = costs.slowness();
    costs.begin(clock.now());
    await clock.advance(200);
    expect(costs.slowness()).toBeGreaterThan(2 * usual);
  });

  it('does not rise while nothing is in flight', async () => {
    const clock = virtualClock();
    const costs = new RequestCosts(clock, () => 1);
    await serve(costs, clock, 10, 200);
    const usual = costs.slowness();
    await clock.advance(1000);
    expect(costs.slowness()).toBeLessThanOrEqual(usual);
  });
});
