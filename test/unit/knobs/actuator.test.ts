import { describe, expect, it } from 'vitest';
import { isEvenkeelError } from '../../../src/core/errors.js';
import { headKey } from '../../../src/knobs/document.js';
import { createActuator, type FlipOptions } from '../../../src/knobs/index.js';
import { fewCandidates, knobsRig, noHistory, skipRerank } from '../../support/knobs-rig.internal.js';

const REASON = { reason: 'INC-7' } as const;
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'ok',
    (error) => (isEvenkeelError(error) ? error.code : String(error)),
  );

/** Three knobs of one service, reports told, and an actuator. */
async function fleetRig(instances = 3) {
  const rig = knobsRig({ reportEveryMs: 1000 });
  await rig.knobs.close();
  const fleet = Array.from({ length: instances }, (_, i) => {
    const knobs = rig.make({ instance: `search-${i}` });
    return { knobs, rerank: knobs.define(skipRerank), candidates: knobs.define(fewCandidates), history: knobs.define(noHistory) };
  });
  const actuator = createActuator({ state: rig.state, actor: 'ada', runtime: rig.runtime });
  const other = createActuator({ state: rig.state, actor: 'bob', runtime: rig.runtime });
  await rig.clock.advance(1500);
  /** Runs until `promise` has settled. */
  const within = async <T>(promise: Promise<T>): Promise<T> => {
    let isOver = false;
    const over = promise.finally(() => {
      isOver = true;
    });
    over.catch(() => {});
    for (let i = 0; i < 4000 && !isOver; i++) await rig.clock.advance(50);
    return over;
  };
  const share = (pick: (one: (typeof fleet)[number]) => boolean) => fleet.filter(pick).length / fleet.length;
  return { ...rig, fleet, actuator, other, within, share };
}

describe('a level', () => {
  it('is in force everywhere once it is set, ends by itself, and is released one by one', async () => {
    const { actuator, clock, share, within } = await fleetRig(50);
    const { outcome, revision } = await within(actuator.setLevel('product:Search', 3, { ...REASON, ttlMs: 600_000 }));
    expect([outcome, share(({ rerank }) => rerank.on), share(({ candidates }) => candidates.on)]).toEqual(['applied', 1, 0]);
    const so = await within(actuator.propagation(revision));
    expect(so).toMatchObject({ revision, applied: 50, total: 50, laggards: [] });
    expect(so.p99Ms).toBeLessThan(200);
    await within(actuator.release({ scope: 'product:Search' }, { ...REASON, rampMs: 60_000 }));
    expect(share(({ rerank }) => rerank.on)).toBeGreaterThan(0.9);
    await clock.advance(30_000);
    expect(Math.abs(share(({ rerank }) => rerank.on) - 0.5)).toBeLessThan(0.25);
    await clock.advance(30_001);
    expect(share(({ rerank }) => rerank.on)).toBe(0);
  });

  it('without an end given lasts an hour', async () => {
    const { actuator, clock, share, within } = await fleetRig(1);
    await within(actuator.setLevel('all', 2, { ...REASON, rampMs: 0 }));
    await clock.advance(3_590_000);
    expect(share(({ rerank }) => rerank.on)).toBe(1);
    await clock.advance(10_000);
    expect(share(({ rerank }) => rerank.on)).toBe(0);
  });

  it('1 wants two people, who are not one', async () => {
    const { actuator, other, share, within } = await fleetRig();
    const { id, outcome } = await within(actuator.setLevel('all', 1, REASON));
    expect([outcome, share(({ history }) => history.on)]).toEqual(['proposed', 0]);
    expect((await within(actuator.proposals())).map((one) => [one.id, one.actor, one.reason])).toEqual([[id, 'ada', 'INC-7']]);
    expect(await codeOf(within(actuator.approve(id)))).toBe('permission-denied');
    await within(other.approve(id));
    expect(share(({ history }) => history.on)).toBe(1);
    expect(await within(actuator.proposals())).toEqual([]);
    expect(await codeOf(within(other.approve(id)))).toBe('not-found');
    expect((await within(actuator.history()))[0]).toMatchObject({ id, actor: 'ada', approvedBy: 'bob', isBreakGlass: false });
  });

  it('1 that could not be made is not proposed', async () => {
    const { actuator, within } = await fleetRig();
    expect(await codeOf(within(actuator.setLevel('planet:Earth' as never, 1, REASON)))).toBe('invalid-argument');
    expect(await within(actuator.proposals())).toEqual([]);
  });

  it('1 can be set alone by breaking the glass, which the history tells', async () => {
    const { actuator, share, within } = await fleetRig();
    await within(actuator.setLevel('all', 1, { ...REASON, breakGlass: true }));
    expect(share(({ history }) => history.on)).toBe(1);
    expect((await within(actuator.history()))[0]).toMatchObject({ actor: 'ada', approvedBy: null, isBreakGlass: true });
  });
});

