import { isEvenkeelError, type StateEvent } from 'evenkeel/core';
import { createMemoryState, type MemoryStateStore, memoryStateStore } from 'evenkeel/memory';
import { seededRandom, virtualClock } from 'evenkeel/testing';
import { describe, expect, it } from 'vitest';

const one = Uint8Array.of(1);

function setup(maxKeys?: number) {
  const clock = virtualClock();
  const store = memoryStateStore({ random: seededRandom(1), maxKeys });
  const events: StateEvent[] = [];
  const state = createMemoryState({ clock, store });
  return { clock, store, events, state, types: () => events.map(({ type }) => type) };
}

describe('createMemoryState', () => {
  it('begins a new epoch when its store is cleared, and watches start over', async () => {
    const { clock, store, state, events, types } = setup();
    await state.put('a', one);
    state.watch('', (event) => events.push(event));
    await clock.settle();
    const before = store.epoch;
    store.clear();
    await state.put('b', one);
    await clock.settle();
    expect(types()).toEqual(['put', 'synced', 'reset', 'put', 'synced']);
    expect(store.epoch).not.toBe(before);
    expect(events.slice(2).every(({ epoch }) => epoch === store.epoch)).toBe(true);
    expect(events[3]).toMatchObject({ revision: 1, entry: { key: 'b' } });
    await state.close();
  });

  it('says reset and lists again when more changes wait than a watch keeps', async () => {
    const { clock, state, events, types } = setup();
    state.watch('', (event) => events.push(event));
    await clock.settle();
    const writes = Array.from({ length: 10_005 }, () => state.put('a', one));
    await Promise.all(writes);
    await clock.settle();
    expect(types()).toEqual(['synced', 'reset', 'put', 'synced']);
    expect(events[2]?.revision).toBe(10_005);
    await state.close();
  });

  it('refuses keys beyond its bound, still takes new values of old ones, and takes a key when one is gone', async () => {
    const { state } = setup(2);
    await state.put('a', one);
    await state.put('b', one, { leaseMs: 100 });
    await expect(state.put('c', one)).rejects.toSatisfy(
      (error) => isEvenkeelError(error, 'resource-exhausted') && error.rejected,
    );
    await state.put('a', one);
    await state.delete('a');
    await state.put('c', one);
    await state.close();
  });

  it('sets no timer without a lease or a watch, and one for many leases', async () => {
    const { clock, state } = setup();
    expect(clock.pending).toBe(0);
    for (let i = 0; i < 100; i++) await state.put(`k${i}`, one, { leaseMs: 1000 + i });
    expect(clock.pending).toBe(1);
    await state.close();
    expect(clock.pending).toBe(0);
  });

  it('refuses a store of another make', () => {
    const store = { epoch: '', revision: 0, clear() {} } satisfies MemoryStateStore;
    expect(() => createMemoryState({ store })).toThrow(/memoryStateStore/);
  });
});
