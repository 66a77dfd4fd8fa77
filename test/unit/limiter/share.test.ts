/** Limiters of several processes on one store: each has a client of its own that can be cut off. */
import { createLimiter, fixedLimit, type Limiter, type Permit, type ShareOptions } from 'evenkeel/limiter';
import { createMemoryState, memoryStateStore } from 'evenkeel/memory';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/core/random.js';
import { createRuntime } from '../../../src/core/runtime.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';
import { FakeHost } from '../../support/fake-host.js';
import { FlakyState } from '../../support/flaky-state.js';

const QUOTA = 12;
const encoder = new TextEncoder();

class Instance {
  readonly limiter: Limiter;
  readonly state: FlakyState;
  readonly held: Permit[] = [];
  readonly states: string[] = [];
  /** Calls that it wants in flight at any time. */
  wants = 0;

  constructor(fleet: Fleet, options: Partial<ShareOptions>, limit = fleet.quota) {
    const { clock, store } = fleet;
    this.state = new FlakyState(createMemoryState({ clock, store }));
    const runtime = createRuntime({ clock, host: new FakeHost(), random: seededRandom(++fleet.made) });
    const share = { state: this.state, key: 'quotas/search', ...options };
    this.limiter = createLimiter({ limit: fixedLimit(limit), queue: false, leakWarning: false, runtime, share });
    this.limiter.events.on('share', ({ state }) => this.states.push(state));
  }

  get limit(): number {
    return this.limiter.limit;
  }

  /** Ends what is more than wanted or allowed, and tries for the rest. */
  work(): void {
    while (this.held.length > Math.min(this.wants, this.limit)) this.held.pop()?.end();
    for (let missing = this.wants - this.held.length; missing > 0; missing--) {
      const permit = this.limiter.tryAcquire();
      if (permit !== undefined) this.held.push(permit);
    }
  }

  /** As if the process were gone: neither reads nor writes. */
  cut(fault: 'unavailable' | 'hang' = 'unavailable'): void {
    this.state.fault = fault;
    this.state.isDeaf = true;
  }

  mend(): void {
    this.state.fault = undefined;
    this.state.isDeaf = false;
  }
}

class Fleet {
  readonly clock = virtualClock();
  readonly store = memoryStateStore({ random: seededRandom('store') });
  readonly instances: Instance[] = [];
  readonly quota: number;
  made = 0;
  /** The largest sums so far of limits and of what is in flight. */
  mostLimit = 0;
  mostInFlight = 0;

  constructor(quota = QUOTA) {
    this.quota = quota;
  }

  start(options: Partial<ShareOptions> = {}, limit?: number): Instance {
    const instance = new Instance(this, options, limit);
    this.instances.push(instance);
    return instance;
  }

  async run(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 50) {
      for (const instance of this.instances) instance.work();
      await this.clock.advance(50);
      this.mostLimit = Math.max(
        this.mostLimit,
        this.sum(({ limit }) => limit),
      );
      this.mostInFlight = Math.max(
        this.mostInFlight,
        this.sum(({ limiter }) => limiter.inFlight),
      );
    }
  }

  sum(read: (instance: Instance) => number): number {
    return this.instances.reduce((sum, instance) => sum + read(instance), 0);
  }

  get limits(): number[] {
    return this.instances.map(({ limit }) => limit);
  }

  async settled(count: number, ...wants: number[]): Promise<Instance[]> {
    for (let i = 0; i < count; i++) this.start().wants = wants[i] ?? 0;
    await this.run(12_000);
    return this.instances;
  }
}

