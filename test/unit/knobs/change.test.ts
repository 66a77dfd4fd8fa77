import { describe, expect, it } from 'vitest';
import { applyChange, type KnobChange } from '../../../src/knobs/change.js';
import { EMPTY_SNAPSHOT, type Flip, type KnobSnapshot } from '../../../src/knobs/snapshot.js';

const HOUR = 3_600_000;
let drawn = 0;
const flip = (fields: Partial<Flip> = {}): Flip => ({
  id: `f${++drawn}`,
  actor: 'ada',
  reason: 'a test',
  atMs: 0,
  ttlMs: HOUR,
  rampMs: 60_000,
  instances: 1,
  ...fields,
});
const changed = (changes: readonly KnobChange[], fields: Partial<Flip> = {}, from: KnobSnapshot = EMPTY_SNAPSHOT) =>
  changes.reduce((snapshot, change) => applyChange(snapshot, change, flip(fields)), from);

describe('a change of a level', () => {
  it('takes the place of the one before, and knows what that was', () => {
    const { levels } = changed([
      { type: 'level', scope: 'all', level: 3 },
      { type: 'level', scope: 'product:A', level: 2 },
      { type: 'level', scope: 'all', level: 1 },
    ]);
    expect(levels.map(({ from, level, scope }) => [scope, from, level])).toEqual([
      ['product:A', 4, 2],
      ['all', 3, 1],
    ]);
  });

  it('refuses a scope or a level there is not', () => {
    expect(() => changed([{ type: 'level', scope: 'planet:Earth' as never, level: 3 }])).toThrow('scope');
    expect(() => changed([{ type: 'level', scope: 'all', level: 5 as never }])).toThrow('1 to 4');
  });
});

describe('a change of a knob', () => {
  it('knows the dose that all had before, and none where only some had one', () => {
    const from = (before: KnobChange) => changed([before, { type: 'knob', knob: 'A/B', dose: undefined }]).knobs[0]?.from;
    expect(from({ type: 'knob', knob: 'A/B', dose: 9 })).toBe(9);
    expect(from({ type: 'knob', knob: 'A/B', dose: 9, requests: 0.5 })).toBeUndefined();
    expect(from({ type: 'knob', knob: 'A/B', dose: 9, cohorts: [1] })).toBeUndefined();
  });

  it('cannot release what nothing holds', () => {
    expect(() => changed([{ type: 'knob', knob: 'A/B', dose: undefined }])).toThrow('there is nothing to release');
  });
});

describe('what is over', () => {
  const released = changed([
    { type: 'level', scope: 'all', level: 3 },
    { type: 'level', scope: 'all', level: 4 },
    { type: 'knob', knob: 'A/B', dose: 1 },
    { type: 'knob', knob: 'A/B', dose: undefined },
  ]);
  const other: KnobChange = { type: 'level', scope: 'product:A', level: 3 };

  it('stays while instances let go, and goes with a later change', () => {
    expect(changed([other], { atMs: 600_000 }, released)).toMatchObject({ levels: [{ scope: 'all' }, {}], knobs: [{}] });
    const later = changed([other], { atMs: 700_000 }, released);
    expect([later.levels.map(({ scope }) => scope), later.knobs]).toEqual([['product:A'], []]);
  });

  it('by the calendar of another writer alone is not: that may be ahead by years', () => {
    const held = changed([
      { type: 'level', scope: 'all', level: 1 },
      { type: 'knob', knob: 'A/B', dose: 7 },
    ]);
    expect(changed([other], { atMs: 1e13 }, held)).toMatchObject({
      levels: [{ scope: 'all', level: 1 }, {}],
      knobs: [{ dose: 7 }],
    });
  });
});

describe('releasing all', () => {
  it('gives each its own end, for each instance its own moment', () => {
    const { knobs, levels } = changed([
      { type: 'level', scope: 'all', level: 3 },
      { type: 'level', scope: 'product:A', level: 1 },
      { type: 'knob', knob: 'A/B', dose: 1 },
      { type: 'release-all' },
    ]);
    expect(levels.map(({ from, level }) => [from, level])).toEqual([
      [3, 4],
      [1, 4],
    ]);
    expect(knobs.map(({ dose, from }) => [dose, from])).toEqual([[undefined, 1]]);
    expect(new Set([...levels, ...knobs].map(({ id }) => id)).size).toBe(3);
  });
});
