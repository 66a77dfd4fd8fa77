/**
 * F6: same region or across regions, sharded or not: how evenly are servers used, and how many copies of the shards does it take?
 *
 * Three regions whose users like different shards, each shard as hot as its rank. Within its region a caller needs copies of every shard
 * there; across regions it may use any copy, and pays the way.
 */
import { parseEndpoints, type Resolver } from 'evenkeel/core';
import type { RoutingListener, ShardMap } from 'evenkeel/router';
import {
  type CallbackRouter,
  callbackRouter,
  createSimulation,
  exponential,
  logNormal,
  ProcessorSharing,
  SimServer,
  weighted,
  workPath,
  zipfWeights,
} from 'evenkeel/sim';
import type { Claim, SuiteOptions } from '../support/claim.js';
import { median, variation } from '../support/paired.js';

const REGIONS = ['na/east', 'na/west', 'eu/west'];
const SERVERS = 12;
const SLOTS = 4;
const CLIENTS = 4;
const SHARDS = 48;
const SKEW = 0.8;
const UTILIZATION = 0.5;
const WORK_MS = 100;
const SIGMA = 0.7;
const CROSS_MS = 15;
const NEAR_MS = 0.2;
const TIMEOUT_MS = 2000;
const WARM_UP_MS = 3000;
const MEASURED_MS = 15_000;
const SEEDS = 5;
/** Copies in each region, and copies in all. */
const NEAR_COPIES = 3;
const ALL_COPIES = [2, 3, 4, 5, 6, 9];
/** The seeds alone move a p99 by as much. */
const ABOUT_EQUAL = 1.05;

interface Setting {
  readonly crosses: boolean;
  /** Copies of each shard: in each region, or in all when calls cross regions. 0: not sharded. */
  readonly copies: number;
}

interface Run {
  /** Coefficient of variation of the servers' use. */
  readonly variation: number;
  readonly p99: number;
}

export async function shards(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const seeds = Array.from({ length: SEEDS }, (_, i) => options.seed + i);
  const each = async (setting: Setting) => {
    const runs: Run[] = [];
    for (const seed of seeds) runs.push(await run(seed, setting));
    return { variation: median(runs.map(({ variation }) => variation)), p99: median(runs.map(({ p99 }) => p99)) };
  };
  const near = await each({ crosses: false, copies: NEAR_COPIES });
  const across = new Map<number, Run>();
  for (const copies of ALL_COPIES) across.set(copies, await each({ crosses: true, copies }));
  const enough = ALL_COPIES.find((copies) => (across.get(copies) as Run).p99 <= ABOUT_EQUAL * near.p99);
  const four: readonly [string, Run][] = [
    ['same region, unsharded', await each({ crosses: false, copies: 0 })],
    [`same region, sharded, ${NEAR_COPIES} copies in each`, near],
    ['across regions, unsharded', await each({ crosses: true, copies: 0 })],
    [`across regions, sharded, ${enough ?? ALL_COPIES.at(-1)} copies in all`, across.get(enough ?? 9) as Run],
  ];
  for (const [name, { variation, p99 }] of four) {
    onClaim({
      id: `F6.${name.replaceAll(/[ ,]+/g, '-')}`,
      claim: `coefficient of variation of the use of servers: ${name} (p99 ${p99.toFixed(0)} ms)`,
      bar: 'reported',
      measured: variation,
      unit: '',
      samples: seeds.length,
      holds: true,
      isInformation: true,
      seed: options.seed,
    });
  }
  const copies = NEAR_COPIES * REGIONS.length;
  onClaim({
    id: 'F6.copies',
    claim: `copies of each shard that calls across regions save at a p99 within 5 % (${copies} within regions, ${enough ?? 'more than 9'} across)`,
    bar: 'reported',
    measured: enough === undefined ? 0 : copies - enough,
    unit: 'copies',
    samples: seeds.length,
    holds: true,
    isInformation: true,
    seed: options.seed,
    peers: [...across].map(([count, { variation, p99 }]) => ({
      name: `${count} copies across regions`,
      version: 'simulated',
      settings: `${2 * CROSS_MS} ms between regions`,
      measured: `p99 ${p99.toFixed(0)} ms, variation ${variation.toFixed(3)}`,
    })),
  });
}

