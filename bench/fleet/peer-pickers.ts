/**
 * The rules that the router is measured against, as pickers of the router itself: transport, clients and servers are the same for all,
 * and only the choice differs. `Full information` means: the true state of every server at the moment of the choice, no network between.
 */
import type { Random } from 'evenkeel/core';
import type { Candidate, Picker, PickerEnvironment, PickerFactory, PickSet, Prober } from 'evenkeel/router';
import type { SimServer } from 'evenkeel/sim';

type ServerOf = (candidate: Candidate) => SimServer;

function lookup(servers: readonly SimServer[]): ServerOf {
  const byName = new Map(servers.map((server) => [server.machine.name, server]));
  return ({ endpoint }) => byName.get(endpoint.id) as SimServer;
}

/** The least `score` of `choices` distinct random servers (Infinity: of all), by their true state. */
export function fullInformation(choices: number, score: (server: SimServer) => number) {
  return (servers: readonly SimServer[]): PickerFactory => {
    const serverOf = lookup(servers);
    return (random) => ({
      name: 'full information',
      pickIndex: ({ candidates }) => bestOf(sample(candidates.length, choices, random), candidates, (c) => score(serverOf(c))),
    });
  };
}

/** Work there and this call, over the speed that is left: where this call would end first if no other came. */
export function freeCapacity({ processor }: SimServer): number {
  return (processor.inFlight + 1) / processor.freeSpeed;
}

/** Least reported CPU utilisation of two: a counter that is an average over the last second. */
export function leastCpu(): PickerFactory {
  return (random) => ({
    name: 'least cpu',
    pickIndex: ({ candidates }) =>
      bestOf(sample(candidates.length, 2, random), candidates, ({ report }) => report?.cpuUtilization ?? 0),
  });
}

/** Samples of latency that a server keeps, by requests in flight at arrival. */
const KEPT_SAMPLES = 32;
const NEAR_SAMPLES = 8;

/**
 * Prequal as published: pool of 16 probes, 3 a call, hot above the 2^-0.25 quantile of requests in flight, else the least latency, where
 * a server's latency is the median of recent samples near its present number in flight; reuse budget, one removal a call, oldest and
 * worst in turn. Probe answers are the true state when they arrive, which is kinder than a network. The quantile is over the pool and the
 * median over 8 of the last 32 samples: of what was tried (the latest of every replica; 16 to 512 samples) the settings that serve it best.
 * @see Prequal, NSDI'24
 */
export function prequal(hotQuantile: number) {
  return (servers: readonly SimServer[]): PickerFactory => {
    const serverOf = lookup(servers);
    const latencies = new Map(servers.map((server) => [server, new LatencyByInFlight()]));
    for (const server of servers) server.onServed = (elapsedMs, inFlight) => latencies.get(server)?.add(elapsedMs, inFlight);
    return (random, environment) =>
      new Prequal(random, environment as PickerEnvironment, hotQuantile, (candidate) => {
        const server = serverOf(candidate);
        const { inFlight } = server.processor;
        return { inFlight, latencyMs: latencies.get(server)?.median(inFlight) ?? 0 };
      });
  };
}

class LatencyByInFlight {
  readonly #samples: { elapsedMs: number; inFlight: number }[] = [];
  #next = 0;

  add(elapsedMs: number, inFlight: number): void {
    this.#samples[this.#next++ % KEPT_SAMPLES] = { elapsedMs, inFlight };
  }

  /** Of the samples nearest to `inFlight`. */
  median(inFlight: number): number {
    const near = [...this.#samples]
      .sort((a, b) => Math.abs(a.inFlight - inFlight) - Math.abs(b.inFlight - inFlight))
      .slice(0, NEAR_SAMPLES)
      .map(({ elapsedMs }) => elapsedMs)
      .sort((a, b) => a - b);
    return near[near.length >> 1] ?? 0;
  }
}

interface ProbeAnswer {
  readonly index: number;
  readonly atMs: number;
  readonly latencyMs: number;
  inFlight: number;
  usesLeft: number;
}

const POOL = 16;
const PROBES = 3;
const MAX_AGE_MS = 1000;

class Prequal implements Picker {
  readonly name = 'prequal';
  readonly #random: Random;
  readonly #prober: Prober;
  readonly #hotQuantile: number;
  readonly #read: (candidate: Candidate) => { inFlight: number; latencyMs: number };
  #pool: ProbeAnswer[] = [];
  #takesOldest = false;

