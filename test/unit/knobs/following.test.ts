/** Knobs and their store: gone, back, restored, lying, and slow. */
import { describe, expect, it } from 'vitest';
import type { StateTransport } from '../../../src/core/index.js';
import { headKey, writeSnapshot } from '../../../src/knobs/document.js';
import { createActuator } from '../../../src/knobs/index.js';
import { listEntries } from '../../../src/knobs/listed.js';
import { createMemoryState } from '../../../src/transports/memory/index.js';
import { knobFlip, knobsRig, levelFlip, skipRerank } from '../../support/knobs-rig.internal.js';

const bytes = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

/** A watch that says nothing any more, not even that it has failed. */
function deaf(state: StateTransport): StateTransport & { isDeaf: boolean } {
  const transport = {
    isDeaf: false,
    get: state.get.bind(state),
    put: state.put.bind(state),
    delete: state.delete.bind(state),
    close: () => state.close(),
    watch(prefix: string, on: Parameters<StateTransport['watch']>[1]) {
      const watch = state.watch(prefix, (event) => {
        if (!transport.isDeaf) on(event);
      });
      let heardAge = Number.POSITIVE_INFINITY;
      return {
        get ageMs() {
          if (!transport.isDeaf) heardAge = watch.ageMs;
          return transport.isDeaf ? heardAge + 1e6 : heardAge;
        },
        close: () => watch.close(),
      };
    },
  };
  return transport;
}

describe('a store without a state of knobs', () => {
  it('proves that all is normal', async () => {
    const { clock, knobs } = knobsRig();
    const knob = knobs.define(skipRerank);
    const ready = knobs.ready();
    await clock.settle();
    expect([await ready, knob.on, knobs.revision]).toEqual([true, false, 0]);
    await clock.advance(10_000);
    expect(knobs.ageMs).toBeLessThanOrEqual(1000);
  });
});

describe('a store that is asked again and again', () => {
  it('keeps its one watch, with a state of knobs or without', async () => {
    const rig = knobsRig();
    let watches = 0;
    const state = {
      ...deaf(rig.state),
      watch: (...of: Parameters<StateTransport['watch']>) => {
        watches++;
        return rig.state.watch(...of);
      },
    };
    const knobs = rig.make({ state, pollMs: 1000 });
    await rig.clock.advance(60_000);
    expect([watches, knobs.ageMs <= 1000]).toEqual([1, true]);
    await rig.write({ levels: [levelFlip()] });
    await rig.clock.advance(60_000);
    expect([watches, knobs.ageMs <= 1000]).toEqual([1, true]);
  });
});

describe('a store that is gone', () => {
  it('leaves the state in force, and is told within 3.3 s; back, it is told as well', async () => {
    const rig = knobsRig();
    const told: string[] = [];
    const transport = deaf(rig.state);
    const knobs = rig.make({ state: transport, pollMs: 600_000 });
    const knob = knobs.define(skipRerank);
    knobs.events.on('stale', () => told.push('stale'));
    knobs.events.on('fresh', () => told.push('fresh'));
    await rig.write({ levels: [levelFlip()] });
    await rig.clock.advance(5000);
    expect(told).toEqual([]);
    transport.isDeaf = true;
    await rig.clock.advance(3300);
    expect([told, knob.on, knobs.snapshot().isStale]).toEqual([['stale'], true, true]);
    transport.isDeaf = false;
    await rig.clock.advance(1000);
    expect(told).toEqual(['stale', 'fresh']);
  });

  it('is asked beside the watch: what a silent watch missed is there within the interval of the poll', async () => {
    const rig = knobsRig();
    const transport = deaf(rig.state);
    const knob = rig.make({ state: transport, pollMs: 5000 }).define(skipRerank);
    await rig.clock.advance(1);
    transport.isDeaf = true;
    await rig.write({ levels: [levelFlip()] });
    expect(knob.on).toBe(false);
    await rig.clock.advance(6000);
    expect(knob.on).toBe(true);
  });

  it.each([
    ['hold', true, true],
    ['release', true, false],
    ['degrade', false, true],
  ] as const)('%s: the policy of the knob begins at its own bound', async (onStale, isOnBefore, isOnAfter) => {
    const rig = knobsRig();
    const transport = deaf(rig.state);
    const knobs = rig.make({ state: transport, pollMs: 600_000 });
    const knob = knobs.define({ ...skipRerank, onStale, maxStalenessMs: 8000 });
    if (isOnBefore) await rig.write({ levels: [levelFlip()] });
    await rig.clock.advance(2000);
    transport.isDeaf = true;
    await rig.clock.advance(6900);
    expect(knob.on).toBe(isOnBefore);
    await rig.clock.advance(1400);
    expect(knob.on).toBe(isOnAfter);
    transport.isDeaf = false;
    await rig.clock.advance(1000);
    expect(knob.on).toBe(isOnBefore);
  });

  it('refuses a watch, and is asked again', async () => {
    const rig = knobsRig();
    let refusals = 2;
    const transport: StateTransport = {
      get: () => Promise.reject(new Error('no credentials')),
      put: rig.state.put.bind(rig.state),
      delete: rig.state.delete.bind(rig.state),
      close: () => rig.state.close(),
      watch: (prefix, on) => {
        if (refusals-- > 0) throw new Error('no credentials');
        return rig.state.watch(prefix, on);
      },
    };
    const errors: unknown[] = [];
    const knobs = rig.make({ state: transport });
    knobs.events.on('error', ({ error }) => errors.push(error));
    const knob = knobs.define(skipRerank);
    await rig.write({ levels: [levelFlip()] });
    await rig.clock.advance(60_000);
    expect([knob.on, knobs.ageMs < 2000]).toEqual([true, true]);
    expect(errors.length).toBeGreaterThan(2);
  });
});

