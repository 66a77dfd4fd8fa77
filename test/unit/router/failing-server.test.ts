/** The bars R5 and R6 in virtual time: one server that fails at once, and a fleet that is down. */
import { describe, expect, it } from 'vitest';
import { auto, leastLoaded, type PickerFactory, p2c, peakEwma } from '../../../src/router/index.js';
import type { PuppetCall } from '../../support/puppet-transport.js';
import { rounds } from '../../support/rounds.js';
import { assertClosesClean, type RouterRig, routerRig, watch } from '../../support/router-rig.js';

const SEEDS = Array.from({ length: rounds(8) }, (_, i) => i + 1);

/** Answers after 20 ms, more or less. */
function good(rig: RouterRig, call: PuppetCall): void {
  rig.clock.timer(15 + 10 * rig.runtime.random.next(), () => call.answer());
}

describe('a server that answers 500 at once to everything', () => {
  const inFlight = 16;

  async function run(seed: number, picker: PickerFactory, warmUpMs: number) {
    const rig = routerRig({ endpoints: 8, seed, picker });
    let isBad = warmUpMs === 0;
    let before = 0;
    let errors = 0;
    let toBad = 0;
    let ejectedAt = Number.NaN;
    rig.router.events.on('eject', ({ endpoint }) => {
      if (endpoint === 'a' && Number.isNaN(ejectedAt)) ejectedAt = rig.clock.now();
    });
    rig.transport.onCall = (call) => {
      if (call.to !== 'a' || !isBad) {
        good(rig, call);
        return;
      }
      toBad++;
      call.answer(500);
    };
    let stop = false;
    const client = async () => {
      while (!stop) {
        const { status } = await rig.router.call({ path: '/x', body: 'work' });
        if (status !== 500) continue;
        errors++;
        if (Number.isNaN(ejectedAt)) before++;
      }
    };
    const clients = Array.from({ length: inFlight }, client);
    await rig.clock.advance(warmUpMs);
    isBad = true;
    await rig.clock.advance(4000);
    stop = true;
    await rig.clock.advance(100);
    await Promise.all(clients);
    await assertClosesClean(rig);
    return { before, errors, toBad };
  }

  it.each([
    ['auto', 0, auto()],
    ['auto', 2000, auto()],
    ['p2c', 0, p2c()],
    ['p2c', 2000, p2c()],
    ['peak-ewma', 2000, peakEwma()],
    ['least-loaded', 2000, leastLoaded()],
  ] as const)(
    `shows its callers at most 5 errors (%s, after %i ms), seeds 1 to ${SEEDS.length}`,
    async (_name, warmUpMs, picker) => {
      for (const seed of SEEDS) {
        const { before, errors } = await run(seed, picker, warmUpMs);
        expect(before, `seed ${seed}, before the ejection`).toBeLessThanOrEqual(5);
        // What was under way when it was ejected, and one call on each probation.
        expect(errors, `seed ${seed}, in all`).toBeLessThanOrEqual(8);
      }
    },
  );
});

describe('the whole fleet down for ten seconds', () => {
  const perSecond = 200;

  async function run(seed: number, fail: (call: PuppetCall) => void) {
    const rig = routerRig({ endpoints: 8, seed });
    let isDown = false;
    rig.transport.onCall = (call) => (isDown ? fail(call) : good(rig, call));
    const calls: { at: number; call: ReturnType<typeof watch> }[] = [];
    const load = async (ms: number) => {
      for (let i = 0; i < (ms / 1000) * perSecond; i++) {
        calls.push({ at: rig.clock.now(), call: watch(rig.router.call({ path: '/x' })) });
        await rig.clock.advance(1000 / perSecond);
      }
    };
    await load(3000);
    isDown = true;
    const [callsBefore, attemptsBefore] = [calls.length, rig.transport.calls.length];
    await load(10_000);
    const attempts = rig.transport.calls.length - attemptsBefore;
    const originals = calls.length - callsBefore;
    isDown = false;
    const returnedAt = rig.clock.now();
    await load(5000);
    await rig.clock.advance(1000);
    await assertClosesClean(rig);
    const late = calls.filter(({ at, call }) => at >= returnedAt + 1000 && call.error !== undefined);
    const first = calls.find(({ at, call }) => at >= returnedAt && call.value !== undefined);
    return { attempts, originals, late: late.length, firstAfterMs: (first?.at ?? Number.NaN) - returnedAt };
  }

  it.each([
    ['connections refused', (call: PuppetCall) => call.fail('unavailable', 'yes')],
    ['connections reset', (call: PuppetCall) => call.fail('unavailable', 'unknown')],
    ['503', (call: PuppetCall) => call.answer(503)],
  ])('(%s) costs at most 1.2 attempts a call and 10 a second, and all is well within a second', async (_how, fail) => {
    for (const seed of SEEDS.slice(0, rounds(3))) {
      const { attempts, originals, late, firstAfterMs } = await run(seed, fail);
      expect(attempts, `seed ${seed}`).toBeLessThanOrEqual(1.2 * originals + 10 * 10);
      expect(firstAfterMs, `seed ${seed}`).toBeLessThan(1000);
      expect(late, `seed ${seed}`).toBe(0);
    }
  });
});
