/**
 * F5: four regions at half their capacity; one is lost, and comes back. The whole chain runs: servers announce themselves with their load,
 * a builder plans, callers follow its tables. Beside it the same callers with latency and overload as their only feedback.
 */
import { announce, type CallTransport, type Clock, type Endpoint, type StateTransport } from 'evenkeel/core';
import { auto, createRibBuilder, measureRtt, type PickerFactory, peakEwma, reportDemand, ribResolver } from 'evenkeel/router';
import {
  type CallbackRouter,
  callbackRouter,
  createSimulation,
  exponential,
  logNormal,
  ProcessorSharing,
  type SimMachine,
  type SimProcess,
  SimServer,
  workPath,
} from 'evenkeel/sim';
import type { Claim, SuiteOptions } from '../support/claim.js';

const REGIONS = ['eu/west', 'eu/north', 'us/east', 'us/west'];
/** Round trips, milliseconds. */
const RTTS = new Map([
  ['eu/west eu/north', 25],
  ['us/east us/west', 60],
  ['eu/west us/east', 80],
  ['eu/north us/east', 90],
  ['eu/west us/west', 140],
  ['eu/north us/west', 150],
]);
const SERVERS = 10;
const SLOTS = 4;
const CLIENTS = 4;
const LOAD = 0.5;
const WORK_MS = 20;
const SIGMA = 0.5;
const LEASE_MS = 3000;
const SERVICE = 'search';
/** Until tables, loads and round trips are there. */
const CALM_MS = 12_000;
const LOST_MS = 12_000;
const BACK_MS = 14_000;
const WINDOW_MS = 500;
/** Use is judged as a mean over so many of them: half a second of forty slots is mostly chance. */
const SMOOTHED = 4;
const SETTLED_MS = 5000;
const BAR = 0.8;
const SEEDS = 5;
const NEAR_MS = 0.25;

interface Run {
  /** Use of each region's servers, window by window; NaN while it is lost. */
  readonly use: readonly (readonly number[])[];
  readonly failed: number;
  readonly calls: number;
  readonly p50: number;
  readonly p99: number;
}

export async function regions(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const seeds = Array.from({ length: SEEDS }, (_, i) => options.seed + i);
  const rings: Run[] = [];
  const latency: Run[] = [];
  for (const seed of seeds) {
    rings.push(await run(seed, true, () => auto()));
    latency.push(await run(seed, false, () => peakEwma()));
    options.say(`F5: seed ${seed} done`);
  }
  const ours = rings.map(steadyOf);
  const settled = rings.map(settledAfter);
  onClaim({
    id: 'F5.steady',
    claim:
      'use of the fullest region from 5 s after a region was lost, and from 5 s after it is back (means over 2 s), in the worst run',
    bar: `<= ${BAR}`,
    measured: Math.max(...ours),
    unit: '',
    low: Math.min(...ours),
    high: Math.max(...ours),
    samples: seeds.length,
    holds: Math.max(...ours) <= BAR,
    seed: options.seed,
    peers: [
      line('rings and plans', 'auto(), threshold 0.75', rings),
      line('latency and overload alone', 'P2C peak EWMA over all regions, ejection and retries the same', latency),
    ],
  });
  onClaim({
    id: 'F5.settled',
    claim: `from the loss of a region until no other is used above ${BAR} any more (means over 2 s), in the worst run`,
    bar: `< ${SETTLED_MS / 1000} s`,
    measured: Math.max(...settled) / 1000,
    unit: 's',
    low: Math.min(...settled) / 1000,
    high: Math.max(...settled) / 1000,
    samples: seeds.length,
    holds: Math.max(...settled) < SETTLED_MS,
    seed: options.seed,
  });
  const swings = Math.max(...rings.flatMap(({ use }) => use.map(swingsOf)));
  onClaim({
    id: 'F5.swings',
    claim: 'times that the use of a region turned round by more than 0.15 after it had settled, in any run',
    bar: '0',
    measured: swings,
    unit: '',
    samples: seeds.length,
    holds: swings === 0,
    seed: options.seed,
  });
}

