import { describe, expect, it } from 'vitest';
import { type Endpoint, parseEndpoints } from '../../../../src/core/endpoint.js';
import type { Resolution, Resolver } from '../../../../src/core/resolver.js';
import {
  createTierSplit,
  createTrafficSplit,
  polling,
  type RoutingListener,
  type RoutingTable,
  type ShardMap,
  wrongShardAnswer,
} from '../../../../src/router/index.js';
import { NO_ROUTING } from '../../../../src/router/rib/routing-table.js';
import { assertBalanced, routerRig, watch } from '../../../support/router-rig.js';

const GET = { path: '/x' };

/** A resolver that brings tables, pushed by the test. */
class TableResolver implements Resolver {
  readonly name = 'tables';
  refreshes = 0;
  #listener: RoutingListener | undefined;

  start(_runtime: unknown, listener: RoutingListener): Resolution {
    this.#listener = listener;
    return { ageMs: 0, refresh: () => this.refreshes++, close: () => {} };
  }

  push(endpoints: readonly Omit<Endpoint, 'address'>[], shards?: ShardMap, routing = NO_ROUTING, isListNew = true): void {
    const parsed = parseEndpoints(endpoints.map((endpoint) => ({ ...endpoint, address: `memory://${endpoint.id}` })));
    const table: RoutingTable = {
      service: 's',
      token: 1,
      version: 1,
      endpoints: parsed,
      loads: new Map(),
      shards,
      routing,
    };
    if (isListNew) this.#listener?.onEndpoints(parsed, { source: 'live' });
    this.#listener?.onRouting?.(table);
  }
}

function placed(options: Parameters<typeof routerRig>[0] = {}) {
  const resolver = new TableResolver();
  const rig = routerRig({ endpoints: 'none yet', ...options, resolver });
  return { ...rig, tables: resolver };
}

const mapOf = (version: number, shards: Record<string, string[]>): ShardMap => ({
  version,
  shards: new Map(
    Object.entries(shards).map(([name, ids]) => [
      name,
      ids.map((endpoint, i) => ({ endpoint, role: i === 0 ? ('primary' as const) : ('replica' as const) })),
    ]),
  ),
});

