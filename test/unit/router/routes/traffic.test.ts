import { describe, expect, it } from 'vitest';
import type { Candidate } from '../../../../src/router/candidate.js';
import { createTierSplit, createTrafficSplit, TierBalance } from '../../../../src/router/index.js';
import { Pool } from '../../../../src/router/routes/pool.js';
import { rendezvousSubset } from '../../../../src/router/routes/subset.js';
import type { RouteSplit } from '../../../../src/router/routes/traffic-split.js';
import { endpointsNamed, routerRig, watch } from '../../../support/router-rig.js';
import { candidate } from '../pickers/candidates.js';

describe('a subset', () => {
  const fleet = Array.from({ length: 200 }, (_, i) => candidate(`e${i}`));
  const idsOf = (list: readonly { endpoint: { id: string } }[]) => list.map(({ endpoint }) => endpoint.id);

  it('is the whole list while that is short enough', () => {
    expect(rendezvousSubset(fleet, 'client', 200)).toBe(fleet);
  });

  it('is the same for the same client, and another for another', () => {
    const one = idsOf(rendezvousSubset(fleet, 'client 1', 20));
    expect(one).toHaveLength(20);
    expect(idsOf(rendezvousSubset([...fleet], 'client 1', 20))).toEqual(one);
    expect(idsOf(rendezvousSubset(fleet, 'client 2', 20))).not.toEqual(one);
  });

  it('changes by one endpoint when one of it goes, and not at all when another goes', () => {
    const before = idsOf(rendezvousSubset(fleet, 'client', 20));
    const without = (id: string) =>
      idsOf(
        rendezvousSubset(
          fleet.filter(({ endpoint }) => endpoint.id !== id),
          'client',
          20,
        ),
      );
    const outside = fleet.find(({ endpoint }) => !before.includes(endpoint.id))?.endpoint.id as string;
    expect(without(outside)).toEqual(before);
    const after = without(before[0] as string);
    expect(after.filter((id) => !before.includes(id))).toHaveLength(1);
  });

  it('has an endpoint as often as its weight says, over many clients', () => {
    const mixed = fleet.map(({ endpoint }, i) => candidate(endpoint.id, { weight: i < 20 ? 3 : 1 }));
    let heavy = 0;
    const clients = 400;
    for (let client = 0; client < clients; client++) {
      heavy += rendezvousSubset(mixed, `client ${client}`, 10).filter(({ weight }) => weight === 3).length;
    }
    // 60 of 240 weights; drawn without replacement a little less.
    expect(heavy / (clients * 10)).toBeGreaterThan(0.2);
    expect(heavy / (clients * 10)).toBeLessThan(0.27);
  });

  it('bounds the endpoints that a router uses, until its switch is off', async () => {
    const subsets = { isOn: true };
    const endpoints = Array.from({ length: 100 }, (_, i) => ({ id: `e${i}`, address: `memory://e${i}` }));
    const rig = routerRig({ endpoints, subset: { maxEndpoints: 15 }, switches: { subsets } });
    for (let i = 0; i < 300; i++) {
      watch(rig.router.call({ path: '/x' }));
      rig.transport.last.answer();
      await rig.clock.advance(1);
    }
    expect(new Set(rig.transport.order).size).toBeLessThanOrEqual(15);
    subsets.isOn = false;
    rig.resolver.push([...endpoints, { id: 'new', address: 'memory://new' }]);
    for (let i = 0; i < 300; i++) {
      watch(rig.router.call({ path: '/x' }));
      rig.transport.last.answer();
      await rig.clock.advance(1);
    }
    expect(new Set(rig.transport.order).size).toBeGreaterThan(60);
  });
});