describe('a quota that instances share', () => {
  it('is split evenly while nobody wants more', async () => {
    const fleet = new Fleet();
    await fleet.settled(3);
    expect(fleet.limits).toEqual([4, 4, 4]);
    expect(fleet.mostLimit).toBe(QUOTA);
    expect(fleet.instances.map(({ states }) => states.at(-1))).toEqual(['shared', 'shared', 'shared']);
  });

  it('is one instance whole as soon as the store has answered', async () => {
    const fleet = new Fleet();
    const only = fleet.start();
    expect([only.limit, only.limiter.tryAcquire()]).toEqual([0, undefined]);
    expect(only.limiter.snapshot().share?.state).toBe('starting');
    await fleet.clock.advance(300);
    expect(only.limit).toBe(QUOTA);
    expect(only.limiter.explain().last.reason).toBe('share');
    expect(only.limiter.snapshot().share).toEqual({
      state: 'shared',
      share: 12,
      quota: 12,
      instances: 1,
      demand: 0,
      malformed: 0,
    });
  });

  it('flows from the idle to the busy within three periods, two on average', async () => {
    let periods = 0;
    for (let run = 0; run < 20; run++) {
      const fleet = new Fleet();
      const [busy] = await fleet.settled(3);
      await fleet.run(50 * (7 * run));
      (busy as Instance).wants = 20;
      let waited = 0;
      while ((busy as Instance).limit < 10) {
        await fleet.run(50);
        waited += 50;
        expect(waited).toBeLessThan(3000);
      }
      periods += waited / 1000 / 20;
      expect(fleet.limits).toEqual([10, 1, 1]);
      expect(fleet.mostLimit).toBe(QUOTA);
    }
    expect(periods).toBeLessThan(2);
  });

  it.each([1, 2, 3])('never is exceeded by what is in flight, whatever they want, come and go (seed %i)', async (seed) => {
    const random = seededRandom(seed);
    const fleet = new Fleet();
    for (let i = 0; i < 5; i++) fleet.start();
    for (let round = 0; round < 150; round++) {
      for (const instance of fleet.instances) if (random.next() < 0.3) instance.wants = random.int(15);
      if (random.next() < 0.1 && fleet.instances.length > 2) {
        const gone = fleet.instances.splice(random.int(fleet.instances.length), 1)[0] as Instance;
        for (const permit of gone.held) permit.end();
        await gone.limiter.close();
      }
      if (random.next() < 0.1) fleet.start();
      await fleet.run(50 * (1 + random.int(40)));
    }
    expect(fleet.mostLimit).toBe(QUOTA);
    expect(fleet.mostInFlight).toBe(QUOTA);
  });

  it('counts what is still in flight above a share that shrank', async () => {
    const fleet = new Fleet();
    const [first, second] = (await fleet.settled(2, 20)) as [Instance, Instance];
    expect(fleet.limits).toEqual([11, 1]);
    const stuck = first.held.splice(0);
    first.wants = 0;
    second.wants = 20;
    await fleet.run(6000);
    expect(first.limit).toBe(6);
    expect([first.limiter.inFlight, second.limit]).toEqual([11, 1]);
    for (const permit of stuck) permit.end();
    await fleet.run(4000);
    expect(fleet.limits).toEqual([1, 11]);
    expect(fleet.mostInFlight).toBe(QUOTA);
  });

  it('is the least of those that instances are configured with', async () => {
    const fleet = new Fleet();
    fleet.start();
    fleet.start({}, 6);
    await fleet.run(12_000);
    expect(fleet.limits).toEqual([3, 3]);
    await fleet.instances.pop()?.limiter.close();
    await fleet.run(3000);
    expect(fleet.limits).toEqual([12]);
  });

  it('is taken in turns by more instances than it has units', async () => {
    const fleet = new Fleet(2);
    await fleet.settled(5, 1, 1, 1, 1, 1);
    const had = new Set<number>();
    for (let i = 0; i < 120; i++) {
      await fleet.run(500);
      for (const [index, { limit }] of fleet.instances.entries()) if (limit > 0) had.add(index);
    }
    expect(had.size).toBe(5);
    expect([fleet.mostLimit, fleet.mostInFlight]).toEqual([2, 2]);
  });
});

