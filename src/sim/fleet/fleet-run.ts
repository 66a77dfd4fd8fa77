/**
 * One run of a fleet: servers, clients with production routers, requests that arrive whatever the servers do (open loop), and what came
 * of them.
 *
 * All of it is callbacks, so time passes without promises in between. Requests and their work are drawn apart from everything else: two
 * policies with one seed get the same requests at the same moments, and differ in nothing but where they send them.
 */
import { staticResolver } from '../../core/resolver-static.js';
import type { LimiterOptions } from '../../limiter/limiter.js';
import type { LoadSource } from '../../router/load-sources/source.js';
import type { RouterOptions } from '../../router/options.js';
import type { PickerFactory } from '../../router/pickers/index.js';
import { exponential, logNormal, uniform } from '../distributions.js';
import { type Antagonist, onOffAntagonist } from '../processor.js';
import { ProcessorSharing } from '../processor-sharing.js';
import { createSimulation, type Simulation } from '../simulation.js';
import { type CallbackRouter, callbackRouter } from './callback-router.js';
import { FLEET } from './constants.js';
import { Latencies } from './latencies.js';
import { type FleetSeries, SeriesRecorder } from './series.js';
import { SimServer, workPath } from './sim-server.js';
import { UtilizationMeter } from './utilization.js';

export interface FleetRunOptions {
  readonly seed: number | string;
  readonly clients: number;
  /** Work offered, as a share of what the servers can do on average. */
  readonly utilization: number;
  readonly picker: (servers: readonly SimServer[]) => PickerFactory;
  readonly loadSources?: readonly LoadSource[];
  /** Servers tell their slots; default true. */
  readonly declaresCapacity?: boolean;
  /** Endpoints are weighted by speed; default false. */
  readonly declaresSpeed?: boolean;
  readonly measureMs?: number;
  /** Machines, and how fast; default: those of FLEET, with their antagonists. */
  readonly machines?: FleetMachines;
  /** Of every client's router, beside its resolver and transport. */
  readonly router?: Partial<RouterOptions>;
  /** Spread of the work of a request; default that of FLEET. */
  readonly workSigma?: number;
  /** Requests say that doing them twice is harmless; default false. */
  readonly isIdempotent?: boolean;
  /** Stands before each server, and calls carry their deadline, {@link FLEET}'s timeout; default: none. */
  readonly limiter?: Omit<LimiterOptions, 'runtime'>;
  /** Keep what plots need; default false: it costs a tenth more. */
  readonly withSeries?: boolean;
}

export interface FleetMachines {
  /** Of each server, in turn: as many servers as speeds. */
  readonly speeds: readonly number[];
  /** Of the server with that index; default: none. */
  readonly antagonistOf?: (server: number) => FleetAntagonist | undefined;
  /** Work stops when its caller has gone; default: it goes on to its end. */
  readonly stopsWhenCancelled?: boolean;
}

export interface FleetResult {
  readonly requests: number;
  readonly timeouts: number;
  readonly timeoutShare: number;
  /** Work of the requests answered well and in time, as a share of what the servers can do on average. */
  readonly goodput: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** Utilisation of the busiest 5 % of the servers, and of its highest second. */
  readonly tailUtilization: number;
  readonly tailSpike: number;
  readonly meanUtilization: number;
  readonly probesPerRequest: number;
  /** Processor time of the servers from beginning to end, milliseconds. */
  readonly busyMs: number;
  /** Calls that were answered, and second attempts sent while the first was at work; both from the beginning. */
  readonly calls: number;
  readonly hedges: number;
  readonly hash: string;
  readonly events: number;
  readonly series?: FleetSeries;
}

const FLEET_MACHINES: FleetMachines = {
  speeds: Array.from({ length: FLEET.servers }, (_, server) => FLEET.speeds[server % FLEET.speeds.length] as number),
  antagonistOf: () => FLEET.antagonist,
};

/** A neighbour that takes a share of the processors, by turns. */
export interface FleetAntagonist {
  readonly onMs: number;
  readonly offMs: number;
  readonly least: number;
  readonly most: number;
}

/** Milliseconds of work per millisecond that the fleet does on average, antagonists and speeds counted. */
export function fleetCapacity(machines: FleetMachines = FLEET_MACHINES): number {
  const { speeds, antagonistOf } = machines;
  const free = (server: number) => {
    const antagonist = antagonistOf?.(server);
    if (antagonist === undefined) return 1;
    const { onMs, offMs, least, most } = antagonist;
    return 1 - (onMs / (onMs + offMs)) * ((least + most) / 2);
  };
  return FLEET.slots * speeds.reduce((sum, speed, server) => sum + speed * free(server), 0);
}

/**
 * Runs {@link FLEET}: its servers, `clients` production routers with a picker each, and so much work that the servers are busy for
 * `utilization` of what they can do on average. A second of it is some 18,000 requests at 0.85; it costs half a second of CPU without probes, and more than one with.
 */