describe('calls for a shard', () => {
  const endpoints = ['a', 'b', 'c', 'd'].map((id) => ({ id }));

  it('go to those who hold it, and for the primary to the primary', async () => {
    const rig = placed();
    rig.tables.push(endpoints, mapOf(1, { users: ['b', 'c'] }));
    for (let i = 0; i < 40; i++) {
      watch(rig.router.call({ ...GET, shard: 'users' }));
      rig.transport.last.answer();
    }
    expect([...new Set(rig.transport.order)].sort()).toEqual(['b', 'c']);
    for (let i = 0; i < 10; i++) {
      watch(rig.router.call({ ...GET, shard: 'users', shardRole: 'primary' }));
      expect(rig.transport.last.to).toBe('b');
      rig.transport.last.answer();
    }
    await assertBalanced(rig);
  });

  it('are named by shardOf where they do not name it themselves, and say so to the server', async () => {
    const rig = placed({ shardOf: ({ path }) => path.split('/')[1] });
    rig.tables.push(endpoints, mapOf(7, { 'users ü': ['d'] }));
    watch(rig.router.call({ path: '/users%20x', shard: 'users ü' }));
    const { headers = [] } = rig.transport.last.request;
    expect(rig.transport.last.to).toBe('d');
    expect(headers).toEqual(['evenkeel-shard', 'users%20%C3%BC', 'evenkeel-shard-map', '7']);
    rig.transport.last.answer();
    await assertBalanced(rig);
  });

  it('fail when shardOf throws, with what it threw', async () => {
    const rig = placed({
      shardOf: () => {
        throw new Error('no such user');
      },
    });
    rig.tables.push(endpoints);
    const call = watch(rig.router.call(GET));
    await rig.clock.settle();
    expect(call.error).toMatchObject({ code: 'invalid-argument', message: expect.stringContaining('no such user') });
  });

  it.each([
    ['shardOf', { shardOf: () => 7 as never }],
    ['affinityOf', { affinityOf: () => 'key' as never }],
  ])('fail when %s tells something else than a place, and so does pick', async (_what, options) => {
    const rig = placed(options);
    rig.tables.push(endpoints);
    const call = watch(rig.router.call(GET));
    await rig.clock.settle();
    expect(call.error?.code).toBe('invalid-argument');
    expect(() => rig.router.pick({ shard: 7 as never })).toThrow(/name of a shard/);
    expect(() => rig.router.pick({ affinity: 'key' as never })).toThrow(/array of at most/);
    expect(() => rig.router.pick({ affinity: [1] as never })).toThrow(/keys that are strings/);
    await assertBalanced(rig);
  });

  it('follow a newer map, and never an older one', () => {
    const rig = placed();
    rig.tables.push(endpoints, mapOf(2, { users: ['a'] }));
    rig.tables.push(endpoints, mapOf(1, { users: ['b'] }));
    watch(rig.router.call({ ...GET, shard: 'users' }));
    expect(rig.transport.last.to).toBe('a');
    rig.tables.push(endpoints, mapOf(3, { users: ['c'] }));
    watch(rig.router.call({ ...GET, shard: 'users' }));
    expect(rig.transport.last.to).toBe('c');
  });

  it('go elsewhere when the server says that the shard is not there, and look for its newer map', async () => {
    const rig = placed();
    rig.tables.push(endpoints, mapOf(1, { users: ['a', 'b'] }));
    const call = watch(rig.router.call({ ...GET, method: 'POST', body: 'x', shard: 'users' }));
    const first = rig.transport.last.to;
    const { status, headers } = wrongShardAnswer(2);
    rig.transport.last.answer(status, '', [...(headers ?? [])]);
    expect(rig.tables.refreshes).toBe(1);
    rig.tables.push(endpoints, mapOf(2, { users: ['d'] }));
    await rig.clock.advance(40);
    expect(rig.transport.last.to).toBe('d');
    expect(first).not.toBe('d');
    rig.transport.last.answer();
    await rig.clock.settle();
    expect(call.get().status).toBe(200);
    expect(rig.router.snapshot().wrongShards).toBe(1);
    await assertBalanced(rig);
  });

  it('do not look for a newer map when the server’s is the older one', async () => {
    const rig = placed();
    rig.tables.push(endpoints, mapOf(5, { users: ['a', 'b'] }));
    const call = watch(rig.router.call({ ...GET, shard: 'users' }));
    const { status, headers } = wrongShardAnswer(4);
    rig.transport.last.answer(status, '', [...(headers ?? [])]);
    await rig.clock.advance(40);
    expect(rig.tables.refreshes).toBe(0);
    expect(rig.transport.calls).toHaveLength(2);
    expect(rig.transport.order[1]).not.toBe(rig.transport.order[0]);
    rig.transport.last.answer();
    await rig.clock.settle();
    expect(call.get().status).toBe(200);
  });

  it('wait for somebody to hold it, until their time is up', async () => {
    const rig = placed({ timeoutMs: 500 });
    rig.tables.push(endpoints, mapOf(1, { users: ['a'] }));
    // The one that came first does not hold up the other.
    const never = watch(rig.router.call({ ...GET, shard: 'nothing' }));
    const late = watch(rig.router.call({ ...GET, shard: 'orders' }));
    await rig.clock.advance(100);
    expect(rig.transport.calls).toHaveLength(0);
    rig.tables.push(endpoints, mapOf(2, { users: ['a'], orders: ['c'] }));
    expect(rig.transport.last.to).toBe('c');
    rig.transport.last.answer();
    await rig.clock.advance(500);
    expect(late.get().status).toBe(200);
    expect(never.error?.code).toBe('deadline-exceeded');
    await assertBalanced(rig);
  });
});

describe('rings', () => {
  const endpoints = [
    { id: 'near1', locality: 'eu/west/a' },
    { id: 'near2', locality: 'eu/west/b' },
    { id: 'far1', locality: 'us/east/a' },
    { id: 'far2', locality: 'us/east/b' },
    { id: 'lost' },
  ];

  async function callsTo(rig: ReturnType<typeof placed>, count: number): Promise<Set<string>> {
    const from = rig.transport.calls.length;
    for (let i = 0; i < count; i++) {
      watch(rig.router.call(GET));
      rig.transport.last.answer();
    }
    await rig.clock.settle();
    return new Set(rig.transport.order.slice(from));
  }

  it('keep calls in the nearest ring where anybody is open', async () => {
    const rig = placed({ locality: 'eu/west/a' });
    rig.tables.push(endpoints);
    expect(await callsTo(rig, 50)).toEqual(new Set(['near1', 'near2']));
    expect(rig.router.snapshot().picks[0]).toMatchObject({ ring: 0, open: 2 });
    rig.tables.push(endpoints.slice(2));
    const beyond = await callsTo(rig, 50);
    expect(beyond.has('far1')).toBe(true);
    expect(beyond.has('near1')).toBe(false);
    await assertBalanced(rig);
  });

  it('let a call go further when the near ones have no room', async () => {
    const rig = placed({ locality: 'eu/west/a', maxInFlightPerEndpoint: 1 });
    rig.tables.push(endpoints);
    for (let i = 0; i < 5; i++) watch(rig.router.call(GET));
    expect(new Set(rig.transport.order.slice(0, 2))).toEqual(new Set(['near1', 'near2']));
    expect(new Set(rig.transport.order)).toEqual(new Set(['near1', 'near2', 'far1', 'far2', 'lost']));
    expect(rig.router.snapshot().picks[0]?.reason).toBe('nobody near has room');
    for (const call of rig.transport.open) call.answer();
    await assertBalanced(rig);
  });

  it('are no matter to a caller without a locality', async () => {
    const rig = placed();
    rig.tables.push(endpoints);
    expect((await callsTo(rig, 100)).size).toBe(5);
  });

  it('take endpoints with wrong or missing regions for the furthest', async () => {
    const rig = placed({ locality: 'eu/west/a' });
    rig.tables.push([{ id: 'odd', locality: '///' }, { id: 'none' }, { id: 'near', locality: 'eu/west' }]);
    expect(await callsTo(rig, 30)).toEqual(new Set(['near']));
    rig.tables.push([{ id: 'odd', locality: '///' }, { id: 'none' }]);
    expect((await callsTo(rig, 30)).size).toBe(2);
  });
});

