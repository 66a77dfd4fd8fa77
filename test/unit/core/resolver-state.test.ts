import { describe, expect, it } from 'vitest';
import { announcementKey, encodeAnnouncement } from '../../../src/core/announcement.js';
import { parseEndpoint } from '../../../src/core/endpoint.js';
import { type StateResolverOptions, stateResolver } from '../../../src/core/resolver-state.js';
import type { StateEvent, StateTransport } from '../../../src/core/transport/state.js';
import { createMemoryState, memoryStateStore } from '../../../src/transports/memory/index.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { FlakyState } from '../../support/flaky-state.js';
import { ResolverLog } from '../../support/resolver-log.js';

function setUp() {
  const runtime = fakeRuntime();
  const store = memoryStateStore({ random: runtime.random });
  const state = new FlakyState(createMemoryState({ clock: runtime.clock, store }));
  const put = (id: string, leaseMs?: number, service = 'search') =>
    state.put(announcementKey(service, id), encodeAnnouncement(parseEndpoint({ id, address: `http://${id}:1` }), id), {
      leaseMs,
    });
  const remove = (id: string) => state.delete(announcementKey('search', id));
  const start = async (options: Partial<StateResolverOptions> = {}) => {
    const log = new ResolverLog();
    const resolution = log.start(stateResolver({ state, service: 'search', ...options }), runtime);
    await runtime.clock.settle();
    return { log, resolution };
  };
  return { runtime, clock: runtime.clock, host: runtime.host, store, state, put, remove, start };
}

/** A store that says what it is told to. */
function scriptedState() {
  let on: (event: StateEvent) => void = () => {};
  const state = {
    watch: (_prefix: string, listener: (event: StateEvent) => void) => {
      on = listener;
      return { ageMs: 0, close() {} };
    },
  } as unknown as StateTransport;
  const event = (type: StateEvent['type'], revision: number, id?: string, epoch = 'e') => {
    const value = id === undefined ? undefined : encodeAnnouncement(parseEndpoint({ id, address: `http://${id}:1` }), id);
    const entry = id === undefined || value === undefined ? undefined : { key: announcementKey('search', id), value, revision };
    on({ type, revision, epoch, ...(entry === undefined ? undefined : { entry }) });
  };
  return { state, event };
}

