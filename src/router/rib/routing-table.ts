/**
 * All that a caller needs to know about one service, as of one version.
 *
 * Which of two tables is newer? The one of the later term (`token`), and within a term the higher `version`; versions go on rising over
 * terms, so that one number tells the age of a table to people. Tables are immutable: a delta makes a new one.
 */
import { type Endpoint, sameEndpoint } from '../../core/endpoint.js';
import type { RingOptions, Rtt } from './locality.js';
import type { RoutingPlan, ServerLocality } from './routing-plan.js';
import type { ShardMap } from './shard-map.js';

export interface RoutingTable {
  readonly service: string;
  /** Of the builder's term. */
  readonly token: number;
  readonly version: number;
  /** Sorted by id, each once. */
  readonly endpoints: readonly Endpoint[];
  /** Utilisation by endpoint id, of those who told; large services tell theirs by locality only. */
  readonly loads: ReadonlyMap<string, number>;
  readonly shards: ShardMap | undefined;
  readonly routing: Routing;
}

/** What localities have to do with it. Replaced whole when it changes. */
export interface Routing {
  readonly localities: readonly LocalityLoad[];
  readonly rtts: readonly Rtt[];
  /** As the builder was told to cut rings; a caller's own stand above it. */
  readonly rings: RingOptions;
  readonly plan: RoutingPlan | undefined;
}

export interface LocalityLoad extends ServerLocality {
  readonly endpoints: number;
}

export const NO_ROUTING: Routing = Object.freeze({ localities: [], rtts: [], rings: {}, plan: undefined });

export function emptyTable(service: string): RoutingTable {
  return { service, token: 0, version: 0, endpoints: [], loads: new Map(), shards: undefined, routing: NO_ROUTING };
}

export function isNewer(a: { token: number; version: number }, b: { token: number; version: number }): boolean {
  return a.token !== b.token ? a.token > b.token : a.version > b.version;
}

/** The endpoint of that id, by bisection. */
export function endpointOf({ endpoints }: RoutingTable, id: string): Endpoint | undefined {
  const at = positionOf(endpoints, id);
  const found = endpoints[at];
  return found?.id === id ? found : undefined;
}

/** Where `id` stands, or would stand. */
export function positionOf(endpoints: readonly Endpoint[], id: string, from = 0): number {
  let low = from;
  let high = endpoints.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((endpoints[middle] as Endpoint).id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function sortedById(endpoints: Iterable<Endpoint>): Endpoint[] {
  return [...endpoints].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

/** The same endpoints, in whatever order. */
export function sameEndpoints(before: readonly Endpoint[] | undefined, now: readonly Endpoint[]): boolean {
  if (before?.length !== now.length) return false;
  const known = new Map(before.map((endpoint) => [endpoint.id, endpoint]));
  return now.every((endpoint) => {
    const other = known.get(endpoint.id);
    return other !== undefined && (other === endpoint || sameEndpoint(other, endpoint));
  });
}
