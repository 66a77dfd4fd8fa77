import { describe, expect, it } from 'vitest';
import { runWithContext } from '../../../src/core/index.js';
import type { WorkCounter } from '../../../src/core/load-counter.js';
import { aimdLimit, createLimiter, createThrottle, fixedLimit, type LimiterOptions } from '../../../src/limiter/index.js';
import { lowerLevel } from '../../support/limiter-doors.js';
import { codeOf, limiterOf } from '../../support/limiter-rig.js';

describe('tryAcquire', () => {
  it('gives permits up to the limit, and one again for each that ends', () => {
    const { limiter } = limiterOf();
    const first = limiter.tryAcquire();
    expect(limiter.tryAcquire()).toBeDefined();
    expect(limiter.tryAcquire()).toBeUndefined();
    expect(limiter).toMatchObject({ inFlight: 2, weight: 2, limit: 2 });
    first?.end();
    expect(limiter.inFlight).toBe(1);
    expect(limiter.tryAcquire()).toBeDefined();
  });

  it('counts weights, and lets a call that is heavier than the limit run alone', () => {
    const { limiter } = limiterOf({ limit: fixedLimit(10), unit: 'tokens' });
    const heavy = limiter.tryAcquire({ weight: 25 });
    expect(heavy?.weight).toBe(25);
    expect(limiter.tryAcquire({ weight: 1 })).toBeUndefined();
    heavy?.end();
    const light = limiter.tryAcquire({ weight: 4 });
    expect(limiter.tryAcquire({ weight: 6.5 })).toBeUndefined();
    expect(limiter.tryAcquire({ weight: 6 })).toBeDefined();
    light?.end();
    expect(limiter.weight).toBe(6);
  });

  it('publishes load and limit on the board', () => {
    const { limiter, runtime } = limiterOf({ unit: 'tokens' });
    limiter.tryAcquire({ weight: 1.5 });
    const sample = runtime.load.counter('limiter:test').read();
    expect(sample).toMatchObject({ inFlight: 1, weight: 1.5, capacity: 2, utilization: 0.75 });
  });

  it('adds up what limiters of one name can do, and takes away what is closed', async () => {
    const { limiter, runtime } = limiterOf({ name: 'search', limit: fixedLimit(2) });
    const other = createLimiter({ name: 'search', limit: fixedLimit(6), runtime });
    limiter.tryAcquire();
    const inFlight = other.tryAcquire();
    const counter = runtime.load.counter('limiter:search');
    expect(counter.read()).toMatchObject({ inFlight: 2, capacity: 8, utilization: 0.25 });
    await other.close();
    expect(counter.read()).toMatchObject({ inFlight: 2, capacity: 2, utilization: 1 });
    inFlight?.end();
    await limiter.close();
    expect(counter.read()).toMatchObject({ inFlight: 1, capacity: Number.POSITIVE_INFINITY, utilization: 0 });
  });

  it('leaves the board when it is closed, once its last call has ended', async () => {
    const { limiter, runtime } = limiterOf();
    const keys = () => [...runtime.load.keys()].filter((key) => key.startsWith('limiter:'));
    for (let i = 0; i < 100; i++) await createLimiter({ name: `job-${i}`, runtime }).close();
    expect(keys()).toEqual(['limiter:test']);
    const permit = limiter.tryAcquire();
    await limiter.close();
    expect(keys()).toEqual(['limiter:test']);
    permit?.end();
    expect(keys()).toEqual([]);
  });

  it('refuses a call whose deadline has passed, with room or without', () => {
    const { limiter } = limiterOf();
    expect(limiter.tryAcquire({ deadline: 0 })).toBeUndefined();
    expect(limiter.tryAcquire({ deadline: Number.NEGATIVE_INFINITY })).toBeUndefined();
    expect(limiter.tryAcquire({ deadline: 1 })).toBeDefined();
    expect(limiter.snapshot().refused.deadline?.critical).toBe(2);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '1' as unknown as number])('refuses the weight %s', (weight) => {
    const { limiter } = limiterOf();
    expect(() => limiter.tryAcquire({ weight })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(limiter.inFlight).toBe(0);
  });

  it.each([{ criticality: 'urgent' as never }, { deadline: Number.NaN }, { cohort: 128 }, { cohort: 1.5 }, { cohort: -1 }])(
    'refuses $criticality$deadline$cohort',
    async (options) => {
      const { limiter } = limiterOf();
      expect(() => limiter.tryAcquire(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
      expect(await codeOf(limiter.acquire(options))).toBe('invalid-argument');
      expect(await codeOf(limiter.run(() => 1, options))).toBe('invalid-argument');
    },
  );
});

describe('a permit', () => {
  it('ends once, whatever is said afterwards', () => {
    const { limiter, runtime } = limiterOf();
    const permit = limiter.tryAcquire();
    permit?.end('error');
    permit?.end('ok');
    permit?.reweigh(5);
    permit?.[Symbol.dispose]();
    expect(limiter).toMatchObject({ inFlight: 0, weight: 0 });
    expect(runtime.load.counter('limiter:test').read().inFlight).toBe(0);
  });

  it('can be reweighed while the call runs, and what becomes free goes to those who wait', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(10) });
    const permit = limiter.tryAcquire({ weight: 10 });
    const waiting = limiter.acquire({ weight: 3 });
    permit?.reweigh(8);
    expect(limiter.queued).toBe(1);
    permit?.reweigh(7);
    expect((await waiting).weight).toBe(3);
    expect(limiter.weight).toBe(10);
  });

  it('can be ended after close and after drain', async () => {
    const { limiter } = limiterOf();
    const permit = limiter.tryAcquire();
    await limiter.close();
    permit?.end();
    expect(limiter.inFlight).toBe(0);
  });
});

