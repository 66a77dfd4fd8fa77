import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/core/clock.js';
import { LeaseKeeper, type LeaseKeeperOptions } from '../../../src/core/lease.js';
import { createMemoryState, memoryStateStore } from '../../../src/transports/memory/index.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { FlakyState, type StateFault } from '../../support/flaky-state.js';

const LEASE_MS = 3000;

function setUp() {
  const runtime = fakeRuntime();
  const { clock } = runtime;
  const store = memoryStateStore({ random: runtime.random });
  const direct = createMemoryState({ clock, store });
  const expired: string[] = [];
  direct.watch('', ({ type, entry }) => {
    if (type === 'expired' && entry) expired.push(`${new TextDecoder().decode(entry.value)} at ${clock.now()}`);
  });
  const keeper = (name: string, options: Partial<LeaseKeeperOptions> = {}, fault?: StateFault) => {
    const state = new FlakyState(createMemoryState({ clock, store }));
    state.fault = fault;
    const log: string[] = [];
    const lease = new LeaseKeeper({
      state,
      key: 'leader',
      value: new TextEncoder().encode(name),
      leaseMs: LEASE_MS,
      runtime,
      conflict: 'wait',
      onHeld: (revision) => log.push(`held ${revision}`),
      onLost: () => log.push(`lost at ${clock.now()}`),
      ...options,
    });
    lease.start();
    return { state, log, lease };
  };
  const holder = async () => {
    const entry = await direct.get('leader');
    return entry && new TextDecoder().decode(entry.value);
  };
  return { runtime, clock, store, direct, expired, keeper, holder };
}