  constructor(
    random: Random,
    environment: PickerEnvironment,
    hotQuantile: number,
    read: (candidate: Candidate) => { inFlight: number; latencyMs: number },
  ) {
    this.#random = random;
    this.#prober = environment.prober({ path: '/load', timeoutMs: 10, maxPerSecond: 1e9 });
    this.#hotQuantile = hotQuantile;
    this.#read = read;
  }

  pickIndex({ candidates }: PickSet, { now }: { now: number }): number {
    const reuse = Math.max(1, 2 / ((1 - POOL / candidates.length) * PROBES - 1));
    for (const index of sample(candidates.length, PROBES, this.#random)) {
      const candidate = candidates[index] as Candidate;
      this.#prober.ask(candidate, now, (isAnswered, atMs) => {
        if (!isAnswered) return;
        const { inFlight, latencyMs } = this.#read(candidate);
        const usesLeft = Math.floor(reuse + this.#random.next());
        this.#pool = this.#pool.filter((probe) => probe.index !== index).slice(-POOL + 1);
        this.#pool.push({ index, atMs, latencyMs, inFlight, usesLeft });
      });
    }
    this.#pool = this.#pool.filter(({ atMs }) => now - atMs <= MAX_AGE_MS);
    if (this.#pool.length < 2) return this.#random.int(candidates.length);
    const sorted = this.#pool.map(({ inFlight }) => inFlight).sort((a, b) => a - b);
    const hotAbove = sorted[Math.min(sorted.length - 1, Math.floor(this.#hotQuantile * sorted.length))] as number;
    const cold = this.#pool.filter(({ inFlight }) => inFlight <= hotAbove);
    const chosen =
      cold.length > 0
        ? cold.reduce((a, b) => (b.latencyMs < a.latencyMs ? b : a))
        : this.#pool.reduce((a, b) => (b.inFlight < a.inFlight ? b : a));
    chosen.inFlight++;
    chosen.usesLeft--;
    this.#remove(hotAbove);
    this.#pool = this.#pool.filter(({ usesLeft }) => usesLeft > 0);
    return chosen.index;
  }

  #remove(hotAbove: number): void {
    this.#takesOldest = !this.#takesOldest;
    if (this.#pool.length <= 2) return;
    const hot = this.#pool.filter(({ inFlight }) => inFlight > hotAbove);
    const worst =
      hot.length > 0
        ? hot.reduce((a, b) => (b.inFlight > a.inFlight ? b : a))
        : this.#pool.reduce((a, b) => (b.latencyMs > a.latencyMs ? b : a));
    this.#pool.splice(this.#takesOldest ? 0 : this.#pool.indexOf(worst), 1);
  }
}

function bestOf(indexes: readonly number[], candidates: readonly Candidate[], score: (candidate: Candidate) => number): number {
  let best = indexes[0] as number;
  let least = Number.POSITIVE_INFINITY;
  for (const index of indexes) {
    const value = score(candidates[index] as Candidate);
    if (value < least) {
      best = index;
      least = value;
    }
  }
  return best;
}

/** Distinct, in random order. */
function sample(size: number, count: number, random: Random): number[] {
  if (count >= size) {
    const start = random.int(size);
    return Array.from({ length: size }, (_, i) => (start + i) % size);
  }
  const chosen: number[] = [];
  while (chosen.length < count) {
    const index = random.int(size);
    if (!chosen.includes(index)) chosen.push(index);
  }
  return chosen;
}