describe('a traffic split', () => {
  const endpoints = [
    ...Array.from({ length: 4 }, (_, i) => ({ id: `old${i}`, address: `memory://old${i}`, attributes: { version: '41' } })),
    ...Array.from({ length: 4 }, (_, i) => ({ id: `new${i}`, address: `memory://new${i}`, attributes: { version: '42' } })),
  ];

  async function shareOfNew(rig: ReturnType<typeof routerRig>, calls: number): Promise<number> {
    const from = rig.transport.calls.length;
    for (let i = 0; i < calls; i++) {
      watch(rig.router.call({ path: '/x' }));
      rig.transport.last.answer();
    }
    await rig.clock.settle();
    return rig.transport.order.slice(from).filter((id) => id.startsWith('new')).length / calls;
  }

  it('goes by capacity while no shares are set', async () => {
    const rig = routerRig({ endpoints, versions: createTrafficSplit({ attribute: 'version' }) });
    expect(await shareOfNew(rig, 400)).toBeGreaterThan(0.4);
  });

  it('moves to its target little by little', async () => {
    const versions = createTrafficSplit({ attribute: 'version', shares: { 41: 1 }, perSecond: 0.1 });
    const rig = routerRig({ endpoints, versions });
    expect(await shareOfNew(rig, 100)).toBe(0);
    versions.moveTo({ 42: 1 });
    await shareOfNew(rig, 1);
    await rig.clock.advance(5000);
    const half = await shareOfNew(rig, 400);
    expect(half).toBeGreaterThan(0.4);
    expect(half).toBeLessThan(0.6);
    await rig.clock.advance(6000);
    expect(await shareOfNew(rig, 100)).toBe(1);
  });

  it('leaves the share of a version of which nobody is there to the others', async () => {
    const rig = routerRig({ endpoints, versions: createTrafficSplit({ attribute: 'version', shares: { 43: 1 } }) });
    expect(await shareOfNew(rig, 100)).toBeGreaterThan(0.3);
  });

  it('a split moves by its step after a quiet time', () => {
    const split = createTrafficSplit({ attribute: 'version', shares: { a: 1 } });
    split.at(0);
    split.moveTo({ b: 1 });
    const first = split.at(60_000);
    expect(first?.get('b') ?? 0).toBeLessThan(0.1);
  });

  it('tells apart versions with any name', async () => {
    const endpoints = endpointsNamed(10).map((e, i) => ({ ...e, attributes: { version: i === 0 ? 'sha=1' : 'sha=2' } }));
    const rig = routerRig({ endpoints, versions: createTrafficSplit({ attribute: 'version', shares: { 'sha=1': 1 } }) });
    for (let i = 0; i < 50; i++) watch(rig.router.call({ path: '/x' }));
    expect(new Set(rig.transport.order)).toEqual(new Set(['a']));
  });

  it.each([
    ['a share below 0', { a: -1 }],
    ['no share above 0', { a: 0 }],
  ])('refuses %s', (_what, shares) => {
    expect(() => createTrafficSplit({ attribute: 'version', shares })).toThrow(/invalid|expected/);
  });
});

describe('a pool', () => {
  const parts = (onPicker: () => void) => ({
    makeRings: () => undefined,
    tiers: createTrafficSplit({ attribute: 'tier', shares: { [`t${0}`]: 1 } }) as RouteSplit,
    routing: () => undefined,
    subset: <T>(list: readonly T[]) => list,
    makePicker: () => {
      onPicker();
      return { name: 'any', pickIndex: () => 0 };
    },
    nextVersion: () => 0,
  });
  const of = (attributes: Record<string, string>, i: number) => {
    const one = candidate(`e${i}`);
    return Object.assign(one, { endpoint: { ...one.endpoint, attributes } });
  };

  it('forgets the kinds of releases that are over, and keeps those that are in use', () => {
    const pool = new Pool<Candidate>(parts(() => {}));
    const kept = new Set<Pool<Candidate>>();
    for (let release = 0; release < 100; release++) {
      const list = [of({ version: 'stable' }, 0), of({ version: `v${release}` }, 1)];
      pool.update(list, list);
      kept.add(pool.ofKind('version', 'stable'));
      pool.ofKind('version', `v${release}`);
    }
    expect(kept.size).toBe(1);
    const old = pool.ofKind('version', 'v0');
    expect(old.size).toBe(0);
    // Asked for anew, it is another one.
    pool.update([], []);
    expect(pool.ofKind('version', 'v0')).toBe(old);
  });

  it('forgets the pickers of tiers that are gone', () => {
    let made = 0;
    const shares: Record<string, number> = {};
    const tiers = { attribute: 'tier', at: () => new Map(Object.entries(shares)) };
    const pool = new Pool<Candidate>({ ...parts(() => made++), tiers });
    for (const tier of ['a', 'b', 'a', 'a']) {
      const list = [of({ tier }, 0)];
      shares[tier] = 1;
      pool.update(list, list);
      pool.route(() => 0, 0);
    }
    // a, b, and a again: the third list found the picker of the first one gone, the fourth that of the third.
    expect(made).toBe(3);
  });
});

