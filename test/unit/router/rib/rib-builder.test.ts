import { describe, expect, it } from 'vitest';
import { announcementKey } from '../../../../src/core/announcement.js';
import { leaderOf } from '../../../../src/core/campaign.js';
import { reportDemand } from '../../../../src/router/rib/demand.js';
import { DEFAULT_RIB_LEADER_KEY } from '../../../../src/router/rib/rib-keys.js';
import { encodeShardMap, shardMapKey } from '../../../../src/router/rib/shard-map.js';
import { ribRig, SERVICE } from '../../../support/rib-rig.js';

const text = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

describe('a builder of routing tables', () => {
  it('makes a table of those who announce themselves, and tells changes of it', async () => {
    const { clock, builder, reader, server } = ribRig();
    const built = builder({ name: 'one' });
    server('a', { locality: 'eu/w' });
    const { log, resolution } = reader();
    await clock.advance(1000);
    expect(resolution.source).toBe('table');
    expect(log.last).toEqual(['a']);
    const b = server('b', { locality: 'eu/w', weight: 3 });
    await clock.advance(500);
    expect(log.last).toEqual(['a', 'b']);
    expect(log.table?.routing.localities).toEqual([{ locality: 'eu/w', endpoints: 2, capacity: 4 }]);
    expect(log.table?.routing.plan?.clients[0]?.rings[0]).toEqual({ localities: ['eu/w'], shares: [1] });
    await b.announcement.drain();
    await clock.advance(500);
    expect(log.last).toEqual(['a']);
    expect(built.builder.snapshot()).toMatchObject({ isLeading: true, services: 1, endpoints: 1, errors: 0, malformed: 0 });
  });

  it('publishes nothing while nothing changes, and little else than renewals is asked of the store', async () => {
    const { clock, builder, reader, server } = ribRig();
    const built = builder();
    server('a', { locality: 'eu/w' });
    const { log } = reader();
    await clock.advance(5000);
    const tables = log.tables.length;
    const requests = built.state.requests.length;
    await clock.advance(600_000);
    expect(log.tables).toHaveLength(tables);
    const others = built.state.requests.slice(requests).filter((request) => !request.includes(DEFAULT_RIB_LEADER_KEY));
    expect(others).toEqual([]);
  });

  it('folds loads by locality, and spills what is too much for one', async () => {
    const { clock, builder, reader, server, state, runtime } = ribRig();
    builder({ rings: { boundsMs: [5] } });
    let utilization = 0.5;
    const demand = { state, service: SERVICE, runtime };
    reportDemand({ ...demand, locality: 'eu/w', ratePerSecond: () => 100 * utilization });
    reportDemand({ ...demand, locality: 'us/e', ratePerSecond: () => 10 });
    server('a', { locality: 'eu/w', load: () => ({ applicationUtilization: utilization, rps: 100 * utilization, eps: 0 }) });
    server('b', { locality: 'us/e', load: () => ({ applicationUtilization: 0.1, rps: 10, eps: 0 }) });
    const { log } = reader();
    await clock.advance(3000);
    expect(log.table?.loads).toEqual(
      new Map([
        ['a', 0.5],
        ['b', 0.1],
      ]),
    );
    const sharesFrom = (locality: string) => {
      const client = log.table?.routing.plan?.clients.find((plan) => plan.locality === locality);
      return client?.rings.map(({ shares }) => shares.map((share) => Number(share.toFixed(2))));
    };
    expect(sharesFrom('eu/w')).toEqual([[1], []]);
    utilization = 1;
    await clock.advance(6000);
    // Full at 0.75, so from now on 0.70 of the capacity, of a demand of 1.
    expect(sharesFrom('eu/w')).toEqual([[0.7], [0.3]]);
    expect(sharesFrom('us/e')).toEqual([[1], []]);
  });

  it('sends all but a probe away from a locality that fails fast', async () => {
    const { clock, builder, reader, server } = ribRig();
    builder({ rings: { boundsMs: [5] } });
    let failing = false;
    server('a', {
      locality: 'eu/w',
      load: () => ({ applicationUtilization: failing ? 0.01 : 0.3, rps: 100, eps: failing ? 100 : 0 }),
    });
    server('b', { locality: 'us/e', load: () => ({ applicationUtilization: 0.1, rps: 10, eps: 0 }) });
    const { log } = reader();
    await clock.advance(3000);
    failing = true;
    await clock.advance(4000);
    const near = () => log.table?.routing.plan?.clients.find(({ locality }) => locality === 'eu/w')?.rings[0]?.shares[0] ?? 0;
    expect(near()).toBeCloseTo(0.01, 5);
    failing = false;
    await clock.advance(3000);
    expect(near()).toBeGreaterThan(0.2);
    await clock.advance(5000);
    expect(near()).toBe(1);
  });

  it('counts malformed documents, and keeps what they said before', async () => {
    const { clock, builder, reader, server, state } = ribRig();
    const built = builder();
    const keys: string[] = [];
    built.builder.events.on('malformed', ({ key }) => keys.push(key));
    server('a');
    const { log } = reader();
    await clock.advance(1000);
    const bad = [announcementKey(SERVICE, 'b'), shardMapKey(SERVICE), `demand/${SERVICE}/x`, 'rtt/a/b'];
    for (const key of bad) await state.put(key, text('{'));
    await state.put('services/x', text('{}'));
    await state.put('rib/search/head', text('{"v":1,"token":1,"value":{"v":1,"version":1,"documents":[[1]]}}'));
    await clock.advance(1000);
    expect(keys).toEqual(bad);
    expect(built.builder.snapshot().malformed).toBe(4);
    expect(log.last).toEqual(['a']);
  });

  it('folds the shard map, and never goes back to an older one', async () => {
    const { clock, builder, reader, server, state } = ribRig();
    builder();
    server('a');
    const { log } = reader();
    const put = (version: number, endpoint: string) =>
      state.put(shardMapKey(SERVICE), encodeShardMap({ version, shards: new Map([['s1', [{ endpoint, role: 'primary' }]]]) }));
    await put(2, 'a');
    await clock.advance(1000);
    expect(log.table?.shards).toEqual({ version: 2, shards: new Map([['s1', [{ endpoint: 'a', role: 'primary' }]]]) });
    await put(1, 'b');
    await clock.advance(1000);
    expect(log.table?.shards?.version).toBe(2);
    await put(3, 'b');
    await clock.advance(1000);
    expect(log.table?.shards?.shards.get('s1')).toEqual([{ endpoint: 'b', role: 'primary' }]);
  });

  it('hands over to another within a lease and a third; versions go on and the plan does not jump', async () => {
    const { clock, builder, reader, server, state } = ribRig();
    const [first, second] = [builder({ name: 'one' }), builder({ name: 'two' })];
    const a = server('a', { locality: 'eu/w' });
    server('b', { locality: 'eu/w' });
    const { log } = reader();
    await clock.advance(2000);
    expect(await leaderOf(state, DEFAULT_RIB_LEADER_KEY)).toBe('one');
    const before = log.table;
    first.state.fault = 'hang';
    await a.announcement.close();
    await clock.advance(5000 * (1 + 1 / 3) + 1000);
    expect(await leaderOf(state, DEFAULT_RIB_LEADER_KEY)).toBe('two');
    expect(log.last).toEqual(['b']);
    expect(log.table?.version).toBeGreaterThan(before?.version ?? 0);
    expect(log.table?.token).toBeGreaterThan(before?.token ?? 0);
    expect(second.builder.snapshot().isLeading).toBe(true);
    expect(first.builder.snapshot().isLeading).toBe(false);
    expect(log.lists.every(({ ids }) => ids.length > 0)).toBe(true);
  });

  it('tidies up what no head names, also what one that died in the middle left', async () => {
    const { clock, builder, reader, server, state } = ribRig();
    const first = builder();
    for (let i = 0; i < 40; i++) {
      server(`s${i}`);
      await clock.advance(300);
    }
    const { log } = reader();
    await clock.advance(300);
    first.state.fault = 'hang';
    await state.put(`rib/${SERVICE}/1/0-7/0`, text('left'));
    builder();
    await clock.advance(8000);
    expect(log.table?.endpoints).toHaveLength(40);
    const keys: string[] = [];
    const watch = state.watch('rib/', ({ entry }) => entry && keys.push(entry.key));
    await clock.settle();
    watch.close();
    expect(keys.filter((key) => !key.endsWith('/head')).every((key) => key.includes(`/${log.table?.token}/`))).toBe(true);
    expect(keys.length).toBeLessThanOrEqual(3);
  });

  it('does not believe that all are gone when their leases run out together, and does when the last withdraws', async () => {
    const { clock, builder, reader, server } = ribRig();
    builder();
    const servers = [server('a'), server('b')];
    const { log } = reader();
    await clock.advance(2000);
    for (const one of servers) one.state.fault = 'hang';
    await clock.advance(60_000);
    expect(log.last).toEqual(['a', 'b']);
    for (const one of servers) one.state.fault = undefined;
    await clock.advance(10_000);
    for (const { announcement } of servers) await announcement.drain();
    await clock.advance(1000);
    expect(log.last).toEqual([]);
  });

  it('publishes at most five times a second, whatever flaps', async () => {
    const { clock, builder, reader, server } = ribRig();
    const built = builder();
    server('a');
    const { log } = reader();
    await clock.advance(2000);
    const before = built.builder.snapshot().published;
    for (let i = 0; i < 1000; i++) {
      const { announcement } = server(`flap${i % 100}`);
      await clock.advance(10);
      await announcement.close();
    }
    const after = built.builder.snapshot().published;
    const published = after.whole + after.delta + after.merged - before.whole - before.delta - before.merged;
    expect(published).toBeLessThanOrEqual(51);
    expect(published).toBeGreaterThan(20);
    await clock.advance(1000);
    expect(log.last).toEqual(['a']);
  });

  it('deletes the table of a service that is no more, and begins above its versions when it comes back', async () => {
    const { clock, builder, reader, server, state } = ribRig();
    const built = builder();
    const { log } = reader();
    for (let i = 0; i < 5; i++) {
      const { announcement } = server(`s${i}`);
      await clock.advance(500);
      await announcement.drain();
      await clock.advance(500);
    }
    const { version = 0 } = log.table ?? {};
    expect(log.last).toEqual([]);
    await clock.advance(1_300_000);
    expect(built.builder.snapshot().services).toBe(0);
    const keys: string[] = [];
    const watch = state.watch('rib/', ({ entry }) => entry && keys.push(entry.key));
    await clock.settle();
    watch.close();
    expect(keys).toEqual([]);
    server('back');
    await clock.advance(1000);
    expect(log.last).toEqual(['back']);
    expect(log.table?.version).toBeGreaterThan(version);
    expect(log.disorders).toEqual([]);
  });

  it('builds after a store that refused its watches', async () => {
    const { clock, builder, reader, server } = ribRig();
    const built = builder({ leaseMs: 60_000 });
    const { watch } = built.state;
    let refusals = 5;
    built.state.watch = (...args) => {
      if (refusals-- > 0) throw new Error('not now');
      return watch.apply(built.state, args);
    };
    server('a');
    const { log, resolution } = reader();
    await clock.advance(10_000);
    expect(resolution.source).toBe('table');
    expect(log.last).toEqual(['a']);
  });

  it('builds only the services it was told to', async () => {
    const { clock, builder, server } = ribRig();
    const built = builder({ services: ['search'] });
    server('a');
    server('x', { service: 'other' });
    await clock.advance(1000);
    expect(built.builder.snapshot()).toMatchObject({ services: 1, endpoints: 1 });
  });

  it('goes on after a store that refused, lost answers or hung', async () => {
    const { clock, builder, reader, server } = ribRig();
    const built = builder({ leaseMs: 60_000 });
    server('a');
    const { log } = reader();
    await clock.advance(2000);
    for (const fault of ['unavailable', 'lost-answer', 'hang', 'hang-after'] as const) {
      built.state.fault = fault;
      server(`during ${fault}`.replace(' ', '-'));
      await clock.advance(3000);
      built.state.fault = undefined;
      await clock.advance(15_000);
      expect(log.last).toContain(`during-${fault}`);
    }
    expect(built.builder.snapshot().errors).toBeGreaterThan(0);
  });

  it.each([
    ['an interval too short', { minIntervalMs: 1 }],
    ['a hysteresis above the threshold', { threshold: 0.5, hysteresis: 0.6 }],
    ['bounds that fall', { rings: { boundsMs: [5, 4] } }],
    ['no state', { state: undefined }],
  ])('refuses %s', (_what, options) => {
    const { builder } = ribRig();
    expect(() => builder(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
