/** F10: one service of 90,000 endpoints, and one of 10,000 services. */
import { createRuntime, type Endpoint, type StateEvent, seededRandom } from 'evenkeel/core';
import { createMemoryState } from 'evenkeel/memory';
import { createRibBuilder, type RibBuilder, ribResolver } from 'evenkeel/router';
import { virtualClock } from 'evenkeel/testing';
import { type Claim, type SuiteOptions, wants } from '../support/claim.js';
import { median } from '../support/paired.js';
import { announceAs, CountedState, endpointsOf, ReplayedState } from './rib-fleet.js';

const SERVICE = 'ranker';
const ENDPOINTS = 90_000;
/** Of them that change in one delta: a tenth of a thousandth. */
const CHANGED = 10;
const DELTAS = 21;
const BOOTSTRAPS = 7;
const BOOTSTRAP_BAR_MS = 2000;

const SERVICES = [100, 1000, 10_000];
const TRAFFIC_SECONDS = 20;
/** Changes a second of the service that is called, and of each other one. */
const OWN_RATE = 1;
const OTHER_RATE = 0.05;
const FLAT_BAR = 1.05;

export async function rib(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  // The library's timers do not keep a process alive.
  const hold = setInterval(() => {}, 1000);
  try {
    if (['F10.bytes', 'F10.builder', 'F10.delta', 'F10.client', 'F10.bootstrap'].some((id) => wants(options, id))) {
      await oneLargeService(options, onClaim);
    }
    if (wants(options, 'F10.traffic')) await manyServices(options, onClaim);
  } finally {
    clearInterval(hold);
  }
}

/** All claims of F10. */
export async function measureRib(options: SuiteOptions): Promise<Claim[]> {
  const claims: Claim[] = [];
  await rib(options, (claim) => claims.push(claim));
  return claims;
}

async function oneLargeService({ seed, say }: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const state = createMemoryState();
  const endpoints = endpointsOf(ENDPOINTS, seed);
  for (const endpoint of endpoints) await announceAs(state, SERVICE, endpoint);
  say(`${ENDPOINTS} endpoints are announced`);
  const builder = createRibBuilder({ state });
  try {
    const whole = await published(builder);
    const naive = JSON.stringify(endpoints).length;
    onClaim({
      id: 'F10.bytes',
      claim: `a table of ${ENDPOINTS} endpoints, with random ids and addresses, weights, localities and two attributes`,
      bar: 'listed',
      measured: whole.bytes / ENDPOINTS,
      unit: 'bytes an endpoint',
      holds: true,
      isInformation: true,
      peers: [{ name: 'the same as JSON', version: '', settings: 'an array of objects', measured: naive / ENDPOINTS }],
      seed,
    });
    const prefix = `rib/${SERVICE}/`;
    const list: StateEvent[] = [];
    const steps: StateEvent[][] = [];
    let current = list;
    const watch = state.watch(prefix, (event) => current.push(event));
    await sleep(10);
    const costs: number[] = [];
    const bytes: number[] = [];
    const random = seededRandom(`deltas ${seed}`);
    for (let i = 0; i < DELTAS; i++) {
      current = [];
      steps.push(current);
      const before = process.cpuUsage();
      for (let changed = 0; changed < CHANGED; changed++) {
        const endpoint = endpoints[random.int(ENDPOINTS)] as Endpoint;
        await announceAs(state, SERVICE, { ...endpoint, weight: 10 + i });
      }
      bytes.push((await published(builder)).bytes);
      costs.push(cpuSince(before));
      await sleep(5);
    }
    watch.close();
    listed(
      onClaim,
      'F10.builder',
      `CPU of the builder for a delta of ${CHANGED} endpoints among ${ENDPOINTS}`,
      costs,
      'ms',
      seed,
    );
    listed(onClaim, 'F10.delta-bytes', `bytes of such a delta`, bytes, 'bytes', seed);
    listed(onClaim, 'F10.client', 'CPU of a client for the same delta', await clientCosts(prefix, list, steps), 'ms', seed);
    const bootstraps: number[] = [];
    for (let i = 0; i < BOOTSTRAPS; i++) bootstraps.push(await bootstrap(state));
    onClaim({
      id: 'F10.bootstrap',
      claim: `from the start of a resolver to the list of ${ENDPOINTS} endpoints, store in the process, the worst`,
      bar: `< ${BOOTSTRAP_BAR_MS} ms`,
      measured: Math.max(...bootstraps),
      unit: 'ms',
      low: Math.min(...bootstraps),
      high: Math.max(...bootstraps),
      samples: BOOTSTRAPS,
      holds: Math.max(...bootstraps) < BOOTSTRAP_BAR_MS,
      seed,
    });
  } finally {
    await builder.close();
    await state.close();
  }
}

