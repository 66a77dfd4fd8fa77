/** L1 to L5: one server under overload, simulated, every policy on the same arrivals. */
import { type OverloadResult, recoveryMs } from 'evenkeel/sim';
import { type Claim, type Peer, type SuiteOptions, wants } from '../support/claim.js';
import { median } from '../support/paired.js';
import { all, BASE_LOAD, cellOf, jobOf, LOADS, nameOf, type Setting, under, worst } from './cells.js';
import { type Job, Jobs } from './jobs.js';
import { PEERS, type PolicyName } from './policies.js';
import { useful } from './useful.js';

const SEEDS = Array.from({ length: 10 }, (_, i) => i + 1);

export async function goodput(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const jobs = new Jobs(options.say);
  const seeds = SEEDS.map((seed) => seed + 1000 * (options.seed - 1));
  if (wants(options, 'L1')) await useful(jobs, seeds, onClaim);
  if (wants(options, 'L2')) await recovery(jobs, seeds, onClaim);
  if (wants(options, 'L3')) await critical(jobs, seeds, onClaim);
  if (wants(options, 'L4')) await peers(jobs, seeds, onClaim);
  if (wants(options, 'L5')) await convergence(jobs, seeds, onClaim);
}

const TYPICAL: Setting = { slots: 8, work: 'log-normal', refusalShare: 0.001 };
/** Of L2 and L3. With one slot, two seconds have 140 arrivals: by chance alone more or fewer than 95 % of the load. */
const SOME: readonly Setting[] = all([8, 32], 0.001);

/** L2. */
async function recovery(jobs: Jobs, seeds: readonly number[], onClaim: (claim: Claim) => void): Promise<void> {
  const kinds = [
    {
      id: 'overload',
      claim: 'after 10x for 20 s',
      load: BASE_LOAD,
      fromMs: 25_000,
      phases: [
        { load: BASE_LOAD, forMs: 5000 },
        { load: 10, forMs: 20_000 },
        { load: BASE_LOAD, forMs: 30_000 },
      ],
    },
    {
      id: 'dip',
      claim: 'after 8 s at a third of the speed, load 0.85',
      load: 0.85,
      fromMs: 13_000,
      phases: [
        { load: 0.85, forMs: 5000 },
        { load: 0.85, forMs: 8000, speed: 1 / 3 },
        { load: 0.85, forMs: 30_000 },
      ],
    },
  ];
  for (const { claim, fromMs, id, load, phases } of kinds) {
    const job = (policy: PolicyName, setting: Setting, seed: number, isThrottled = false): Job => ({
      policy,
      ...setting,
      phases,
      seed,
      ...(isThrottled ? { isThrottled } : undefined),
    });
    await jobs.run(
      SOME.flatMap((setting) =>
        seeds.flatMap((seed) => [job('limiter', setting, seed), job('limiter', setting, seed, true), job('none', setting, seed)]),
      ),
    );
    const times = (policy: PolicyName, setting: Setting, isThrottled = false) =>
      seeds.map((seed) => recoveryMs(jobs.get(job(policy, setting, seed, isThrottled)), fromMs, load) / 1000);
    const unlimited = SOME.flatMap((setting) => times('none', setting));
    const collapsed = unlimited.filter((seconds) => seconds === Number.POSITIVE_INFINITY).length;
    for (const [suffix, isThrottled, bar] of [
      ['', false, 1],
      ['.throttle', true, 3],
    ] as const) {
      const { name, samples: seconds } = slowest(
        SOME.map((setting) => ({ name: nameOf(setting, phases[1]?.load ?? 0), samples: times('limiter', setting, isThrottled) })),
      );
      onClaim({
        id: `L2.${id}${suffix}`,
        claim: `full goodput again ${claim}${isThrottled ? ', with the throttle' : ''}`,
        bar: `<= ${bar} s`,
        measured: median(seconds),
        unit: 's',
        low: Math.min(...seconds),
        high: Math.max(...seconds),
        samples: seconds.length,
        // A run that does not collapse without a limiter shows nothing.
        holds: median(seconds) <= bar && collapsed === unlimited.length,
        note: `${name}; without a limiter: never, in ${collapsed} of ${unlimited.length} runs within 30 s`,
      });
    }
  }
}

/** The cell that took longest, by its median. */
function slowest(cells: readonly { name: string; samples: number[] }[]) {
  return cells.reduce((most, cell) => (median(cell.samples) > median(most.samples) ? cell : most));
}

/** L3. */
async function critical(jobs: Jobs, seeds: readonly number[], onClaim: (claim: Claim) => void): Promise<void> {
  const job = (setting: Setting, load: number, seed: number): Job => ({
    ...jobOf('limiter', setting, load, seed),
    criticalShare: 0.2,
  });
  const loads = [1.5, 2, 3, 5, 10];
  await jobs.run(SOME.flatMap((setting) => loads.flatMap((load) => seeds.map((seed) => job(setting, load, seed)))));
  for (const load of loads) {
    const feasible = Math.min(1, 1 / (0.2 * load));
    const sharesOf = (setting: Setting) =>
      seeds.map((seed) => (jobs.get(job(setting, load, seed)).phases[1]?.criticalSuccess ?? 0) / feasible);
    const least = worst(SOME.map((setting) => cellOf(setting, load, median(sharesOf(setting)))));
    const shares = sharesOf(least.setting);
    const bar = load <= 3 ? 0.9995 : load === 10 ? 0.94 : undefined;
    onClaim({
      id: `L3.${load}x`,
      claim: `critical requests (20 % of all) answered at ${load}x, of those that could be`,
      bar: load <= 3 ? '1 (to three digits)' : bar === undefined ? 'listed' : `>= ${bar}`,
      measured: least.value,
      unit: 'x',
      low: Math.min(...shares),
      high: Math.max(...shares),
      samples: shares.length,
      holds: bar === undefined || least.value >= bar,
      note: least.name,
      ...(bar === undefined ? { isInformation: true } : undefined),
    });
  }
}