describe('an instance', () => {
  it('gives its share back when it closes', async () => {
    const fleet = new Fleet();
    const [, second] = (await fleet.settled(2)) as [Instance, Instance];
    await second.limiter.close();
    fleet.instances.pop();
    await fleet.run(2000);
    expect(fleet.limits).toEqual([12]);
  });

  it('gives its share back a lease after it died', async () => {
    const fleet = new Fleet();
    const [, second] = (await fleet.settled(2)) as [Instance, Instance];
    second.cut();
    fleet.instances.pop();
    await fleet.run(3000);
    expect(fleet.limits).toEqual([6]);
    await fleet.run(4000);
    expect(fleet.limits).toEqual([12]);
  });

  it('is told apart from another of its name', async () => {
    const fleet = new Fleet();
    fleet.start({ instance: 'pod-1' });
    fleet.start({ instance: 'pod-1' });
    await fleet.run(12_000);
    expect(fleet.limits).toEqual([6, 6]);
  });

  it('takes another document when its own is somebody else’s', async () => {
    const fleet = new Fleet();
    const only = fleet.start();
    await fleet.run(2000);
    const client = createMemoryState({ clock: fleet.clock, store: fleet.store });
    const key = only.state.requests[0]?.split(' ')[1] as string;
    const twin = { v: 1, holder: 'twin', seq: 1, quota: QUOTA, demand: 0, holds: 4, starved: 0 };
    await client.put(key, encoder.encode(JSON.stringify(twin)));
    await fleet.run(12_000);
    expect(fleet.limits).toEqual([6]);
    expect(only.limiter.snapshot().share).toMatchObject({ state: 'shared', instances: 2 });
  });

  it('writes at most once a period, and seldom while nothing changes', async () => {
    const fleet = new Fleet();
    const [first] = (await fleet.settled(2)) as [Instance, Instance];
    first.state.requests.length = 0;
    await fleet.run(60_000);
    expect(first.state.requests.length).toBeLessThan(40);
    first.state.requests.length = 0;
    for (let i = 0; i < 60; i++) {
      first.wants = i % 2 === 0 ? 12 : 0;
      await fleet.run(1000);
    }
    expect(first.state.requests.length).toBeLessThanOrEqual(60);
  });
});