describe('stateResolver', () => {
  it('tells who is announced, and each change with no time in between', async () => {
    const { put, remove, start, clock } = setUp();
    await put('a');
    const { log } = await start();
    expect(log.lists).toEqual([{ ids: ['a'], source: 'live' }]);
    await put('b');
    await clock.settle();
    expect(log.last).toEqual(['a', 'b']);
    await remove('a');
    await clock.settle();
    expect(log.last).toEqual(['b']);
    expect(clock.now()).toBe(0);
  });

  it('tells a batch of changes once', async () => {
    const { put, start, clock } = setUp();
    const { log } = await start();
    await Promise.all(['a', 'b', 'c', 'd'].map((id) => put(id)));
    await clock.settle();
    expect(log.lists.map(({ ids }) => ids)).toEqual([[], ['a', 'b', 'c', 'd']]);
  });

  it('says nothing when a lease is renewed', async () => {
    const { put, start, clock } = setUp();
    await put('a', 1000);
    const { log } = await start();
    for (let i = 0; i < 10; i++) {
      await put('a', 1000);
      await clock.advance(500);
    }
    expect(log.lists).toHaveLength(1);
  });

  it('drops an endpoint whose lease ran out, but never the last one', async () => {
    const { put, start, clock } = setUp();
    await put('a', 1000);
    await put('b', 2000);
    const { log } = await start();
    await clock.advance(1001);
    expect(log.last).toEqual(['b']);
    await clock.advance(1000);
    expect(log.last).toEqual(['b']);
    expect(log.codes).toEqual(['unavailable']);
    await put('c');
    await clock.settle();
    expect(log.last).toEqual(['c']);
  });

  it('does not see other services', async () => {
    const { put, start } = setUp();
    await put('a', undefined, 'searching');
    await put('b', undefined, 'search/endpoints');
    expect((await start()).log.last).toEqual([]);
  });

  it('has the age of its watch, and of the last good list when every lease ran out', async () => {
    const { state, event } = scriptedState();
    const { clock, start } = setUp();
    const { log, resolution } = await start({ state });
    event('put', 1, 'a');
    event('synced', 1);
    await clock.settle();
    expect(resolution.ageMs).toBe(0);
    event('expired', 2, 'a');
    await clock.advance(10_000);
    expect(log.last).toEqual(['a']);
    expect(log.errors.map(({ code }) => code)).toEqual(['unavailable']);
    expect(resolution.ageMs).toBe(10_000);
  });

  it('believes the last endpoint that it has gone when it withdraws by itself', async () => {
    const { put, remove, start, clock } = setUp();
    await put('a');
    const { log } = await start();
    await remove('a');
    await clock.settle();
    expect(log.last).toEqual([]);
    expect(log.errors).toEqual([]);
  });

  it('skips and reports a malformed document; the others, and what it said before, stay', async () => {
    const { put, start, clock, state, runtime } = setUp();
    await put('a');
    await state.put(announcementKey('search', 'x'), new TextEncoder().encode('{"v":1,"endpoint":'));
    const { log } = await start();
    expect(log.last).toEqual(['a']);
    await state.put(announcementKey('search', 'a'), Uint8Array.of(1, 2, 3));
    await put('b');
    await clock.settle();
    expect(log.last).toEqual(['a', 'b']);
    expect(runtime.diagnostics.total).toBe(2);
    expect(log.errors).toEqual([]);
  });

  it('swaps lists after a gap, with nobody missing in between', async () => {
    const { state, event } = scriptedState();
    const { clock, start } = setUp();
    const { log } = await start({ state });
    event('put', 1, 'a');
    event('put', 2, 'b');
    expect(log.lists).toEqual([]);
    event('synced', 2);
    await clock.settle();
    event('reset', 0);
    await clock.settle();
    event('put', 2, 'b');
    await clock.settle();
    event('put', 3, 'c');
    event('synced', 3);
    await clock.settle();
    expect(log.lists.map(({ ids }) => ids)).toEqual([
      ['a', 'b'],
      ['b', 'c'],
    ]);
  });

  it('says nothing after a gap in which nothing changed', async () => {
    const { state, event } = scriptedState();
    const { clock, start } = setUp();
    const { log } = await start({ state });
    event('put', 1, 'a');
    event('synced', 1);
    await clock.settle();
    event('reset', 0);
    event('put', 1, 'a', 'other epoch');
    event('synced', 1, undefined, 'other epoch');
    await clock.settle();
    expect(log.lists).toHaveLength(1);
  });

  it('ignores a change that comes again after a later one', async () => {
    const { state, event } = scriptedState();
    const { clock, start } = setUp();
    const { log } = await start({ state });
    event('put', 1, 'a');
    event('put', 2, 'b');
    event('synced', 2);
    event('delete', 3, 'a');
    event('put', 1, 'a');
    event('put', 1, 'z', 'another epoch');
    await clock.settle();
    expect(log.last).toEqual(['b', 'z']);
  });

  it('keeps its list when the store is emptied, and follows the new epoch', async () => {
    const { store, put, start, clock } = setUp();
    await put('a');
    const { log } = await start();
    store.clear();
    await clock.settle();
    expect(log.last).toEqual(['a']);
    await put('b');
    await clock.settle();
    expect(log.last).toEqual(['b']);
  });

  it('starts from its copy at once while the store is down, and goes live on refresh', async () => {
    const { put, start, clock, state } = setUp();
    await put('a');
    (await start({ cacheFile: '/c.json' })).resolution.close();
    await clock.advance(5000);
    state.fault = 'unavailable';
    const { log, resolution } = await start({ cacheFile: '/c.json' });
    expect(clock.now()).toBe(5000);
    expect(log.lists).toEqual([{ ids: ['a'], source: 'cache' }]);
    expect(log.codes).toEqual(['unavailable']);
    expect(resolution.ageMs).toBe(5000);
    state.fault = undefined;
    resolution.refresh();
    await clock.settle();
    expect(log.lists.at(-1)).toEqual({ ids: ['a'], source: 'live' });
  });

  it('starts from its copy when the store says nothing at all', async () => {
    const { put, start, state } = setUp();
    await put('a');
    (await start({ cacheFile: '/c.json' })).resolution.close();
    state.isDeaf = true;
    const { log } = await start({ cacheFile: '/c.json' });
    expect(log.lists).toEqual([{ ids: ['a'], source: 'cache' }]);
  });

  it('is silent after close', async () => {
    const { put, start, clock } = setUp();
    const { log, resolution } = await start();
    void put('a');
    resolution.close();
    resolution.close();
    resolution.refresh();
    await clock.settle();
    expect(log.lists).toHaveLength(1);
  });

  it('refuses an empty service and a missing transport', () => {
    const state = createMemoryState();
    expect(() => stateResolver({ state, service: '' })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    const missing = { service: 'a' } as StateResolverOptions;
    expect(() => stateResolver(missing)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