describe('the balance of tiers', () => {
  const CAPACITIES = { guaranteed: 100, elastic: 40, old: 60 };
  type Tier = keyof typeof CAPACITIES;
  const TIERS = Object.keys(CAPACITIES) as Tier[];

  /** A plant whose utilisation follows the shares of `delay` periods ago, and a controller that learns of it then. */
  function settle(delay: number, efficiency: Record<Tier, number>) {
    const balance = new TierBalance();
    const load = 120;
    const given: ReadonlyMap<string, number>[] = [];
    const spread: number[] = [];
    for (let period = 0; period < 16; period++) {
      // From period 8 on the old tier does 30 % less with the same capacity.
      const at = Math.max(0, period - delay);
      const now = (tier: Tier) => efficiency[tier] * (tier === 'old' && at >= 8 ? 0.7 : 1);
      const shares = given[at];
      const samples = TIERS.map((tier) => ({
        tier,
        capacity: CAPACITIES[tier],
        utilization: shares === undefined ? undefined : (load * (shares.get(tier) ?? 0)) / (CAPACITIES[tier] * now(tier)),
        atMs: at * 1000,
      }));
      given.push(balance.step(samples, period * 1000));
      const uses = TIERS.map((tier) => {
        const worth = efficiency[tier] * (tier === 'old' && period >= 8 ? 0.7 : 1);
        return (load * (given.at(-1)?.get(tier) ?? 0)) / (CAPACITIES[tier] * worth);
      });
      spread.push(Math.max(...uses) / Math.min(...uses) - 1);
    }
    return { given, spread };
  }

  it('starts from compute capacity', () => {
    const first = new TierBalance().step(
      TIERS.map((tier) => ({ tier, capacity: CAPACITIES[tier], utilization: undefined, atMs: 0 })),
      0,
    );
    expect(first.get('guaranteed')).toBeCloseTo(0.5, 9);
    expect(first.get('elastic')).toBeCloseTo(0.2, 9);
  });

  it.each([1, 2, 3])(
    'settles in 5 periods after a step of 30 percent, with less than 10 percent overshoot, when news is %i periods old',
    (delay) => {
      const { given, spread } = settle(delay, { guaranteed: 1, elastic: 1, old: 1 });
      expect(spread[7]).toBeLessThan(0.05);
      // From the period in which the step can be seen.
      expect(spread.slice(8 + delay + 5).every((one) => one < 0.1)).toBe(true);
      const before = given[7]?.get('old') as number;
      const final = given[15]?.get('old') as number;
      const lowest = Math.min(...given.slice(8).map((shares) => shares.get('old') as number));
      expect((final - lowest) / (before - final)).toBeLessThan(0.1);
    },
  );

  it('leaves a tier that tells nothing what it has, and gives an idle one more step by step', () => {
    const silent = new TierBalance();
    for (let i = 0; i < 3; i++) {
      const shares = silent.step(
        TIERS.map((tier) => ({ tier, capacity: CAPACITIES[tier], utilization: undefined, atMs: i })),
        i,
      );
      expect(shares.get('guaranteed')).toBeCloseTo(0.5, 9);
    }
    for (const utilization of [undefined, 0]) {
      const balance = new TierBalance();
      const shares = Array.from({ length: 6 }, (_, i) =>
        balance
          .step(
            [
              { tier: 'a', capacity: 1, utilization: 0.5, atMs: i },
              { tier: 'b', capacity: 1, utilization, atMs: i },
            ],
            i,
          )
          .get('b'),
      ) as number[];
      if (utilization === undefined) for (const share of shares) expect(share).toBeCloseTo(0.5, 9);
      else for (const [i, share] of shares.entries()) expect(share).toBeGreaterThan(i === 0 ? 0 : (shares[i - 1] as number));
    }
  });

  it.each([3, 5])('does not overshoot by means over %i periods, when it is told that they are means', (periods) => {
    const balance = new TierBalance();
    const uses: { a: number; b: number }[] = [];
    const shares: number[] = [];
    for (let period = 0; period < 40; period++) {
      const recent = uses.slice(-periods);
      const mean = (of: 'a' | 'b') =>
        recent.length === 0 ? undefined : recent.reduce((sum, use) => sum + use[of], 0) / recent.length;
      const timing = { atMs: period * 1000, windowMs: recent.length * 1000 };
      const step = balance.step(
        [
          { tier: 'a', capacity: 1, utilization: mean('a'), ...timing },
          { tier: 'b', capacity: 1, utilization: mean('b'), ...timing },
        ],
        period * 1000,
      );
      const share = step.get('a') as number;
      shares.push(share);
      // Tier b does 30 % less than its capacity says.
      uses.push({ a: share, b: (1 - share) / 0.7 });
    }
    const final = 1 / 1.7;
    expect(Math.max(...shares) - final).toBeLessThan(0.1 * (final - 0.5));
    expect(Math.abs((shares[10 + periods] as number) - final)).toBeLessThan(0.01);
  });

  it('gives up no tier for good, and moves no share by more than its step', () => {
    const balance = new TierBalance({ maxStep: 1.2 });
    const sample = (utilization: number, atMs: number) => [
      { tier: 'a', capacity: 1, utilization, atMs },
      { tier: 'b', capacity: 1, utilization: 0.01, atMs },
    ];
    let last = balance.step(sample(1, 0), 0);
    for (let i = 1; i < 100; i++) {
      const next = balance.step(sample(50, i), i);
      expect((last.get('a') as number) / (next.get('a') as number)).toBeLessThan(1.45);
      last = next;
    }
    expect(last.get('a')).toBeGreaterThan(0);
  });
});