/** Nobody else works meanwhile: what the store told is told again. */
async function clientCosts(
  prefix: string,
  list: readonly StateEvent[],
  steps: readonly (readonly StateEvent[])[],
): Promise<number[]> {
  const state = new ReplayedState(prefix, list);
  let heard = () => {};
  const resolution = ribResolver({ state, service: SERVICE }).start(createRuntime(), {
    onEndpoints: () => {},
    onRouting: () => heard(),
    onError: () => {},
  });
  const next = () =>
    new Promise<void>((resolve) => {
      heard = resolve;
    });
  await next();
  const costs: number[] = [];
  for (const step of steps) {
    const isHeard = next();
    const before = process.cpuUsage();
    state.tell(step);
    await isHeard;
    costs.push(cpuSince(before));
  }
  resolution.close();
  return costs;
}

async function bootstrap(state: ReturnType<typeof createMemoryState>): Promise<number> {
  const startedAt = performance.now();
  const count = await new Promise<number>((resolve, reject) => {
    const resolution = ribResolver({ state, service: SERVICE }).start(createRuntime(), {
      onEndpoints: (endpoints) => {
        resolve(endpoints.length);
        queueMicrotask(() => resolution.close());
      },
      onError: reject,
    });
  });
  if (count !== ENDPOINTS) throw new Error(`${count} endpoints; expected ${ENDPOINTS}`);
  return performance.now() - startedAt;
}

async function manyServices({ seed, say }: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const rates: number[] = [];
  for (const services of SERVICES) {
    rates.push(await trafficAmong(services, seed));
    say(`a client of one of ${services} services receives ${Math.round(rates.at(-1) ?? 0)} bytes/s`);
  }
  const ratio = Math.max(...rates) / Math.min(...rates);
  onClaim({
    id: 'F10.traffic',
    claim: `what a client of one service receives among ${SERVICES.join(', ')} services that change, the most to the least`,
    bar: `<= ${FLAT_BAR}`,
    measured: ratio,
    unit: `x, of ${Math.round(rates[0] ?? 0)} bytes/s`,
    samples: SERVICES.length,
    holds: ratio <= FLAT_BAR,
    seed,
  });
}

/** In virtual time, so that the same happens to the client whatever the others cost. */
async function trafficAmong(services: number, seed: number): Promise<number> {
  const clock = virtualClock();
  const runtime = createRuntime({ clock, random: seededRandom(seed) });
  const state = createMemoryState({ clock });
  const [own = fail(), other = fail(), third = fail()] = endpointsOf(3, seed);
  for (let i = 0; i < services; i++) for (const endpoint of [own, other]) await announceAs(state, `service-${i}`, endpoint);
  const builder = createRibBuilder({ state, runtime });
  await clock.advance(5000);
  const counted = new CountedState(state);
  let tables = 0;
  const listener = { onEndpoints: () => {}, onRouting: () => tables++, onError: () => {} };
  const resolution = ribResolver({ state: counted, service: 'service-0' }).start(runtime, listener);
  await clock.advance(1000);
  counted.bytes = 0;
  let due = 0;
  let next = 1;
  for (let second = 0; second < TRAFFIC_SECONDS; second++) {
    const change = { ...third, weight: 1 + second };
    for (let i = 0; i < OWN_RATE; i++) await announceAs(state, 'service-0', change);
    for (due += (services - 1) * OTHER_RATE; due >= 1; due--) {
      await announceAs(state, `service-${next}`, change);
      next = next + 1 < services ? next + 1 : 1;
    }
    await clock.advance(1000);
  }
  const bytes = counted.bytes / TRAFFIC_SECONDS;
  resolution.close();
  await builder.close();
  await state.close();
  if (tables < TRAFFIC_SECONDS * OWN_RATE) throw new Error(`${tables} tables in ${TRAFFIC_SECONDS} s`);
  return bytes;
}

function published(builder: RibBuilder): Promise<{ bytes: number }> {
  return new Promise((resolve) => builder.events.once('published', resolve));
}

function listed(
  onClaim: (claim: Claim) => void,
  id: string,
  claim: string,
  values: readonly number[],
  unit: string,
  seed: number,
): void {
  onClaim({
    id,
    claim,
    bar: 'listed',
    measured: median(values),
    unit,
    low: Math.min(...values),
    high: Math.max(...values),
    samples: values.length,
    holds: true,
    isInformation: true,
    seed,
  });
}

function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function fail(): never {
  throw new Error('no endpoint');
}