describe('acquire', () => {
  it('waits in order for a permit', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    const first = await limiter.acquire();
    const order: number[] = [];
    const later = [1, 2, 3].map(async (n) => {
      const permit = await limiter.acquire();
      order.push(n);
      permit.end();
    });
    expect(limiter.queued).toBe(3);
    first.end();
    await Promise.all(later);
    expect(order).toEqual([1, 2, 3]);
    expect(limiter).toMatchObject({ inFlight: 0, queued: 0 });
  });

  it('gives the next permit to the most critical', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    const first = await limiter.acquire();
    const order: string[] = [];
    const later = (['sheddable', 'critical', 'sheddable-plus', 'critical-plus'] as const).map(async (criticality) => {
      const permit = await limiter.acquire({ criticality });
      order.push(criticality);
      permit.end();
    });
    first.end();
    await Promise.all(later);
    expect(order).toEqual(['critical-plus', 'critical', 'sheddable-plus', 'sheddable']);
  });

  it('gives up after the wait that a calm queue allows, and after less under an overload', async () => {
    const { clock, limiter } = limiterOf({ limit: fixedLimit(1), queue: { calmWaitMs: 100, overloadWaitMs: 20 } });
    await limiter.acquire();
    const early = codeOf(limiter.acquire());
    await clock.advance(90);
    const later = codeOf(limiter.acquire());
    await clock.advance(15);
    // The queue was not empty for 105 ms.
    expect(await early).toBe('resource-exhausted waited');
    expect(limiter.queued).toBe(1);
    const overloaded = codeOf(limiter.acquire());
    await clock.advance(25);
    expect(await overloaded).toBe('resource-exhausted waited');
    expect(limiter.queued).toBe(1);
    await clock.advance(80);
    expect(await later).toBe('resource-exhausted waited');
  });

  it('lets a critical call wait as in a calm queue while only less critical ones never leave it empty', async () => {
    const { clock, limiter } = limiterOf({ limit: fixedLimit(1) });
    const held = limiter.tryAcquire();
    const sheddable = () => void limiter.acquire({ criticality: 'sheddable' }).catch(() => {});
    for (let ms = 0; ms < 300; ms += 5) {
      sheddable();
      await clock.advance(5);
    }
    const codes: string[] = [];
    const waits = (criticality: 'critical' | 'sheddable-plus') =>
      codeOf(limiter.acquire({ criticality }).then((permit) => permit.end())).then((code) =>
        codes.push(`${criticality} ${code}`),
      );
    const oldest = waits('critical');
    void waits('sheddable-plus');
    await clock.advance(50);
    // No sheddable-plus waited before, and a critical call does now: they are calm as well.
    expect(codes).toEqual([]);
    sheddable();
    held?.end();
    await oldest;
    expect(codes[0]).toBe('critical ok');
  });

  it('serves the youngest first while the queue does not empty', async () => {
    const { clock, limiter } = limiterOf({ limit: fixedLimit(1), queue: { calmWaitMs: 50, overloadWaitMs: 50 } });
    const running = await limiter.acquire();
    const old = codeOf(limiter.acquire());
    await clock.advance(30);
    const middle = limiter.acquire();
    await clock.advance(22);
    expect(await old).toBe('resource-exhausted waited');
    const young = limiter.acquire();
    running.end();
    const permit = await young;
    permit.end();
    await middle;
    expect(limiter.queued).toBe(0);
  });

  it('gives up when less is left of the deadline than a call takes', async () => {
    const { clock, limiter } = limiterOf({ limit: fixedLimit(1) });
    // 20 calls of 30 ms each teach what one takes.
    for (let i = 0; i < 20; i++) {
      const permit = await limiter.acquire();
      await clock.advance(30);
      permit.end();
    }
    await limiter.acquire();
    expect(await codeOf(limiter.acquire({ deadline: clock.now() + 29 }))).toBe('deadline-exceeded deadline');
    const waiting = codeOf(limiter.acquire({ deadline: clock.now() + 50 }));
    await clock.advance(16);
    expect(limiter.queued).toBe(1);
    await clock.advance(9);
    expect(await waiting).toBe('deadline-exceeded deadline');
  });

  it('refuses when the queue is full of calls that are more critical', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1), queue: { maxQueued: 2 } });
    await limiter.acquire();
    const waiting = [codeOf(limiter.acquire({ criticality: 'critical' })), codeOf(limiter.acquire({ criticality: 'critical' }))];
    expect(await codeOf(limiter.acquire({ criticality: 'sheddable' }))).toBe('resource-exhausted full');
    expect(limiter.queued).toBe(2);
    await limiter.close();
    expect(await Promise.all(waiting)).toEqual(['failed-precondition closed', 'failed-precondition closed']);
  });

  it('puts a more critical call in the place of the oldest of the least critical', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1), queue: { maxQueued: 3 } });
    await limiter.acquire();
    const old = codeOf(limiter.acquire({ criticality: 'sheddable' }));
    const young = limiter.acquire({ criticality: 'sheddable' });
    const middle = limiter.acquire({ criticality: 'sheddable-plus' });
    const critical = limiter.acquire({ criticality: 'critical-plus' });
    expect(await old).toBe('resource-exhausted evicted');
    expect(limiter.queued).toBe(3);
    for (const promise of [young, middle, critical]) promise.catch(() => {});
    await limiter.close();
  });

  it('does not wait at all without a queue', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1), queue: false });
    await limiter.acquire();
    expect(await codeOf(limiter.acquire())).toBe('resource-exhausted limit');
  });

  it('is cancelled by its signal, before it waits and while it does', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    const permit = await limiter.acquire();
    const controller = new AbortController();
    const waiting = codeOf(limiter.acquire({ signal: controller.signal }));
    controller.abort(new Error('enough'));
    expect(await waiting).toBe('cancelled');
    expect(await codeOf(limiter.acquire({ signal: controller.signal }))).toBe('cancelled');
    permit.end();
    expect(limiter).toMatchObject({ queued: 0, inFlight: 0 });
  });

  it('gives nothing to a caller that has gone, with room or without', async () => {
    const { limiter } = limiterOf();
    const signal = AbortSignal.abort();
    expect(await codeOf(limiter.acquire({ signal }))).toBe('cancelled');
    expect(await codeOf(limiter.run(() => 'not to be run', { signal }))).toBe('cancelled');
    expect(limiter.inFlight).toBe(0);
    expect(limiter.snapshot().refused.cancelled?.critical).toBe(2);
  });

  it('takes criticality from the ambient context, unless told otherwise', async () => {
    const { limiter, runtime } = limiterOf();
    await runWithContext(runtime, { criticality: 'sheddable' }, async () => {
      await limiter.acquire();
      await limiter.acquire({ criticality: 'critical-plus' });
    });
    expect(limiter.snapshot().admitted).toEqual({ 'critical-plus': 1, critical: 0, 'sheddable-plus': 0, sheddable: 1 });
  });

  it.each([{ weight: 1 }, { partition: 'x' }, {}])('takes from the ambient context what %s does not tell', async (options) => {
    const { limiter, runtime } = limiterOf({ limit: fixedLimit(9) });
    const context = { criticality: 'sheddable', deadline: 0 } as const;
    const refused = runWithContext(runtime, context, () => [
      codeOf(limiter.wrap(() => 'not to be run', options)()),
      codeOf(limiter.acquire(options)),
    ]);
    expect(await Promise.all(refused)).toEqual(['deadline-exceeded deadline', 'deadline-exceeded deadline']);
    expect(limiter.snapshot().refused.deadline?.sheddable).toBe(2);
    await runWithContext(runtime, context, () => limiter.run(() => 1, { ...options, deadline: 5 }));
    expect(limiter.snapshot().admitted.sheddable).toBe(1);
  });

  it('hears when the caller of the ambient context goes', async () => {
    const { clock, limiter, runtime } = limiterOf({ limit: fixedLimit(1) });
    const caller = new AbortController();
    const held = limiter.tryAcquire();
    const waiting = runWithContext(runtime, { criticality: 'critical', signal: caller.signal }, () =>
      codeOf(limiter.run(() => 'not to be run', { weight: 1 })),
    );
    await clock.settle();
    caller.abort();
    held?.end();
    expect([await waiting, limiter.inFlight]).toEqual(['cancelled', 0]);
  });
});