describe('a knob', () => {
  it('is set to a dose, for some requests, and given back to the level', async () => {
    const { actuator, clock, fleet, within } = await fleetRig(1);
    const [{ candidates, knobs }] = fleet as [(typeof fleet)[number]];
    await within(actuator.set('Search/FewCandidates', { dose: 40 }, REASON));
    expect(candidates.dose).toBe(40);
    await within(actuator.set('Search/FewCandidates', { dose: 90, requests: 0.5 }, REASON));
    expect(candidates.dose).toBe(0);
    const keys = Array.from({ length: 400 }, (_, i) => `user-${i}`);
    const share = keys.filter((key) => candidates.doseIn(knobs.pin({ key })) === 90).length / keys.length;
    expect(Math.abs(share - 0.5)).toBeLessThan(0.1);
    await within(actuator.set('Search/FewCandidates', { dose: 255 }, REASON));
    await within(actuator.release({ knob: 'Search/FewCandidates' }, { ...REASON, rampMs: 0 }));
    await clock.settle();
    expect(candidates.on).toBe(false);
    expect(await codeOf(within(actuator.release({ knob: 'Search/SkipRerank' }, REASON)))).toBe('failed-precondition');
  });

  it('that no instance knows is not set, unless it is forced', async () => {
    const { actuator, within } = await fleetRig();
    expect(await codeOf(within(actuator.set('Search/Typo', { dose: 1 }, REASON)))).toBe('failed-precondition');
    expect(await codeOf(within(actuator.set('Search/Typo', { dose: 1 }, { ...REASON, force: true })))).toBe('ok');
  });

  it.each([
    [{ ...REASON, reason: '' }, 1],
    [{} as FlipOptions, 1],
    [{ ...REASON, ttlMs: -1 }, 1],
    [{ ...REASON, rampMs: Number.NaN }, 1],
    [{ ...REASON, canary: { instances: 2, forMs: 1 } }, 1],
    [{ ...REASON, guard: { isHealthy: 1 as never, forMs: 1 } }, 1],
    [REASON, 256],
    [REASON, 1.5],
  ])('with %s and dose %s is refused', async (options, dose) => {
    const { actuator, within } = await fleetRig(1);
    const flip = async () => actuator.set('Search/SkipRerank', { dose }, options);
    expect(await codeOf(within(flip()))).toBe('invalid-argument');
    expect(await within(actuator.history())).toEqual([]);
  });
});

describe('releasing all', () => {
  it('brings back every level and every knob', async () => {
    const { actuator, fleet, share, within } = await fleetRig();
    await within(actuator.setLevel('all', 2, REASON));
    await within(actuator.set('Feed/NoHistory', { dose: 3 }, REASON));
    expect(share(({ history, rerank }) => history.on && rerank.on)).toBe(1);
    await within(actuator.release('all', { ...REASON, rampMs: 0 }));
    expect(fleet.some(({ candidates, history, rerank }) => candidates.on || history.on || rerank.on)).toBe(false);
  });
});