async function run(seed: number, { crosses, copies }: Setting): Promise<Run> {
  const simulation = createSimulation({ seed });
  const { clock, network, random } = simulation;
  for (const from of REGIONS)
    for (const to of REGIONS) network.setLink(from, to, { latencyMs: from === to ? NEAR_MS : CROSS_MS });
  const servers = REGIONS.flatMap((region) =>
    Array.from({ length: SERVERS }, (_, i) => {
      const machine = simulation.machine(`${region.replace('/', '-')}-${i}`, { processors: SLOTS, locality: `${region}/a` });
      const processor = new ProcessorSharing(clock, { slots: SLOTS });
      return new SimServer(simulation, machine, { processor, capacity: SLOTS });
    }),
  );
  const map = copies === 0 ? undefined : shardMap(crosses, copies);
  const callers = REGIONS.map((region) =>
    Array.from({ length: CLIENTS }, (_, i) => {
      const { process } = simulation.machine(`client ${region} ${i}`, { locality: `${region}/b` });
      const there = servers.filter(({ machine }) => crosses || machine.locality === `${region}/a`);
      return callbackRouter(simulation, process, {
        service: 'search',
        resolver: listOf(there, map),
        timeoutMs: TIMEOUT_MS,
        retry: false,
        ejection: false,
        // The nearest copy, and those further away when it is too full.
        ...(crosses ? { locality: `${region}/b` } : undefined),
      });
    }),
  );
  await clock.settle();
  const arrivals = random.fork('arrivals');
  const work = logNormal(WORK_MS, SIGMA);
  const gap = exponential(WORK_MS / (SERVERS * SLOTS * UTILIZATION));
  const rank = weighted(zipfWeights(SHARDS, SKEW));
  const end = WARM_UP_MS + MEASURED_MS;
  const latencies: number[] = [];
  for (const [region, routers] of callers.entries()) {
    const arrive = () => {
      const startedAt = clock.now();
      if (startedAt >= end) return;
      clock.timer(gap(arrivals), arrive);
      // Each region has favourites of its own.
      const shard = (rank(arrivals) + (region * SHARDS) / REGIONS.length) % SHARDS;
      const request = { path: workPath(work(arrivals)), ...(map === undefined ? undefined : { shard: `s${shard}` }) };
      const onEnd = () => {
        if (startedAt >= WARM_UP_MS) latencies.push(clock.now() - startedAt);
      };
      (routers[arrivals.int(CLIENTS)] as CallbackRouter).call(request, onEnd, onEnd);
    };
    clock.timer(gap(arrivals), arrive);
  }
  clock.runSync(WARM_UP_MS);
  const before = servers.map(({ processor }) => processor.busyMs);
  clock.runSync(end);
  const uses = servers.map(({ processor }, i) => processor.busyMs - (before[i] as number));
  latencies.sort((a, b) => a - b);
  return { variation: variation(uses), p99: latencies[Math.floor(0.99 * latencies.length)] ?? 0 };
}

/** Copies side by side: within each region, or dealt out over all of them. */
function shardMap(crosses: boolean, copies: number): ShardMap {
  const names = (region: number) => `${REGIONS[region]?.replace('/', '-')}`;
  const shardsOf = new Map<string, { endpoint: string; role: 'primary' | 'replica' }[]>();
  for (let shard = 0; shard < SHARDS; shard++) {
    const holders: string[] = [];
    for (let copy = 0; copy < copies; copy++) {
      const at = (shard * STRIDE + copy * STRIDES_BETWEEN) % SERVERS;
      if (crosses)
        holders.push(`${names((shard + copy) % REGIONS.length)}-${(at + Math.floor(copy / REGIONS.length)) % SERVERS}`);
      else for (let region = 0; region < REGIONS.length; region++) holders.push(`${names(region)}-${at}`);
    }
    shardsOf.set(
      `s${shard}`,
      [...new Set(holders)].map((endpoint, i) => ({ endpoint, role: i === 0 ? 'primary' : 'replica' })),
    );
  }
  return { version: 1, shards: shardsOf };
}

const STRIDE = 5;
const STRIDES_BETWEEN = 7;

/** A resolver that tells a list and a map, once. */
function listOf(servers: readonly SimServer[], map: ShardMap | undefined): Resolver {
  const endpoints = parseEndpoints(
    servers.map(({ machine, address }) => ({ id: machine.name, address, locality: machine.locality as string })),
  );
  return {
    name: 'list',
    start(_runtime, listener: RoutingListener) {
      queueMicrotask(() => {
        listener.onEndpoints(endpoints, { source: 'live' });
        listener.onRouting?.({
          service: 'search',
          token: 1,
          version: 1,
          endpoints,
          loads: new Map(),
          shards: map,
          routing: { localities: [], rtts: [], rings: {}, plan: undefined },
        });
      });
      return { ageMs: 0, refresh() {}, close() {} };
    },
  };
}
