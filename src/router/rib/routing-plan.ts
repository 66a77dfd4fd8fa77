/**
 * Which share of each client locality's calls goes to which server locality.
 *
 * Why does it not swing? What is placed is the demand of the clients, not the load of the servers. Moving traffic moves load between
 * localities and leaves its sum as it was, and of the load only the sum counts here: the cost of one call. So a plan is not a
 * function of its own consequences, however late those are reported. Errors are: a locality whose calls fail is believed to be full
 * by that share, since one that fails fast looks idle.
 * @see ServiceRouter, OSDI 2023: locality rings and the cross-region load balancer
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { checkRings, type RingOptions, type Rtt, ringCount, ringOf, rttLookup } from './locality.js';
import { nextShares, workOf } from './plan-transition.js';
import { emptyFill, type FillProblem, fillUpTo, spreadRest } from './water-fill.js';

export interface ServerLocality {
  readonly locality: string;
  /** Sum of the weights of its endpoints, or what it declares, in one unit for all. 0: nobody is there. */
  readonly capacity: number;
  /** Share of the capacity in use, 0 and up. Absent: unknown. */
  readonly utilization?: number;
  /** Calls it ends a second, failed ones included. */
  readonly ratePerSecond?: number;
  /** Share of its calls that fail, 0 to 1. Default 0. */
  readonly errorRatio?: number;
}

export interface ClientLocality {
  readonly locality: string;
  /** Calls its clients make a second, wherever they go. */
  readonly ratePerSecond: number;
}

export interface PlanInput {
  readonly servers: readonly ServerLocality[];
  readonly clients: readonly ClientLocality[];
  readonly rtts?: readonly Rtt[];
  readonly rings?: RingOptions;
  /** Utilisation above which traffic goes to the next ring. Default 0.75; above 0. */
  readonly threshold?: number;
  /** A locality that was full gives its calls back below `threshold` less this. Default 0.05; 0 to below `threshold`. */
  readonly hysteresis?: number;
  /** Most of a client's traffic that comes back in one plan. Default 0.25; above 0, at most 1. */
  readonly step?: number;
  /** Share of the near traffic that a failing locality still gets, to be seen to heal. Default 0; at most 0.1. */
  readonly probeRatio?: number;
  /** Capacity that one call a second takes. Default: of the loads and rates in `servers`; without loads 0, and then nothing is ever full. */
  readonly workPerCall?: number;
  /** The plan in force. */
  readonly previous?: RoutingPlan;
}

export interface RoutingPlan {
  readonly clients: readonly ClientPlan[];
  /** Localities that have had to send traffic on. */
  readonly full: readonly string[];
  /** What each server locality will come to under this plan. */
  readonly projected: readonly { readonly locality: string; readonly utilization: number }[];
}

export interface ClientPlan {
  readonly locality: string;
  /** Nearest first; a ring may be empty. In a published plan only localities that have a share. */
  readonly rings: readonly PlannedRing[];
}

export interface PlannedRing {
  readonly localities: readonly string[];
  /** Share of the client locality's traffic, as many as `localities`. Over all rings they add up to 1. */
  readonly shares: readonly number[];
}

export const DEFAULT_SPILL_THRESHOLD = 0.75;
export const DEFAULT_SPILL_HYSTERESIS = 0.05;
export const DEFAULT_RETURN_STEP = 0.25;
const MAX_PLANNED_LOCALITIES = 1000;
/** Who makes no calls yet is planned for as well, as somebody who makes next to none. */
const IDLE_RATIO = 1e-9;
const LEAST_DEMAND = 1e-100;
const ROUNDING = 1e-9;
/** A locality that fails this often says nothing about the cost of a call. */
const UNTELLING_ERROR_RATIO = 0.5;

/**
 * Plans by water-filling: nearest ring first, each locality up to the threshold, what is left outward; when everything is above it,
 * all come to the same utilisation. Deterministic, no clock. Costs about (client localities x server localities x rings x full
 * localities): a few milliseconds for a hundred of each.
 *
 * @example
 * ```ts
 * import { planRoutingTable } from 'evenkeel/router';
 *
 * const plan = planRoutingTable({
 *   servers: [
 *     { locality: 'eu/west', capacity: 10, utilization: 0.9, ratePerSecond: 900 },
 *     { locality: 'eu/north', capacity: 10, utilization: 0.1, ratePerSecond: 100 },
 *   ],
 *   clients: [{ locality: 'eu/west', ratePerSecond: 1000 }],
 *   rtts: [{ from: 'eu/west', to: 'eu/north', rttMs: 25 }],
 * });
 * console.log(plan.clients[0]?.rings[0]?.shares); // [0.7]: the rest goes to eu/north
 * ```
 * @throws {EvenkeelError} `invalid-argument` for a number out of range, a locality given twice, or more than 1,000 of a kind.
 */