describe('a plan', () => {
  it('tells what a level would turn, where, and how much it is used', async () => {
    const { actuator, clock, fleet, within } = await fleetRig();
    for (const { rerank } of fleet) {
      for (let i = 0; i < 1000; i++) rerank.on;
      for (let i = 0; i < 4; i++)
        rerank.run(
          () => 1,
          () => 2,
        );
    }
    await clock.advance(1300);
    const plan = await within(actuator.plan({ type: 'level', scope: 'product:Search', level: 2 }));
    expect(plan).toMatchObject({ instances: 3, needsApproval: false, disagreeing: [], revision: 0 });
    expect(plan.knobs.map(({ instances, name }) => [name, instances])).toEqual([
      ['Search/SkipRerank', 3],
      ['Search/FewCandidates', 3],
    ]);
    const [rerank] = plan.knobs;
    expect(rerank).toMatchObject({ oncall: 'search', level: 3, reducedRuns: 0, declaredImpact: null });
    expect(rerank?.checksPerSecond).toBeGreaterThan(1000);
    expect((await within(actuator.plan({ type: 'level', scope: 'all', level: 1 }))).needsApproval).toBe(true);
  });

  it('that is out of date is not made', async () => {
    const { actuator, other, within } = await fleetRig();
    const { revision } = await within(actuator.plan({ type: 'level', scope: 'all', level: 3 }));
    await within(other.setLevel('all', 3, { ...REASON, expect: revision }));
    expect(await codeOf(within(actuator.setLevel('all', 2, { ...REASON, expect: revision })))).toBe('aborted');
  });
});

describe('instances that disagree on their knobs', () => {
  it('are named, and no flip is made until it is forced', async () => {
    const { actuator, clock, fleet, make, within } = await fleetRig();
    make({ instance: 'search-new' }).define({ ...skipRerank, level: 1 });
    await clock.advance(1500);
    expect((await within(actuator.status())).disagreeing).toEqual(['search']);
    const refused = within(actuator.setLevel('all', 3, REASON));
    await expect(refused).rejects.toMatchObject({ code: 'failed-precondition', details: { disagreeing: ['search'] } });
    await within(actuator.setLevel('all', 3, { ...REASON, force: true }));
    expect(fleet[0]?.rerank.on).toBe(true);
  });
});

describe('two actuators at once', () => {
  it('both have their flip: the slower looks again', async () => {
    const { actuator, fleet, other, within } = await fleetRig(1);
    const both = [
      actuator.set('Search/SkipRerank', { dose: 5 }, REASON),
      other.set('Feed/NoHistory', { dose: 6 }, REASON),
      actuator.set('Search/FewCandidates', { dose: 7 }, REASON),
    ];
    const revisions = (await within(Promise.all(both))).map(({ revision }) => revision);
    expect(new Set(revisions).size).toBe(3);
    const [one] = fleet;
    expect([one?.rerank.dose, one?.history.dose, one?.candidates.dose]).toEqual([5, 6, 7]);
    expect(await within(actuator.history())).toHaveLength(3);
  });
});

