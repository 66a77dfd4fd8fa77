/**
 * One small service, live and simulated: the same program, the same arrivals, the same work, drawn from the same seeds.
 *
 * Servers have slots, and what they do in them is sleep, so that the machine's own speed plays no part; calls beyond them wait. What the
 * simulation is told of the machine is one figure, the way to a server and back when nothing is done there.
 */
import {
  type CallTransport,
  type Clock,
  createRuntime,
  type Listener,
  liveClock,
  type Runtime,
  seededRandom,
  staticResolver,
} from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createLoadReporter, createRouter, p2c } from 'evenkeel/router';
import { createSimulation, exponential, Latencies, logNormal } from 'evenkeel/sim';
import * as undici from 'undici';

export interface LoopbackPlan {
  readonly seed: number;
  readonly servers: number;
  readonly slots: number;
  readonly workMs: number;
  readonly sigma: number;
  /** Of the slots, on average. */
  readonly utilization: number;
  readonly calls: number;
}

export interface LoopbackResult {
  readonly p50: number;
  readonly p90: number;
  readonly failed: number;
}

/** Where it runs. */
interface World {
  readonly client: Runtime;
  readonly transport: CallTransport;
  /** Starts a server. */
  serve(index: number, make: (runtime: Runtime) => Parameters<NonNullable<CallTransport['serve']>>[1]): Promise<Listener>;
  /** Lets time pass while `work` is done. */
  pass<T>(work: Promise<T>): Promise<T>;
}

async function experiment(world: World, plan: LoopbackPlan): Promise<LoopbackResult> {
  const listeners = await world.pass(
    Promise.all(Array.from({ length: plan.servers }, (_, index) => world.serve(index, (runtime) => handler(runtime, plan)))),
  );
  const router = createRouter({
    service: 'loopback',
    resolver: staticResolver(listeners.map(({ address }, index) => ({ id: `server-${index}`, address }))),
    transport: world.transport,
    runtime: world.client,
    picker: p2c({ load: 'reported' }),
    retry: false,
    ejection: false,
  });
  const latencies = new Latencies();
  let failed = 0;
  const { clock } = world.client;
  const arrivals = seededRandom(`${plan.seed} arrivals`);
  const works = seededRandom(`${plan.seed} work`);
  const gap = exponential(plan.workMs / (plan.servers * plan.slots * plan.utilization));
  const work = logNormal(plan.workMs, plan.sigma);
  const begin = clock.now() + 50;
  let at = begin;
  const calls = Array.from({ length: plan.calls }, async () => {
    at += gap(arrivals);
    const path = `/${work(works)}`;
    await clock.sleep(at - clock.now(), undefined, true);
    const startedAt = clock.now();
    await router.call({ path }).then(
      () => latencies.add(clock.now() - startedAt),
      () => failed++,
    );
  });
  await world.pass(Promise.all(calls));
  const closed = Promise.all([router.close(), world.transport.close(), ...listeners.map((listener) => listener.close())]);
  await world.pass(closed);
  return { p50: latencies.quantile(0.5), p90: latencies.quantile(0.9), failed };
}

/** Sleeps for what the path says, in one of the server's slots; the others wait in line. */
function handler(runtime: Runtime, { slots }: LoopbackPlan) {
  const reporter = createLoadReporter({ runtime, capacity: slots });
  const waiting: (() => void)[] = [];
  let working = 0;
  return reporter.calls(async ({ path }) => {
    if (working >= slots) await new Promise<void>((resolve) => waiting.push(resolve));
    else working++;
    await runtime.clock.sleep(Number(path.slice(1)), undefined, true);
    const next = waiting.shift();
    if (next === undefined) working--;
    else next();
    return { status: 200 };
  });
}

export async function live(plan: LoopbackPlan): Promise<LoopbackResult> {
  return experiment(liveWorld(plan.seed), plan);
}

function liveWorld(seed: number): World {
  const clock: Clock = liveClock();
  const transport = createHttpTransport({ undici });
  const runtime = (label: string) => createRuntime({ clock, random: seededRandom(seed).fork(label) });
  return {
    client: runtime('client'),
    transport,
    serve: async (index, make) =>
      (await transport.serve?.({ address: 'http://127.0.0.1:0' }, make(runtime(`server-${index}`)))) as Listener,
    pass: (work) => work,
  };
}

/** @param roundTripMs - Of a call whose server does nothing. */
export async function simulated(plan: LoopbackPlan, roundTripMs: number): Promise<LoopbackResult> {
  const simulation = createSimulation({ seed: plan.seed, link: { latencyMs: roundTripMs / 2 } });
  const { process } = simulation.machine('client');
  const world: World = {
    client: process.runtime,
    transport: simulation.calls(process),
    serve: async (index, make) => {
      const server = simulation.machine(`server-${index}`).process;
      return simulation.calls(server).serve({ address: `sim://server-${index}` }, make(server.runtime));
    },
    async pass(work) {
      let isDone = false;
      const done = () => {
        isDone = true;
      };
      work.then(done, done);
      while (!isDone) await simulation.clock.advance(PASS_MS);
      return work;
    },
  };
  return experiment(world, plan);
}

const PASS_MS = 1000;

/** Median of calls one after the other, to a server that answers at once after a sleep as short as a timer goes. */
export async function roundTrip(seed: number, calls: number): Promise<number> {
  const plan: LoopbackPlan = { seed, servers: 1, slots: 1000, workMs: SHORT_MS, sigma: 0, utilization: 0, calls: 0 };
  const world = liveWorld(seed);
  const listener = await world.serve(0, (runtime) => handler(runtime, plan));
  const router = createRouter({
    service: 'loopback',
    resolver: staticResolver([listener.address]),
    transport: world.transport,
    runtime: world.client,
  });
  const latencies = new Latencies();
  for (let i = 0; i < calls; i++) {
    const startedAt = world.client.clock.now();
    await router.call({ path: `/${SHORT_MS}` });
    latencies.add(world.client.clock.now() - startedAt - SHORT_MS);
  }
  await router.close();
  await world.transport.close();
  await listener.close();
  return latencies.quantile(0.5);
}

/** A sleep in the service, its timer's lateness counted as part of the way. */
const SHORT_MS = 5;
