import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../../src/core/virtual-clock.js';
import { constant, exponential } from '../../../src/sim/distributions.js';
import { FifoSlots } from '../../../src/sim/fifo-slots.js';
import type { Antagonist } from '../../../src/sim/processor.js';
import { meanTimeMmc, serve } from './arrivals.js';

describe('FIFO with slots', () => {
  it('runs jobs in the order of their coming, one a slot', () => {
    const world = virtualClock();
    const processor = new FifoSlots(world, { slots: 2 });
    const ends: string[] = [];
    for (const [name, workMs] of [
      ['a', 10],
      ['b', 30],
      ['c', 10],
      ['d', 5],
    ] as const) {
      processor.start(workMs, () => ends.push(`${name}${world.now()}`));
    }
    expect(processor.inFlight).toBe(4);
    world.runSync();
    expect(ends).toEqual(['a10', 'c20', 'd25', 'b30']);
    expect(processor.inFlight).toBe(0);
    expect(processor.busyMs).toBe(55);
  });

  it('a cancelled job that waits takes no slot, and no longer counts; one that runs keeps its slot to its end', () => {
    const world = virtualClock();
    const processor = new FifoSlots(world, { slots: 1 });
    const ends: string[] = [];
    const running = processor.start(10, () => ends.push('running'));
    const waiting = processor.start(10, () => ends.push('waiting'));
    processor.start(10, () => ends.push(`last${world.now()}`));
    waiting.cancel();
    waiting.cancel();
    running.cancel();
    expect(processor.inFlight).toBe(2);
    world.runSync();
    expect(ends).toEqual(['last20']);
    expect(processor.inFlight).toBe(0);
  });

  it('an antagonist and a shortage of memory slow the jobs that begin while they last', () => {
    const world = virtualClock();
    const antagonist = { share: 0.5, onChange: undefined };
    const processor = new FifoSlots(world, { slots: 2, antagonist });
    const ends: number[] = [];
    processor.start(10, () => ends.push(world.now()), 0.6);
    antagonist.share = 0;
    processor.start(10, () => ends.push(world.now()), 0.4);
    world.runSync();
    expect(ends[0]).toBeCloseTo(20, 9);
    expect(ends[1]).toBeCloseTo(50, 9);
  });

  it('shows the antagonist as the operating system does', () => {
    const world = virtualClock();
    const antagonist: Antagonist & { share: number } = { share: 0, onChange: undefined };
    const processor = new FifoSlots(world, { slots: 4, antagonist });
    const at = (ms: number, share: number) =>
      world.timer(ms, () => {
        antagonist.share = share;
        antagonist.onChange?.();
      });
    at(1000, 0.5);
    at(2000, 0);
    processor.start(500, () => {});
    world.timer(3000, () => {});
    world.runSync();
    expect([processor.busyMs, processor.cpuMs]).toEqual([500, 500 + 2000]);
  });

  it('serves ten thousand that wait without forgetting one', () => {
    const world = virtualClock();
    const processor = new FifoSlots(world, { slots: 3 });
    const ends: number[] = [];
    for (let i = 0; i < 10_000; i++) processor.start(1, () => ends.push(i));
    world.runSync();
    expect(ends).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
  });

  it.each([1, 4, 16])('has the mean time of M/M/%s', (slots) => {
    const gapMs = 10 / (0.8 * slots);
    const { meanMs, utilization } = serve((world) => new FifoSlots(world, { slots }), {
      seed: 21,
      jobs: 200_000,
      gapMs,
      work: exponential(10),
      slots,
    });
    expect(Math.abs(meanMs / meanTimeMmc(slots, gapMs, 10) - 1), `mean ${meanMs}, seed 21`).toBeLessThan(0.05);
    expect(Math.abs(utilization / 0.8 - 1), `utilisation ${utilization}`).toBeLessThan(0.02);
  });

  it('has the mean time of M/D/1: waits half as long as M/M/1', () => {
    const { meanMs } = serve((world) => new FifoSlots(world, { slots: 1 }), {
      seed: 22,
      jobs: 200_000,
      gapMs: 12.5,
      work: constant(10),
      slots: 1,
    });
    expect(Math.abs((meanMs - 10) / 20 - 1), `mean ${meanMs}, seed 22`).toBeLessThan(0.05);
  });
});
