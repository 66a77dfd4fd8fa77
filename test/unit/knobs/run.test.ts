/** Both arms of a knob: which one runs, what is counted, and what a reduced one that throws does. */
import { describe, expect, it } from 'vitest';
import { fewCandidates, knobFlip, knobsRig, levelFlip, skipRerank } from '../../support/knobs-rig.internal.js';

async function armsRig() {
  const rig = knobsRig();
  const knob = rig.knobs.define(skipRerank);
  const counts = () => {
    const report = rig.knobs.snapshot().knobs.find(({ name }) => name === skipRerank.name);
    return { full: report?.full, reduced: report?.reduced };
  };
  const turnOn = () => rig.write({ levels: [levelFlip()] });
  return { ...rig, knob, counts, turnOn };
}

describe('run', () => {
  it('runs the arm of the moment, and counts and times both', async () => {
    const { clock, counts, knob, runtime, turnOn } = await armsRig();
    const slow = (ms: number, value: string) => async () => {
      await clock.sleep(ms);
      return value;
    };
    const first = knob.run(slow(40, 'full'), slow(5, 'reduced'));
    expect(runtime.load.counter('knob:Search/SkipRerank').read()).toMatchObject({ inFlight: 1 });
    await clock.advance(40);
    expect(await first).toBe('full');
    await turnOn();
    const second = knob.run(slow(40, 'full'), slow(5, 'reduced'));
    await clock.advance(5);
    expect(await second).toBe('reduced');
    expect(counts()).toEqual({
      full: { runs: 1, failed: 0, wallMs: 40, wallMs2: 1600 },
      reduced: { runs: 1, failed: 0, wallMs: 5, wallMs2: 25 },
    });
    expect(runtime.load.counter('knob:Search/SkipRerank').read()).toMatchObject({ inFlight: 0, ratePerSecond: 2 });
  });

  it('hands the dose to the reduced arm, and returns what is no promise as it is', async () => {
    const { knobs, write } = knobsRig();
    const knob = knobs.define(fewCandidates);
    await write({ levels: [levelFlip({ level: 2 })] });
    expect(
      knob.run(
        () => 0,
        (dose) => dose,
      ),
    ).toBe(100);
  });

  it('goes by the view of the request', async () => {
    const { knob, knobs, write } = await armsRig();
    await write({ knobs: [knobFlip('Search/SkipRerank', { requests: 1, cohorts: [7] })] });
    const arm = (cohort: number) =>
      knob.run(
        () => 'full',
        () => 'reduced',
        knobs.pin({ cohort }),
      );
    expect([arm(7), arm(8)]).toEqual(['reduced', 'full']);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('never tried before');
      },
    ],
    ['rejects', () => Promise.reject(new Error('never tried before'))],
  ])('runs the full arm once when the reduced one %s, and tells', async (_, reduced) => {
    const { counts, host, knob, knobs, turnOn } = await armsRig();
    const told: string[] = [];
    knobs.events.on('failed', ({ knob: name }) => told.push(name));
    await turnOn();
    expect(await knob.run<unknown>(() => 'full', reduced)).toBe('full');
    expect([counts().full?.runs, counts().reduced?.failed, told]).toEqual([1, 1, ['Search/SkipRerank']]);
    expect(host.warnings).toEqual([expect.stringContaining('never tried before')]);
  });

  it('throws what the full arm throws, also when it stands in', async () => {
    const { counts, knob, turnOn } = await armsRig();
    const broken = () => {
      throw new Error('full');
    };
    expect(() => knob.run(broken, () => 1)).toThrow('full');
    await turnOn();
    await expect(
      knob.run<Promise<unknown>>(
        () => Promise.reject(new Error('full')),
        () => Promise.reject(new Error('reduced')),
      ),
    ).rejects.toThrow('full');
    expect(counts()).toMatchObject({ full: { runs: 2, failed: 2 }, reduced: { runs: 1, failed: 1 } });
  });
});

describe('the feature of a knob', () => {
  it('is a switch that is on while the knob is off', async () => {
    const { knob, turnOn } = await armsRig();
    const { feature } = knob;
    expect(feature.isOn).toBe(true);
    await turnOn();
    expect(feature.isOn).toBe(false);
  });
});

describe('checks', () => {
  it('are counted, unless they are not to be', async () => {
    for (const countChecks of [true, false]) {
      const { knobs } = knobsRig({ countChecks });
      const knob = knobs.define(skipRerank);
      for (let i = 0; i < 10; i++) knob.on;
      knob.dose;
      knob.in(knobs.pin());
      knob.doseIn(knobs.pin());
      expect(knobs.snapshot().knobs[0]?.checks).toBe(countChecks ? 13 : 0);
    }
  });
});
