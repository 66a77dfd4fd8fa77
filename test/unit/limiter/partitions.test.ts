import { describe, expect, it } from 'vitest';
import { fixedLimit, type Limiter, MAX_PARTITIONS, type Permit } from '../../../src/limiter/index.js';
import { codeOf, limiterOf } from '../../support/limiter-rig.js';

const rig = (partitions: Record<string, number>, limit = 10, maxQueued = 1024) =>
  limiterOf({ limit: fixedLimit(limit), partitions, queue: { maxQueued, calmWaitMs: 10_000 } });

/** As many permits as there are. */
function fill(limiter: Limiter, partition: string | undefined): Permit[] {
  const permits: Permit[] = [];
  for (let permit = limiter.tryAcquire({ partition }); permit !== undefined; permit = limiter.tryAcquire({ partition }))
    permits.push(permit);
  return permits;
}

/** Waits with each of `count` calls; `granted` counts those that have their permits. */
function wait(
  limiter: Limiter,
  partition: string | undefined,
  count: number,
  criticality: 'critical' | 'sheddable' = 'critical',
) {
  const told = { granted: 0, codes: [] as string[], permits: [] as Permit[] };
  for (let i = 0; i < count; i++) {
    void codeOf(
      limiter.acquire({ partition, criticality }).then((permit) => {
        told.granted++;
        told.permits.push(permit);
      }),
    ).then((code) => told.codes.push(code));
  }
  return told;
}

const weights = (limiter: Limiter) => Object.fromEntries(limiter.snapshot().partitions.map(({ name, weight }) => [name, weight]));

describe('a share', () => {
  it('that nobody uses is borrowed, up to the whole limit', () => {
    const { limiter } = rig({ a: 0.5, b: 0.3 });
    expect(fill(limiter, 'b')).toHaveLength(10);
    expect(weights(limiter)).toEqual({ '': 0, a: 0, b: 10 });
    expect(limiter.snapshot().partitions.map(({ share }) => Math.round(100 * share))).toEqual([20, 50, 30]);
  });

  it('goes to its owner first when it comes back, before borrowers that are more critical and came earlier', async () => {
    const { clock, limiter } = rig({ a: 0.5, b: 0.5 });
    const borrowed = fill(limiter, 'b');
    const borrowers = wait(limiter, 'b', 10, 'critical');
    const owner = wait(limiter, 'a', 8, 'sheddable');
    for (const permit of borrowed.slice(0, 5)) permit.end();
    await clock.settle();
    expect([owner.granted, borrowers.granted]).toEqual([5, 0]);
    expect(weights(limiter)).toEqual({ '': 0, a: 5, b: 5 });
    for (const permit of borrowed.slice(5)) permit.end();
    await clock.settle();
    expect([owner.granted, borrowers.granted]).toEqual([5, 5]);
  });

  it('of two owners goes first to the one that has least of its own', async () => {
    const { clock, limiter } = rig({ a: 0.6, b: 0.4 });
    const others = fill(limiter, undefined);
    const a = wait(limiter, 'a', 10);
    const b = wait(limiter, 'b', 10);
    for (const permit of others.slice(0, 5)) permit.end();
    await clock.settle();
    expect([a.granted, b.granted]).toEqual([3, 2]);
  });

  it('counts weights, and is right after a reweigh', async () => {
    const { clock, limiter } = rig({ a: 0.5 });
    const permit = limiter.tryAcquire({ partition: 'a', weight: 2 });
    const other = limiter.tryAcquire({ weight: 3 });
    permit?.reweigh(7);
    expect(weights(limiter)).toEqual({ '': 3, a: 7 });
    const waiting = wait(limiter, 'a', 1);
    permit?.reweigh(0.5);
    await clock.settle();
    expect(waiting.granted).toBe(1);
    expect(weights(limiter)).toEqual({ '': 3, a: 1.5 });
    permit?.end();
    permit?.reweigh(100);
    other?.end();
    expect(weights(limiter)).toEqual({ '': 0, a: 1 });
  });
});

describe('a partition that nobody named', () => {
  it('lives on what the others leave', async () => {
    const { clock, limiter } = rig({ a: 0.9 });
    const mine = fill(limiter, 'a');
    const unknown = wait(limiter, 'somebody', 5);
    const own = wait(limiter, 'a', 5);
    mine[0]?.end();
    await clock.settle();
    // One in ten is theirs; beyond it all are above their share, and the one with least of it is next.
    expect([unknown.granted, own.granted]).toEqual([1, 0]);
    mine[1]?.end();
    await clock.settle();
    expect([unknown.granted, own.granted]).toEqual([1, 1]);
    expect(weights(limiter)).toEqual({ '': 1, a: 9 });
  });

  it('has nothing for sure when the shares are the whole, and is served all the same', async () => {
    const { clock, limiter } = rig({ a: 1 });
    const mine = fill(limiter, 'a');
    const unknown = wait(limiter, undefined, 1);
    const own = wait(limiter, 'a', 1);
    mine[0]?.end();
    await clock.settle();
    expect([unknown.granted, own.granted]).toEqual([0, 1]);
    mine[1]?.end();
    await clock.settle();
    expect(unknown.granted).toBe(1);
  });

  it('has no name of the language itself', () => {
    const { limiter } = rig({ a: 0.5, constructor: 0.1 });
    for (const name of ['__proto__', 'toString', 'constructor']) limiter.tryAcquire({ partition: name });
    expect(weights(limiter)).toEqual({ '': 2, a: 0, constructor: 1 });
  });
});

