/** F1 to F3: the tail of a fleet's latency by the rule that routes it. */
import { FLEET, fleetCapacity } from 'evenkeel/sim';
import type { Claim, Peer, SuiteOptions } from '../support/claim.js';
import { wants } from '../support/claim.js';
import { medianInterval } from '../support/paired.js';
import { type CellResult, Cells } from './cells.js';
import { FULL_INFORMATION, POLICIES, type PolicyName } from './policies.js';

const SEEDS = 5;
const UTILIZATIONS = [0.7, 0.85, 0.95];
const FEW = 20;
const MANY = 300;
/** 35 % more work than at 0.70. */
const MORE_WORK = 0.7 * 1.35;
const LEAST_TIMEOUTS = 400;
/** Timeouts below this share are too few to compare. */
const FEW_TIMEOUTS = 0.0005;

const PEERS: readonly PolicyName[] = [
  "Prequal's rule, Q 0.84",
  "Prequal's rule, Q 0.70",
  "Finagle's P2C peak EWMA",
  "WRR by reported utilisation (grpc-js's rule)",
  'windowed CPU counter',
  'baseline',
  'power of 3',
  'power of 4',
  'power of 5',
  'power of 6',
  'power of 7',
  'power of 8',
  'poll before dispatch',
  "round robin (undici's RoundRobinPool, and BalancedPool without connection errors)",
];

export async function routing(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const seeds = Array.from({ length: SEEDS }, (_, i) => options.seed + i);
  const cells = new Cells(options.say);
  if (wants(options, 'F1')) await fullInformation(cells, seeds, onClaim);
  if (wants(options, 'F2')) await headline(cells, seeds, onClaim);
  if (wants(options, 'F3')) await peers(cells, seeds, onClaim);
}

/** F1: against the best that knows everything. */
async function fullInformation(cells: Cells, seeds: readonly number[], onClaim: (claim: Claim) => void): Promise<void> {
  const ours: readonly [clients: number, policy: PolicyName, bar: number][] = [
    [FEW, 'auto', 1.15],
    [MANY, 'auto', 1.15],
    [FEW, 'learned', 1.4],
    [FEW, 'declared', 1.3],
  ];
  await cells.run(ours.flatMap(([clients, policy]) => grid([policy, ...FULL_INFORMATION], [clients], UTILIZATIONS, seeds)));
  for (const [clients, policy, bar] of ours) {
    for (const utilization of UTILIZATIONS) {
      const results = cells.all(policy, clients, utilization, seeds);
      const references = FULL_INFORMATION.map((name) => ({ name, results: cells.all(name, clients, utilization, seeds) }));
      const best = references.reduce((a, b) => (mean(b.results, p99) < mean(a.results, p99) ? b : a));
      const ratio = medianInterval(results.map((result, i) => result.p99 / (best.results[i] as CellResult).p99));
      const id = `F1.${policy}.${clients}.${utilization}`;
      const peerLines = [peer(policy, results), ...references.map(({ name, results: theirs }) => peer(name, theirs))];
      onClaim({
        id: `${id}.p99`,
        claim: `p99 of ${FLEET.servers} servers, ${clients} clients, utilisation ${utilization}, against the best full-information policy`,
        bar: `<= ${bar}x`,
        measured: ratio.median,
        unit: 'x',
        low: ratio.low,
        high: ratio.high,
        samples: seeds.length,
        holds: ratio.median <= bar,
        seed: seeds[0],
        peers: peerLines,
      });
      // The bar on timeouts is for the router as it comes.
      if (policy !== 'auto') continue;
      const fewest = Math.min(...references.map(({ results: theirs }) => share(theirs)));
      onClaim({
        id: `${id}.timeouts`,
        claim: `timeouts there (${percent(share(results))}), against ${percent(fewest)}`,
        bar: '<= 2x or <= 0.05 %',
        measured: share(results) / fewest,
        unit: 'x',
        samples: seeds.length,
        holds: share(results) <= Math.max(2 * fewest, FEW_TIMEOUTS),
        seed: seeds[0],
      });
    }
  }
}

