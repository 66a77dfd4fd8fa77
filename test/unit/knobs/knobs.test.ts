import { describe, expect, it } from 'vitest';
import { fewCandidates, knobFlip, knobsRig, levelFlip, noHistory, skipRerank } from '../../support/knobs-rig.internal.js';

const defined = (rig: ReturnType<typeof knobsRig>) => {
  const { knobs } = rig;
  return [knobs.define(skipRerank), knobs.define(fewCandidates), knobs.define(noHistory)] as const;
};

describe('levels', () => {
  it('are cumulative: 2 turns on the knobs of levels 3 and 2', async () => {
    const rig = knobsRig();
    const all = defined(rig);
    const on = () => all.map((knob) => knob.on);
    expect(on()).toEqual([false, false, false]);
    await rig.write({ levels: [levelFlip({ level: 3 })] });
    expect(on()).toEqual([true, false, false]);
    await rig.write({ levels: [levelFlip({ level: 2 })] });
    expect(on()).toEqual([true, true, false]);
    await rig.write({ levels: [levelFlip({ level: 1 })] });
    expect(on()).toEqual([true, true, true]);
    await rig.write({});
    expect(on()).toEqual([false, false, false]);
  });

  it('give each knob its dose', async () => {
    const rig = knobsRig();
    const [, candidates] = defined(rig);
    await rig.write({ levels: [levelFlip({ level: 2 })] });
    expect(candidates.dose).toBe(100);
    await rig.write({ levels: [levelFlip({ level: 1 })] });
    expect(candidates.dose).toBe(200);
  });

  it('are for a service, a product or a feature, and the most severe counts', async () => {
    const rig = knobsRig();
    const [rerank, candidates, history] = defined(rig);
    await rig.write({
      levels: [levelFlip({ scope: 'product:Feed', level: 1 }), levelFlip({ scope: 'service:other', level: 1 })],
    });
    expect([rerank.on, candidates.on, history.on]).toEqual([false, false, true]);
    await rig.write({
      levels: [levelFlip({ scope: 'service:search', level: 3 }), levelFlip({ scope: 'feature:Search/FewCandidates', level: 2 })],
    });
    expect([rerank.on, candidates.on, history.on]).toEqual([true, true, false]);
    expect([rig.knobs.level(), rig.knobs.level('feature:Search/FewCandidates'), rig.knobs.level('product:Feed')]).toEqual([
      3, 2, 4,
    ]);
  });

  it('are not above a flip of the knob itself', async () => {
    const rig = knobsRig();
    const [rerank, candidates] = defined(rig);
    await rig.write({
      levels: [levelFlip({ level: 2 })],
      knobs: [knobFlip('Search/SkipRerank', { dose: 0 }), knobFlip('Search/FewCandidates', { dose: 7 })],
    });
    expect([rerank.on, candidates.dose]).toEqual([false, 7]);
  });
});

describe('a knob that is defined late', () => {
  it('has the state that is known', async () => {
    const rig = knobsRig();
    await rig.write({ levels: [levelFlip({ level: 3 })] });
    const view = rig.knobs.pin();
    const knob = rig.knobs.define(skipRerank);
    expect([knob.on, knob.in(rig.knobs.pin()), knob.in(view)]).toEqual([true, true, false]);
  });
});