export function planRoutingTable(input: PlanInput): RoutingPlan {
  const threshold = checkNumber('threshold', input.threshold ?? DEFAULT_SPILL_THRESHOLD, Number.MIN_VALUE, 100);
  const hysteresis = checkNumber('hysteresis', input.hysteresis ?? DEFAULT_SPILL_HYSTERESIS, 0, threshold);
  const step = checkNumber('step', input.step ?? DEFAULT_RETURN_STEP, Number.MIN_VALUE, 1);
  const probeRatio = checkNumber('probeRatio', input.probeRatio ?? 0, 0, 0.1);
  const rings = checkRings(input.rings);
  checkLocalities('servers', input.servers);
  checkLocalities('clients', input.clients);
  const servers = input.servers.filter(({ capacity }) => capacity > 0);
  const { clients } = input;
  const workPerCall = checkNumber('workPerCall', input.workPerCall ?? workPerCallOf(input), 0);
  const problem = problemOf(servers, clients, rings, input.rtts ?? [], workPerCall);
  const { previous } = input;

  const full = new Set(previous?.full);
  const upper = limitsOf(servers, () => threshold);
  const limits = () => limitsOf(servers, ({ locality }) => (full.has(locality) ? threshold - hysteresis : threshold));
  let filled = filling(problem, limits());
  // A locality that turns out to be full has the lower limit at once: the plan after this one would find the same.
  for (let found = true; found; ) {
    found = false;
    for (const [s, { locality }] of servers.entries()) {
      if (filled.contested[s] === 0 || full.has(locality)) continue;
      full.add(locality);
      found = true;
    }
    if (found) filled = filling(problem, limits());
  }
  // Between the lower limits and the threshold there is room for those who find none elsewhere.
  fillUpTo(problem, upper, filled);
  spreadRest(problem, spreadWeights(servers), filled);
  const wanted = sharesOf(problem, filled.placed);
  addProbes(problem, servers, upper, probeRatio, wanted);
  const shares =
    previous === undefined
      ? wanted
      : nextShares({
          problem,
          from: carriedOver(previous, problem, servers, clients, upper, wanted),
          to: wanted,
          limits: upper,
          isIdle: (c) => (clients[c]?.ratePerSecond ?? 0) === 0,
          step,
        });
  const work = workOf(problem, shares);
  return {
    clients: clients.map(({ locality }, c) => ({ locality, rings: ringsFor(problem, servers, shares, c) })),
    full: servers.filter(({ locality }, s) => full.has(locality) && filled.contested[s] === 1).map(({ locality }) => locality),
    projected: servers.map(({ locality, capacity }, s) => ({ locality, utilization: (work[s] as number) / capacity })),
  };
}

/** Rounding aside the rows add up to the demand; here they add up to 1. */
function sharesOf({ clients, servers }: FillProblem, placed: Float64Array): Float64Array {
  const shares = placed.slice();
  for (let c = 0; c < clients; c++) {
    const row = shares.subarray(c * servers, (c + 1) * servers);
    const sum = row.reduce((total, work) => total + work, 0);
    for (let s = 0; s < servers; s++) row[s] = (row[s] as number) / sum;
  }
  return shares;
}

function filling(problem: FillProblem, limits: Float64Array) {
  const fill = emptyFill(problem);
  fillUpTo(problem, limits, fill);
  return fill;
}

function checkLocalities(what: string, values: readonly (ServerLocality | ClientLocality)[]): void {
  if (!Array.isArray(values) || values.length > MAX_PLANNED_LOCALITIES) {
    throw invalidArgument(what, values?.length, `an array of at most ${MAX_PLANNED_LOCALITIES}`);
  }
  const seen = new Set<string>();
  for (const { locality, ...numbers } of values) {
    if (typeof locality !== 'string' || seen.has(locality)) {
      throw invalidArgument(`${what}.locality`, locality, 'a string, each once');
    }
    seen.add(locality);
    for (const [name, value] of Object.entries(numbers)) {
      const max = name === 'errorRatio' ? 1 : Number.POSITIVE_INFINITY;
      if (value !== undefined) checkNumber(`${what}.${name}`, value as number, 0, max);
    }
  }
}

/** Capacity that a call a second takes: where rates are known of the servers, else all load over all demand. */
export function workPerCallOf({ servers, clients }: Pick<PlanInput, 'servers' | 'clients'>): number {
  const telling = servers.filter(({ utilization, errorRatio = 0 }) => {
    return utilization !== undefined && errorRatio < UNTELLING_ERROR_RATIO;
  });
  const rated = telling.filter(({ ratePerSecond }) => ratePerSecond !== undefined);
  const used = (of: readonly ServerLocality[]) => of.reduce((sum, s) => sum + s.capacity * (s.utilization ?? 0), 0);
  const ended = rated.reduce((sum, { ratePerSecond = 0, errorRatio = 0 }) => sum + ratePerSecond * (1 - errorRatio), 0);
  const asked = clients.reduce((sum, { ratePerSecond }) => sum + ratePerSecond, 0);
  if (ended > 0) return used(rated) / ended;
  return asked > 0 ? used(telling) / asked : 0;
}

