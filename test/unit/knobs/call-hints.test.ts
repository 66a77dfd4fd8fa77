import { describe, expect, it } from 'vitest';
import { parseEndpoint } from '../../../src/core/index.js';
import { knobsRig, levelFlip, skipRerank } from '../../support/knobs-rig.internal.js';

const SERVER = parseEndpoint({ id: 's', address: 'http://10.0.0.1:80' });

/** A server that follows the store, and a caller whose store is not there. */
async function callerRig() {
  const rig = knobsRig();
  const server = rig.knobs;
  server.define(skipRerank);
  const asked: number[] = [];
  const caller = rig.make({
    instance: 'caller-1',
    state: {
      get: () => {
        asked.push(rig.clock.now());
        return Promise.reject(new Error('no store'));
      },
      put: () => Promise.reject(new Error('no store')),
      delete: () => Promise.reject(new Error('no store')),
      watch: () => {
        throw new Error('no store');
      },
      close: () => Promise.resolve(),
    },
    pollMs: 600_000,
  });
  const knob = caller.define(skipRerank);
  /** One call, and its answer. */
  const call = () => {
    const { hint } = server;
    caller.extension.response?.(hint === undefined ? [] : ['Evenkeel-Knobs', hint], SERVER);
  };
  await rig.clock.advance(10);
  return { ...rig, server, caller, knob, call, asked };
}

describe('a caller whose store is not there', () => {
  it('does without what its servers do without, for a minute after they last said so', async () => {
    const { call, clock, knob, write } = await callerRig();
    await write({ levels: [levelFlip({ level: 3 })] });
    call();
    expect(knob.on).toBe(false);
    // Not before its own state counts as stale.
    await clock.advance(3300);
    expect(knob.on).toBe(true);
    await clock.advance(50_000);
    call();
    await clock.advance(59_000);
    expect(knob.on).toBe(true);
    await clock.advance(2000);
    expect(knob.on).toBe(false);
  });

  it('is normal again when they are', async () => {
    const { call, clock, knob, write } = await callerRig();
    await write({ levels: [levelFlip({ level: 3 })] });
    await clock.advance(3300);
    call();
    await clock.advance(300);
    expect(knob.on).toBe(true);
    await write({});
    call();
    await clock.advance(300);
    expect(knob.on).toBe(false);
  });

  it('is asked for news when servers know better, twice a second at most', async () => {
    const { asked, call, clock, write } = await callerRig();
    await write({ levels: [levelFlip({ level: 3 })] });
    await clock.advance(1000);
    for (let i = 0; i < 100; i++) {
      call();
      await clock.advance(10);
    }
    expect(asked).toHaveLength(2);
  });
});

describe('a hint', () => {
  it('of a newer state has the store asked at once', async () => {
    const rig = knobsRig();
    await rig.clock.advance(1);
    const deaf = rig.make({
      instance: 'deaf',
      pollMs: 600_000,
      state: { ...methods(rig.state), watch: (prefix) => rig.state.watch(prefix, () => {}) },
    });
    const knob = deaf.define(skipRerank);
    await rig.write({ levels: [levelFlip({ level: 3 })] });
    expect(knob.on).toBe(false);
    deaf.hear(rig.knobs.hint as string);
    await rig.clock.settle();
    expect(knob.on).toBe(true);
  });

  it('is sent with calls and answers by those who are sure', async () => {
    const rig = knobsRig();
    const headers: string[] = [];
    rig.knobs.extension.request?.(headers, undefined);
    expect([headers, rig.knobs.hint]).toEqual([[], undefined]);
    await rig.write({ levels: [levelFlip({ level: 2 })] });
    rig.knobs.extension.request?.(headers, undefined);
    expect(headers).toEqual(['evenkeel-knobs', expect.stringMatching(/^1;2;./)]);
    expect(rig.knobs.hint).toBe(headers[1]);
    await rig.state.close();
    await rig.clock.advance(6000);
    expect(rig.knobs.hint).toBeUndefined();
  });

  it.each(['', 'x', '1', '1;5;e', '-1;2;e', `1;1;${'e'.repeat(300)}`, '1;1'])('%j says nothing', async (hint) => {
    const { caller, clock, knob } = await callerRig();
    await clock.advance(3300);
    caller.hear(hint);
    await clock.advance(300);
    expect(knob.on).toBe(false);
  });
});

function methods(state: ReturnType<typeof knobsRig>['state']) {
  return {
    get: state.get.bind(state),
    put: state.put.bind(state),
    delete: state.delete.bind(state),
    close: () => state.close(),
  };
}
