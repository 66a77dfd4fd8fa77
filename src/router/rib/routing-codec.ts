/** Localities, round trips, rings and the plan, as they stand in a table's document; localities by their number in one list. */
import { asArray, asFields, asInteger, asNumber, asString, malformed } from './document-fields.js';
import { checkRings, MAX_LOCALITY_LENGTH, type RingOptions, type Rtt } from './locality.js';
import type { ClientPlan, PlannedRing, RoutingPlan } from './routing-plan.js';
import type { LocalityLoad, Routing } from './routing-table.js';

const MAX_LOCALITIES = 4096;
const MAX_RINGS = 8;
/** Shares: a millionth of the traffic is nothing. */
const SHARE_DIGITS = 6;
const LOAD_DIGITS = 4;

/** Parts that are absent stay so; a plan that is there and undefined, because there is none any more, is null. */
export function encodeRouting(routing: Partial<Routing>): unknown {
  const names = new Names();
  const { localities, rtts, rings, plan } = routing;
  const encoded = {
    localities: localities?.map(({ locality, endpoints, capacity, utilization, ratePerSecond, errorRatio }) => [
      names.index(locality),
      endpoints,
      round(capacity, LOAD_DIGITS),
      maybe(utilization),
      maybe(ratePerSecond),
      maybe(errorRatio),
    ]),
    rtts: rtts?.map(({ from, to, rttMs }) => [names.index(from), names.index(to), round(rttMs, LOAD_DIGITS)]),
    rings,
    plan: 'plan' in routing ? (plan ? encodePlan(plan, names) : null) : undefined,
  };
  return { names: names.list, ...encoded };
}

/** @throws {EvenkeelError} `invalid-argument` for anything malformed. */
export function decodeRouting(value: unknown): Partial<Routing> {
  const { names: listed, localities, rtts, rings, plan } = asFields('routing', value);
  const names = asArray('localities', listed, MAX_LOCALITIES).map((name) => asString('locality', name, MAX_LOCALITY_LENGTH));
  const nameAt = (index: unknown) => names[asInteger('locality', index)] ?? missing();
  const parts: { -readonly [K in keyof Routing]?: Routing[K] } = {};
  if (localities !== undefined) {
    parts.localities = asArray('localities', localities, MAX_LOCALITIES).map((row) =>
      decodeLocality(asArray('locality', row, 32), nameAt),
    );
  }
  if (rtts !== undefined) parts.rtts = asArray('rtts', rtts).map((row) => decodeRtt(asArray('rtt', row, 32), nameAt));
  if (rings !== undefined) parts.rings = checkRings(asFields('rings', rings) as RingOptions);
  if (plan !== undefined) parts.plan = plan === null ? undefined : decodePlan(plan, nameAt);
  return parts;
}

function encodePlan({ clients, full, projected }: RoutingPlan, names: Names): unknown {
  return {
    clients: clients.map(({ locality, rings }) => [names.index(locality), ...rings.map((ring) => withShares(ring, names))]),
    full: full.map((name) => names.index(name)),
    projected: projected.map(({ locality, utilization }) => [names.index(locality), round(utilization, LOAD_DIGITS)]),
  };
}

/** The few that have a share: which ring the others are in, each caller knows. */
function withShares({ localities, shares }: PlannedRing, names: Names): number[] {
  return localities.flatMap((name, i) => {
    const share = round(shares[i] ?? 0, SHARE_DIGITS);
    return share === 0 ? [] : [names.index(name), share];
  });
}

function decodeRtt([from, to, rttMs]: readonly unknown[], nameAt: (index: unknown) => string): Rtt {
  return { from: nameAt(from), to: nameAt(to), rttMs: asNumber('rttMs', rttMs) };
}

function decodeLocality(row: readonly unknown[], nameAt: (index: unknown) => string): LocalityLoad {
  const [name, endpoints, capacity, utilization, ratePerSecond, errorRatio] = row;
  return {
    locality: nameAt(name),
    endpoints: asInteger('endpoints', endpoints),
    capacity: asNumber('capacity', capacity),
    ...(utilization === null ? undefined : { utilization: asNumber('utilization', utilization) }),
    ...(ratePerSecond === null ? undefined : { ratePerSecond: asNumber('ratePerSecond', ratePerSecond) }),
    ...(errorRatio === null ? undefined : { errorRatio: asNumber('errorRatio', errorRatio, 0, 1) }),
  };
}

function decodePlan(value: unknown, nameAt: (index: unknown) => string): RoutingPlan {
  const fields = asFields('plan', value);
  return {
    clients: asArray('plan', fields.clients, MAX_LOCALITIES).map((row) =>
      decodeClient(asArray('plan', row, MAX_RINGS + 1), nameAt),
    ),
    full: asArray('plan', fields.full, MAX_LOCALITIES).map(nameAt),
    projected: asArray('plan', fields.projected, MAX_LOCALITIES).map((row) => {
      const [name, utilization] = asArray('plan', row, 32);
      return { locality: nameAt(name), utilization: asNumber('utilization', utilization) };
    }),
  };
}

function decodeClient([client, ...rings]: readonly unknown[], nameAt: (index: unknown) => string): ClientPlan {
  return {
    locality: nameAt(client),
    rings: rings.map((value) => {
      const ring = asArray('ring', value, 2 * MAX_LOCALITIES);
      const localities: string[] = [];
      const shares: number[] = [];
      for (let i = 0; i + 1 < ring.length; i += 2) {
        localities.push(nameAt(ring[i]));
        shares.push(asNumber('share', ring[i + 1], 0, 1));
      }
      return { localities, shares };
    }),
  };
}

class Names {
  readonly list: string[] = [];
  readonly #indexes = new Map<string, number>();

  index(name: string): number {
    const known = this.#indexes.get(name);
    if (known !== undefined) return known;
    this.#indexes.set(name, this.list.length);
    return this.list.push(name) - 1;
  }
}

function missing(): never {
  throw malformed('routing', 'a locality that is not in its list');
}

function maybe(value: number | undefined): number | null {
  return value === undefined ? null : round(value, LOAD_DIGITS);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