describe('run', () => {
  it('returns what the work returns, and throws what it throws', async () => {
    const { limiter } = limiterOf();
    expect(await limiter.run(() => 5)).toBe(5);
    expect(await limiter.run(async (permit) => permit.weight, { weight: 2 })).toBe(2);
    await expect(
      limiter.run(() => {
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
    await expect(limiter.run(() => Promise.reject(new Error('later')))).rejects.toThrow('later');
    expect(limiter.inFlight).toBe(0);
  });

  it('lets the work say itself how it ended', async () => {
    const { limiter, runtime } = limiterOf();
    await limiter.run((permit) => permit.end('ignored'));
    expect(runtime.load.counter('limiter:test').read().ratePerSecond).toBe(0);
  });

  it('wraps a function', async () => {
    const { limiter } = limiterOf();
    const add = limiter.wrap(async (a: number, b: number) => a + b);
    expect(await add(2, 3)).toBe(5);
  });
});

describe('ready', () => {
  it('waits for a permit that nobody else waits for', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    await limiter.ready();
    const permit = await limiter.acquire();
    const waiting = limiter.acquire();
    let isReady = false;
    const ready = limiter.ready().then(() => {
      isReady = true;
    });
    permit.end();
    (await waiting).reweigh(1);
    await Promise.resolve();
    expect(isReady).toBe(false);
    (await waiting).end();
    await ready;
  });

  it('waits for as much room as its caller wants', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(10) });
    const [light, heavy] = [limiter.tryAcquire({ weight: 3 }), limiter.tryAcquire({ weight: 5 })];
    await limiter.ready({ weight: 2 });
    let isReady = false;
    const ready = limiter.ready({ weight: 7 }).then(() => {
      isReady = true;
    });
    light?.end();
    await Promise.resolve();
    expect(isReady).toBe(false);
    heavy?.end();
    await ready;
  });

  it('waits until calls of its criticality are not turned away at the door, and wakes the others meanwhile', async () => {
    const rig = limiterOf({ limit: fixedLimit(1), queue: { maxQueued: 1 } });
    const { clock, limiter } = rig;
    await lowerLevel(rig, 'sheddable-plus');
    expect(limiter.level).toBeLessThan(384);
    let woken = 0;
    const sheddable = limiter.ready({ criticality: 'sheddable' }).then(() => woken++);
    await limiter.ready();
    const held = limiter.tryAcquire({ cohort: 0 });
    const critical = limiter.ready();
    held?.end();
    await critical;
    expect(woken).toBe(0);
    // Nobody comes any more, and nobody is told.
    await clock.advance(3000);
    await sheddable;
    expect([limiter.level, limiter.tryAcquire({ criticality: 'sheddable' }) === undefined]).toEqual([512, false]);
    await expect(limiter.ready({ criticality: 'urgent' as never })).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('wakes the next puller, who wants less, when the first one leaves', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(10) });
    using _held = limiter.tryAcquire({ weight: 5 });
    const stop = new AbortController();
    const first = codeOf(limiter.ready({ weight: 8, signal: stop.signal }));
    const second = limiter.ready({ weight: 1 });
    stop.abort();
    expect(await first).toBe('cancelled');
    await second;
  });

  it('wakes one puller for each permit that comes free', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    const permit = await limiter.acquire();
    let woken = 0;
    const pullers = [1, 2, 3].map(async () => {
      await limiter.ready();
      woken++;
      const own = await limiter.acquire();
      return own;
    });
    permit.end();
    const first = await Promise.race(pullers);
    expect(woken).toBe(1);
    first.end();
    const second = await pullers[1];
    expect(woken).toBe(2);
    second?.end();
    await pullers[2];
    expect(woken).toBe(3);
  });

  it('wakes the next puller when the one before it took nothing', async () => {
    const { clock, limiter } = limiterOf({ limit: fixedLimit(1) });
    const permit = await limiter.acquire();
    let woken = 0;
    for (let i = 0; i < 3; i++) {
      void limiter.ready().then(() => {
        woken++;
      });
    }
    permit.end();
    await clock.advance(1);
    expect(woken).toBe(3);
    await limiter.ready();
  });

  it('wakes as many as there is room for when a heavy permit ends', async () => {
    const { clock, limiter } = limiterOf({ limit: fixedLimit(10) });
    const heavy = await limiter.acquire({ weight: 10 });
    let taken = 0;
    for (let i = 0; i < 12; i++) {
      void limiter.ready().then(() => {
        if (limiter.tryAcquire() !== undefined) taken++;
      });
    }
    heavy.end();
    await clock.advance(1);
    expect(taken).toBe(10);
  });

  it('is cancelled by its signal, and fails when the limiter drains', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    const permit = await limiter.acquire();
    const controller = new AbortController();
    const cancelled = codeOf(limiter.ready({ signal: controller.signal }));
    const waiting = codeOf(limiter.ready());
    controller.abort();
    expect(await cancelled).toBe('cancelled');
    const drained = limiter.drain();
    expect(await waiting).toBe('failed-precondition closed');
    expect(await codeOf(limiter.ready())).toBe('failed-precondition closed');
    permit.end();
    await drained;
  });
});