describe('an endpoint that joins', () => {
  const names = ['a', 'b', 'c', 'new'].map((id) => ({ id }));

  it('gets little at first and its whole share in the end', async () => {
    const rig = placed({ slowStart: { windowMs: 10_000 } });
    rig.tables.push(names.slice(0, 3));
    const share = async () => {
      const from = rig.transport.calls.length;
      for (let i = 0; i < 100; i++) {
        const open = Array.from({ length: 4 }, () => watch(rig.router.call(GET)));
        await rig.clock.advance(1);
        for (const call of rig.transport.open) call.answer();
        await rig.clock.settle();
        for (const call of open) call.get();
      }
      return rig.transport.order.slice(from).filter((id) => id === 'new').length / 400;
    };
    await share();
    rig.tables.push(names);
    const first = await share();
    expect(first).toBeLessThan(0.12);
    await rig.clock.advance(11_000);
    const later = await share();
    expect(later).toBeGreaterThan(0.2);
    await assertBalanced(rig);
  });

  it('is connected to before its first call, where a path for that is given', async () => {
    const rig = placed({ slowStart: { warmUpPath: '/healthz' } });
    rig.tables.push(names.slice(0, 3));
    expect(rig.transport.calls).toHaveLength(0);
    rig.tables.push(names);
    expect(rig.transport.calls.map(({ to, request }) => [to, request.path])).toEqual([['new', '/healthz']]);
    rig.transport.last.answer();
    await assertBalanced(rig);
  });

  it('has the weight that weightOf says', () => {
    const rig = placed({ weightOf: ({ id }) => (id === 'a' ? 5 : undefined) });
    rig.tables.push(names);
    for (let i = 0; i < 16; i++) watch(rig.router.call(GET));
    const toA = rig.transport.order.filter((id) => id === 'a').length;
    expect(toA).toBeGreaterThan(6);
  });
});

describe('the picker’s switch', () => {
  it('puts power of two choices in its place', () => {
    const picker = { isOn: true };
    const rig = placed({ switches: { picker }, picker: () => ({ name: 'first', pickIndex: () => 0 }) });
    rig.tables.push(['a', 'b', 'c'].map((id) => ({ id })));
    for (let i = 0; i < 5; i++) watch(rig.router.call(GET));
    expect(new Set(rig.transport.order)).toEqual(new Set(['a']));
    expect(rig.router.snapshot().picker).toBe('first');
    picker.isOn = false;
    for (let i = 0; i < 10; i++) watch(rig.router.call(GET));
    expect(new Set(rig.transport.order).size).toBe(3);
    expect(rig.router.snapshot().picker).toBe('p2c');
  });
});

