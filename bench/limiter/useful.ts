/** L1: goodput in every cell, with naive clients and with throttled ones. */
import type { Claim, Peer } from '../support/claim.js';
import { median } from '../support/paired.js';
import { type Cell, cellOf, jobOf, LOADS, nameOf, OVER, SETTINGS, type Setting, under, worst } from './cells.js';
import type { Jobs } from './jobs.js';
import type { PolicyName } from './policies.js';

export async function useful(jobs: Jobs, seeds: readonly number[], onClaim: (claim: Claim) => void): Promise<void> {
  const each = (policy: PolicyName, loads: readonly number[], isThrottled = false) =>
    SETTINGS.flatMap((setting) => loads.flatMap((load) => seeds.map((seed) => jobOf(policy, setting, load, seed, isThrottled))));
  await jobs.run([...each('limiter', LOADS), ...each('oracle', OVER), ...each('limiter', OVER, true)]);
  const goodputs = (policy: PolicyName, setting: Setting, load: number, isThrottled = false) =>
    seeds.map((seed) => under(jobs.get(jobOf(policy, setting, load, seed, isThrottled))));
  const cells = SETTINGS.flatMap((setting) => OVER.map((load) => ({ setting, load })));
  for (const refusalShare of [0, 0.001, 0.01]) {
    const some = cells.filter(({ setting }) => setting.refusalShare === refusalShare);
    const id = `r${refusalShare * 1000}`;
    const ratios = some.map(({ load, setting }): Cell => {
      const oracle = goodputs('oracle', setting, load);
      const own = goodputs('limiter', setting, load);
      return cellOf(setting, load, median(own.map((one, i) => one / (oracle[i] as number))));
    });
    const oracle = `goodput against the static limit that knows the server, refusals cost ${100 * refusalShare} %`;
    onClaim({
      ...claimOf(`L1.oracle.${id}`, oracle, '>= 0.98 in each cell', worst(ratios), 0.98, seeds.length),
      note: noteOf(ratios, 0.98),
    });
    const own = some.map(({ load, setting }) => cellOf(setting, load, Math.min(...goodputs('limiter', setting, load))));
    onClaim({
      ...claimOf(
        `L1.worst.${id}`,
        'goodput in the worst run of the worst cell, of what the server can do',
        '>= 0.9',
        worst(own),
        0.9,
        seeds.length,
      ),
      ...(refusalShare === 0.01
        ? {
            note: `${worst(own).name}; three naive retries of each refusal leave 1 - r (A - G) = 0.62 at 10x, whatever the limit`,
          }
        : undefined),
    });
    const throttled = some.map(({ load, setting }) => cellOf(setting, load, median(goodputs('limiter', setting, load, true))));
    const claim = 'goodput with the client throttle, of what the server can do';
    onClaim({
      ...claimOf(`L1.throttle.${id}`, claim, '>= 0.97 in each cell', worst(throttled), 0.97, seeds.length),
      peers: await informedPeers(jobs, seeds, worst(throttled), 'goodput', true),
      note: noteOf(throttled, 0.97),
    });
  }
  const below = SETTINGS.flatMap((setting) =>
    LOADS.filter((load) => load < 1).map((load) => {
      const success = seeds.map((seed) => jobs.get(jobOf('limiter', setting, load, seed)).phases[1]?.success ?? 0);
      return cellOf(setting, load, median(success));
    }),
  );
  onClaim({
    ...claimOf('L1.below', 'requests answered in time below the knee', '>= 0.99 in each cell', worst(below), 0.99, seeds.length),
    peers: await informedPeers(jobs, seeds, worst(below), 'success', false),
    note: noteOf(below, 0.99),
  });
  const typical = SETTINGS[2] as Setting;
  const p99 = (pick: 'p99' | 'firstP99') =>
    median(seeds.map((seed) => jobs.get(jobOf('limiter', typical, 10, seed)).phases[1]?.[pick] ?? 0));
  onClaim({
    id: 'L1.p99',
    claim: `p99 of answers at 10x with retries (${nameOf(typical, 10)})`,
    bar: 'reported',
    measured: p99('p99'),
    unit: 'ms',
    holds: true,
    isInformation: true,
    note: `answered at the first attempt: ${p99('firstP99').toFixed(0)} ms`,
  });
}

/** What those who are told the slots of the server come to in the cell where the limiter does worst: whether the bar is in reach there. */
async function informedPeers(
  jobs: Jobs,
  seeds: readonly number[],
  { load, setting }: Cell,
  what: 'goodput' | 'success',
  isThrottled: boolean,
): Promise<Peer[]> {
  const policies = ['oracle', 'codel'] as const;
  const job = (policy: PolicyName, seed: number) => jobOf(policy, setting, load, seed, isThrottled);
  await jobs.run(policies.flatMap((policy) => seeds.map((seed) => job(policy, seed))));
  return policies.map((policy) => ({
    name: policy,
    version: 'told the slots',
    settings: isThrottled ? 'with the client throttle' : 'with naive clients',
    measured: median(seeds.map((seed) => jobs.get(job(policy, seed)).phases[1]?.[what] ?? 0)).toFixed(3),
  }));
}

/** The worst cell, and where the bar is missed: with so many slots, so often. */
function noteOf(cells: readonly Cell[], least: number): string {
  const missed = cells.filter(({ value }) => value < least);
  const slots = [...new Set(missed.map(({ setting }) => setting.slots))];
  const bySlots = slots.map((one) => `K ${one}: ${missed.filter(({ setting }) => setting.slots === one).length}`).join(', ');
  return `${worst(cells).name}; ${missed.length} of ${cells.length} cells below ${least}${bySlots && ` (${bySlots})`}`;
}

function claimOf(id: string, claim: string, bar: string, cell: Cell, least: number, samples: number): Claim {
  return { id, claim, bar, measured: cell.value, unit: 'x', samples, holds: cell.value >= least, note: cell.name };
}