describe('a canary', () => {
  it('turns some instances first, and all when its guard has not said no', async () => {
    const { actuator, clock, share, within } = await fleetRig(40);
    let asked = 0;
    const guard = { isHealthy: () => ++asked > 0, forMs: 2000 };
    const flip = actuator.setLevel('all', 3, { ...REASON, canary: { instances: 0.25, forMs: 5000 }, guard });
    await clock.advance(4000);
    expect(share(({ rerank }) => rerank.on)).toBeGreaterThan(0.05);
    expect(share(({ rerank }) => rerank.on)).toBeLessThan(0.5);
    await within(flip);
    expect([share(({ rerank }) => rerank.on), asked]).toEqual([1, 7]);
  });

  it.each([
    ['says no', () => false],
    [
      'throws',
      () => {
        throw new Error('no metric');
      },
    ],
  ])('is taken back when its guard %s', async (_, isHealthy) => {
    const { actuator, share, within } = await fleetRig(20);
    await within(actuator.setLevel('all', 3, REASON));
    const flip = within(
      actuator.setLevel('all', 2, { ...REASON, canary: { instances: 0.5, forMs: 5000 }, guard: { isHealthy, forMs: 0 } }),
    );
    await expect(flip).rejects.toMatchObject({ code: 'aborted', details: { reverted: true } });
    expect([share(({ candidates }) => candidates.on), share(({ rerank }) => rerank.on)]).toEqual([0, 1]);
    expect((await within(actuator.history())).map(({ change }) => change.type)).toEqual(['revert', 'level', 'level']);
  });

  it('that is taken back leaves what another turned just before it was written', async () => {
    const { actuator, fleet, other, state, within } = await fleetRig(1);
    const put = state.put.bind(state);
    let isBeaten = false;
    state.put = async (key, ...rest) => {
      if (key === headKey('default') && !isBeaten) {
        isBeaten = true;
        await other.set('Feed/NoHistory', { dose: 9 }, REASON);
      }
      return put(key, ...rest);
    };
    const flip = within(actuator.setLevel('all', 3, { ...REASON, guard: { isHealthy: () => false, forMs: 5000 } }));
    await expect(flip).rejects.toMatchObject({ details: { reverted: true } });
    expect([fleet[0]?.rerank.on, fleet[0]?.history.dose]).toEqual([false, 9]);
  });

  it('is not taken back over what others have turned since', async () => {
    const { actuator, fleet, other, within } = await fleetRig(1);
    let isMade = false;
    const isHealthy = async () => {
      if (!isMade) await other.set('Feed/NoHistory', { dose: 9 }, REASON);
      isMade = true;
      return false;
    };
    const flip = within(actuator.setLevel('all', 3, { ...REASON, guard: { isHealthy, forMs: 5000 } }));
    await expect(flip).rejects.toMatchObject({ code: 'aborted', details: { reverted: false } });
    expect([fleet[0]?.rerank.on, fleet[0]?.history.dose]).toEqual([true, 9]);
  });
});

describe('an actuator that dies', () => {
  it('between plan and flip has done nothing; between history and flip is in the history alone', async () => {
    const { actuator, runtime, share, state, within } = await fleetRig();
    await within(actuator.plan({ type: 'level', scope: 'all', level: 2 }));
    expect(share(({ rerank }) => rerank.on)).toBe(0);
    const put = state.put.bind(state);
    const dying = createActuator({
      actor: 'eve',
      runtime,
      state: {
        get: state.get.bind(state),
        watch: state.watch.bind(state),
        delete: state.delete.bind(state),
        close: () => state.close(),
        put: (key, ...rest) => (key === headKey('default') ? Promise.reject(new Error('killed')) : put(key, ...rest)),
      },
    });
    expect(await codeOf(within(dying.setLevel('all', 2, REASON)))).toBe('Error: killed');
    expect(share(({ rerank }) => rerank.on)).toBe(0);
    expect((await within(actuator.history())).map(({ actor }) => actor)).toEqual(['eve']);
  });
});

describe('a store that is full, or read-only', () => {
  it('fails a flip by its own error, and turns nothing', async () => {
    const { actuator, share, state, within } = await fleetRig();
    state.put = () => Promise.reject(Object.assign(new Error('read-only'), { code: 'EROFS' }));
    expect(await codeOf(within(actuator.setLevel('all', 2, REASON)))).toBe('Error: read-only');
    expect(share(({ rerank }) => rerank.on)).toBe(0);
  });
});

describe('instances that are gone', () => {
  it('leave the list, with a goodbye or without', async () => {
    const { actuator, clock, fleet, within } = await fleetRig(3);
    await fleet[0]?.knobs.close();
    expect((await within(actuator.status())).instances).toBe(2);
    await clock.advance(60_000);
    expect((await within(actuator.status())).instances).toBe(2);
  });
});