describe('a lease', () => {
  it('is held at once and kept by a write each third of it', async () => {
    const { clock, keeper, expired } = setUp();
    const { lease, log, state } = keeper('a');
    await clock.advance(60 * LEASE_MS);
    expect(lease.isHeld).toBe(true);
    expect(log).toEqual(['held 1']);
    expect(expired).toEqual([]);
    // A third, or up to a fifth sooner.
    expect(state.requests.length).toBeGreaterThanOrEqual(180);
    expect(state.requests.length).toBeLessThanOrEqual(226);
  });

  it('survives a store that is away for a third of it', async () => {
    const { clock, keeper, expired } = setUp();
    const { lease, log, state } = keeper('a');
    for (let i = 0; i < 20; i++) {
      await clock.advance(5 * LEASE_MS);
      state.fault = (['unavailable', 'hang', 'lost-answer', 'hang-after'] as const)[i % 4];
      await clock.advance(LEASE_MS / 3);
      state.fault = undefined;
    }
    await clock.advance(LEASE_MS);
    expect(log).toEqual(['held 1']);
    expect(lease.isHeld).toBe(true);
    expect(expired).toEqual([]);
  });

  it.each(['unavailable', 'hang'] as const)('is lost before the store sees it end, and won back (%s)', async (fault) => {
    const { clock, keeper, expired } = setUp();
    const { lease, log, state } = keeper('a');
    await clock.advance(10 * LEASE_MS);
    state.fault = fault;
    await clock.advance(2 * LEASE_MS);
    expect(lease.isHeld).toBe(false);
    const lostAt = Number(log[1]?.replace('lost at ', ''));
    const expiredAt = Number(expired[0]?.replace('a at ', ''));
    expect(lostAt).toBeLessThan(expiredAt);
    await clock.advance(100 * LEASE_MS);
    state.fault = undefined;
    await clock.advance(LEASE_MS);
    expect(lease.isHeld).toBe(true);
    expect(log).toHaveLength(3);
  });

  it('knows its own write again when the answer was lost', async () => {
    const { clock, keeper } = setUp();
    const { lease, log, state } = keeper('a', {}, 'lost-answer');
    await clock.advance(10);
    expect(lease.isHeld).toBe(false);
    state.fault = undefined;
    await clock.advance(LEASE_MS / 3);
    expect(lease.isHeld).toBe(true);
    expect(log).toHaveLength(1);
  });

  it('is lost by the clock even where no timer could run', async () => {
    const { clock, keeper } = setUp();
    const { lease, log } = keeper('a');
    await clock.advance(LEASE_MS);
    // A blocked event loop: time passes, nothing runs.
    const now = clock.now.bind(clock);
    clock.now = () => now() + 10 * LEASE_MS;
    expect(lease.isHeld).toBe(false);
    await clock.advance(LEASE_MS);
    expect(lease.isHeld).toBe(true);
    expect(log.map((line) => line.split(' ')[0])).toEqual(['held', 'lost', 'held']);
  });

  it('that ended while its timer could not run is lost before a late renewal holds it again', async () => {
    const { clock, runtime, keeper } = setUp();
    let aheadMs = 0;
    const late: Clock = {
      now: () => clock.now() + aheadMs,
      coarse: () => clock.coarse() + aheadMs,
      wallTime: () => clock.wallTime(),
      sleep: (ms, signal, holds) => clock.sleep(ms, signal, holds),
      timer: (ms, fire, holds) => clock.timer(ms, fire, holds),
    };
    const { lease, log } = keeper('a', { runtime: { ...runtime, clock: late } });
    await clock.settle();
    // The store does not know of the time that has passed here: it takes the renewal.
    aheadMs = LEASE_MS;
    await clock.advance(LEASE_MS / 3);
    expect(lease.isHeld).toBe(true);
    expect(log).toEqual(['held 1', expect.stringMatching(/^lost at /), 'held 2']);
  });

  it('is held by one of two that wait, and by the other when that is gone', async () => {
    const { clock, keeper, holder } = setUp();
    const a = keeper('a');
    const b = keeper('b');
    await clock.advance(20 * LEASE_MS);
    expect([a.lease.isHeld, b.lease.isHeld]).toEqual([true, false]);
    expect(await a.lease.release()).toBe(true);
    expect(await holder()).toBeUndefined();
    await clock.advance(LEASE_MS / 2);
    expect([a.lease.isHeld, b.lease.isHeld]).toEqual([false, true]);
    expect(b.log).toHaveLength(1);
  });

  it('passes to another when its holder falls silent, with a greater token', async () => {
    const { clock, keeper } = setUp();
    const a = keeper('a');
    const b = keeper('b');
    await clock.advance(5 * LEASE_MS);
    a.state.fault = 'hang';
    await clock.advance(3 * LEASE_MS);
    expect([a.lease.isHeld, b.lease.isHeld]).toEqual([false, true]);
    expect(Number(b.log[0]?.slice(5))).toBeGreaterThan(Number(a.log[0]?.slice(5)));
    a.state.fault = undefined;
    await clock.advance(10 * LEASE_MS);
    expect([a.lease.isHeld, b.lease.isHeld]).toEqual([false, true]);
  });

  it('is never held by two at once, whatever the store does', async () => {
    const { clock, runtime, keeper } = setUp();
    const keepers = ['a', 'b', 'c'].map((name) => keeper(name));
    const chance = runtime.random.fork('faults');
    const faults = [undefined, undefined, 'unavailable', 'hang', 'lost-answer', 'hang-after'] as const;
    let wasHeld = 0;
    for (let i = 0; i < 500; i++) {
      for (const { state } of keepers) if (chance.int(10) === 0) state.fault = faults[chance.int(faults.length)];
      await clock.advance(chance.int(LEASE_MS / 5));
      const held = keepers.filter(({ lease }) => lease.isHeld).length;
      expect(held, `step ${i}, seed 1`).toBeLessThanOrEqual(1);
      wasHeld += held;
    }
    expect(wasHeld).toBeGreaterThan(250);
  });

  it('is taken over once with take-over, and not fought for', async () => {
    const { clock, keeper, holder } = setUp();
    const old = keeper('old', { conflict: 'take-over' });
    await clock.advance(LEASE_MS);
    const young = keeper('young', { conflict: 'take-over' });
    await clock.advance(20 * LEASE_MS);
    expect(await holder()).toBe('young');
    expect([old.log.length, young.log.length]).toEqual([2, 1]);
    await young.lease.release();
    await clock.advance(LEASE_MS / 2);
    expect(await holder()).toBe('old');
  });

  it('is made anew when its key was deleted or the store emptied', async () => {
    const { clock, direct, store, keeper } = setUp();
    const { lease, log } = keeper('a');
    await clock.advance(LEASE_MS);
    await direct.delete('leader');
    await clock.advance(LEASE_MS / 2);
    expect(lease.isHeld).toBe(true);
    store.clear();
    await clock.advance(LEASE_MS / 2);
    expect(lease.isHeld).toBe(true);
    expect(log).toHaveLength(5);
  });

  it('leaves what belongs to somebody else when released', async () => {
    const { clock, direct, keeper, holder } = setUp();
    const { lease } = keeper('a');
    await clock.settle();
    await direct.put('leader', new TextEncoder().encode('other'));
    expect(await lease.release()).toBe(true);
    expect(await holder()).toBe('other');
  });

  it('waits for the write under way when released, so that nothing lands after the delete', async () => {
    const { clock, keeper, holder } = setUp();
    const { lease, state } = keeper('a', {}, 'hang-after');
    await clock.settle();
    const released = lease.release();
    state.fault = undefined;
    await clock.advance(LEASE_MS);
    expect(await released).toBe(true);
    expect(await holder()).toBeUndefined();
  });

  it('runs out by itself when the store is away at its release', async () => {
    const { clock, keeper, expired, log } = { ...setUp(), log: [] as boolean[] };
    const { lease, state } = keeper('a');
    await clock.settle();
    state.fault = 'hang';
    void lease.release().then((isDone) => log.push(isDone));
    expect(lease.release()).toBe(lease.release());
    await clock.advance(2 * LEASE_MS);
    expect(log).toEqual([false]);
    expect(expired).toEqual([`a at ${LEASE_MS}`]);
  });

  it('reports what the store and its listeners throw, and leaves no timer behind', async () => {
    const { clock, runtime, keeper } = setUp();
    const before = clock.pending;
    const onHeld = () => {
      throw new Error('broken');
    };
    const { lease, state } = keeper('a', { onHeld });
    await clock.settle();
    expect(runtime.diagnostics.total).toBe(1);
    state.fault = 'unavailable';
    await clock.advance(LEASE_MS);
    expect(runtime.diagnostics.total).toBeGreaterThan(2);
    state.fault = undefined;
    lease.stop();
    lease.stop();
    await lease.release();
    await clock.advance(LEASE_MS + 1);
    expect(clock.pending).toBeLessThanOrEqual(before + 1);
    const { length } = state.requests;
    await clock.advance(10 * LEASE_MS);
    expect(state.requests).toHaveLength(length);
  });
});