function problemOf(
  servers: readonly ServerLocality[],
  clients: readonly ClientLocality[],
  rings: RingOptions,
  rtts: readonly Rtt[],
  workPerCall: number,
): FillProblem {
  const rtt = rttLookup(rtts);
  const table = new Uint8Array(clients.length * servers.length);
  for (const [c, client] of clients.entries()) {
    for (const [s, server] of servers.entries()) {
      table[c * servers.length + s] = ringOf(client.locality, server.locality, rings, rtt);
    }
  }
  const capacity = servers.reduce((sum, server) => sum + server.capacity, 0);
  const idle = Math.max(capacity * IDLE_RATIO, LEAST_DEMAND);
  const demand = Float64Array.from(clients, ({ ratePerSecond }) => Math.max(ratePerSecond * workPerCall, idle));
  return { clients: clients.length, servers: servers.length, rings: ringCount(rings), ringOf: table, demand };
}

/** Work that each may be given; a share of errors is a share in use. */
function limitsOf(servers: readonly ServerLocality[], threshold: (server: ServerLocality) => number): Float64Array {
  return Float64Array.from(servers, (server) => server.capacity * Math.max(0, threshold(server) - (server.errorRatio ?? 0)));
}

/** What fails takes no part in an overload either, unless all fail. */
function spreadWeights(servers: readonly ServerLocality[]): Float64Array {
  const sound = Float64Array.from(servers, ({ capacity, errorRatio = 0 }) => capacity * (1 - errorRatio));
  return sound.some((weight) => weight > 0) ? sound : Float64Array.from(servers, ({ capacity }) => capacity);
}

/** Gives failing localities of a client's nearest ring a little, so that somebody notices when they are well again. */
function addProbes(
  { clients, rings, ringOf: table }: FillProblem,
  servers: readonly ServerLocality[],
  limits: Float64Array,
  ratio: number,
  shares: Float64Array,
): void {
  if (ratio === 0) return;
  for (let c = 0; c < clients; c++) {
    const row = c * servers.length;
    const nearest = table.subarray(row, row + servers.length).reduce((least, ring) => Math.min(least, ring), rings);
    const failing = [...limits.keys()].filter((s) => limits[s] === 0 && shares[row + s] === 0 && table[row + s] === nearest);
    const isAll = failing.length === servers.length;
    if (failing.length === 0 || isAll) continue;
    for (let s = 0; s < servers.length; s++) (shares[row + s] as number) *= 1 - ratio;
    for (const s of failing) shares[row + s] = ratio / failing.length;
  }
}

/** The shares of the plan in force. What it gave to localities that are gone or fail goes where the wanted plan would send it. */
function carriedOver(
  previous: RoutingPlan,
  { ringOf: table }: FillProblem,
  servers: readonly ServerLocality[],
  clients: readonly ClientLocality[],
  limits: Float64Array,
  wanted: Float64Array,
): Float64Array {
  const plans = new Map(previous.clients.map((plan) => [plan.locality, plan]));
  const shares = new Float64Array(table.length);
  for (const [c, { locality }] of clients.entries()) {
    const known = new Map<string, number>();
    for (const ring of plans.get(locality)?.rings ?? []) {
      for (const [i, name] of ring.localities.entries()) known.set(name, ring.shares[i] ?? 0);
    }
    let sum = 0;
    for (const [s, server] of servers.entries()) {
      const share = (limits[s] as number) > 0 ? (known.get(server.locality) ?? 0) : 0;
      shares[c * servers.length + s] = share;
      sum += share;
    }
    // Rounding is left alone, so that a plan that stays stays to the last bit.
    if (Math.abs(sum - 1) < ROUNDING) continue;
    const missing = Math.max(0, 1 - sum);
    const scale = sum > 1 ? 1 / sum : 1;
    for (let i = c * servers.length; i < (c + 1) * servers.length; i++) {
      shares[i] = (shares[i] as number) * scale + missing * (wanted[i] as number);
    }
  }
  return shares;
}

function ringsFor(
  { rings, ringOf: table }: FillProblem,
  servers: readonly ServerLocality[],
  shares: Float64Array,
  client: number,
): PlannedRing[] {
  return Array.from({ length: rings }, (_, ring) => {
    const members = [...servers.keys()].filter((s) => table[client * servers.length + s] === ring);
    return {
      localities: members.map((s) => servers[s]?.locality ?? ''),
      shares: members.map((s) => shares[client * servers.length + s] as number),
    };
  });
}