describe('what narrows where a call goes', () => {
  /** One each of two localities, versions and tiers, and one more of each. */
  const kinds = ['near old gold', 'near old iron', 'near new gold', 'near new iron', 'far old gold', 'far new iron'];
  const endpoints = kinds.map((name) => {
    const [place, version, tier] = name.split(' ') as [string, string, string];
    return {
      id: name.replaceAll(' ', '-'),
      locality: place === 'near' ? 'eu/west/a' : 'us/east/a',
      attributes: { version, tier },
    };
  });
  const old = () => createTrafficSplit({ attribute: 'version', shares: { old: 1 } });

  async function reached(options: Parameters<typeof routerRig>[0], shards?: ShardMap, shard?: string): Promise<string[]> {
    const rig = placed(options);
    rig.transport.onCall = (call) => call.answer(200, 'TEXT named_metrics.host=1');
    rig.tables.push(endpoints, shards);
    for (let i = 0; i < 60; i++) {
      watch(rig.router.call(shard === undefined ? GET : { ...GET, shard }));
      await rig.clock.advance(1);
    }
    const calls = rig.transport.calls.filter(({ request }) => request.path === '/x');
    expect(calls).toHaveLength(60);
    return [...new Set(calls.map(({ to }) => to))].sort();
  }

  it('is the version within the shard', async () => {
    const shards = mapOf(1, { users: ['near-old-gold', 'near-new-gold', 'far-old-gold'] });
    expect(await reached({ versions: old() }, shards, 'users')).toEqual(['far-old-gold', 'near-old-gold']);
  });

  it('is the ring within the version, and the tier within the ring', async () => {
    const tiers = createTrafficSplit({ attribute: 'tier', shares: { iron: 1 } });
    expect(await reached({ versions: old(), locality: 'eu/west/a' })).toEqual(['near-old-gold', 'near-old-iron']);
    expect(await reached({ versions: old(), locality: 'eu/west/a', tiers })).toEqual(['near-old-iron']);
  });

  it('leaves no ring for the sake of a tier that is only further away', async () => {
    const rig = placed({ locality: 'eu/west/a', tiers: createTierSplit() });
    rig.tables.push(endpoints.filter(({ id }) => id.startsWith('near') === id.endsWith('gold')));
    for (let i = 0; i < 40; i++) watch(rig.router.call(GET));
    expect(rig.transport.order.every((id) => id.startsWith('near'))).toBe(true);
  });

  it('is not forgotten of a ring that is mostly closed when another table comes', async () => {
    const list = Array.from({ length: 12 }, (_, i) => ({
      id: `${i < 6 ? 'near' : 'far'}${i}`,
      locality: i < 6 ? 'eu/west/a' : 'us/east/a',
    }));
    const rig = placed({
      locality: 'eu/west/a',
      retry: false,
      panicThreshold: 0.1,
      ejection: { consecutiveFailures: 1, maxShare: 1, baseMs: 300_000 },
    });
    rig.transport.onCall = (call) => (call.to.startsWith('near') && call.to !== 'near0' ? call.fail() : call.answer());
    rig.tables.push(list);
    const shareOfFar = async () => {
      const from = rig.transport.calls.length;
      for (let i = 0; i < 300; i++) {
        watch(rig.router.call(GET));
        await rig.clock.advance(1);
      }
      return rig.transport.order.slice(from).filter((id) => id.startsWith('far')).length / 300;
    };
    await shareOfFar();
    expect(rig.router.endpoints().filter(({ state }) => state === 'ejected')).toHaveLength(5);
    const before = await shareOfFar();
    rig.tables.push(list, undefined, { ...NO_ROUTING, rtts: [{ from: 'eu/west', to: 'us/east', rttMs: 80 }] }, false);
    const after = await shareOfFar();
    expect(before).toBeGreaterThan(0.5);
    expect(Math.abs(after - before)).toBeLessThan(0.12);
  });

  it('gives a version without a share nothing when its tier is the only one there', async () => {
    const tiers = createTrafficSplit({ attribute: 'tier', shares: { gold: 1, iron: 1 } });
    const rig = placed({ versions: old(), tiers });
    rig.tables.push(endpoints.filter(({ id }) => id === 'near-old-gold' || id === 'near-new-iron'));
    for (let i = 0; i < 40; i++) watch(rig.router.call(GET));
    expect(new Set(rig.transport.order)).toEqual(new Set(['near-old-gold']));
  });

  it('gives a version without a share nothing when the others have no room', async () => {
    const rig = placed({ versions: old(), maxInFlightPerEndpoint: 1 });
    rig.tables.push(endpoints);
    for (let i = 0; i < 10; i++) watch(rig.router.call(GET));
    expect(rig.transport.order.sort()).toEqual(['far-old-gold', 'near-old-gold', 'near-old-iron']);
    expect(rig.router.snapshot().queued).toBe(7);
  });

  it('lets calls ask first while others wait for a shard that nobody holds', async () => {
    const rig = placed({ loadSources: [polling({ mode: 'before-dispatch' })] });
    rig.transport.onCall = (call) => call.answer(200, 'TEXT named_metrics.host=1');
    rig.tables.push(endpoints, mapOf(1, { users: [] }));
    watch(rig.router.call({ ...GET, shard: 'users' }));
    for (let i = 0; i < 10; i++) {
      watch(rig.router.call(GET));
      await rig.clock.advance(1);
    }
    expect(rig.transport.calls.filter(({ request }) => request.path === '/load')).toHaveLength(20);
    await rig.router.close();
  });

  it('is the same for a call that asks before it goes', async () => {
    const loadSources = [polling({ mode: 'before-dispatch' })];
    const shards = mapOf(1, { users: ['near-old-gold', 'near-new-gold'] });
    expect(await reached({ loadSources }, shards, 'users')).toEqual(['near-new-gold', 'near-old-gold']);
    expect(await reached({ loadSources, versions: old(), locality: 'eu/west/a' })).toEqual(['near-old-gold', 'near-old-iron']);
  });
});