export async function runFleet(options: FleetRunOptions): Promise<FleetResult> {
  const simulation = createSimulation({ seed: options.seed, link: { latencyMs: FLEET.networkMs } });
  const servers = makeServers(simulation, options);
  const clients = makeClients(simulation, servers, options);
  // The resolvers' first lists come by promise.
  await simulation.clock.settle();
  const { clock, trace } = simulation;
  const measureFrom = clock.now() + FLEET.warmUpMs;
  const measureTo = measureFrom + (options.measureMs ?? FLEET.measureMs);
  const latencies = new Latencies();
  let requests = 0;
  let doneMs = 0;
  const meter = new UtilizationMeter(clock, servers);
  clock.timer(FLEET.warmUpMs, () => meter.start());
  const recorder = options.withSeries ? new SeriesRecorder(clock, servers, FLEET.warmUpMs, FLEET.timeoutMs) : undefined;
  const arrivals = simulation.random.fork('arrivals');
  const work = simulation.random.fork('work');
  const gap = exponential(FLEET.work.meanMs / (fleetCapacity(options.machines) * options.utilization));
  const workMs = logNormal(FLEET.work.meanMs, options.workSigma ?? FLEET.work.sigma);
  const { isIdempotent: idempotent } = options;
  const isLimited = options.limiter !== undefined;
  const arrive = () => {
    const startedAt = clock.now();
    if (startedAt >= measureTo) return;
    clock.timer(gap(arrivals), arrive);
    const index = arrivals.int(clients.length);
    const isMeasured = startedAt >= measureFrom;
    const ms = workMs(work);
    const onEnd = () => {
      const now = clock.now();
      trace.note(END, now, index);
      if (!isMeasured) return;
      latencies.add(now - startedAt);
      recorder?.ended(startedAt);
    };
    const onResponse = ({ status }: { readonly status: number }) => {
      if (isMeasured && status === 200 && clock.now() - startedAt <= FLEET.timeoutMs) doneMs += ms;
      onEnd();
    };
    const context = isLimited ? { criticality: 'critical' as const, deadline: startedAt + FLEET.timeoutMs } : undefined;
    if (isMeasured) requests++;
    trace.note(START, startedAt, index);
    (clients[index] as CallbackRouter).call({ path: workPath(ms), idempotent }, onResponse, onEnd, context);
  };
  clock.timer(gap(arrivals), arrive);
  clock.runSync(measureTo);
  const probes = servers.reduce((sum, server) => sum + server.probes, 0);
  const arrived = servers.reduce((sum, server) => sum + server.arrived, 0);
  const use = meter.stop();
  recorder?.stop();
  clock.runSync(measureTo + FLEET.giveUpMs + TAIL_MS);
  const timeouts = latencies.above(FLEET.timeoutMs) + requests - latencies.count;
  return {
    requests,
    timeouts,
    timeoutShare: timeouts / requests,
    goodput: doneMs / (fleetCapacity(options.machines) * (measureTo - measureFrom)),
    p50: latencies.quantile(0.5),
    p99: latencies.quantile(0.99),
    p999: latencies.quantile(0.999),
    ...use,
    probesPerRequest: probes / arrived,
    busyMs: servers.reduce((sum, { processor }) => sum + processor.busyMs, 0),
    calls: clients.reduce((sum, client) => sum + client.counts().ok, 0),
    hedges: clients.reduce((sum, client) => sum + client.counts().hedges, 0),
    hash: trace.hash,
    events: trace.events,
    ...(recorder === undefined ? undefined : { series: recorder.series() }),
  };
}

const START = 1;
const END = 2;
const TAIL_MS = 50;

function makeServers(simulation: Simulation, options: FleetRunOptions): SimServer[] {
  const { slots } = FLEET;
  const { speeds, antagonistOf } = options.machines ?? FLEET_MACHINES;
  return speeds.map((speed, index) => {
    const machine = simulation.machine(`server-${index}`, { processors: slots });
    const antagonist = antagonistOf?.(index);
    const processor = new ProcessorSharing(simulation.clock, {
      slots,
      speed,
      ...(antagonist === undefined ? undefined : { antagonist: makeAntagonist(simulation, index, antagonist) }),
      onCpu: (cpuMs) => {
        machine.host.cpuMs = cpuMs;
      },
    });
    return new SimServer(simulation, machine, {
      processor,
      capacity: options.declaresCapacity === false ? undefined : slots,
      stopsWhenCancelled: options.machines?.stopsWhenCancelled,
      ...(options.limiter === undefined ? undefined : { limiter: options.limiter }),
    });
  });
}

function makeAntagonist(simulation: Simulation, server: number, options: FleetAntagonist): Antagonist {
  const random = simulation.random.fork(`antagonist ${server}`);
  const onMs = exponential(options.onMs);
  const offMs = exponential(options.offMs);
  const share = uniform(options.least, options.most);
  return onOffAntagonist(simulation.clock, {
    onMs: () => onMs(random),
    offMs: () => offMs(random),
    share: () => share(random),
    startsOn: random.next() < options.onMs / (options.onMs + options.offMs),
  });
}

function makeClients(simulation: Simulation, servers: readonly SimServer[], options: FleetRunOptions): CallbackRouter[] {
  const { speeds } = options.machines ?? FLEET_MACHINES;
  const endpoints = servers.map(({ address, machine }, index) => ({
    id: machine.name,
    address,
    weight: options.declaresSpeed ? (speeds[index] as number) : 1,
  }));
  return Array.from({ length: options.clients }, (_, index) => {
    const { process } = simulation.machine(`client-${index}`);
    return callbackRouter(simulation, process, {
      service: 'inference',
      resolver: staticResolver(endpoints),
      picker: options.picker(servers),
      timeoutMs: FLEET.giveUpMs,
      retry: false,
      ejection: false,
      ...(options.loadSources === undefined ? undefined : { loadSources: options.loadSources }),
      ...options.router,
    });
  });
}
