import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/core/random.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';
import { constant, exponential, logNormal, uniform } from '../../../src/sim/distributions.js';
import { type Antagonist, memoryStall, onOffAntagonist } from '../../../src/sim/processor.js';
import { ProcessorSharing, type ProcessorSharingOptions } from '../../../src/sim/processor-sharing.js';
import { meanTimeMmc, serve } from './arrivals.js';

const JOBS = 200_000;

/** Jobs by the time they are begun, and when each was done. */
function doneAt(
  options: ProcessorSharingOptions,
  jobs: readonly { atMs: number; workMs: number; memory?: number; cancelAtMs?: number }[],
) {
  const world = virtualClock();
  const processor = new ProcessorSharing(world, options);
  const done: (number | undefined)[] = jobs.map(() => undefined);
  for (const [index, { atMs, workMs, memory, cancelAtMs }] of jobs.entries()) {
    world.timer(atMs, () => {
      const job = processor.start(
        workMs,
        () => {
          done[index] = world.now();
        },
        memory,
      );
      if (cancelAtMs !== undefined) world.timer(cancelAtMs - atMs, () => job.cancel());
    });
  }
  world.runSync(1e6);
  return { done, processor, world };
}

/** Jobs of `done`, to the nanosecond. */
const rounded = (done: readonly (number | undefined)[]) => done.map((ms) => (ms === undefined ? ms : Math.round(ms * 1e6) / 1e6));

describe('processor sharing', () => {
  it('gives each job a processor while there are enough, and an equal share when there are not', () => {
    expect(
      rounded(
        doneAt({ slots: 2 }, [
          { atMs: 0, workMs: 10 },
          { atMs: 0, workMs: 20 },
        ]).done,
      ),
    ).toEqual([10, 20]);
    // Three on two: two thirds of a processor each until 15, when the first is done, and then one each.
    expect(
      rounded(
        doneAt({ slots: 2 }, [
          { atMs: 0, workMs: 10 },
          { atMs: 0, workMs: 20 },
          { atMs: 0, workMs: 20 },
        ]).done,
      ),
    ).toEqual([15, 25, 25]);
  });

  it('slows those that are there when another comes, and no work is lost', () => {
    const { done, processor } = doneAt({ slots: 1 }, [
      { atMs: 0, workMs: 10 },
      { atMs: 5, workMs: 1 },
    ]);
    expect(rounded(done)).toEqual([11, 7]);
    expect(processor.busyMs).toBeCloseTo(11, 6);
  });

  it('does a job in half the time at twice the speed', () => {
    expect(rounded(doneAt({ slots: 1, speed: 2 }, [{ atMs: 0, workMs: 10 }]).done)).toEqual([5]);
  });

  it('loses throughput when it is crowded, as much of it as is said for each lot of jobs beyond its slots', () => {
    const three = [0, 0, 0].map(() => ({ atMs: 0, workMs: 10 }));
    // Three on one slot, two lots too many: 30 ms of work at 1 - 2 x 0.1 of the throughput.
    expect(rounded(doneAt({ slots: 1, crowding: 0.1 }, three).done)).toEqual([37.5, 37.5, 37.5]);
  });

  it('does what is spent before all jobs, unless a processor is idle', () => {
    const world = virtualClock();
    const processor = new ProcessorSharing(world, { slots: 1 });
    const done: number[] = [];
    processor.spend(5);
    processor.start(10, () => done.push(world.now()));
    world.timer(4, () => processor.spend(3));
    world.runSync(100);
    expect(done).toEqual([13]);
    expect(processor.busyMs).toBeCloseTo(18, 6);
  });

  it('goes on at another speed when it is given one', () => {
    const world = virtualClock();
    const processor = new ProcessorSharing(world, { slots: 1 });
    const done: number[] = [];
    processor.start(10, () => done.push(Math.round(world.now() * 1e6) / 1e6));
    world.timer(5, () => {
      processor.speed = 0.5;
    });
    world.runSync(100);
    expect(done).toEqual([15]);
  });

  it('gives a cancelled job’s share to the others, and never calls its onDone', () => {
    const { done, processor } = doneAt({ slots: 1 }, [
      { atMs: 0, workMs: 10 },
      { atMs: 0, workMs: 10, cancelAtMs: 4 },
    ]);
    expect(rounded(done)).toEqual([12, undefined]);
    expect(processor.inFlight).toBe(0);
  });

  it('is busy no longer than there is work: cancelling twice, or after the end, changes nothing', () => {
    const world = virtualClock();
    const processor = new ProcessorSharing(world, { slots: 1 });
    const job = processor.start(5, () => {});
    world.runSync();
    job.cancel();
    job.cancel();
    expect(processor.inFlight).toBe(0);
    expect(processor.busyMs).toBeCloseTo(5, 6);
  });

  it('a job begun inside another’s onDone starts at that moment', () => {
    const world = virtualClock();
    const processor = new ProcessorSharing(world, { slots: 1 });
    const ends: number[] = [];
    processor.start(5, () => {
      ends.push(world.now());
      processor.start(5, () => ends.push(world.now()));
    });
    world.runSync();
    expect(rounded(ends)).toEqual([5, 10]);
  });

  it.each([0.3, 0.7, 0.85])('has the mean time of M/G/1-PS at load %s, whatever the distribution: E[S] / (1 - load)', (load) => {
    const gapMs = 10 / load;
    for (const work of [constant(10), exponential(10), logNormal(10, 1)]) {
      const { jobs, meanMs, utilization } = serve((world) => new ProcessorSharing(world, { slots: 1 }), {
        seed: 11,
        jobs: JOBS,
        gapMs,
        work,
        slots: 1,
      });
      expect(jobs).toBe(JOBS);
      // Over 200,000 jobs the mean is good to some per cent, the less so the nearer to 1 the load is.
      expect(Math.abs((meanMs * (1 - load)) / 10 - 1), `mean ${meanMs}, seed 11`).toBeLessThan(0.06);
      expect(Math.abs(utilization / load - 1), `utilisation ${utilization}`).toBeLessThan(0.02);
    }
  });

  it('has the mean time of M/M/c on c processors', () => {
    for (const slots of [2, 8]) {
      const gapMs = 10 / (0.8 * slots);
      const { meanMs } = serve((world) => new ProcessorSharing(world, { slots }), {
        seed: 12,
        jobs: JOBS,
        gapMs,
        work: exponential(10),
        slots,
      });
      expect(Math.abs(meanMs / meanTimeMmc(slots, gapMs, 10) - 1), `${slots} processors, seed 12`).toBeLessThan(0.04);
    }
  });

  it('does not stick after a simulated year of work without a break', () => {
    const world = virtualClock();
    world.runSync(3.15e10);
    const processor = new ProcessorSharing(world, { slots: 1 });
    world.timer(3.15e10, () => {
      processor.start(1e11, () => {});
      for (let i = 1; i <= 100; i++) processor.start(i / 7, () => {});
    });
    world.runSync(4e10);
    expect(processor.inFlight).toBe(1);
  });
});

