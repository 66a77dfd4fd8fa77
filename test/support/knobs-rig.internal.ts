/** Knobs in virtual time, on a store in memory, and a hand that writes the state without an actuator. */

import { headKey, writeSnapshot } from '../../src/knobs/document.js';
import { createKnobs, type KnobFlip, type KnobSnapshot, type KnobsOptions, type LevelFlip } from '../../src/knobs/index.js';
import { createMemoryState } from '../../src/transports/memory/index.js';
import { fakeRuntime } from './fake-host.js';

let drawn = 0;
const flip = () => ({ id: `flip-${++drawn}`, actor: 'ada', reason: 'a test', atMs: 0, ttlMs: 0, rampMs: 0, instances: 1 });

/** Level 2 for all, if nothing else is said. */
export const levelFlip = (fields: Partial<LevelFlip> = {}): LevelFlip => ({
  ...flip(),
  scope: 'all',
  level: 2,
  from: 4,
  ...fields,
});

export const knobFlip = (knob: string, fields: Partial<KnobFlip> = {}): KnobFlip => ({
  ...flip(),
  knob,
  dose: 255,
  from: undefined,
  requests: 1,
  cohorts: [],
  ...fields,
});

export function knobsRig(options: Partial<KnobsOptions> = {}) {
  const runtime = fakeRuntime();
  const { clock, host } = runtime;
  const state = createMemoryState({ clock });
  const make = (more: Partial<KnobsOptions> = {}) =>
    createKnobs({ state, service: 'search', instance: 'search-1', runtime, ...options, ...more });
  const knobs = make();
  const write = async (snapshot: Partial<KnobSnapshot>): Promise<void> => {
    const present = await state.get(headKey('default'));
    await writeSnapshot(state, 'default', { levels: [], knobs: [], ...snapshot }, present?.revision ?? 'absent', `w${++drawn}`);
    await clock.settle();
  };
  return { runtime, clock, host, state, knobs, make, write };
}

export const skipRerank = { name: 'Search/SkipRerank', level: 3, oncall: 'search' } as const;
export const fewCandidates = { name: 'Search/FewCandidates', level: 2, oncall: 'search', dose: { 2: 100, 1: 200 } } as const;
export const noHistory = { name: 'Feed/NoHistory', level: 1, oncall: 'feed', product: 'Feed' } as const;