describe('a store that was restored from a backup', () => {
  it('is followed, although its revisions are lower', async () => {
    const rig = knobsRig();
    const other = createMemoryState({ clock: rig.clock });
    let current: StateTransport = rig.state;
    const transport: StateTransport = {
      get: (...of) => current.get(...of),
      put: (...of) => current.put(...of),
      delete: (...of) => current.delete(...of),
      watch: (...of) => current.watch(...of),
      close: () => current.close(),
    };
    const knobs = rig.make({ state: transport, pollMs: 2000 });
    const knob = knobs.define(skipRerank);
    for (let i = 0; i < 20; i++) await rig.write({ levels: [levelFlip()] });
    await rig.clock.advance(12_000);
    const { revision } = knobs;
    await other.put(headKey('default'), bytes({ v: 1, levels: [], knobs: [] }));
    current = other;
    // The old watch goes on telling the old epoch; the answers to polls are lower, which no store does within an epoch.
    await rig.state.close();
    await rig.clock.advance(30_000);
    expect(knob.on).toBe(false);
    expect(knobs.revision).toBeLessThan(revision);
    expect(knobs.ageMs).toBeLessThan(2000);
  });
});

describe('a document that is none', () => {
  it.each([
    ['garbage', 'not JSON'],
    ['null', 'null'],
    ['no version', {}],
    ['a later schema', { v: 2, levels: [], knobs: [] }],
    ['a wrong level', { v: 1, levels: [{ ...levelFlip(), level: 7 }], knobs: [] }],
    ['a wrong scope', { v: 1, levels: [{ ...levelFlip(), scope: 'planet:Earth' }], knobs: [] }],
    ['a wrong dose', { v: 1, levels: [], knobs: [{ ...knobFlip('A/B'), dose: 256 }] }],
    ['two flips of a knob', { v: 1, levels: [], knobs: [knobFlip('A/B'), knobFlip('A/B')] }],
    ['no reason', { v: 1, levels: [{ ...levelFlip(), reason: '' }], knobs: [] }],
  ])('%s is refused whole, told, and the state before stays, with its age', async (_, document) => {
    const rig = knobsRig();
    const knob = rig.knobs.define(skipRerank);
    const errors: unknown[] = [];
    rig.knobs.events.on('error', ({ error }) => errors.push(error));
    await rig.write({ levels: [levelFlip()] });
    await rig.state.put(headKey('default'), bytes(document));
    await rig.clock.advance(5000);
    expect(knob.on).toBe(true);
    expect(errors.length).toBeGreaterThan(0);
    expect(rig.knobs.ageMs).toBeGreaterThan(3000);
    await rig.write({});
    expect(knob.on).toBe(false);
  });

  it('with unknown knobs and unknown fields is one', async () => {
    const rig = knobsRig();
    const knob = rig.knobs.define(skipRerank);
    const flip = { ...levelFlip(), note: 'new' };
    await rig.state.put(headKey('default'), bytes({ v: 1, levels: [flip], knobs: [knobFlip('Not/Here')], more: 1 }));
    await rig.clock.settle();
    expect(knob.on).toBe(true);
  });
});

