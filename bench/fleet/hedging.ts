/** F9: what hedging does for the tail when one server of 16 is slow, and what it costs. The same requests with and without it. */
import { auto, type HedgeOptions, type PickerFactory, p2c } from 'evenkeel/router';
import { type FleetResult, ONE_SLOW, runFleet } from 'evenkeel/sim';
import type { Claim, Peer, SuiteOptions } from '../support/claim.js';
import { median } from '../support/paired.js';

const SEEDS = 7;
const MACHINES = {
  speeds: Array.from({ length: ONE_SLOW.servers }, (_, server) => (server === 0 ? ONE_SLOW.speed : 1)),
  stopsWhenCancelled: true,
};
const SCENARIO = `one server of ${ONE_SLOW.servers} ${1 / ONE_SLOW.speed} times slower, utilisation ${ONE_SLOW.utilization}`;

interface Pair {
  readonly without: FleetResult;
  readonly with: FleetResult;
}

export async function hedging(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const seeds = Array.from({ length: SEEDS }, (_, i) => options.seed + i);
  options.say(`F9: ${SEEDS} paired seeds`);
  const blind = await pairs(seeds, () => p2c());
  const common = { samples: SEEDS, seed: options.seed };
  const tails = blind.map((pair) => pair.with.p999 / pair.without.p999);
  onClaim({
    id: 'F9.p999',
    claim: `p99.9 with hedging, ${SCENARIO}`,
    bar: '<= 0.7x',
    measured: median(tails),
    unit: 'x',
    ...range(tails),
    holds: mean(blind, (pair) => pair.with.p999) <= 0.7 * mean(blind, (pair) => pair.without.p999),
    ...common,
    peers: [peer('without', blind, (pair) => pair.without), peer('with hedging', blind, (pair) => pair.with)],
  });
  const sent = blind.map((pair) => (100 * pair.with.hedges) / pair.with.calls);
  onClaim({
    id: 'F9.extra',
    claim: 'requests sent twice, warm-up included',
    bar: '<= 1 %',
    measured: median(sent),
    unit: '%',
    ...range(sent),
    holds: Math.max(...sent) <= 1,
    ...common,
  });
  const busy = blind.map((pair) => 100 * (pair.with.busyMs / pair.without.busyMs - 1));
  onClaim({
    id: 'F9.time',
    claim: "the servers' processor time, more than without",
    bar: '<= 1 %',
    measured: median(busy),
    unit: '%',
    ...range(busy),
    holds: median(busy) <= 1,
    ...common,
  });
  const seeing = await pairs(seeds, () => auto());
  const left = seeing.map((pair) => pair.with.p999 / pair.without.p999);
  onClaim({
    id: 'F9.auto',
    claim: 'the same with auto(), which stays away from the slow server: little is left for hedging',
    bar: 'for information',
    measured: median(left),
    unit: 'x',
    ...range(left),
    holds: true,
    isInformation: true,
    ...common,
    peers: [peer('without', seeing, (pair) => pair.without), peer('with hedging', seeing, (pair) => pair.with)],
  });
}

async function pairs(seeds: readonly number[], picker: () => PickerFactory): Promise<Pair[]> {
  const all: Pair[] = [];
  for (const seed of seeds) all.push({ without: await run(seed, picker, false), with: await run(seed, picker, {}) });
  return all;
}

function run(seed: number, picker: () => PickerFactory, hedge: HedgeOptions | false): Promise<FleetResult> {
  const { clients, utilization, workSigma, measureMs } = ONE_SLOW;
  return runFleet({
    seed,
    clients,
    utilization,
    picker,
    workSigma,
    measureMs,
    isIdempotent: true,
    machines: MACHINES,
    router: { hedge },
  });
}

function peer(name: string, all: readonly Pair[], of: (pair: Pair) => FleetResult): Peer {
  const figure = (read: (result: FleetResult) => number) => mean(all, (pair) => read(of(pair)));
  return {
    name,
    version: 'simulated',
    settings: 'the same requests',
    measured: `p50 ${figure(({ p50 }) => p50).toFixed(1)} ms, p99 ${figure(({ p99 }) => p99).toFixed(0)} ms, p99.9 ${figure(({ p999 }) => p999).toFixed(0)} ms`,
  };
}

function mean(all: readonly Pair[], of: (pair: Pair) => number): number {
  return all.reduce((sum, pair) => sum + of(pair), 0) / all.length;
}

function range(values: readonly number[]): { low: number; high: number } {
  return { low: Math.min(...values), high: Math.max(...values) };
}
