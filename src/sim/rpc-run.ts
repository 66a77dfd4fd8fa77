/**
 * Calls as they are in a large fleet, at servers that run short of memory bandwidth before they run short of processors: what their
 * memory makes them wait for shows as work of the processors.
 */
import { staticResolver } from '../core/resolver-static.js';
import { exponential, logNormalOf } from './distributions.js';
import { callbackRouter } from './fleet/callback-router.js';
import { SimServer, workPath } from './fleet/sim-server.js';
import { type FleetUse, UtilizationMeter } from './fleet/utilization.js';
import { ProcessorSharing } from './processor-sharing.js';
import { rpcWorkload } from './rpc-workload.js';
import { createSimulation } from './simulation.js';

export interface RpcRunOptions {
  readonly seed: number | string;
  /** Of the processors, if memory made nobody wait. */
  readonly utilization: number;
  readonly measureMs: number;
}

export interface RpcRunResult extends FleetUse {
  readonly hash: string;
  readonly events: number;
  readonly requests: number;
  /** Of the time of a call, over the work that it is: 1 is a call that waits for nothing. Quantiles. */
  readonly slowdown: { readonly p50: number; readonly p99: number };
  readonly p50: number;
  readonly p99: number;
  readonly timeoutShare: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Tail utilisation, second by second. */
  readonly tails: readonly number[];
}

const SERVERS = 24;
const SLOTS = 8;
const CLIENTS = 12;
/** Share of a server's memory bandwidth that a call takes while it runs: ten calls at once are beyond the knee, two more than slots. */
const MEMORY = 0.07;
/** A call of a method that takes longer than this on an idle machine is a job, and not for this fleet. */
const LONGEST_MS = 1000;
const TIMEOUT_MS = 2000;
const WARM_UP_MS = 3000;
const SAMPLES = 50_000;
const START = 1;
const END = 2;

export async function runRpc({ seed, utilization, measureMs }: RpcRunOptions): Promise<RpcRunResult> {
  const simulation = createSimulation({ seed, link: { latencyMs: logNormalOf(0.3, 3) } });
  const { clock, trace, random } = simulation;
  const servers = Array.from({ length: SERVERS }, (_, i) => {
    const machine = simulation.machine(`server-${i}`, { processors: SLOTS });
    const processor = new ProcessorSharing(clock, { slots: SLOTS });
    return new SimServer(simulation, machine, { processor, capacity: SLOTS, memory: MEMORY });
  });
  const endpoints = servers.map(({ machine, address }) => ({ id: machine.name, address }));
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    callbackRouter(simulation, simulation.machine(`client-${i}`).process, {
      service: 'rpc',
      resolver: staticResolver(endpoints),
      timeoutMs: TIMEOUT_MS,
      retry: false,
    }),
  );
  await clock.settle();
  const workload = rpcWorkload(random.fork('methods'));
  const work = (stream: typeof random) => {
    const call = workload.next(stream);
    return { ...call, workMs: Math.min(LONGEST_MS, call.workMs) };
  };
  const arrivals = random.fork('arrivals');
  const gap = exponential(meanOf(() => work(arrivals).workMs) / (SERVERS * SLOTS * utilization));
  const meter = new UtilizationMeter(clock, servers);
  const latencies: number[] = [];
  const slowdowns: number[] = [];
  const bytes = { request: 0, response: 0 };
  let timeouts = 0;
  let requests = 0;
  const until = WARM_UP_MS + measureMs;
  const arrive = () => {
    const startedAt = clock.now();
    if (startedAt >= until) return;
    clock.timer(gap(arrivals), arrive);
    const call = work(arrivals);
    const index = arrivals.int(CLIENTS);
    trace.note(START, startedAt, call.method.rank);
    const isMeasured = startedAt >= WARM_UP_MS;
    if (isMeasured) {
      requests++;
      bytes.request += call.requestBytes;
      bytes.response += call.responseBytes;
    }
    const onEnd = () => {
      const ms = clock.now() - startedAt;
      trace.note(END, clock.now(), call.method.rank);
      if (!isMeasured) return;
      latencies.push(ms);
      slowdowns.push(ms / call.workMs);
    };
    const onError = () => {
      trace.note(END, clock.now(), -1);
      if (isMeasured) timeouts++;
    };
    clients[index]?.call({ path: workPath(call.workMs) }, onEnd, onError);
  };
  clock.timer(gap(arrivals), arrive);
  await clock.run(WARM_UP_MS);
  meter.start();
  await clock.run(until);
  const use = meter.stop();
  await clock.run(until + 2 * TIMEOUT_MS);
  const [p50, p99] = quantiles(latencies);
  const [slow50, slow99] = quantiles(slowdowns);
  return {
    ...use,
    hash: trace.hash,
    events: trace.events,
    requests,
    slowdown: { p50: slow50, p99: slow99 },
    p50,
    p99,
    timeoutShare: timeouts / Math.max(1, requests),
    requestBytes: bytes.request / Math.max(1, requests),
    responseBytes: bytes.response / Math.max(1, requests),
    tails: meter.tails,
  };
}

function meanOf(draw: () => number): number {
  let sum = 0;
  for (let i = 0; i < SAMPLES; i++) sum += draw();
  return sum / SAMPLES;
}

function quantiles(values: number[]): [p50: number, p99: number] {
  values.sort((a, b) => a - b);
  return [values[Math.floor(0.5 * values.length)] ?? 0, values[Math.floor(0.99 * values.length)] ?? 0];
}
