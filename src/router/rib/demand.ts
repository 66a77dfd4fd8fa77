/**
 * Who calls a service, from where, and how often: the documents `demand/<service>/<id>`, `{ v: 1, locality, rps }`, held by a lease.
 *
 * And when nobody tells? What each locality serves is laid at the door of its callers as the plan in force sent them, and of its own
 * clients where there is no plan: as good a guess as the totals allow, since the plan decides who goes where.
 */
import { keySegment } from '../../core/announcement.js';
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { LeaseKeeper } from '../../core/lease.js';
import { randomId } from '../../core/random.js';
import { createRuntime, type Runtime } from '../../core/runtime.js';
import type { StateTransport } from '../../core/transport/state.js';
import { asNumber, asString, decoding, parseDocument } from './document-fields.js';
import { MAX_LOCALITY_LENGTH } from './locality.js';
import { DEMAND_PREFIX } from './rib-keys.js';
import type { ClientLocality, RoutingPlan, ServerLocality } from './routing-plan.js';

export interface Demand {
  readonly locality: string;
  readonly ratePerSecond: number;
}

export interface ReportDemandOptions {
  state: StateTransport;
  service: string;
  /** Where this caller stands. */
  locality: string;
  /** Calls this process makes to the service a second, wherever they go, the refused ones included. */
  ratePerSecond: () => number;
  /** How long the last figure stands; told anew three times in it. Default 6,000 ms; 500 to 86,400,000. */
  leaseMs?: number;
  /** Default: one of its own. */
  runtime?: Runtime;
}

export const DEFAULT_DEMAND_LEASE_MS = 6000;
const RATE_DIGITS = 3;

/**
 * Tells the builder of routing tables how much this process calls, until it is closed. Costs three small writes a lease.
 * @throws {EvenkeelError} `invalid-argument` for a bad service, locality or lease.
 */
export function reportDemand(options: ReportDemandOptions): AsyncDisposable & { close(): Promise<void> } {
  const { state, service, locality, ratePerSecond } = options;
  if (typeof state?.put !== 'function') throw invalidArgument('state', state, 'a StateTransport');
  if (typeof service !== 'string' || service === '') throw invalidArgument('service', service, 'the name of a service');
  if (typeof locality !== 'string' || locality.length > MAX_LOCALITY_LENGTH) {
    throw invalidArgument('locality', locality, `at most ${MAX_LOCALITY_LENGTH} characters`);
  }
  const leaseMs = checkNumber('leaseMs', options.leaseMs ?? DEFAULT_DEMAND_LEASE_MS, 500, 86_400_000);
  const runtime = options.runtime ?? createRuntime();
  const id = randomId(runtime.random);
  const keeper = new LeaseKeeper({
    state,
    key: `${DEMAND_PREFIX}${keySegment(service)}/${id}`,
    value: () => encodeDemand({ locality, ratePerSecond: readRate(ratePerSecond, runtime) }),
    // The key is this process's own.
    isOurs: () => true,
    leaseMs,
    runtime,
    conflict: 'take-over',
  });
  keeper.start();
  const close = async () => {
    await keeper.release();
  };
  return { close, [Symbol.asyncDispose]: close };
}

export function encodeDemand({ locality, ratePerSecond }: Demand): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: 1, locality, rps: Number(ratePerSecond.toPrecision(RATE_DIGITS)) }));
}

/** @throws {EvenkeelError} `invalid-argument` for anything else. */
export function decodeDemand(bytes: Uint8Array): Demand {
  const what = 'demand';
  return decoding(what, () => {
    const { locality, rps } = parseDocument(what, bytes);
    return { locality: asString('locality', locality, MAX_LOCALITY_LENGTH), ratePerSecond: asNumber('rps', rps) };
  });
}

/**
 * One step of expectation and maximisation from `before` towards the demand that explains what is served; totals are kept.
 * @see Richardson 1972, Lucy 1974
 */
export function estimateDemand(
  servers: readonly ServerLocality[],
  plan: RoutingPlan | undefined,
  before: readonly ClientLocality[],
): ClientLocality[] {
  const prior = new Map(before.map(({ locality, ratePerSecond }) => [locality, ratePerSecond]));
  const demand = new Map<string, number>(servers.map(({ locality }) => [locality, 0]));
  const add = (locality: string, rate: number) => demand.set(locality, (demand.get(locality) ?? 0) + rate);
  const sources = new Map<string, { client: string; calls: number }[]>();
  for (const { locality: client, rings } of plan?.clients ?? []) {
    demand.set(client, 0);
    for (const { localities, shares } of rings) {
      for (const [i, server] of localities.entries()) {
        const calls = (prior.get(client) ?? 0) * (shares[i] ?? 0);
        if (calls > 0) sources.set(server, [...(sources.get(server) ?? []), { client, calls }]);
      }
    }
  }
  for (const { locality, ratePerSecond = 0 } of servers) {
    const from = sources.get(locality) ?? [];
    const total = from.reduce((sum, { calls }) => sum + calls, 0);
    if (total === 0) add(locality, ratePerSecond);
    else for (const { client, calls } of from) add(client, (ratePerSecond * calls) / total);
  }
  return [...demand].map(([locality, ratePerSecond]) => ({ locality, ratePerSecond }));
}

function readRate(read: () => number, { diagnostics }: Runtime): number {
  try {
    const rate = read();
    return rate >= 0 && Number.isFinite(rate) ? rate : 0;
  } catch (error) {
    diagnostics.report('demand: ratePerSecond', error);
    return 0;
  }
}