describe('when the store is lost', () => {
  it.each(['unavailable', 'hang'] as const)(
    'each keeps its last share for an hour (%s), and converges when it is back',
    async (fault) => {
      const fleet = new Fleet();
      const [first, second] = (await fleet.settled(3, 20)) as [Instance, Instance];
      expect(fleet.limits).toEqual([10, 1, 1]);
      for (const instance of fleet.instances) instance.cut(fault);
      first.wants = 0;
      second.wants = 20;
      await fleet.run(3_600_000);
      expect(fleet.limits).toEqual([10, 1, 1]);
      expect(second.states.at(-1)).toBe('kept');
      for (const instance of fleet.instances) instance.mend();
      await fleet.run(25_000);
      expect(fleet.limits).toEqual([1, 10, 1]);
      expect(second.states.at(-1)).toBe('shared');
      expect(fleet.mostLimit).toBe(QUOTA);
    },
  );

  it('nobody takes the place of others that could not write either', async () => {
    const fleet = new Fleet();
    await fleet.settled(3, 20);
    // The watches go on, and tell of leases that ran out.
    for (const { state } of fleet.instances) state.fault = 'unavailable';
    await fleet.run(60_000);
    for (const [index, { state }] of fleet.instances.entries()) {
      state.fault = undefined;
      await fleet.run(index * 300);
    }
    await fleet.run(25_000);
    expect(fleet.limits).toEqual([10, 1, 1]);
    expect(fleet.mostLimit).toBe(QUOTA);
  });

  it('one that is cut off alone goes on with its share, which is the excess, until it is back', async () => {
    const fleet = new Fleet();
    const [, second] = (await fleet.settled(2)) as [Instance, Instance];
    second.cut();
    await fleet.run(15_000);
    expect(fleet.limits).toEqual([12, 6]);
    second.mend();
    await fleet.run(15_000);
    expect(fleet.limits).toEqual([6, 6]);
    expect(fleet.mostLimit).toBe(18);
  });

  it('an instance that starts uses the fallback, and its share later', async () => {
    const fleet = new Fleet();
    const late = new FlakyState(createMemoryState({ clock: fleet.clock, store: fleet.store }));
    late.fault = 'unavailable';
    const one = fleet.start({ state: late });
    const two = fleet.start({ state: late, fallback: 3 });
    expect(fleet.limits).toEqual([0, 0]);
    await fleet.run(2000);
    expect(fleet.limits).toEqual([1, 3]);
    expect([one.states, two.states]).toEqual([['fallback'], ['fallback']]);
    late.fault = undefined;
    await fleet.run(20_000);
    expect(fleet.limits).toEqual([6, 6]);
    expect(fleet.mostLimit).toBe(QUOTA);
  });

  it('a store that was emptied is no reason to take more', async () => {
    const fleet = new Fleet();
    await fleet.settled(3);
    fleet.store.clear();
    await fleet.run(20_000);
    expect(fleet.limits).toEqual([4, 4, 4]);
    expect(fleet.mostLimit).toBe(QUOTA);
  });

  it('answers that are lost change nothing', async () => {
    const fleet = new Fleet();
    const [first] = (await fleet.settled(2)) as [Instance, Instance];
    first.state.fault = 'lost-answer';
    await fleet.run(30_000);
    first.mend();
    first.wants = 20;
    await fleet.run(15_000);
    expect(fleet.limits).toEqual([11, 1]);
    expect(fleet.mostLimit).toBeLessThanOrEqual(18);
  });

  it('a watch that went deaf is opened anew', async () => {
    const fleet = new Fleet();
    const [first, second] = (await fleet.settled(2)) as [Instance, Instance];
    first.state.isDeaf = true;
    await fleet.run(10_000);
    expect(first.states.at(-1)).toBe('kept');
    first.state.isDeaf = false;
    second.wants = 20;
    await fleet.run(20_000);
    expect(fleet.limits).toEqual([1, 11]);
    expect(fleet.mostLimit).toBe(QUOTA);
  });
});

it('ignores documents that are none, and counts them', async () => {
  const fleet = new Fleet();
  const only = fleet.start();
  const client = createMemoryState({ clock: fleet.clock, store: fleet.store });
  const wrong = [
    'text',
    'null',
    '{"v":2}',
    '{"v":1,"holder":"x","seq":1,"quota":0,"demand":0,"holds":0,"starved":0}',
    '{"v":1,"holder":"x","seq":1,"quota":9,"demand":-1,"holds":0,"starved":0}',
    '{"v":1,"holder":"x","seq":1,"quota":9,"demand":0,"holds":1.5,"starved":0}',
  ];
  for (const [i, text] of wrong.entries()) await client.put(`quotas/search/wrong-${i}`, encoder.encode(text));
  await fleet.run(3000);
  expect(only.limiter.snapshot().share).toMatchObject({ malformed: 6, instances: 1, share: 12 });
});

it.each([
  { key: '' },
  { key: 'a//b' },
  { instance: '' },
  { instance: 'a/b' },
  { everyMs: 50 },
  { everyMs: 1000, leaseMs: 2000 },
  { fallback: 13 },
  { fallback: 0.5 },
  { state: {} as ShareOptions['state'] },
])('refuses the share %j', (options) => {
  expect(() => new Fleet().start(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

it('refuses a limit that learns, and one that is not whole', () => {
  const share = { state: createMemoryState({ clock: virtualClock() }), key: 'k' };
  const invalid = expect.objectContaining({ code: 'invalid-argument' });
  expect(() => createLimiter({ share })).toThrow(invalid);
  expect(() => createLimiter({ limit: fixedLimit(2.5), share })).toThrow(invalid);
});