describe('tickets', () => {
  it('are permits as numbers, each good for one end', () => {
    const { limiter } = limiterOf();
    const first = limiter.enter();
    const second = limiter.enter();
    expect(limiter.enter()).toBe(-1);
    expect(limiter.leave(first)).toBe(true);
    expect(limiter.leave(first)).toBe(false);
    const third = limiter.enter();
    expect(third).not.toBe(first);
    expect(limiter.leave(first)).toBe(false);
    expect([limiter.leave(second, 'error'), limiter.leave(third), limiter.leave(-1), limiter.leave(1e6)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(limiter).toMatchObject({ inFlight: 0, weight: 0 });
  });

  it('are refused for lack of room or by the level, each counted as what it is', async () => {
    const { clock, limiter } = limiterOf({ limit: fixedLimit(1), queue: false });
    const first = limiter.enter();
    expect(limiter.enter()).toBe(-1);
    expect(limiter.snapshot().refused).toEqual({ limit: expect.objectContaining({ critical: 1 }) });
    limiter.leave(first);
    for (let period = 0; period < 10; period++) {
      for (let i = 0; i < 70; i++) limiter.tryAcquire({ criticality: 'critical-plus' })?.end();
      const held = limiter.tryAcquire({ criticality: 'critical-plus' });
      for (let i = 0; i < 1000; i++) await codeOf(limiter.acquire({ criticality: 'critical-plus' }));
      held?.end();
      await clock.advance(300);
    }
    expect(limiter.level).toBeLessThanOrEqual(128);
    expect(limiter.enter()).toBe(-1);
    expect(limiter.snapshot().refused).toHaveProperty('level');
  });

  it('grow with the calls in flight', () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1000) });
    const tickets = Array.from({ length: 1000 }, () => limiter.enter());
    expect(new Set(tickets).size).toBe(1000);
    expect(limiter.inFlight).toBe(1000);
    for (const ticket of tickets) limiter.leave(ticket);
    expect(limiter.inFlight).toBe(0);
  });
});