async function run(seed: number, hasRings: boolean, picker: () => PickerFactory): Promise<Run> {
  const simulation = createSimulation({ seed });
  const { clock, network, random } = simulation;
  for (const from of REGIONS) for (const to of REGIONS) network.setLink(from, to, { latencyMs: oneWay(from, to) });
  const store = simulation.stateStore(simulation.machine('store'));
  const state = (process: SimProcess): StateTransport => simulation.state(process, store);
  const builder = simulation.machine('builder').process;
  createRibBuilder({ state: state(builder), runtime: builder.runtime });
  const fleet = REGIONS.map((region) =>
    Array.from({ length: SERVERS }, (_, i) => {
      const machine = simulation.machine(`${region.replace('/', '-')}-${i}`, { processors: SLOTS, locality: `${region}/a` });
      return start(simulation, machine, state);
    }),
  );
  const callers = REGIONS.map((region) => startCallers(simulation, region, state, hasRings, picker));
  for (const region of REGIONS) {
    const { process } = simulation.machine(`measurer ${region}`, { locality: `${region}/m` });
    const { runtime } = process;
    const transport = simulation.calls(process);
    measureRtt({
      state: state(process),
      locality: `${region}/m`,
      intervalMs: 1000,
      endpoints: () => REGIONS.map((to) => ({ id: to, address: `sim://${to.replace('/', '-')}-0`, locality: `${to}/a` })),
      measure: (to) => timeOf(transport, to, runtime.clock),
      runtime,
    });
  }
  const latencies: number[] = [];
  let calls = 0;
  let failed = 0;
  const arrivals = random.fork('arrivals');
  const gap = exponential(WORK_MS / (SERVERS * SLOTS * LOAD));
  const work = logNormal(WORK_MS, SIGMA);
  const end = CALM_MS + LOST_MS + BACK_MS;
  for (const routers of callers) {
    const arrive = () => {
      const startedAt = clock.now();
      if (startedAt >= end) return;
      clock.timer(gap(arrivals), arrive);
      calls++;
      (routers[arrivals.int(CLIENTS)] as CallbackRouter).call(
        { path: workPath(work(arrivals)) },
        ({ status }) => {
          if (status >= 500) failed++;
          latencies.push(clock.now() - startedAt);
        },
        () => failed++,
      );
    };
    clock.timer(gap(arrivals) + 1000, arrive);
  }
  const use: number[][] = REGIONS.map(() => []);
  const busy = () => fleet.map((servers) => servers.reduce((sum, { processor }) => sum + processor.busyMs, 0));
  let last = busy();
  for (let at = CALM_MS - 4000; at < end; at += WINDOW_MS) {
    await clock.run(at);
    if (at === CALM_MS) for (const { machine } of fleet[0] ?? []) machine.crash();
    if (at === CALM_MS + LOST_MS) {
      const again = (fleet[0] ?? []).map(({ machine }) => start(simulation, machine, state));
      fleet[0] = again;
      last[0] = 0;
    }
    if (at <= CALM_MS - 4000) {
      last = busy();
      continue;
    }
    const now = busy();
    for (const [i, region] of use.entries())
      region.push(((now[i] as number) - (last[i] as number)) / (WINDOW_MS * SERVERS * SLOTS));
    last = now;
  }
  latencies.sort((a, b) => a - b);
  const quantile = (share: number) => latencies[Math.floor(share * latencies.length)] ?? 0;
  return { use, failed, calls, p50: quantile(0.5), p99: quantile(0.99) };
}

/** A way there and back, as a small request sees it. */
function timeOf(transport: CallTransport, to: Endpoint, clock: Clock): Promise<number> {
  const startedAt = clock.now();
  return new Promise((resolve, reject) => {
    transport.start(
      to,
      { path: '/load' },
      { onResponse: () => resolve(clock.now() - startedAt), onData: () => {}, onEnd: () => {}, onError: reject },
    );
  });
}

function start(
  simulation: ReturnType<typeof createSimulation>,
  machine: SimMachine,
  state: (process: SimProcess) => StateTransport,
): SimServer {
  const process = machine.boot();
  const { runtime } = process;
  const processor = new ProcessorSharing(simulation.clock, { slots: SLOTS });
  const server = new SimServer(simulation, machine, { processor, capacity: SLOTS });
  let told = 0;
  announce({
    state: state(process),
    service: SERVICE,
    endpoint: { id: machine.name, address: server.address, locality: machine.locality as string, weight: SLOTS },
    leaseMs: LEASE_MS,
    // Use since the last renewal: an instant of a few slots says little.
    load: () => {
      const since = processor.busyMs - told;
      told = processor.busyMs;
      return { ...server.reporter.report(), applicationUtilization: since / ((LEASE_MS / 3) * SLOTS) };
    },
    runtime,
  });
  return server;
}

