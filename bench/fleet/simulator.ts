/** F11: what the simulator costs, and whether it tells the truth. */
import type { Claim, Peer, SuiteOptions } from '../support/claim.js';
import { unmeasured } from '../support/claim.js';
import { median, type PairedRatio, pairedRatio } from '../support/paired.js';
import { versionOf } from '../support/versions.js';
import {
  type Driver,
  EVENTS,
  effectTestClock,
  evenkeelAsync,
  evenkeelCallbacks,
  expectedEnd,
  fakeTimers,
  TASKS,
} from './clock-drivers.js';
import { type LoopbackPlan, live, roundTrip, simulated } from './loopback.js';

const PAIRS = 20;
const SEEDS = 3;
/** Paired with what is many times slower: the slow side runs once, the other as often as it takes to be measured. */
const REPEATS = 4;
const PLAN: Omit<LoopbackPlan, 'seed'> = { servers: 4, slots: 4, workMs: 40, sigma: 0.7, utilization: 0.8, calls: 3000 };

export async function simulator(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  await check('evenkeel, async', evenkeelAsync);
  await check('evenkeel, callbacks', evenkeelCallbacks);
  await against(onClaim, 'F11.fake-timers', '@sinonjs/fake-timers', 'runAllAsync', 4, await fakeTimers());
  await against(onClaim, 'F11.effect', 'effect', 'TestClock.adjust over fibers that sleep', 13, await effectTestClock());
  const callbacks = await pairedRatio(side('async', evenkeelAsync, 1), side('callbacks', evenkeelCallbacks, 1), {
    pairs: PAIRS,
    warmUps: 3,
  });
  onClaim({
    id: 'F11.callbacks',
    claim: `events per CPU second in callbacks, against async mode (${rate(callbacks.bMicros)} and ${rate(callbacks.aMicros)})`,
    bar: '>= 3.5x',
    ...measured(callbacks, 3.5),
  });
  await loopback(options, onClaim);
}

async function against(
  onClaim: (claim: Claim) => void,
  id: string,
  name: string,
  settings: string,
  bar: number,
  driver: Driver | undefined,
): Promise<void> {
  const claim = `events per CPU second in async mode (${TASKS} tasks that sleep), against ${name}`;
  if (driver === undefined) {
    onClaim(unmeasured(id, claim, `>= ${bar}x`, 'x', `${name} is not installed: npm install --save-dev ${name}`));
    return;
  }
  await check(name, driver);
  const ratio = await pairedRatio(side(name, driver, 1), side('evenkeel', evenkeelAsync, REPEATS), { pairs: PAIRS, warmUps: 2 });
  onClaim({
    id,
    claim,
    bar: `>= ${bar}x`,
    ...measured(scaled(ratio, REPEATS), bar),
    peers: [
      { name, version: versionOf(name), settings, measured: rate(ratio.aMicros) },
      { name: 'evenkeel', version: 'as built', settings: 'VirtualClock.run', measured: rate(ratio.bMicros / REPEATS) },
    ],
  });
}

/** The interval's bad end must hold the bar. */
function measured(ratio: PairedRatio, bar: number): Pick<Claim, 'measured' | 'unit' | 'low' | 'high' | 'samples' | 'holds'> {
  const { low, high, pairs } = ratio;
  return { measured: ratio.median, unit: 'x', low, high, samples: pairs, holds: low >= bar };
}

function scaled(ratio: PairedRatio, by: number): PairedRatio {
  return { ...ratio, median: ratio.median * by, low: ratio.low * by, high: ratio.high * by };
}

function side(name: string, driver: Driver, times: number) {
  return {
    name,
    run: async () => {
      for (let i = 0; i < times; i++) await driver();
    },
  };
}

function rate(micros: number): string {
  return `${Math.round(EVENTS / (micros / 1000))} k events/CPU s`;
}

async function check(name: string, driver: Driver): Promise<void> {
  const [end, expected] = [await driver(), expectedEnd()];
  if (end !== expected) throw new Error(`${name}: the last task ended at ${end} ms, not at ${expected}`);
}

async function loopback({ seed, say }: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const apart: number[] = [];
  const peers: Peer[] = [];
  let failed = 0;
  // Several, and the median of them: another program on the machine slows the live side, and one of it would decide.
  for (let round = 0; round < SEEDS; round++) {
    const plan: LoopbackPlan = { ...PLAN, seed: seed + round };
    const roundTripMs = await roundTrip(plan.seed, 200);
    const real = await live(plan);
    const virtual = await simulated(plan, roundTripMs);
    failed += real.failed + virtual.failed;
    apart.push(Math.abs(virtual.p50 / real.p50 - 1));
    const settings = `seed ${plan.seed}, ${plan.calls} calls, a way there and back ${roundTripMs.toFixed(2)} ms`;
    const figures = (of: 'p50' | 'p90') => `${of} ${real[of].toFixed(2)} ms live, ${virtual[of].toFixed(2)} ms simulated`;
    peers.push({ name: 'live and simulated', version: '', settings, measured: `${figures('p50')}, ${figures('p90')}` });
    say(`fleet: a service on loopback, ${settings}: ${figures('p50')}`);
  }
  onClaim({
    id: 'F11.loopback',
    claim: 'p50 of a service, simulated and live on loopback, apart',
    bar: '<= 10 %',
    measured: 100 * median(apart),
    unit: '%',
    low: 100 * Math.min(...apart),
    high: 100 * Math.max(...apart),
    samples: SEEDS,
    holds: median(apart) <= 0.1 && failed === 0,
    seed,
    peers,
    note: `${PLAN.servers} servers of ${PLAN.slots} slots, work ${PLAN.workMs} ms (sigma ${PLAN.sigma}) asleep, utilisation ${PLAN.utilization}`,
  });
}
