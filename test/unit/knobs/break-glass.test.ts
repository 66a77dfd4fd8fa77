import { describe, expect, it } from 'vitest';
import { fewCandidates, knobFlip, knobsRig, levelFlip, skipRerank } from '../../support/knobs-rig.internal.js';

const breakGlassFile = '/etc/evenkeel/knobs';

describe('the file on this machine', () => {
  it('is above the store, comes into force as it changes, and leaves nothing when it goes', async () => {
    const rig = knobsRig({ breakGlassFile });
    const [rerank, candidates] = [rig.knobs.define(skipRerank), rig.knobs.define(fewCandidates)];
    await rig.write({ levels: [levelFlip({ level: 2 })], knobs: [knobFlip('Search/SkipRerank', { dose: 9 })] });
    const doses = () => [rerank.dose, candidates.dose];
    expect(doses()).toEqual([9, 100]);
    rig.host.setFile(breakGlassFile, 'Search/SkipRerank=off\nall=1 # the worst day');
    await rig.clock.settle();
    expect([doses(), rig.knobs.level(), rig.knobs.snapshot().isGlassBroken]).toEqual([[0, 200], 1, true]);
    rig.host.setFile(breakGlassFile, 'all=4, Search/SkipRerank=17');
    await rig.clock.settle();
    expect(doses()).toEqual([17, 0]);
    rig.host.files.delete(breakGlassFile);
    await rig.clock.advance(2000);
    expect([doses(), rig.knobs.snapshot().isGlassBroken]).toEqual([[9, 100], false]);
  });

  it('is found although nobody tells of its change, and read with the store down', async () => {
    const rig = knobsRig({ breakGlassFile });
    const rerank = rig.knobs.define(skipRerank);
    await rig.state.close();
    rig.host.setFile(breakGlassFile, 'Search/SkipRerank=on', true);
    await rig.clock.advance(2000);
    expect(rerank.dose).toBe(255);
  });

  it('is above the policy for a state that is not proven', async () => {
    const rig = knobsRig({ breakGlassFile });
    const rerank = rig.knobs.define({ ...skipRerank, onStale: 'degrade' });
    await rig.state.close();
    await rig.clock.advance(30_000);
    expect(rerank.on).toBe(true);
    rig.host.setFile(breakGlassFile, 'Search/SkipRerank=off');
    await rig.clock.settle();
    expect(rerank.on).toBe(false);
  });

  it.each(['all=7', 'Search/SkipRerank=256', 'Search/SkipRerank', 'planet:Earth=2', 'SkipRerank=on'])(
    'with the entry %j says so, and goes by the others',
    async (entry) => {
      const rig = knobsRig({ breakGlassFile });
      const rerank = rig.knobs.define(skipRerank);
      const errors: unknown[] = [];
      rig.knobs.events.on('error', ({ error }) => errors.push(error));
      rig.host.setFile(breakGlassFile, `product:Search=3\n${entry}`);
      await rig.clock.settle();
      expect(rerank.on).toBe(true);
      expect(errors).toEqual([expect.objectContaining({ code: 'invalid-argument' })]);
    },
  );

  it('that cannot be read leaves what was in force', async () => {
    const rig = knobsRig({ breakGlassFile });
    const rerank = rig.knobs.define(skipRerank);
    rig.host.setFile(breakGlassFile, 'all=3');
    await rig.clock.settle();
    rig.host.fileError = Object.assign(new Error('no'), { code: 'permission-denied' }) as never;
    await rig.clock.advance(5000);
    expect(rerank.on).toBe(true);
    await rig.knobs.close();
  });
});

describe('the variable EVENKEEL_KNOBS', () => {
  it('counts from the start, below the file', async () => {
    const rig = knobsRig();
    rig.host.variables.set('EVENKEEL_KNOBS', 'Search/SkipRerank=on,Search/FewCandidates=5');
    const knobs = rig.make({ breakGlassFile });
    const [rerank, candidates] = [knobs.define(skipRerank), knobs.define(fewCandidates)];
    expect([rerank.on, candidates.dose]).toEqual([true, 5]);
    rig.host.setFile(breakGlassFile, 'Search/FewCandidates=6');
    await rig.clock.settle();
    expect([rerank.on, candidates.dose]).toEqual([true, 6]);
  });
});
