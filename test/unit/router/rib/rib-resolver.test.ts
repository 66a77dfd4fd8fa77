import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/core/random.js';
import { ribResolver } from '../../../../src/router/rib/rib-resolver.js';
import { ribRig, SERVICE } from '../../../support/rib-rig.js';

const CACHE = '/cache/search.rib';

describe('a resolver of routing tables', () => {
  it('keeps the table while the builder is dead, watches announcements meanwhile, and comes back to a newer one', async () => {
    const { clock, builder, reader, server } = ribRig();
    const built = builder();
    server('a', { locality: 'eu/w' });
    const b = server('b', { locality: 'eu/w' });
    const { log, resolution } = reader();
    await clock.advance(2000);
    expect(resolution.source).toBe('table');
    expect(resolution.ageMs).toBeLessThan(2000);
    built.state.fault = 'hang';
    await clock.advance(20_000);
    expect(resolution.ageMs).toBeGreaterThan(15_000);
    await b.announcement.drain();
    server('c', { locality: 'eu/w' });
    await clock.advance(20_000);
    expect(resolution.source).toBe('announcements');
    expect(log.last).toEqual(['a', 'c']);
    await clock.advance(560_000);
    expect(log.last).toEqual(['a', 'c']);
    expect(log.tables.at(-1)).toBeDefined();
    expect(log.errors).toEqual([]);
    expect(resolution.ageMs).toBeLessThan(5000);
    builder();
    await clock.advance(2000);
    expect(resolution.source).toBe('table');
    expect(log.last).toEqual(['a', 'c']);
    expect(log.table?.endpoints.map(({ id }) => id)).toEqual(['a', 'c']);
  });

  it('gives up the plan ten minutes after the table', async () => {
    const { clock, builder, reader, server } = ribRig();
    const built = builder();
    server('a');
    const { log } = reader();
    await clock.advance(2000);
    built.state.fault = 'hang';
    await clock.advance(620_000);
    expect(log.tables.at(-1)).toBeDefined();
    await clock.advance(20_000);
    expect(log.tables.at(-1)).toBeUndefined();
    expect(log.last).toEqual(['a']);
  });

  it('watches announcements at once where nobody has ever built a table, and goes over to the first one', async () => {
    const { clock, builder, reader, server } = ribRig();
    server('a');
    const { log, resolution } = reader();
    await clock.settle();
    expect([log.last, resolution.source]).toEqual([['a'], 'announcements']);
    builder();
    await clock.advance(1000);
    expect(resolution.source).toBe('table');
    expect(log.lists.every(({ ids }) => ids.length === 1)).toBe(true);
  });

  it('begins with the copy on disk while the store is away, with its plan, and confirms it later', async () => {
    const { clock, builder, reader, server } = ribRig();
    builder();
    server('a', { locality: 'eu/w' });
    const first = reader({ cacheFile: CACHE });
    await clock.advance(2000);
    first.resolution.close();
    expect(first.host.files.has(CACHE)).toBe(true);
    await clock.advance(50_000);
    const cold = reader({ cacheFile: CACHE }, first.host);
    cold.state.fault = 'unavailable';
    await clock.settle();
    expect(cold.log.lists).toEqual([{ ids: ['a'], source: 'cache' }]);
    expect(cold.log.table?.routing.plan?.clients).toHaveLength(1);
    expect(cold.resolution.ageMs).toBeGreaterThan(49_000);
    cold.state.fault = undefined;
    await clock.advance(10_000);
    expect(cold.log.lists).toEqual([
      { ids: ['a'], source: 'cache' },
      { ids: ['a'], source: 'live' },
    ]);
    expect(cold.resolution.source).toBe('table');
  });

  it.each([
    ['damaged', (bytes: Uint8Array) => bytes.with(bytes.length - 5, 0)],
    ['cut off', (bytes: Uint8Array) => bytes.subarray(0, 100)],
    ['empty', () => new Uint8Array()],
  ])('ignores a copy that is %s', async (_what, spoil) => {
    const { clock, builder, reader, server } = ribRig();
    builder();
    server('a');
    const first = reader({ cacheFile: CACHE });
    await clock.advance(2000);
    first.resolution.close();
    first.host.files.set(CACHE, spoil(first.host.files.get(CACHE) ?? new Uint8Array()));
    const cold = reader({ cacheFile: CACHE }, first.host);
    cold.state.fault = 'unavailable';
    await clock.settle();
    expect(cold.log.lists).toEqual([]);
    expect(cold.resolution.source).toBe('none');
  });

  it('ignores the copy of another service', async () => {
    const { clock, builder, reader, server } = ribRig();
    builder();
    server('a');
    const first = reader({ cacheFile: CACHE });
    await clock.advance(2000);
    const other = reader({ cacheFile: CACHE, service: 'other' }, first.host);
    await clock.settle();
    expect(other.log.last).toEqual([]);
  });

  it('hears no older table after a newer, when two believe to be the builder and the one that slept goes on', async () => {
    const { clock, builder, reader, server } = ribRig();
    const random = seededRandom(7);
    const [first, second] = [builder({ name: 'one', leaseMs: 1000 }), builder({ name: 'two', leaseMs: 1000 })];
    server('a');
    const { log } = reader();
    for (let i = 0; i < 200; i++) {
      const faults = ['hang', 'hang-after', 'lost-answer', 'unavailable', undefined, undefined] as const;
      first.state.fault = faults[random.int(faults.length)];
      second.state.fault = faults[random.int(faults.length)];
      const one = server(`s${i}`);
      await clock.advance(random.int(1500));
      if (random.next() < 0.7) await one.announcement.close();
    }
    first.state.fault = undefined;
    second.state.fault = undefined;
    await clock.advance(20_000);
    expect(log.disorders).toEqual([]);
    expect(log.tables.length).toBeGreaterThan(50);
    expect(log.table?.endpoints.map(({ id }) => id)).toContain('a');
    expect(log.last).toEqual(log.table?.endpoints.map(({ id }) => id).sort());
  });

  it('keeps the last table when what is published is damaged, and comes to the next one', async () => {
    const { clock, builder, reader, server, state } = ribRig();
    builder();
    server('a');
    const { log, resolution, host } = reader();
    await clock.advance(2000);
    const { token = 0, version = 0 } = log.table ?? {};
    const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
    const putHead = (documents: unknown) =>
      state.put(`rib/${SERVICE}/head`, text({ v: 1, token, value: { v: 1, version: version + 10, documents } }));
    await state.put(`rib/${SERVICE}/${token}/0-${version + 10}/0`, new TextEncoder().encode('0123456789abcdef\n{}'));
    await putHead([[0, version + 10, 1, '0123456789abcdef']]);
    await clock.advance(1000);
    await putHead([[0, version + 10, 3, 'feedfeedfeedfeed']]);
    await clock.advance(1000);
    await state.put(`rib/${SERVICE}/head`, new TextEncoder().encode('{'));
    await state.put(`rib/${SERVICE}/x/y`, new Uint8Array(10));
    await clock.advance(1000);
    expect([log.last, log.table?.version, resolution.source]).toEqual([['a'], version, 'table']);
    expect(host.warnings.length).toBeGreaterThan(0);
    await state.delete(`rib/${SERVICE}/head`);
    await putHead([[0, version + 10, 1, '0123456789abcdef']]);
    server('b');
    await clock.advance(5000);
    expect(log.last).toEqual(['a', 'b']);
    expect(log.table?.version).toBeGreaterThan(version + 10);
  });

  it('watches announcements when parts of a table never come', async () => {
    const { clock, builder, reader, server, state } = ribRig();
    builder();
    server('a');
    const { log, resolution } = reader({ maxTableAgeMs: 5000 });
    await clock.advance(2000);
    const { token = 0, version = 0 } = log.table ?? {};
    const head = { v: 1, token, value: { v: 1, version: version + 1, documents: [[0, version + 1, 3, 'feedfeedfeedfeed']] } };
    await state.put(`rib/${SERVICE}/head`, new TextEncoder().encode(JSON.stringify(head)));
    await clock.advance(4000);
    expect(resolution.source).toBe('table');
    await clock.advance(3000);
    expect(resolution.source).toBe('announcements');
    expect(log.last).toEqual(['a']);
  });

  it('follows a store that was emptied, whose tokens begin anew', async () => {
    const { clock, builder, reader, server, store } = ribRig();
    builder();
    server('a');
    const { log, resolution } = reader();
    await clock.advance(60_000);
    store.clear();
    await clock.advance(60_000);
    server('b');
    await clock.advance(2000);
    expect(resolution.source).toBe('table');
    expect(log.last).toEqual(['a', 'b']);
  });

  it('asks the store again after it refused the watch, and says so', async () => {
    const { clock, builder, reader, server } = ribRig();
    builder();
    server('a');
    await clock.advance(1000);
    const { log, state } = reader();
    state.fault = 'unavailable';
    await clock.advance(10_000);
    expect(log.codes).toContain('unavailable');
    state.fault = undefined;
    await clock.advance(10_000);
    expect(log.last).toEqual(['a']);
  });

  it('stops at close', async () => {
    const { clock, builder, reader, server } = ribRig();
    builder();
    server('a');
    const { log, resolution } = reader();
    await clock.advance(1000);
    resolution.close();
    resolution.close();
    server('b');
    await clock.advance(60_000);
    expect(log.last).toEqual(['a']);
  });

  it.each([
    ['an empty service', { service: '' }],
    ['an age too short', { maxTableAgeMs: 1 }],
    ['a bad key', { leaderKey: '' }],
  ])('refuses %s', (_what, options) => {
    const { state } = ribRig();
    expect(() => ribResolver({ state, service: SERVICE, ...options })).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
  });
});