describe('a full queue', () => {
  it('is not taken from another by one that floods it with critical calls', async () => {
    const { clock, limiter } = rig({ a: 0.5, b: 0.5 }, 1, 10);
    fill(limiter, 'a');
    const quiet = wait(limiter, 'b', 5, 'sheddable');
    const flood = wait(limiter, 'a', 100, 'critical');
    await clock.settle();
    expect(limiter.queued).toBe(10);
    expect(quiet.codes).toEqual([]);
    expect(flood.codes).toHaveLength(95);
    expect(new Set(flood.codes)).toEqual(new Set(['resource-exhausted evicted']));
  });

  it('has a place for an owner that comes after the flood, however critical that is', async () => {
    const { clock, limiter } = rig({ a: 0.5, b: 0.5 }, 4, 10);
    const running = fill(limiter, 'a');
    const flood = wait(limiter, 'a', 10, 'critical');
    const owner = wait(limiter, 'b', 3, 'sheddable');
    await clock.settle();
    expect([owner.codes, flood.codes.length]).toEqual([[], 3]);
    running[0]?.end();
    await clock.settle();
    expect([owner.granted, flood.granted]).toEqual([1, 0]);
  });

  it('gives a partition no more places than its share while others want theirs', async () => {
    const { clock, limiter } = rig({ a: 0.8, b: 0.2 }, 1, 10);
    fill(limiter, 'a');
    const b = wait(limiter, 'b', 10);
    const a = wait(limiter, 'a', 50);
    await clock.settle();
    expect(10 - b.codes.length).toBe(2);
    expect(50 - a.codes.length).toBe(8);
  });

  it('turns out first those who have no share of it', async () => {
    const { clock, limiter } = rig({ a: 0.5, b: 0.5 }, 1, 10);
    fill(limiter, 'a');
    const unknown = wait(limiter, undefined, 2);
    const owners = [wait(limiter, 'a', 8), wait(limiter, 'b', 2)];
    await clock.settle();
    expect(unknown.codes).toHaveLength(2);
    expect(owners.map(({ codes }) => codes)).toEqual([[], []]);
    const late = wait(limiter, undefined, 1);
    await clock.settle();
    expect(late.codes).toEqual(['resource-exhausted full']);
  });

  it('within one partition goes by criticality, the oldest of the least critical first', async () => {
    const { clock, limiter } = rig({ a: 1 }, 1, 2);
    fill(limiter, 'a');
    const low = wait(limiter, 'a', 2, 'sheddable');
    const high = wait(limiter, 'a', 2, 'critical');
    const late = wait(limiter, 'a', 1, 'sheddable');
    await clock.settle();
    expect([low.codes, high.codes, late.codes]).toEqual([
      ['resource-exhausted evicted', 'resource-exhausted evicted'],
      [],
      ['resource-exhausted full'],
    ]);
  });
});

it('there are 64 at most', () => {
  const shares = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, 1 / (count + 1)]));
  expect(() => rig(shares(MAX_PARTITIONS))).not.toThrow();
  expect(() => rig(shares(MAX_PARTITIONS + 1))).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

describe('under an overload that lasts', () => {
  it.each(['critical', 'sheddable'] as const)(
    'a share is served whoever floods the others, though its calls are %s',
    async (criticality) => {
      const { clock, limiter } = rig({ a: 0.5, b: 0.5 });
      const served = { a: 0, b: 0 };
      const call = (partition: 'a' | 'b', level: 'critical' | 'sheddable') => {
        limiter
          .run(() => clock.sleep(100), { partition, criticality: level })
          .then(
            () => served[partition]++,
            () => {},
          );
      };
      let leastLevel = 512;
      // 1000 calls a second of a, of which 50 are its own; 20 of b, all of them its own.
      for (let ms = 0; ms < 15_000; ms++) {
        call('a', 'critical');
        if (ms % 50 === 0) call('b', criticality);
        await clock.advance(1);
        leastLevel = Math.min(leastLevel, limiter.level);
      }
      expect(leastLevel).toBeLessThan(256);
      expect(served.b).toBeGreaterThanOrEqual(295);
      expect(served.a).toBeGreaterThan(1000);
    },
  );
});