function startCallers(
  simulation: ReturnType<typeof createSimulation>,
  region: string,
  state: (process: SimProcess) => StateTransport,
  hasRings: boolean,
  picker: () => PickerFactory,
): CallbackRouter[] {
  return Array.from({ length: CLIENTS }, (_, i) => {
    const { process } = simulation.machine(`client ${region} ${i}`, { locality: `${region}/b` });
    const { runtime } = process;
    reportDemand({
      state: state(process),
      service: SERVICE,
      locality: `${region}/b`,
      ratePerSecond: () => (SERVERS * SLOTS * LOAD * 1000) / WORK_MS / CLIENTS,
      runtime,
    });
    return callbackRouter(simulation, process, {
      service: SERVICE,
      resolver: ribResolver({ state: state(process), service: SERVICE }),
      picker: picker(),
      timeoutMs: 2000,
      ...(hasRings ? { locality: `${region}/b` } : undefined),
    });
  });
}

function oneWay(from: string, to: string): number {
  if (from === to) return NEAR_MS;
  return (RTTS.get(`${from} ${to}`) ?? RTTS.get(`${to} ${from}`) ?? 0) / 2;
}

/** Of each region, window by window: the mean of the last ones. */
function smoothed({ use }: Run): number[][] {
  return use.map((region) =>
    region.map((_, window) => {
      const recent = region.slice(Math.max(0, window + 1 - SMOOTHED), window + 1);
      return recent.reduce((sum, one) => sum + one, 0) / recent.length;
    }),
  );
}

function steadyOf(run: Run): number {
  return Math.max(...smoothed(run).flatMap((use) => use.filter((_, window) => isSteady(window))));
}

/** Milliseconds from the loss to the last window, before the region is back, in which another was used above the bar. */
function settledAfter(run: Run): number {
  const since = (window: number) => (window + 1) * WINDOW_MS - 4000;
  const late = smoothed(run)
    .slice(1)
    .flatMap((use) => use.map((one, window) => (one > BAR && since(window) < LOST_MS ? since(window) : 0)));
  return Math.max(0, ...late);
}

/** Windows count from 4 s before the loss. */
function isSteady(window: number): boolean {
  const at = (window + 1) * WINDOW_MS - 4000;
  return at < 0 || (at >= SETTLED_MS && at < LOST_MS) || at >= LOST_MS + SETTLED_MS;
}

/** Turns of more than 0.15 within one steady stretch. */
function swingsOf(use: readonly number[]): number {
  let swings = 0;
  let extreme = Number.NaN;
  let direction = 0;
  for (const [window, value] of use.entries()) {
    if (!isSteady(window) || Number.isNaN(extreme)) {
      extreme = value;
      direction = 0;
      continue;
    }
    if (Math.abs(value - extreme) > 0.15) {
      const now = Math.sign(value - extreme);
      if (direction !== 0 && now !== direction) swings++;
      direction = now;
      extreme = value;
    } else if (direction * (value - extreme) > 0) extreme = value;
  }
  return swings;
}

function line(name: string, settings: string, runs: readonly Run[]) {
  const failed = runs.reduce((sum, run) => sum + run.failed, 0) / runs.reduce((sum, run) => sum + run.calls, 0);
  const peak = Math.max(...runs.flatMap((one) => smoothed(one).flat()));
  const steady = runs.map(steadyOf);
  const mean = (of: (run: Run) => number) => (runs.reduce((sum, run) => sum + of(run), 0) / runs.length).toFixed(0);
  const measured =
    `steady ${Math.min(...steady).toFixed(2)} to ${Math.max(...steady).toFixed(2)}, highest ${peak.toFixed(2)}, failed ${(100 * failed).toFixed(2)} %, ` +
    `p50 ${mean(({ p50 }) => p50)} ms, p99 ${mean(({ p99 }) => p99)} ms`;
  return { name, version: 'simulated', settings, measured };
}