describe('an antagonist', () => {
  const fixed = (): Antagonist & { share: number } => ({ share: 0, onChange: undefined });

  it('takes its share of the processors from when it comes until it goes, and shows as CPU', () => {
    const world = virtualClock();
    const antagonist = fixed();
    const told: number[] = [];
    const processor = new ProcessorSharing(world, { slots: 4, antagonist, onCpu: (cpuMs) => told.push(cpuMs) });
    const ends: number[] = [];
    const set = (share: number) => {
      antagonist.share = share;
      antagonist.onChange?.();
    };
    for (let i = 0; i < 4; i++) processor.start(20, () => ends.push(world.now()));
    world.timer(10, () => set(0.5));
    world.timer(20, () => set(0));
    world.runSync();
    // Half done at 10, a quarter more at 20, the rest by 25.
    expect(rounded(ends)).toEqual([25, 25, 25, 25]);
    expect(processor.busyMs).toBeCloseTo(80, 6);
    expect(processor.cpuMs).toBeCloseTo(80 + 10 * 2, 6);
    expect(told.at(-1)).toBeCloseTo(100, 6);
  });

  it('that takes all stops the work, and the work goes on when it leaves', () => {
    const world = virtualClock();
    const antagonist = fixed();
    const processor = new ProcessorSharing(world, { slots: 2, antagonist });
    let end = 0;
    antagonist.share = 1;
    processor.start(10, () => {
      end = world.now();
    });
    world.timer(100, () => {
      antagonist.share = 0;
      antagonist.onChange?.();
    });
    world.runSync();
    expect(end).toBeCloseTo(110, 6);
  });

  it('by turns is there for its share of the time', () => {
    const world = virtualClock();
    const random = seededRandom(13);
    const share = uniform(0.3, 0.9);
    const on = exponential(500);
    const off = exponential(1500);
    const antagonist = onOffAntagonist(world, {
      onMs: () => on(random),
      offMs: () => off(random),
      share: () => share(random),
      startsOn: false,
    });
    let isOnMs = 0;
    for (let at = 0; at < 4_000_000; at += 50) {
      world.runSync(at);
      expect(antagonist.share === 0 || (antagonist.share >= 0.3 && antagonist.share < 0.9)).toBe(true);
      if (antagonist.share > 0) isOnMs += 50;
    }
    expect(isOnMs / 4_000_000, 'seed 13').toBeGreaterThan(0.23);
    expect(isOnMs / 4_000_000, 'seed 13').toBeLessThan(0.27);
  });
});

describe('memory bandwidth', () => {
  it('costs nothing up to 67 % and exponentially more beyond: five times as long at 100 %', () => {
    expect(memoryStall(0.3)).toBe(1);
    expect(memoryStall(0.67)).toBe(1);
    expect(memoryStall(1)).toBeCloseTo(5, 9);
    expect(memoryStall(0.8) / memoryStall(0.7)).toBeCloseTo(memoryStall(0.9) / memoryStall(0.8), 9);
  });

  it('slows all jobs while it is short, and that shows as CPU', () => {
    const jobs = [0, 1].map(() => ({ atMs: 0, workMs: 10, memory: 0.5 }));
    const { done, processor } = doneAt({ slots: 4 }, jobs);
    expect(done[0]).toBeCloseTo(50, 6);
    expect(done[1]).toBeCloseTo(50, 6);
    expect(processor.cpuMs).toBeCloseTo(100, 6);
    expect(doneAt({ slots: 4 }, [{ atMs: 0, workMs: 10, memory: 0.5 }]).done[0]).toBeCloseTo(10, 6);
  });
});
