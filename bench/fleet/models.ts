/** F4: several models on each host. Which counter of outstanding work makes the replicas of one model share alike? */
import { type Random, staticResolver } from 'evenkeel/core';
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
/** Of all models together: three on a host. */
const REPLICAS = 3 * HOSTS;
const LEAST_REPLICAS = 2;
const MOST_OF_MEAN = 1.4;
const CLIENTS = 20;
/** Work of a request by model, in turn: small, middling and large ones share hosts. */
const WORK_MS = [5, 20, 60];
const SIGMA = 0.7;
/** Popularity by rank; ranks are dealt out so that large models are not the rare ones. */
const SKEW = 0.8;
const UTILIZATION = 0.6;
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
  const auto = await each(seeds, () => undefined);
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
    holds: Math.min(...cuts) >= 2,
    seed: options.seed,
    peers: [
      line('host counter', 'P2C', host),
      line('model counter', 'P2C', model),
      line('auto()', 'by costs, of whole hosts', auto),
    ],
  });
  const live = await each(seeds, () => createCounterBlend({ counter: 'host', overMs: BLEND_MS }), 'model');
  const atOnce = await each(seeds, () => createCounterBlend({ counter: 'host', overMs: 0 }), 'model');
  const spikes = live.map((one, i) => 100 * spikeOf(one, [host[i], model[i]] as Run[]));
  const spikesAtOnce = atOnce.map((one, i) => 100 * spikeOf(one, [host[i], model[i]] as Run[]));
  onClaim({
    id: 'F4.live',
    claim: `changed over to the model counter in ${BLEND_MS / 1000} s while calls go on: the highest tail of host use (windows of ${WINDOW_MS / 1000} s), over the highest with either counter all along`,
    bar: '<= 5 %',
    measured: median(spikes),
    unit: '%',
    low: Math.min(...spikes),
    high: Math.max(...spikes),
    samples: seeds.length,
    holds: Math.max(...spikes) <= 5,
    seed: options.seed,
    peers: [
      {
        name: 'changed over at once',
        version: 'simulated',
        settings: 'same calls',
        measured: `${median(spikesAtOnce).toFixed(1)} % [${Math.min(...spikesAtOnce).toFixed(1)}, ${Math.max(...spikesAtOnce).toFixed(1)}]`,
      },
    ],
  });
}

async function each(seeds: readonly number[], make: () => CounterBlend | undefined, changeTo?: 'model'): Promise<Run[]> {
  const runs: Run[] = [];
  for (const seed of seeds) runs.push(await run(seed, make(), changeTo));
  return runs;
}

async function run(seed: number, counter: CounterBlend | undefined, changeTo: 'model' | undefined): Promise<Run> {
  const simulation = createSimulation({ seed, link: { latencyMs: NETWORK_MS } });
  const { clock } = simulation;
  const weights = shuffledZipf(seed);
  const hostsOf = place(weights, simulation.random.fork('place'));
  const servers = Array.from({ length: HOSTS }, (_, index) => {
    const machine = simulation.machine(`host-${index}`, { processors: SLOTS });
    return new SimServer(simulation, machine, { processor: new ProcessorSharing(clock, { slots: SLOTS }), capacity: SLOTS });
  });
  const routers = Array.from({ length: CLIENTS }, (_, client) => {
    const { process } = simulation.machine(`client-${client}`);
    return Array.from({ length: MODELS }, (_, model) =>
      callbackRouter(simulation, process, {
        service: `model-${model}`,
        resolver: staticResolver((hostsOf[model] as number[]).map((at) => ({ id: `host-${at}`, address: `sim://host-${at}` }))),
        ...(counter === undefined ? undefined : { picker: p2c({ counter }) }),
        retry: false,
        ejection: false,
      }),
    );
  });
  await clock.settle();
  const work = WORK_MS.map((ms) => logNormal(ms, SIGMA));
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
  if (changeTo !== undefined) clock.timer(WARM_UP_MS + MEASURED_MS / 4, () => counter?.use(changeTo));
  clock.runSync(end);
  latencies.sort((a, b) => a - b);
  const spreads = Array.from({ length: MODELS }, (_, model) =>
    variation((hostsOf[model] as number[]).map((at) => given[at]?.[model] ?? 0)),
  );
  return {
    spread: spreads.reduce((sum, one) => sum + one, 0) / MODELS,
    tails,
    p99: latencies[Math.floor(0.99 * latencies.length)] ?? 0,
  };
}

/**
 * Hosts of each model: as many as its share of the work is worth, the heaviest replicas first, each on a random host that would not have
 * more than so much of the mean to do. Hosts are used unequally, as they are when popularity has changed since they were given their
 * models; none is overloaded, as long as replicas of a model share alike.
 */
function place(weights: readonly number[], random: Random): number[][] {
  const work = weights.map((weight, model) => weight * (WORK_MS[model % WORK_MS.length] as number));
  const total = work.reduce((sum, one) => sum + one, 0);
  const counts = work.map((one) => Math.min(HOSTS, Math.max(LEAST_REPLICAS, Math.round((REPLICAS * one) / total))));
  const order = work.map((_, model) => model).sort((x, y) => perReplica(y) - perReplica(x));
  const loads = new Float64Array(HOSTS);
  const placed: number[][] = work.map(() => []);
  const most = (MOST_OF_MEAN * total) / HOSTS;
  function perReplica(model: number): number {
    return (work[model] as number) / (counts[model] as number);
  }
  for (const model of order) {
    const hosts = Array.from(loads, (load, at) => ({ at, order: load + perReplica(model) > most ? 1 + load : random.next() }));
    hosts.sort((x, y) => x.order - y.order);
    for (const { at } of hosts.slice(0, counts[model])) {
      placed[model]?.push(at);
      loads[at] = (loads[at] as number) + perReplica(model);
    }
  }
  return placed;
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

/** The highest window from the change on, over the highest of the same calls with either counter all along. */
function spikeOf(changed: Run, steady: readonly Run[]): number {
  const highest = ({ tails }: Run) => Math.max(...tails.slice(Math.floor(MEASURED_MS / 4 / WINDOW_MS)));
  return highest(changed) / Math.max(...steady.map(highest)) - 1;
}

function line(name: string, settings: string, runs: readonly Run[]) {
  const spread = median(runs.map((one) => one.spread));
  const p99 = median(runs.map((one) => one.p99));
  return { name, version: 'simulated', settings, measured: `spread ${spread.toFixed(3)}, p99 ${p99.toFixed(0)} ms` };
}
