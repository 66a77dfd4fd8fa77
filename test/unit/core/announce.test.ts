import { describe, expect, it } from 'vitest';
import { type AnnounceOptions, announce } from '../../../src/core/announce.js';
import { announcementKey } from '../../../src/core/announcement.js';
import { stateResolver } from '../../../src/core/resolver-state.js';
import { createMemoryState, memoryStateStore } from '../../../src/transports/memory/index.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { FlakyState } from '../../support/flaky-state.js';
import { ResolverLog } from '../../support/resolver-log.js';

async function setUp() {
  const runtime = fakeRuntime();
  const { clock } = runtime;
  const store = memoryStateStore({ random: runtime.random });
  const state = new FlakyState(createMemoryState({ clock, store }));
  const log = new ResolverLog();
  log.start(stateResolver({ state, service: 'search' }), runtime);
  await clock.settle();
  const open = (options: Partial<AnnounceOptions> = {}) =>
    announce({ state, service: 'search', endpoint: { id: 'a', address: 'http://a:1' }, runtime, ...options });
  return { runtime, clock, store, state, log, open };
}

/** Of a promise, whether it is settled by now. */
function settled(promise: Promise<unknown>): { is: boolean } {
  const result = { is: false };
  void promise.then(() => {
    result.is = true;
  });
  return result;
}

describe('announce', () => {
  it('is seen by callers without delay, and stays', async () => {
    const { clock, log, open } = await setUp();
    const announcement = open();
    await clock.settle();
    expect(announcement.isHeld).toBe(true);
    expect(log.last).toEqual(['a']);
    await clock.advance(3_600_000);
    expect(announcement.isHeld).toBe(true);
    expect(log.lists).toHaveLength(2);
  });

  it('withdraws, then waits as a lame duck, on drain', async () => {
    const { clock, log, open } = await setUp();
    const stays = open({ endpoint: { id: 'b', address: 'http://b:1' } });
    const announcement = open({ lameDuckMs: 700 });
    await clock.settle();
    const drained = settled(announcement.drain());
    expect(announcement.drain()).toBe(announcement.drain());
    await clock.settle();
    expect(log.last).toEqual(['b']);
    expect(announcement.isHeld).toBe(false);
    await clock.advance(699);
    expect(drained.is).toBe(false);
    await clock.advance(1);
    expect(drained.is).toBe(true);
    expect(stays.isHeld).toBe(true);
  });

  it('withdraws without the wait on close, which ends a drain', async () => {
    const { clock, log, open } = await setUp();
    const announcement = open({ lameDuckMs: 3_600_000 });
    open({ endpoint: { id: 'b', address: 'http://b:1' } });
    await clock.settle();
    const drained = settled(announcement.drain());
    await clock.settle();
    const closed = settled(announcement.close());
    await announcement.close();
    await clock.settle();
    expect([drained.is, closed.is, clock.now()]).toEqual([true, true, 0]);
    expect(log.last).toEqual(['b']);
  });

  it('drains when disposed', async () => {
    const { clock, state, open } = await setUp();
    const announcement = open({ lameDuckMs: 0 });
    await clock.settle();
    await announcement[Symbol.asyncDispose]();
    expect(await state.get(announcementKey('search', 'a'))).toBeUndefined();
  });

  it('is gone from callers one lease after its process died', async () => {
    const { clock, log, open, state } = await setUp();
    open({ endpoint: { id: 'b', address: 'http://b:1' } });
    const dead = new FlakyState(state);
    open({ state: dead, leaseMs: 2000 });
    await clock.advance(10_000);
    dead.fault = 'hang';
    await clock.advance(2001);
    expect(log.last).toEqual(['b']);
  });

  it('takes its id over from its former self, with its new address', async () => {
    const { clock, log, open } = await setUp();
    const before = open();
    await clock.settle();
    const after = open({ endpoint: { id: 'a', address: 'http://a:2' } });
    await clock.advance(60_000);
    expect(log.endpoints[0]?.address).toBe('http://a:2');
    expect([before.isHeld, after.isHeld]).toEqual([false, true]);
    await before.close();
    await clock.settle();
    expect(log.endpoints[0]?.address).toBe('http://a:2');
    expect(after.isHeld).toBe(true);
  });

  it('appears when the store does, and again after the store was emptied', async () => {
    const { clock, log, open, state, store } = await setUp();
    state.fault = 'unavailable';
    const announcement = open();
    await clock.advance(600_000);
    expect(announcement.isHeld).toBe(false);
    state.fault = undefined;
    await clock.advance(2000);
    expect(log.last).toEqual(['a']);
    store.clear();
    await clock.advance(2000);
    expect(announcement.isHeld).toBe(true);
    expect(await state.get(announcementKey('search', 'a'))).toBeDefined();
  });

  it('ends a drain although the store is away', async () => {
    const { clock, open, state } = await setUp();
    const announcement = open();
    await clock.settle();
    state.fault = 'hang';
    const drained = settled(announcement.drain());
    await clock.advance(10_000);
    expect(drained.is).toBe(true);
  });

  it('tells its load with each renewal, in a few bytes, and is nobody else for it', async () => {
    const { clock, log, open, state } = await setUp();
    let utilization = 0.123456;
    const load = () => ({
      applicationUtilization: utilization,
      cpuUtilization: 0.9,
      rps: 10,
      eps: Number.NaN,
      namedMetrics: { x: 1 },
    });
    const announcement = open({ load });
    await clock.settle();
    const told = async () => {
      const value = (await state.get(announcementKey('search', 'a')))?.value ?? new Uint8Array();
      return { load: JSON.parse(new TextDecoder().decode(value)).load, bytes: value.length };
    };
    expect((await told()).load).toEqual({ utilization: 0.1235, rps: 10 });
    utilization = 0.5;
    await clock.advance(2000);
    expect((await told()).load.utilization).toBe(0.5);
    expect((await told()).bytes).toBeLessThan(200);
    // Others see a list that has not changed.
    expect(log.lists).toHaveLength(2);
    for (const fault of ['lost-answer', 'unavailable'] as const) {
      state.fault = fault;
      utilization += 0.1;
      await clock.advance(2000);
      state.fault = undefined;
      await clock.advance(2000);
      expect(announcement.isHeld).toBe(true);
    }
    await announcement.close();
    expect(await state.get(announcementKey('search', 'a'))).toBeUndefined();
  });

  it('is known all the same when its load cannot be read', async () => {
    const { clock, log, open, runtime } = await setUp();
    open({
      load: () => {
        throw new Error('no meter');
      },
    });
    await clock.settle();
    expect(log.last).toEqual(['a']);
    expect(runtime.host.warnings).toHaveLength(1);
  });

  it.each<[string, Partial<AnnounceOptions>]>([
    ['a load that is no function', { load: 1 as never }],
    ['a malformed endpoint', { endpoint: 'a' }],
    ['an empty service', { service: '' }],
    ['a lease too short', { leaseMs: 10 }],
    ['a negative wait', { lameDuckMs: -1 }],
    ['no state', { state: undefined }],
  ])('refuses %s', async (_what, options) => {
    const { open } = await setUp();
    expect(() => open(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