describe('a limit that learns', () => {
  it('rises also when calls are so heavy that the limit is never quite used', async () => {
    const limit = aimdLimit({ initial: 14, windowMs: 10 });
    const { clock, limiter } = limiterOf({ limit, queue: { calmWaitMs: 1000 } });
    for (let i = 0; i < 40; i++) {
      const calls = Array.from({ length: 6 }, () => limiter.run(() => clock.sleep(5), { weight: 5 }).catch(() => {}));
      await clock.advance(40);
      await Promise.all(calls);
    }
    expect(limiter.limit).toBeGreaterThan(20);
  });
});

describe('two limiters of one name', () => {
  it('have permits of their own, and one place on the board', () => {
    const { limiter, runtime } = limiterOf();
    const other = limiterOf({ runtime }).limiter;
    limiter.tryAcquire();
    expect([limiter.inFlight, limiter.weight, other.inFlight, other.weight]).toEqual([1, 1, 0, 0]);
    expect((runtime.load.counter('limiter:test') as WorkCounter).inFlight).toBe(1);
  });
});

describe('what another guard of the process turned away', () => {
  it('says nothing of the server: no limit comes down for it, and no throttle holds back', async () => {
    const inner = limiterOf({ limit: fixedLimit(1), queue: false, name: 'inner' });
    inner.limiter.tryAcquire();
    const outer = limiterOf({
      runtime: inner.runtime,
      limit: aimdLimit({ initial: 50, windowMs: 10 }),
      queue: false,
      name: 'outer',
    });
    const throttle = createThrottle({ runtime: inner.runtime });
    for (let i = 0; i < 200; i++) {
      expect(await codeOf(throttle.run(() => outer.limiter.run(() => inner.limiter.run(() => 1))))).toBe(
        'resource-exhausted limit',
      );
      await outer.clock.advance(1);
    }
    expect(outer.limiter.limit).toBe(50);
    expect(throttle.snapshot().classes.critical.rejection).toBe(0);
  });
});