describe('10,000 knobs, and 10 MB', () => {
  it('are split into parts, and read whole', async () => {
    const rig = knobsRig();
    const knob = rig.knobs.define(skipRerank);
    const reason = 'x'.repeat(500);
    const knobs = Array.from({ length: 14_000 }, (_, i) => knobFlip(`Many/Knob${i}`, { reason }));
    await rig.write({ knobs: [...knobs, knobFlip('Search/SkipRerank', { dose: 9 })] });
    await rig.clock.advance(1000);
    expect(knob.dose).toBe(9);
    await expect(
      rig.write({ knobs: Array.from({ length: 26_000 }, (_, i) => knobFlip(`Many/Knob${i}`, { reason })) }),
    ).rejects.toMatchObject({ code: 'out-of-range' });
  });
});

describe('a snapshot in parts', () => {
  it('leaves none of them when another was faster, nor when it is replaced', async () => {
    const rig = knobsRig();
    const knobs = Array.from({ length: 2000 }, (_, i) => knobFlip(`Many/Knob${i}`, { reason: 'x'.repeat(500) }));
    await rig.write({ knobs });
    const keys = async () => {
      const entries = await listEntries(rig.state, 'knobs/', rig.clock, 1000);
      return entries.map(({ key }) => key).sort();
    };
    const before = await keys();
    expect(before.length).toBeGreaterThan(4);
    const late = writeSnapshot(rig.state, 'default', { levels: [], knobs }, 'absent', 'late');
    await expect(late).rejects.toMatchObject({ code: 'aborted' });
    expect(await keys()).toEqual(before);
    const actuator = createActuator({ state: rig.state, actor: 'ada', runtime: rig.runtime });
    await actuator.release('all', { reason: 'x', rampMs: 0 });
    const after = await keys();
    expect(after.filter((key) => before.includes(key))).toEqual(['knobs/default/head']);
  });
});

describe('the copy on disk', () => {
  const cacheFile = '/var/cache/knobs.json';

  it('is what a start with the store down begins with', async () => {
    const rig = knobsRig({ cacheFile });
    await rig.write({ levels: [levelFlip({ ttlMs: 60_000 })] });
    await rig.clock.advance(20_000);
    await rig.knobs.close();
    await rig.state.close();
    const knobs = rig.make();
    const knob = knobs.define(skipRerank);
    const ready = knobs.ready({ timeoutMs: 1000 });
    await rig.clock.settle();
    expect([await ready, knob.on, knobs.revision > 0, knobs.ageMs]).toEqual([false, true, true, Number.POSITIVE_INFINITY]);
    await rig.clock.advance(39_000);
    expect(knob.on).toBe(true);
    await rig.clock.advance(1001);
    expect(knob.on).toBe(false);
  });

  it.each([
    ['cut short', (text: string) => text.slice(0, -20)],
    ['changed', (text: string) => text.replace('search', 'saerch').replace('"all\\"', '"feature:x\\"')],
    ['of another scope', (text: string) => text.replace('"scope":"default"', '"scope":"other"')],
    ['empty', () => ''],
  ])('is ignored when it is %s', async (_, change) => {
    const rig = knobsRig({ cacheFile });
    await rig.write({ levels: [levelFlip()] });
    await rig.knobs.close();
    await rig.state.close();
    const text = new TextDecoder().decode(rig.host.files.get(cacheFile));
    const changed = change(text);
    expect(changed).not.toBe(text);
    rig.host.setFile(cacheFile, changed);
    const knobs = rig.make();
    const errors: unknown[] = [];
    knobs.events.on('error', ({ error }) => errors.push(error));
    const knob = knobs.define(skipRerank);
    await rig.clock.settle();
    expect([knob.on, errors]).toEqual([false, expect.arrayContaining([expect.objectContaining({ code: 'data-loss' })])]);
  });
});

describe('closing', () => {
  it('ends the watch, the poll and all timers; checks go on', async () => {
    const rig = knobsRig();
    const knob = rig.knobs.define(skipRerank);
    await rig.write({ levels: [levelFlip({ ttlMs: 1000 })] });
    await rig.knobs.close();
    await rig.knobs.close();
    await rig.state.close();
    expect([knob.on, rig.clock.pending]).toEqual([true, 0]);
    expect(await rig.knobs.ready()).toBe(true);
  });
});