/** F2: more work on the same servers. */
async function headline(cells: Cells, seeds: readonly number[], onClaim: (claim: Claim) => void): Promise<void> {
  await cells.run([
    ...grid(['baseline'], [FEW], [0.7, 0.85], seeds),
    ...grid(['auto'], [FEW], [0.7, 0.85, MORE_WORK], seeds),
    ...grid(['full: all servers'], [FEW], [MORE_WORK], seeds),
  ]);
  const before = cells.all('baseline', FEW, 0.7, seeds);
  const after = cells.all('auto', FEW, MORE_WORK, seeds);
  const timeouts = before.reduce((sum, result) => sum + result.timeouts, 0);
  const isCounted = timeouts >= LEAST_TIMEOUTS;
  const settings = `baseline: ${POLICIES.baseline.settings}, utilisation 0.70, ${timeouts} timeouts counted`;
  const common = {
    samples: seeds.length,
    seed: seeds[0],
    peers: [{ ...peer('baseline', before), settings }, peer('auto', after)],
  };
  onClaim({
    id: 'F2.timeouts',
    claim: `share of timeouts with 35 % more work (${percent(share(after))} of ${Math.round(MORE_WORK * rate())} requests/s, was ${percent(share(before))})`,
    bar: '<= 0.40x (aim 0.33x)',
    measured: share(after) / share(before),
    unit: 'x',
    holds: isCounted && share(after) <= 0.4 * share(before),
    ...common,
  });
  onClaim({
    id: 'F2.p99',
    claim: 'p99 with 35 % more work',
    bar: '<= 1x',
    measured: mean(after, p99) / mean(before, p99),
    unit: 'x',
    holds: mean(after, p99) <= mean(before, p99),
    ...common,
  });
  const tail = (result: CellResult) => result.tailUtilization;
  const best = cells.all('full: all servers', FEW, MORE_WORK, seeds);
  onClaim({
    id: 'F2.tail',
    claim:
      `tail utilisation (mean of the busiest 5 %, second by second, neighbours included) with 35 % more work: ` +
      `${mean(after, tail).toFixed(3)}, was ${mean(before, tail).toFixed(3)}, full information comes to ${mean(best, tail).toFixed(3)}`,
    bar: '<= 1x',
    measured: mean(after, tail) / mean(before, tail),
    unit: 'x',
    holds: mean(after, tail) <= mean(before, tail),
    samples: seeds.length,
    seed: seeds[0],
    note: 'at 0.945 of all there is to use, nobody can keep three of sixty servers below 0.98',
  });
  const same = cells.all('auto', FEW, 0.7, seeds);
  onClaim({
    id: 'F2.tail.equal-load',
    claim: `tail utilisation at equal load, 0.70: ${mean(same, tail).toFixed(3)}, was ${mean(before, tail).toFixed(3)}`,
    bar: 'reported',
    measured: mean(same, tail) / mean(before, tail),
    unit: 'x',
    holds: true,
    isInformation: true,
    samples: seeds.length,
    seed: seeds[0],
  });
  const equalBefore = cells.all('baseline', FEW, 0.85, seeds);
  const equalAfter = cells.all('auto', FEW, 0.85, seeds);
  onClaim({
    id: 'F2.equal-load',
    claim: 'p99 at equal load, 0.85',
    bar: '<= 0.5x',
    measured: mean(equalAfter, p99) / mean(equalBefore, p99),
    unit: 'x',
    holds: mean(equalAfter, p99) <= 0.5 * mean(equalBefore, p99),
    samples: seeds.length,
    seed: seeds[0],
    peers: [peer('baseline', equalBefore), peer('auto', equalAfter)],
  });
}

/** F3: against each rule of the field. */
async function peers(cells: Cells, seeds: readonly number[], onClaim: (claim: Claim) => void): Promise<void> {
  await cells.run(grid(['auto', ...PEERS, ...FULL_INFORMATION], [FEW], UTILIZATIONS, seeds));
  for (const utilization of UTILIZATIONS) {
    const ours = cells.all('auto', FEW, utilization, seeds);
    const rows = PEERS.map((name) => ({ name, results: cells.all(name, FEW, utilization, seeds) }));
    const best = rows.reduce((a, b) => (mean(b.results, p99) < mean(a.results, p99) ? b : a));
    const ratio = medianInterval(ours.map((result, i) => result.p99 / (best.results[i] as CellResult).p99));
    const known = FULL_INFORMATION.map((name) => peer(name, cells.all(name, FEW, utilization, seeds)));
    onClaim({
      id: `F3.${utilization}`,
      claim: `p99 at utilisation ${utilization} against the best rule of the field (${best.name})`,
      bar: '< 1x of each',
      measured: ratio.median,
      unit: 'x',
      low: ratio.low,
      high: ratio.high,
      samples: seeds.length,
      holds: ratio.median < 1,
      seed: seeds[0],
      peers: [peer('auto', ours), ...rows.map(({ name, results }) => peer(name, results)), ...known],
    });
  }
}

function grid(
  policies: readonly PolicyName[],
  clients: readonly number[],
  utilizations: readonly number[],
  seeds: readonly number[],
) {
  return policies.flatMap((policy) =>
    clients.flatMap((count) =>
      utilizations.flatMap((utilization) => seeds.map((seed) => ({ policy, clients: count, utilization, seed }))),
    ),
  );
}

function peer(name: PolicyName, results: readonly CellResult[]): Peer {
  const probes = mean(results, ({ probesPerRequest }) => probesPerRequest);
  const cpu = mean(results, ({ cpuUs }) => cpuUs);
  const p50 = mean(results, (result) => result.p50);
  return {
    name,
    version: 'simulated',
    settings: POLICIES[name].settings,
    measured:
      `p50 ${p50.toFixed(1)} ms, p99 ${mean(results, p99).toFixed(0)} ms, timeouts ${percent(share(results))}, ` +
      `${probes.toFixed(2)} probes and ${cpu.toFixed(0)} us of the simulation a request`,
  };
}

/** Requests per second at utilisation 1. */
function rate(): number {
  return (1000 * fleetCapacity()) / FLEET.work.meanMs;
}

const p99 = (result: CellResult) => result.p99;

function mean(results: readonly CellResult[], of: (result: CellResult) => number): number {
  return results.reduce((sum, result) => sum + of(result), 0) / results.length;
}

function share(results: readonly CellResult[]): number {
  const requests = results.reduce((sum, result) => sum + result.requests, 0);
  return results.reduce((sum, result) => sum + result.timeouts, 0) / requests;
}

function percent(value: number): string {
  return `${(100 * value).toFixed(3)} %`;
}