describe('calls that come too late, or whose callers have gone', () => {
  it('make no limit grow that nobody fills', async () => {
    const limit = aimdLimit({ initial: 10, windowMs: 10 });
    const { clock, limiter } = limiterOf({ limit });
    const gone = AbortSignal.abort();
    for (let i = 0; i < 50; i++) {
      const permits = Array.from({ length: 7 }, () => limiter.tryAcquire());
      await codeOf(limiter.acquire({ deadline: clock.now() - 1 }));
      await codeOf(limiter.acquire({ signal: gone }));
      await clock.advance(10);
      for (const permit of permits) permit?.end();
    }
    expect(limiter.limit).toBe(10);
  });
});

describe('a limiter where nobody may wait', () => {
  it('prefers the more critical calls at its door', async () => {
    const { clock, limiter } = limiterOf({ limit: fixedLimit(2), queue: false });
    const served = { critical: 0, sheddable: 0 };
    for (let i = 0; i < 40_000; i++) {
      const criticality = i % 10 === 0 ? 'critical' : 'sheddable';
      void limiter
        .run(() => clock.sleep(2), { criticality, cohort: i % 128 })
        .then(
          () => served[criticality]++,
          () => {},
        );
      if (i % 10 === 9) await clock.advance(1);
    }
    await clock.advance(10);
    // A tenth of the calls is critical and there is room for a twentieth.
    expect(served.critical).toBeGreaterThan(2 * served.sheddable);
    expect(limiter.level).toBeLessThan(3 * 128 + 64);
  });

  it('has no partitions', () => {
    const invalid = expect.objectContaining({ code: 'invalid-argument' });
    expect(() => limiterOf({ queue: false, partitions: { a: 0.5 } })).toThrow(invalid);
    expect(() => limiterOf({ queue: { maxQueued: 0 }, partitions: { a: 0.5 } })).toThrow(invalid);
  });
});