describe('a split between tiers', () => {
  /** Servers that tell how much they are used: calls of the last second, of `perSecond`. */
  function used(perSecond: (id: string) => number) {
    const endpoints = Array.from({ length: 8 }, (_, i) => ({
      id: `${i < 4 ? 'guaranteed' : 'elastic'}${i}`,
      address: `memory://e${i}`,
      attributes: { tier: i < 4 ? 'guaranteed' : 'elastic' },
    }));
    const rig = routerRig({
      endpoints,
      tiers: createTierSplit({ periodMs: 1000 }),
      picker: () => ({ name: 'any', pickIndex: ({ candidates }) => rig.transport.calls.length % candidates.length }),
    });
    const sent = new Map<string, number[]>();
    rig.transport.onCall = (call) => {
      const now = rig.clock.now();
      const calls = [...(sent.get(call.to) ?? []), now].filter((at) => at > now - 1000);
      sent.set(call.to, calls);
      const use = calls.length / perSecond(call.to);
      call.answer(200, '', ['endpoint-load-metrics', `TEXT application_utilization=${use}`]);
    };
    return rig;
  }

  async function shareOfElastic(rig: ReturnType<typeof routerRig>, ms: number): Promise<number> {
    const from = rig.transport.calls.length;
    for (let at = 0; at < ms; at += 5) {
      watch(rig.router.call({ path: '/x' }));
      await rig.clock.advance(5);
    }
    const order = rig.transport.order.slice(from);
    return order.filter((id) => id.startsWith('elastic')).length / order.length;
  }

  it('follows their use, where capacity said otherwise, and a change of it', async () => {
    let elastic = 50;
    const rig = used((id) => (id.startsWith('elastic') ? elastic : 100));
    expect(Math.abs((await shareOfElastic(rig, 1000)) - 1 / 2)).toBeLessThan(0.12);
    await shareOfElastic(rig, 6000);
    expect(Math.abs((await shareOfElastic(rig, 4000)) - 1 / 3)).toBeLessThan(0.05);
    elastic = 100;
    await shareOfElastic(rig, 6000);
    expect(Math.abs((await shareOfElastic(rig, 4000)) - 1 / 2)).toBeLessThan(0.05);
  });

  it('gives a tier that appears its share at once, not after the period', () => {
    const tiered = (id: string, tier: string) => {
      const one = candidate(id);
      return Object.assign(one, { endpoint: { ...one.endpoint, attributes: { tier } } });
    };
    const place = {};
    const split = createTierSplit();
    const list = [tiered('a', 'x'), tiered('b', 'y')];
    expect(split.at(0, list, place)?.get('x')).toBeCloseTo(0.5, 9);
    const more = [...list, ...Array.from({ length: 98 }, (_, i) => tiered(`z${i}`, 'z'))];
    expect(split.at(1, more, place)?.get('z')).toBeGreaterThan(0.5);
    expect(split.at(2, [...more, candidate('of no tier')], place)).toBeUndefined();
  });

  it('takes the failures of an endpoint that never reported for news of now', () => {
    const fleet = ['a', 'b', 'c', 'd'].map((id, i) => {
      const one = candidate(id);
      Object.assign(one, { endpoint: { ...one.endpoint, attributes: { tier: i < 2 ? 'x' : 'y' } } });
      return one;
    });
    const place = {};
    const split = createTierSplit({ periodMs: 1000 });
    const sharesOfX: number[] = [];
    for (let now = 1_000_000; now < 1_020_000; now += 1000) {
      const x = (split.at(now, fleet, place)?.get('x') ?? 0.5) as number;
      sharesOfX.push(x);
      for (const [i, one] of fleet.entries()) {
        if (i === 0) one.onEnd('error', 1, 0, now);
        else one.onReport({ applicationUtilization: i === 1 ? x : 1 - x }, now);
      }
    }
    // One of two fails all the time (use 1), the other is used as its share says: (1 + x) / 2 = 1 - x.
    expect(sharesOfX.at(-1)).toBeCloseTo(1 / 3, 2);
  });

  it('leaves calls to weight while an endpoint is of no tier', async () => {
    const rig = used((id) => (id.startsWith('elastic') ? 50 : 100));
    rig.resolver.push([
      ...Array.from({ length: 4 }, (_, i) => ({ id: `elastic${i}`, address: `memory://x${i}`, attributes: { tier: 'elastic' } })),
      { id: 'other', address: 'memory://y' },
    ]);
    await shareOfElastic(rig, 5000);
    expect(Math.abs((await shareOfElastic(rig, 4000)) - 4 / 5)).toBeLessThan(0.05);
  });

  it.each([{ periodMs: 1 }, { attribute: '' }, { gain: 2 }])('refuses %j', (options) => {
    expect(() => createTierSplit(options)).toThrow(/expected/);
  });
});
