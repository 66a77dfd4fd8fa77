import { describe, expect, it } from 'vitest';
import { fleetOverloadScenario } from '../../src/sim/fleet/fleet-overload-scenario.js';
import { limiterAdmission } from '../../src/sim/overload/limiter-admission.js';
import type { Admission, OverloadPhase, OverloadResult, OverloadServer } from '../../src/sim/overload/overload.js';
import { runOverload } from '../../src/sim/overload/overload-run.js';
import { overloadScenarios } from '../../src/sim/overload/overload-scenarios.js';
import { recoveryMs } from '../../src/sim/overload/recovery.js';
import { rounds } from '../support/rounds.js';

const SEEDS = Array.from({ length: rounds(2, 6) }, (_, i) => 2000 + i);
const BASE: OverloadPhase = { load: 0.7, forMs: 4000 };

const unlimited = () => ({ arrive: (arrival) => arrival.serve(() => {}) }) satisfies Admission;
const run = (
  seed: number,
  phases: readonly OverloadPhase[],
  admission: (server: OverloadServer) => Admission,
  criticalShare = 0,
) => runOverload({ seed, phases, admission, criticalShare });

describe.each(overloadScenarios)('the scenario $name', (scenario) => {
  it.each(SEEDS)('comes back with a limiter and stays down without, and goes the same way again: seed %i', async (seed) => {
    const first = await scenario.run(seed);
    expect(first.problems).toEqual([]);
    expect((await scenario.run(seed)).hash).toBe(first.hash);
    const [none, limiter] = first.tables[0]?.rows ?? [];
    expect(none?.values.at(-1)).toBe('never');
    expect(Number.parseFloat(limiter?.values.at(-1) ?? '')).toBeLessThanOrEqual(2);
  });
});

describe('a fleet with half as much work again as it can do', () => {
  it.each(SEEDS.slice(0, 2))('does most of what it can with limiters, and next to nothing without: seed %i', async (seed) => {
    const { problems, tables } = await fleetOverloadScenario.run(seed);
    expect(problems).toEqual([]);
    expect(Number.parseFloat(tables[0]?.rows[0]?.values[1] ?? '')).toBeLessThan(30);
  });
});

describe('a server with a limiter', () => {
  it.each(SEEDS)('keeps more than 85 % of its goodput at ten times the load: seed %i', (seed) => {
    const result = run(seed, [BASE, { load: 10, forMs: 10_000 }], limiterAdmission());
    expect(result.phases[1]?.goodput).toBeGreaterThan(0.85);
    expect(run(seed, [BASE, { load: 10, forMs: 2000 }], unlimited).phases[1]?.goodput).toBeLessThan(0.1);
  });

  it.each(SEEDS)('answers what is critical at three times the load: seed %i', (seed) => {
    const result = run(seed, [BASE, { load: 3, forMs: 10_000 }, BASE], limiterAdmission(), 0.2);
    expect(result.phases[1]?.criticalSuccess).toBeGreaterThan(0.999);
  });

  it.each(SEEDS)('turns nobody away for good below its knee: seed %i', (seed) => {
    expect(run(seed, [BASE, { load: 0.5, forMs: 8000 }, BASE], limiterAdmission()).phases[1]?.success).toBeGreaterThan(0.99);
  });
});

describe('the time until a run is well', () => {
  const resultOf = (goodput: readonly number[]): OverloadResult => ({
    phases: [],
    goodput,
    limits: [],
    windowMs: 250,
    hash: '',
    events: 0,
  });

  it('is up to the first window from which two seconds and all that follows are well', () => {
    const well = Array.from({ length: 20 }, () => 0.7);
    expect(recoveryMs(resultOf([...well, 0, 0, ...well]), 5000, 0.7)).toBe(500);
    expect(recoveryMs(resultOf([...well, ...well]), 5000, 0.7)).toBe(0);
    expect(recoveryMs(resultOf([...well, ...well.map(() => 0.5)]), 5000, 0.7)).toBe(Number.POSITIVE_INFINITY);
  });
});
