/** F4: several models on each host. Which counter of outstanding work makes the replicas of one model share alike? */
import { staticResolver } from 'evenkeel/core';
import { type CounterBlend, createCounterBlend, p2c } from 'evenkeel/router';
import {
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

const HOSTS = 24;
const SLOTS = 8;
const MODELS = 12;
const REPLICAS = 6;
const CLIENTS = 20;
/** Work of a request by model, in turn: small, middling and large ones share hosts. */
const WORK_MS = [5, 20, 60];
const SIGMA = 0.7;
/** Popularity by rank; ranks are dealt out so that large models are not the rare ones. */
const SKEW = 0.8;
const UTILIZATION = 0.6;
const STRIDES = [5, 7, 11];
const NETWORK_MS = 0.2;
const WARM_UP_MS = 2000;
const MEASURED_MS = 8000;
/** Of a live change. */
const BLEND_MS = 4000;
const WINDOW_MS = 1000;
const SEEDS = 5;

interface Run {
  /** Mean over models of the coefficient of variation of the work that each of its replicas got. */
  readonly spread: number;
  /** Mean use of the busiest tenth of the hosts, window by window. */
  readonly tails: readonly number[];
  readonly p99: number;
}

export async function models(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const seeds = Array.from({ length: SEEDS }, (_, i) => options.seed + i);
  const host = await each(seeds, () => createCounterBlend({ counter: 'host' }));
  const model = await each(seeds, () => createCounterBlend({ counter: 'model' }));
  const cuts = host.map(({ spread }, i) => spread / (model[i] as Run).spread);
  onClaim({
    id: 'F4.spread',
    claim: `spread of the load of a model's replicas (${MODELS} models on ${HOSTS} hosts), host counter over model counter`,
    bar: '>= 2x',
    measured: median(cuts),
    unit: 'x',
    low: Math.min(...cuts),
    high: Math.max(...cuts),
    samples: seeds.length,
    holds: median(cuts) >= 2,
    seed: options.seed,
    peers: [line('host counter', host), line('model counter', model)],
  });
  const live = await each(seeds, () => createCounterBlend({ counter: 'host', overMs: BLEND_MS }), 'model');
  const atOnce = await each(seeds, () => createCounterBlend({ counter: 'host', overMs: 0 }), 'model');
  const spike = spikeOf(live);
  onClaim({
    id: 'F4.live',
    claim: `changed over to the model counter in ${BLEND_MS / 1000} s while calls go on: rise of the tail of host use above what it was before`,
    bar: '<= 5 %',
    measured: 100 * spike,
    unit: '%',
    samples: seeds.length,
    holds: spike <= 0.05,
    seed: options.seed,
    peers: [
      {
        name: 'changed over at once',
        version: 'simulated',
        settings: 'same calls',
        measured: `${(100 * spikeOf(atOnce)).toFixed(1)} %`,
      },
    ],
  });
}

async function each(seeds: readonly number[], make: () => CounterBlend, changeTo?: 'model'): Promise<Run[]> {
  const runs: Run[] = [];
  for (const seed of seeds) runs.push(await run(seed, make(), changeTo));
  return runs;
}

async function run(seed: number, counter: CounterBlend, changeTo: 'model' | undefined): Promise<Run> {
  const simulation = createSimulation({ seed, link: { latencyMs: NETWORK_MS } });
  const { clock } = simulation;
  const servers = Array.from({ length: HOSTS }, (_, index) => {
    const machine = simulation.machine(`host-${index}`, { processors: SLOTS });
    return new SimServer(simulation, machine, { processor: new ProcessorSharing(clock, { slots: SLOTS }), capacity: SLOTS });
  });
  const routers = Array.from({ length: CLIENTS }, (_, client) => {
    const { process } = simulation.machine(`client-${client}`);
    return Array.from({ length: MODELS }, (_, model) =>
      callbackRouter(simulation, process, {
        service: `model-${model}`,
        resolver: staticResolver(replicasOf(model).map((at) => ({ id: `host-${at}`, address: `sim://host-${at}` }))),
        picker: p2c({ counter }),
        retry: false,
        ejection: false,
      }),
    );
  });
  await clock.settle();
  const work = WORK_MS.map((ms) => logNormal(ms, SIGMA));
  const weights = shuffledZipf(seed);
  const meanWork = weights.reduce((sum, weight, model) => sum + weight * (WORK_MS[model % WORK_MS.length] as number), 0);
  const gap = exponential(meanWork / (HOSTS * SLOTS * UTILIZATION));
  const chooseModel = weighted(weights);
  const random = simulation.random.fork('calls');
  const given = servers.map(() => new Float64Array(MODELS));
  const latencies: number[] = [];
  const end = WARM_UP_MS + MEASURED_MS;
  const arrive = () => {
    const startedAt = clock.now();
    if (startedAt >= end) return;
    clock.timer(gap(random), arrive);
    const model = chooseModel(random);
    const workMs = (work[model % WORK_MS.length] as (typeof work)[number])(random);
    const isMeasured = startedAt >= WARM_UP_MS;
    const router = routers[random.int(CLIENTS)]?.[model];
    router?.call(
      { path: workPath(workMs, `m${model}`), model: `m${model}` },
      ({ endpoint }) => {
        if (!isMeasured) return;
        const row = given[Number(endpoint.slice('host-'.length))] as Float64Array;
        row[model] = (row[model] as number) + workMs;
        latencies.push(clock.now() - startedAt);
      },
      () => {},
    );
  };
  clock.timer(gap(random), arrive);
  const tails = watchTails(clock, servers, end);
  if (changeTo !== undefined) clock.timer(WARM_UP_MS + MEASURED_MS / 4, () => counter.use(changeTo));
  clock.runSync(end);
  latencies.sort((a, b) => a - b);
  const spreads = Array.from({ length: MODELS }, (_, model) => variation(replicasOf(model).map((at) => given[at]?.[model] ?? 0)));
  return {
    spread: spreads.reduce((sum, one) => sum + one, 0) / MODELS,
    tails,
    p99: latencies[Math.floor(0.99 * latencies.length)] ?? 0,
  };
}

/** Every model on REPLICAS hosts, in strides that have no factor in common with their number: hardly two hosts have the same models. */
function replicasOf(model: number): number[] {
  return Array.from(
    { length: REPLICAS },
    (_, replica) => (2 * model + replica * (STRIDES[model % STRIDES.length] as number)) % HOSTS,
  );
}

function shuffledZipf(seed: number): number[] {
  const weights = zipfWeights(MODELS, SKEW);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((_, model) => (weights[(model * 5 + seed) % MODELS] as number) / total);
}

function watchTails(
  clock: { timer(ms: number, fire: () => void): unknown; now(): number },
  servers: readonly SimServer[],
  end: number,
) {
  const tails: number[] = [];
  let last = servers.map(() => 0);
  const look = () => {
    const now = servers.map(({ processor }) => processor.busyMs);
    const uses = now.map((busy, i) => (busy - (last[i] as number)) / (WINDOW_MS * SLOTS)).sort((a, b) => b - a);
    last = now;
    const tail = uses.slice(0, Math.ceil(HOSTS / 10));
    if (clock.now() > WARM_UP_MS) tails.push(tail.reduce((sum, use) => sum + use, 0) / tail.length);
    if (clock.now() < end) clock.timer(WINDOW_MS, look);
  };
  clock.timer(WINDOW_MS, look);
  return tails;
}

/** The highest window from the change on, over the mean of those before, each window averaged over the seeds. */
function spikeOf(runs: readonly Run[]): number {
  const windows = runs[0]?.tails.length ?? 0;
  const mean = Array.from({ length: windows }, (_, i) => runs.reduce((sum, { tails }) => sum + (tails[i] ?? 0), 0) / runs.length);
  const before = mean.slice(0, Math.floor(MEASURED_MS / 4 / WINDOW_MS));
  const after = mean.slice(before.length);
  return Math.max(...after) / Math.max(...before) - 1;
}

function line(name: string, runs: readonly Run[]) {
  const spread = median(runs.map((one) => one.spread));
  const p99 = median(runs.map((one) => one.p99));
  return { name, version: 'simulated', settings: 'P2C', measured: `spread ${spread.toFixed(3)}, p99 ${p99.toFixed(0)} ms` };
}
