import { describe, expect, it } from 'vitest';
import { WorkCounter } from '../../../src/core/load-counter.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';

function setUp(capacity = Number.POSITIVE_INFINITY) {
  const clock = virtualClock();
  return { clock, counter: new WorkCounter(clock, 'host', 'tokens', capacity) };
}

describe('WorkCounter', () => {
  it('counts work from its beginning to its first end', () => {
    const { counter } = setUp(10);
    const a = counter.begin(4);
    const b = counter.begin();
    expect(counter.read()).toMatchObject({ inFlight: 2, weight: 5, utilization: 0.5, capacity: 10 });
    a.end();
    a.end('error');
    expect(counter.read()).toMatchObject({ inFlight: 1, weight: 1 });
    b.end();
    expect(counter.read()).toMatchObject({ inFlight: 0, weight: 0, utilization: 0 });
  });

  it('corrects a weight while the work runs, and not after', () => {
    const { counter } = setUp();
    const a = counter.begin(100);
    const b = counter.begin(1);
    a.reweigh(40);
    expect(counter.weight).toBe(41);
    a.end();
    a.reweigh(7);
    expect(counter.weight).toBe(1);
    b.end();
  });

  it('reads exactly 0 when idle, whatever fractions were added', () => {
    const { counter } = setUp();
    const works = [0.1, 0.2, 0.3, 1e-9, 1e9].map((weight) => counter.begin(weight));
    for (const work of works) work.end();
    expect(counter.weight).toBe(0);
  });

  it('has the rate, the errors and the mean latency of the last one to two seconds', async () => {
    const { clock, counter } = setUp();
    for (let i = 0; i < 50; i++) {
      const ok = counter.begin();
      const failed = counter.begin();
      const dropped = counter.begin();
      const ignored = counter.begin();
      await clock.advance(100);
      ok.end();
      failed.end('error');
      dropped.end('dropped');
      ignored.end('ignored');
    }
    const sample = counter.read();
    expect(sample.ratePerSecond).toBeCloseTo(30, -1);
    expect(sample.errorsPerSecond / sample.ratePerSecond).toBeCloseTo(2 / 3, 5);
    expect(sample.latencyMs).toBeCloseTo(100, 5);
    expect(sample.atMs).toBe(clock.now());
  });

  it('keeps the last known latency through silence, while the rate falls to 0', async () => {
    const { clock, counter } = setUp();
    const work = counter.begin();
    await clock.advance(30);
    work.end();
    await clock.advance(60_000);
    counter.read();
    await clock.advance(60_000);
    expect(counter.read()).toMatchObject({ latencyMs: 30, ratePerSecond: 0, errorsPerSecond: 0 });
  });

  it('knows no utilization while the capacity is unknown, and one above 1 when overloaded', () => {
    const { counter } = setUp();
    counter.begin(50);
    expect(counter.read().utilization).toBe(0);
    counter.capacity = 25;
    expect(counter.read().utilization).toBe(2);
  });

  it('refuses weights that are negative or no number', () => {
    const { counter } = setUp();
    expect(() => counter.begin(-1)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(() => counter.begin(1).reweigh(Number.NaN)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