describe('a view', () => {
  it('holds one revision', async () => {
    const rig = knobsRig();
    const [rerank] = defined(rig);
    const view = rig.knobs.pin({ key: 'user' });
    await rig.write({ levels: [levelFlip()] });
    expect([rerank.on, rerank.in(view), rerank.in(rig.knobs.pin())]).toEqual([true, false, true]);
    expect(view.revision).toBeLessThan(rig.knobs.revision);
  });

  it('draws a percentage by key, within 1 % of all, the same each time and elsewhere', async () => {
    const rig = knobsRig();
    const [rerank] = defined(rig);
    const other = rig.make({ instance: 'search-2' }).define(skipRerank);
    await rig.write({ knobs: [knobFlip('Search/SkipRerank', { id: 'a tenth', requests: 0.1 })] });
    expect(rerank.on).toBe(false);
    const keys = Array.from({ length: 10_000 }, (_, i) => `user-${i}`);
    const drawn = keys.filter((key) => rerank.in(rig.knobs.pin({ key })));
    expect(Math.abs(drawn.length / keys.length - 0.1)).toBeLessThan(0.01);
    expect(keys.filter((key) => other.in(rig.knobs.pin({ key })))).toEqual(drawn);
    expect(rerank.in(rig.knobs.pin())).toBe(false);
  });

  it('draws another percentage for another flip', async () => {
    const rig = knobsRig();
    const [rerank] = defined(rig);
    const keys = Array.from({ length: 2000 }, (_, i) => `user-${i}`);
    const drawn = async () => {
      await rig.write({ knobs: [knobFlip('Search/SkipRerank', { requests: 0.5 })] });
      return keys.map((key) => rerank.in(rig.knobs.pin({ key })));
    };
    const [first, second] = [await drawn(), await drawn()];
    expect(first.filter((one, i) => one === second[i]).length / keys.length).toBeCloseTo(0.5, 1);
  });

  it('knows cohorts', async () => {
    const rig = knobsRig();
    const [rerank] = defined(rig);
    await rig.write({ knobs: [knobFlip('Search/SkipRerank', { requests: 0, cohorts: [3, 127] })] });
    const on = (cohort: number) => rerank.in(rig.knobs.pin({ cohort }));
    expect([on(3), on(127), on(4)]).toEqual([true, true, false]);
    expect(() => rig.knobs.pin({ cohort: 128 })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});

describe('a canary', () => {
  it('takes a share of the instances; the others stay where they were', async () => {
    const rig = knobsRig();
    const fleet = Array.from({ length: 200 }, (_, i) => rig.make({ instance: `search-${i}` }).define(fewCandidates));
    await rig.write({ levels: [levelFlip({ level: 1, from: 2, instances: 0.25 })] });
    const doses = fleet.map((knob) => knob.dose);
    expect(new Set(doses)).toEqual(new Set([100, 200]));
    const share = doses.filter((dose) => dose === 200).length / fleet.length;
    expect(share).toBeGreaterThan(0.15);
    expect(share).toBeLessThan(0.35);
  });
});

describe('time', () => {
  it('ends a flip on its own, without the store', async () => {
    const rig = knobsRig();
    const [rerank] = defined(rig);
    const reasons: string[] = [];
    rig.knobs.events.on('change', ({ reason }) => reasons.push(reason));
    await rig.write({ levels: [levelFlip({ ttlMs: 60_000 })] });
    await rig.state.close();
    await rig.clock.advance(59_999);
    expect(rerank.on).toBe(true);
    await rig.clock.advance(1);
    expect(rerank.on).toBe(false);
    expect(reasons).toEqual(['state', 'time']);
  });

  it('is not that of the calendar', async () => {
    const rig = knobsRig();
    const [rerank] = defined(rig);
    await rig.write({ levels: [levelFlip({ ttlMs: 60_000 })] });
    rig.clock.jumpWallTime(1e9);
    await rig.clock.advance(59_999);
    rig.clock.jumpWallTime(-2e9);
    expect(rerank.on).toBe(true);
    await rig.clock.advance(1);
    expect(rerank.on).toBe(false);
  });

  it('lets a fleet go one by one, over the ramp', async () => {
    const rig = knobsRig();
    const fleet = Array.from({ length: 200 }, (_, i) => rig.make({ instance: `search-${i}` }).define(skipRerank));
    const share = () => fleet.filter((knob) => knob.on).length / fleet.length;
    await rig.write({ levels: [levelFlip({ level: 2 })] });
    expect(share()).toBe(1);
    await rig.write({ levels: [levelFlip({ level: 4, from: 2, rampMs: 60_000 })] });
    const shares: number[] = [];
    for (let i = 0; i < 6; i++) {
      shares.push(share());
      await rig.clock.advance(10_000);
    }
    expect(share()).toBe(0);
    for (const [i, one] of shares.entries()) expect(Math.abs(one - (1 - i / 6))).toBeLessThan(0.1);
  });
});