describe('drain and close', () => {
  it('drain refuses what is new, serves what waits, and resolves when all is over', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    const permit = await limiter.acquire();
    const waiting = limiter.acquire();
    let isDrained = false;
    const drained = limiter.drain().then(() => {
      isDrained = true;
    });
    expect(limiter.tryAcquire()).toBeUndefined();
    expect(limiter.enter()).toBe(-1);
    expect(await codeOf(limiter.acquire())).toBe('failed-precondition closed');
    expect(await codeOf(limiter.run(() => 1))).toBe('failed-precondition closed');
    permit.end();
    const last = await waiting;
    expect(isDrained).toBe(false);
    last.end();
    await drained;
    await limiter.drain();
  });

  it('close refuses those who wait, and ends a drain', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    await limiter.acquire();
    const waiting = codeOf(limiter.acquire());
    const drained = limiter.drain();
    await limiter.close();
    await drained;
    expect(await waiting).toBe('failed-precondition closed');
    await limiter.close();
  });

  it('disposal drains', async () => {
    const { limiter } = limiterOf();
    const permit = limiter.tryAcquire();
    const disposed = limiter[Symbol.asyncDispose]();
    permit?.end();
    await disposed;
    expect(limiter.tryAcquire()).toBeUndefined();
  });
});

describe('options', () => {
  it.each([
    [{ name: '' }, 'name'],
    [{ name: 'x'.repeat(201) }, 'name'],
    [{ limit: 5 as never }, 'limit'],
    [{ queue: { maxQueued: -1 } }, 'queue.maxQueued'],
    [{ queue: { calmWaitMs: 10, overloadWaitMs: 20 } }, 'queue.overloadWaitMs'],
    [{ queue: { calmWaitMs: Number.NaN } }, 'queue.calmWaitMs'],
    [{ partitions: { a: 0.7, b: 0.4 } }, 'partitions'],
    [{ partitions: { a: -0.1 } }, 'partitions.a'],
    [{ partitions: { '': 0.1 } }, 'partitions'],
    [{ signals: [{ key: '', max: 1 }] }, 'signals'],
    [{ signals: [{ key: 'gpu', max: 2 }] }, 'signals'],
  ] as [LimiterOptions, string][])('%j is refused', (options, what) => {
    expect(() => limiterOf(options)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', message: expect.stringContaining(what) }),
    );
  });
});

describe('what is told', () => {
  it('names reasons, and the window behind the last change', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1), queue: false });
    await limiter.acquire();
    await codeOf(limiter.acquire({ criticality: 'sheddable' }));
    limiter.tryAcquire();
    expect(limiter.snapshot()).toMatchObject({
      name: 'test',
      limit: 1,
      inFlight: 1,
      weight: 1,
      queued: 0,
      level: 512,
      refused: { limit: { critical: 1, sheddable: 1, 'critical-plus': 0, 'sheddable-plus': 0 } },
      partitions: [],
      leaked: 0,
    });
    expect(limiter.explain()).toMatchObject({ limit: 1, changes: 0, last: { from: 1, to: 1, reason: 'initial' } });
    expect(JSON.parse(JSON.stringify(limiter.snapshot())).name).toBe('test');
  });

  it('emits refusals to listeners', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1), queue: false });
    const refused: unknown[] = [];
    limiter.events.on('refused', (event) => refused.push(event));
    await limiter.acquire();
    await codeOf(limiter.acquire({ criticality: 'sheddable' }));
    expect(refused).toEqual([{ reason: 'limit', criticality: 'sheddable' }]);
  });
});
