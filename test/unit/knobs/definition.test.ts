import { describe, expect, it } from 'vitest';
import type { KnobOptions } from '../../../src/knobs/index.js';
import { knobsRig, skipRerank } from '../../support/knobs-rig.internal.js';

const bad = (fields: object, field: string): [object, string] => [fields, field];

describe('a definition', () => {
  it.each([
    bad({ name: 'NoFeature' }, 'name'),
    bad({ name: 'Search/' }, 'name'),
    bad({ name: 'Search/Skip Rerank' }, 'name'),
    bad({ name: `Search/${'x'.repeat(200)}` }, 'name'),
    bad({ name: 7 }, 'name'),
    bad({ level: 4 }, 'level of Search/SkipRerank'),
    bad({ level: '3' }, 'level of Search/SkipRerank'),
    bad({ oncall: '' }, 'oncall of Search/SkipRerank'),
    bad({ oncall: undefined }, 'oncall of Search/SkipRerank'),
    bad({ description: 'x'.repeat(1001) }, 'description of Search/SkipRerank'),
    bad({ declaredImpact: 2 }, 'declaredImpact of Search/SkipRerank'),
    bad({ dose: 0 }, 'dose of Search/SkipRerank'),
    bad({ dose: 256 }, 'dose of Search/SkipRerank'),
    bad({ dose: {} }, 'dose of Search/SkipRerank'),
    bad({ dose: { 4: 1 } }, 'dose of Search/SkipRerank: level'),
    bad({ dose: { 2: 1.5 } }, 'dose of Search/SkipRerank at level 2'),
    bad({ level: 2, dose: { 3: 1 } }, 'dose of Search/SkipRerank: level'),
    bad({ onStale: 'panic' }, 'onStale of Search/SkipRerank'),
    bad({ maxStalenessMs: 5 }, 'maxStalenessMs of Search/SkipRerank'),
    bad({ expires: 'soon' }, 'expires of Search/SkipRerank'),
    bad({ expires: '2027-13-40' }, 'expires of Search/SkipRerank'),
  ])('is refused for %s', (fields, what) => {
    const { knobs } = knobsRig();
    expect(() => knobs.define({ ...skipRerank, ...fields } as KnobOptions)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', details: expect.objectContaining({ what }) }),
    );
    expect(knobs.snapshot().knobs).toEqual([]);
  });

  it('has product and feature of its name, and doses for milder and severer levels', () => {
    const { knobs } = knobsRig();
    expect(knobs.define(skipRerank).definition).toMatchObject({
      product: 'Search',
      feature: 'Search/SkipRerank',
      service: 'search',
      doses: [255, 255, 255],
      onStale: 'hold',
    });
    const doses = (name: string, dose: object) => knobs.define({ ...skipRerank, name, dose }).definition.doses;
    expect(doses('Search/A', { 3: 10, 2: 20, 1: 30 })).toEqual([30, 20, 10]);
    expect(doses('Search/B', { 2: 20 })).toEqual([20, 20, 20]);
    expect(doses('Search/C', { 3: 10, 1: 30 })).toEqual([30, 10, 10]);
  });

  it('is the only one of its name, and of none that is buried', () => {
    const { knobs } = knobsRig({ buried: ['Search/OldName'] });
    knobs.define(skipRerank);
    expect(() => knobs.define({ ...skipRerank, level: 1 })).toThrow(expect.objectContaining({ code: 'already-exists' }));
    expect(() => knobs.define({ ...skipRerank, name: 'Search/OldName' })).toThrow(
      expect.objectContaining({ code: 'failed-precondition' }),
    );
  });

  it('keeps the literal type of its name', () => {
    const knob = knobsRig().knobs.define({ name: 'Search/Typed', level: 3, oncall: 'search' });
    const name: 'Search/Typed' = knob.name;
    expect(name).toBe('Search/Typed');
  });
});

describe('the hash of the registry', () => {
  it('is that of names, levels, owners and doses, in whatever order they are defined', () => {
    const hashOf = (...levels: [string, 1 | 2 | 3][]) => {
      const { knobs } = knobsRig();
      for (const [name, level] of levels) knobs.define({ name, level, oncall: 'search' });
      return knobs.registryHash;
    };
    const hash = hashOf(['A/B', 3], ['A/C', 2]);
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    expect(hashOf(['A/C', 2], ['A/B', 3])).toBe(hash);
    expect(hashOf(['A/C', 2], ['A/B', 2])).not.toBe(hash);
    expect(hashOf(['A/B', 3])).not.toBe(hash);
  });
});

describe('options of knobs', () => {
  it.each([
    { service: '' },
    { instance: '' },
    { scope: 'x'.repeat(201) },
    { maxStalenessMs: 0 },
    { pollMs: Number.NaN },
    { buried: ['bad name'] },
    { reportEveryMs: 5 },
    { state: {} as never },
  ])('%s are refused, and nothing is left running', async (options) => {
    const { clock, knobs, make } = knobsRig();
    await knobs.close();
    const { pending } = clock;
    expect(() => make({ breakGlassFile: '/etc/knobs', ...options })).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
    expect(clock.pending).toBe(pending);
  });
});
