/** Permits that are lost, ended twice or too late, and weights that no sum survives. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { fixedLimit, type Limiter, MAX_WEIGHT, type Permit } from '../../../src/limiter/index.js';
import { codeOf, limiterOf } from '../../support/limiter-rig.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Finalizers run in turns of their own, after the collection. */
async function untilFound(limiter: Limiter, leaked: number): Promise<void> {
  for (let i = 0; i < 100 && limiter.snapshot().leaked < leaked; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
}

describe('a permit that nobody ends', () => {
  it('comes back with what it weighed last, to those who wait; the operator is told once', async () => {
    const { limiter, runtime } = limiterOf({ limit: fixedLimit(10), leakWarning: true, partitions: { a: 0.5 } });
    // In a function, so that nothing on the stack holds them.
    const lose = () => {
      limiter.tryAcquire({ weight: 2, partition: 'a' })?.reweigh(6);
      limiter.tryAcquire({ weight: 4 });
    };
    lose();
    const kept = limiter.acquire({ weight: 9 });
    expect(limiter).toMatchObject({ inFlight: 2, weight: 10, queued: 1 });
    await untilFound(limiter, 2);
    expect(limiter.snapshot()).toMatchObject({ leaked: 2, inFlight: 1, weight: 9, queued: 0 });
    expect(limiter.snapshot().partitions.map(({ weight }) => weight)).toEqual([9, 0]);
    expect(runtime.host.warnings).toEqual([expect.stringContaining('a permit was dropped without an end')]);
    (await kept).end();
    expect(limiter.weight).toBe(0);
  });

  it('is not missed when it was ended, however often', async () => {
    const { limiter } = limiterOf({ leakWarning: true });
    const use = () => {
      for (let i = 0; i < 1000; i++) {
        const permit = limiter.tryAcquire();
        permit?.end();
        permit?.end();
      }
    };
    use();
    for (let i = 0; i < 3; i++) {
      collectGarbage();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(limiter.snapshot()).toMatchObject({ leaked: 0, inFlight: 0 });
  });
});

describe('a permit that is ended', () => {
  it('twice makes room once', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    const permit = limiter.tryAcquire();
    const waiting = [1, 2].map(() => limiter.acquire());
    permit?.end();
    permit?.end('error');
    expect(limiter).toMatchObject({ inFlight: 1, queued: 1 });
    for (const promise of waiting) (await promise).end();
  });

  it('after drain lets the drain end, and after close changes nothing but the sums', async () => {
    const { limiter } = limiterOf();
    const [first, second] = [limiter.tryAcquire(), limiter.tryAcquire()];
    let isDrained = false;
    const drained = limiter.drain().then(() => {
      isDrained = true;
    });
    first?.end();
    await Promise.resolve();
    expect(isDrained).toBe(false);
    await limiter.close();
    await drained;
    second?.end();
    second?.end();
    expect(limiter).toMatchObject({ inFlight: 0, weight: 0 });
    expect(limiter.tryAcquire()).toBeUndefined();
    expect(limiter.enter()).toBe(-1);
  });
});

describe('work that throws at once', () => {
  it('gives its permit back, however it was run', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    const work = () => {
      throw new TypeError('at once');
    };
    await expect(limiter.run(work)).rejects.toThrow(TypeError);
    await expect(limiter.wrap(work)()).rejects.toThrow(TypeError);
    const running = limiter.tryAcquire();
    const waited = limiter.run(work);
    running?.end();
    await expect(waited).rejects.toThrow(TypeError);
    expect(limiter).toMatchObject({ inFlight: 0, weight: 0 });
  });
});

describe('weights', () => {
  it.each([0, -1, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e308, 2 * MAX_WEIGHT])(
    '%s is refused at every door',
    async (weight) => {
      const { limiter } = limiterOf();
      expect(() => limiter.tryAcquire({ weight })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
      expect(await codeOf(limiter.acquire({ weight }))).toBe('invalid-argument');
      expect(await codeOf(limiter.run(() => 1, { weight }))).toBe('invalid-argument');
      expect(() => limiter.enter(weight)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
      expect(await codeOf(limiter.ready({ weight }))).toBe('invalid-argument');
      expect(limiter).toMatchObject({ inFlight: 0, weight: 0 });
    },
  );

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 1e308, '3' as unknown as number])(
    'no permit is reweighed to %s',
    (weight) => {
      const { limiter } = limiterOf();
      const permits = [limiter.tryAcquire(), limiter.tryAcquire()];
      for (const permit of permits) {
        expect(() => permit?.reweigh(weight)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
      }
      expect(limiter.weight).toBe(2);
      permits[0]?.end();
      expect(limiter.weight).toBe(1);
    },
  );

  it('the largest there may be leave exact sums behind', () => {
    const { limiter } = limiterOf({ limit: fixedLimit(Number.MAX_VALUE), partitions: { a: 0.5 } });
    const small = limiter.tryAcquire({ weight: 3 });
    const large = Array.from({ length: 1000 }, () => limiter.tryAcquire({ weight: MAX_WEIGHT, partition: 'a' }) as Permit);
    expect(limiter.weight).toBe(1000 * MAX_WEIGHT + 3);
    for (const permit of large) permit.end();
    expect(limiter.weight).toBe(3);
    expect(limiter.snapshot().partitions.map(({ weight }) => weight)).toEqual([3, 0]);
    small?.end();
  });

  it('of 0 after a reweigh still count as a call', () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    const permit = limiter.tryAcquire();
    permit?.reweigh(0);
    expect(limiter).toMatchObject({ inFlight: 1, weight: 0 });
    expect(limiter.tryAcquire()).toBeDefined();
    permit?.end();
    expect(limiter).toMatchObject({ inFlight: 1, weight: 1 });
  });
});

describe('time', () => {
  it.each([-1e308, -1, 0, Number.NEGATIVE_INFINITY])(
    'a deadline at %s has passed: nothing is queued and no work begins',
    async (deadline) => {
      const { limiter } = limiterOf({ limit: fixedLimit(1) });
      let begun = 0;
      const work = () => begun++;
      expect(await codeOf(limiter.run(work, { deadline }))).toBe('deadline-exceeded deadline');
      limiter.tryAcquire();
      expect(await codeOf(limiter.acquire({ deadline }))).toBe('deadline-exceeded deadline');
      expect([begun, limiter.inFlight, limiter.queued]).toEqual([0, 1, 0]);
    },
  );

  it('a calendar that jumps changes no wait, no deadline and no latency', async () => {
    const { clock, limiter } = limiterOf({ limit: fixedLimit(1) });
    for (let i = 0; i < 20; i++) {
      const permit = await limiter.acquire();
      clock.jumpWallTime(i % 2 === 0 ? 1e12 : -2e12);
      await clock.advance(30);
      permit.end();
    }
    expect(limiter.snapshot().typicalMs).toBe(30);
    await limiter.acquire();
    const waiting = codeOf(limiter.acquire({ deadline: clock.now() + 80 }));
    clock.jumpWallTime(1e12);
    await clock.advance(40);
    clock.jumpWallTime(-2e12);
    expect(limiter.queued).toBe(1);
    await clock.advance(16);
    expect(await waiting).toBe('deadline-exceeded deadline');
  });
});
