import { describe, expect, it } from 'vitest';
import { type CampaignOptions, campaign, leaderOf } from '../../../src/core/campaign.js';
import { getFenced, putFenced } from '../../../src/core/fenced-document.js';
import { createMemoryState, memoryStateStore } from '../../../src/transports/memory/index.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { FlakyState } from '../../support/flaky-state.js';

const KEY = 'leaders/compaction';

function setUp() {
  const runtime = fakeRuntime();
  const { clock } = runtime;
  const store = memoryStateStore({ random: runtime.random });
  const open = (name: string, options: Partial<CampaignOptions> = {}) => {
    const state = new FlakyState(createMemoryState({ clock, store }));
    const log: string[] = [];
    const election = campaign({
      state,
      key: KEY,
      leaseMs: 3000,
      name,
      runtime: fakeRuntime({ clock, seed: name.charCodeAt(0) }),
      ...options,
    });
    election.events.on('elected', ({ token }) => log.push(`elected ${token}`));
    election.events.on('deposed', ({ token }) => log.push(`deposed ${token}`));
    return { state, election, log };
  };
  return { runtime, clock, store, state: createMemoryState({ clock, store }), open };
}

describe('a campaign', () => {
  it('elects one, who leads until it gives up; the next term has a higher token', async () => {
    const { clock, open, state } = setUp();
    const [a, b] = [open('a'), open('b')];
    await clock.settle();
    const first = a.election.term;
    expect(first?.token).toBeGreaterThan(0);
    expect(b.election.term).toBeUndefined();
    expect(await leaderOf(state, KEY)).toBe('a');
    await clock.advance(3_600_000);
    expect(a.election.term).toBe(first);
    expect([a.log, b.log]).toEqual([[`elected ${first?.token}`], []]);
    await a.election.close();
    expect(first?.signal.aborted).toBe(true);
    await clock.advance(1100);
    const second = b.election.term;
    expect(second?.token).toBeGreaterThan(first?.token ?? 0);
    expect(a.log).toEqual([`elected ${first?.token}`, `deposed ${first?.token}`]);
    await b.election.close();
    expect(await leaderOf(state, KEY)).toBeUndefined();
  });

  it('deposes a leader that cannot reach the store before another can lead, and elects that within a lease and a third', async () => {
    const { clock, open } = setUp();
    const [a, b] = [open('a'), open('b')];
    await clock.settle();
    const { signal, token = 0 } = a.election.term ?? {};
    await clock.advance(10_000);
    a.state.fault = 'unavailable';
    const lostAt = clock.now();
    let deposedAt = 0;
    signal?.addEventListener('abort', () => {
      deposedAt = clock.now();
    });
    let electedAt = 0;
    b.election.events.on('elected', () => {
      electedAt = clock.now();
    });
    await clock.advance(3000 * (1 + 1 / 3) + 500);
    expect(deposedAt).toBeGreaterThan(lostAt);
    expect(electedAt).toBeGreaterThan(deposedAt);
    expect(electedAt - lostAt).toBeLessThanOrEqual(3000 * (1 + 1 / 3));
    expect(b.election.term?.token).toBeGreaterThan(token);
    a.state.fault = undefined;
    await clock.advance(60_000);
    expect(a.election.term).toBeUndefined();
    await Promise.all([a.election.close(), b.election.close()]);
    await clock.advance(3000);
    expect(clock.pending).toBe(0);
  });

  it('does not notice that calendars jump and differ', async () => {
    const { clock, open } = setUp();
    const [a, b] = [open('a'), open('b')];
    await clock.settle();
    const { term } = a.election;
    for (const jump of [86_400_000, -2 * 86_400_000, 3_600_000]) {
      clock.jumpWallTime(jump);
      await clock.advance(10_000);
      expect(a.election.term).toBe(term);
    }
    expect(b.log).toEqual([]);
    await Promise.all([a.election.close(), b.election.close()]);
  });

  it('whose key holds something else has no leader that could be named', async () => {
    const { state } = setUp();
    for (const text of ['', 'null', '{"v":1}', '{"v":2,"name":"a"}']) {
      await state.put(KEY, Buffer.from(text));
      await expect(leaderOf(state, KEY)).rejects.toMatchObject({ code: 'data-loss' });
    }
  });

  it.each<[string, Partial<CampaignOptions>]>([
    ['state', { state: {} as never }],
    ['key', { key: 'a//b' }],
    ['leaseMs', { leaseMs: 499 }],
    ['name', { name: 'x'.repeat(1001) }],
  ])('refuses a bad %s', (what, part) => {
    const { open } = setUp();
    expect(() => open('a', part)).toThrow(new RegExp(`^${what} is`));
  });
});

describe('a document of a term', () => {
  it('is written by its term and by later ones, not by earlier ones', async () => {
    const { state } = setUp();
    await putFenced(state, 'map', { shards: 1 }, 5);
    await putFenced(state, 'map', (present) => ({ shards: Number(present?.shards) + 1 }), 5);
    expect(await getFenced(state, 'map')).toMatchObject({ value: { shards: 2 }, token: 5 });
    await putFenced(state, 'map', { shards: 3 }, 9);
    await expect(putFenced(state, 'map', { shards: 4 }, 5)).rejects.toMatchObject({ code: 'aborted', details: { token: 9 } });
    expect(await getFenced(state, 'map')).toMatchObject({ value: { shards: 3 }, token: 9 });
  });

  it('of a leader that slept between its look and its put stays that of the term which came meanwhile', async () => {
    const { state } = setUp();
    await putFenced(state, 'map', { by: 'old' }, 5);
    const asleep = putFenced(
      state,
      'map',
      async () => {
        // While it sleeps a later term begins, and writes.
        await putFenced(state, 'map', { by: 'new' }, 9);
        return { by: 'old again' };
      },
      5,
    );
    await expect(asleep).rejects.toMatchObject({ code: 'aborted', details: { token: 9 } });
    expect(await getFenced(state, 'map')).toMatchObject({ value: { by: 'new' }, token: 9 });
  });

  it('that is none is data-loss, and is not written over', async () => {
    const { state } = setUp();
    for (const text of ['', 'null', '{"v":1}', '{"v":2,"token":1,"value":{}}']) {
      await state.put('map', Buffer.from(text));
      await expect(putFenced(state, 'map', {}, 5)).rejects.toMatchObject({ code: 'data-loss' });
      await expect(getFenced(state, 'map')).rejects.toMatchObject({ code: 'data-loss' });
      expect(Buffer.from((await state.get('map'))?.value ?? []).toString()).toBe(text);
    }
    await expect(putFenced(state, 'map', {}, 0)).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(await getFenced(state, 'none')).toBeUndefined();
  });
});