/** L4. */
async function peers(jobs: Jobs, seeds: readonly number[], onClaim: (claim: Claim) => void): Promise<void> {
  const settings = all([8, 64], 0.001);
  const policies = [...PEERS.map(({ policy }) => policy), 'codel' as const, 'limiter' as const];
  await jobs.run(
    policies.flatMap((policy) =>
      settings.flatMap((setting) => LOADS.flatMap((load) => seeds.map((seed) => jobOf(policy, setting, load, seed)))),
    ),
  );
  const of = (policy: PolicyName, setting: Setting, load: number) =>
    median(seeds.map((seed) => under(jobs.get(jobOf(policy, setting, load, seed)))));
  const cells = settings.flatMap((setting) => LOADS.map((load) => ({ setting, load, name: nameOf(setting, load) })));
  const lead = (policy: PolicyName) =>
    worst(
      cells.map((cell) => ({ ...cell, value: of('limiter', cell.setting, cell.load) - of(policy, cell.setting, cell.load) })),
    );
  const listed = (policy: PolicyName, settingsText: string): Peer => ({
    name: policy,
    version: 'from its formulas',
    settings: settingsText,
    measured: LOADS.map((load) => `${load}x ${(100 * of(policy, TYPICAL, load)).toFixed(0)}`).join(' · '),
  });
  for (const { policy, settings: text } of PEERS) {
    const least = lead(policy);
    onClaim({
      id: `L4.${policy.replaceAll(' ', '-')}`,
      claim: `goodput ahead of ${policy}, in the cell where it is least so`,
      bar: '>= 0, noise of 0.01 allowed',
      measured: 100 * least.value,
      unit: 'points',
      samples: seeds.length,
      holds: least.value >= -0.01,
      peers: [listed('limiter', 'as it comes'), listed(policy, text)],
      note: least.name,
    });
  }
  const behind = lead('codel');
  onClaim({
    id: 'L4.codel',
    claim: 'goodput against CoDel + LIFO on slots that it is told',
    bar: '>= -6 points',
    measured: 100 * behind.value,
    unit: 'points',
    samples: seeds.length,
    holds: behind.value >= -0.06,
    peers: [listed('codel', '5 ms, 100 ms, at most ten times the slots wait')],
    note: behind.name,
  });
}

/** L5. */
async function convergence(jobs: Jobs, seeds: readonly number[], onClaim: (claim: Claim) => void): Promise<void> {
  const knees = [8, 64];
  for (const from of [1, 200] as const) {
    const job = (slots: number, seed: number): Job => ({
      policy: `limiter from ${from}`,
      ...TYPICAL,
      slots,
      phases: [{ load: 3, forMs: 8000 }],
      seed,
    });
    await jobs.run(knees.flatMap((slots) => seeds.map((seed) => job(slots, seed))));
    for (const slots of knees) {
      const seconds = seeds.map((seed) => settledAt(jobs.get(job(slots, seed)), slots));
      onClaim({
        id: `L5.from${from}.K${slots}`,
        claim: `from ${from} to within 25 % of the knee at ${slots}, under 3x`,
        bar: '<= 3 s',
        measured: median(seconds),
        unit: 's',
        low: Math.min(...seconds),
        high: Math.max(...seconds),
        samples: seeds.length,
        holds: median(seconds) <= 3,
      });
    }
  }
  const long = (seed: number): Job => ({ policy: 'limiter', ...TYPICAL, phases: [{ load: 3, forMs: 600_000 }], seed });
  const some = seeds.slice(0, 8);
  await jobs.run(some.map(long));
  // Minutes of one run wander by some 5 % around no trend, so that one seed says little.
  const drifts = some.map((seed) => drift(jobs.get(long(seed))));
  onClaim({
    id: 'L5.drift',
    claim: 'change of the limit over 10 minutes at 3x: median of the last minute against that of the second',
    bar: 'below 0.1, up or down',
    measured: median(drifts),
    unit: 'of the limit',
    low: Math.min(...drifts),
    high: Math.max(...drifts),
    samples: drifts.length,
    holds: Math.abs(median(drifts)) < 0.1,
  });
}

/** From when on the median of a second, and that of all that follows, is within 25 % of the knee: in whole calls, as the gate counts them. */
function settledAt({ limits, windowMs }: OverloadResult, knee: number): number {
  const perSecond = 1000 / windowMs;
  const isNear = (some: readonly number[]) => Math.abs(median(some.map(Math.floor)) / knee - 1) <= 0.25;
  for (let i = 0; i + perSecond <= limits.length; i++) {
    if (isNear(limits.slice(i, i + perSecond)) && isNear(limits.slice(i))) return ((i + 1) * windowMs) / 1000;
  }
  return Number.POSITIVE_INFINITY;
}

function drift({ limits, windowMs }: OverloadResult): number {
  const minute = 60_000 / windowMs;
  const second = median(limits.slice(minute, 2 * minute));
  return median(limits.slice(-minute)) / second - 1;
}
