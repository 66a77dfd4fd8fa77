/**
 * What changes between two tables.
 *
 * Why may a merged delta be applied to any version it spans? It says of everything that was touched what it is at the end, also where
 * that is what it was at the beginning. So whoever has any of the versions in between comes to the same table.
 */
import { type Endpoint, sameEndpoint } from '../../core/endpoint.js';
import { EvenkeelError } from '../../core/errors.js';
import { positionOf, type Routing, type RoutingTable, sortedById } from './routing-table.js';
import { type ShardMap, type ShardReplica, sameReplicas } from './shard-map.js';

export interface TableDelta {
  readonly service: string;
  readonly token: number;
  /** Oldest version it may be applied to; 0: the empty table. */
  readonly from: number;
  readonly version: number;
  /** Sorted by id. */
  readonly put: readonly Endpoint[];
  readonly removed: readonly string[];
  /** Undefined: no longer known. */
  readonly loads: ReadonlyMap<string, number | undefined>;
  readonly shards: ShardDelta | undefined;
  /** The parts that changed, each whole. */
  readonly routing: Partial<Routing> | undefined;
}

export interface ShardDelta {
  /** 0: there is no map any more. */
  readonly version: number;
  /** What was known before counts no more: `changed` is the whole map. */
  readonly isWhole: boolean;
  /** Undefined: no longer in the map. */
  readonly changed: ReadonlyMap<string, readonly ShardReplica[] | undefined>;
}

/** What makes `b` of `a`. Costs one walk over both; endpoints that are the same object are not compared. */
export function diffTables(a: RoutingTable, b: RoutingTable): TableDelta {
  const put: Endpoint[] = [];
  const removed: string[] = [];
  let i = 0;
  for (const endpoint of b.endpoints) {
    for (; i < a.endpoints.length && (a.endpoints[i] as Endpoint).id < endpoint.id; i++)
      removed.push((a.endpoints[i] as Endpoint).id);
    const before = a.endpoints[i];
    if (before?.id === endpoint.id) i++;
    if (before === endpoint || (before?.id === endpoint.id && sameEndpoint(before, endpoint))) continue;
    put.push(endpoint);
  }
  for (; i < a.endpoints.length; i++) removed.push((a.endpoints[i] as Endpoint).id);
  return {
    service: b.service,
    token: b.token,
    from: a.version,
    version: b.version,
    put,
    removed,
    loads: changes(a.loads, b.loads, (x, y) => x === y),
    shards: a.shards === b.shards ? undefined : diffShards(a.shards, b.shards),
    routing: diffRouting(a.routing, b.routing),
  };
}

export function isEmptyDelta({ put, removed, loads, shards, routing }: TableDelta): boolean {
  return put.length + removed.length + loads.size === 0 && shards === undefined && routing === undefined;
}

/** @throws {EvenkeelError} `failed-precondition` for a table of another service, or of a version that the delta does not begin with. */
export function applyDelta(table: RoutingTable, delta: TableDelta): RoutingTable {
  if (delta.service !== table.service || table.version < delta.from || table.version > delta.version) {
    const fault = `a delta of ${delta.service} from ${delta.from} to ${delta.version} does not fit ${table.service} at ${table.version}`;
    throw new EvenkeelError('failed-precondition', fault);
  }
  const { service, token, version, put, removed, loads, shards, routing } = delta;
  return {
    service,
    token,
    version,
    endpoints: put.length + removed.length === 0 ? table.endpoints : spliced(table.endpoints, put, removed),
    loads: loads.size === 0 ? table.loads : overlaid(table.loads, loads),
    shards: shards === undefined ? table.shards : withShards(table.shards, shards),
    routing: routing === undefined ? table.routing : { ...table.routing, ...routing },
  };
}

/** One delta that does what `a`, then `b`, does, to a table of any version from the first of `a` to the last of `b`. */
export function mergeDeltas(a: TableDelta, b: TableDelta): TableDelta {
  const isRemoved = new Set(b.removed);
  const put = new Map(a.put.filter(({ id }) => !isRemoved.has(id)).map((endpoint) => [endpoint.id, endpoint]));
  for (const endpoint of b.put) put.set(endpoint.id, endpoint);
  for (const id of a.removed) if (!put.has(id)) isRemoved.add(id);
  return {
    service: b.service,
    token: b.token,
    from: a.from,
    version: b.version,
    put: sortedById(put.values()),
    removed: [...isRemoved],
    loads: new Map([...a.loads, ...b.loads]),
    shards: mergeShards(a.shards, b.shards),
    routing: a.routing && b.routing ? { ...a.routing, ...b.routing } : (b.routing ?? a.routing),
  };
}

/** Long runs that nobody touched are copied, not walked. @param put - Sorted by id. */
export function spliced(endpoints: readonly Endpoint[], put: readonly Endpoint[], removed: readonly string[]): Endpoint[] {
  const gone = new Set(removed);
  const touched = [...put.map(({ id }) => id), ...removed].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const parts: (readonly Endpoint[])[] = [];
  let at = 0;
  let next = 0;
  for (const id of touched) {
    const position = positionOf(endpoints, id, at);
    if (position > at) parts.push(endpoints.slice(at, position));
    at = endpoints[position]?.id === id ? position + 1 : position;
    if (gone.has(id)) continue;
    parts.push(put.slice(next, ++next));
  }
  parts.push(endpoints.slice(at));
  return joined(parts);
}

/** As flat(), which takes several times as long. */
function joined(parts: readonly (readonly Endpoint[])[]): Endpoint[] {
  const all: Endpoint[] = [];
  for (const part of parts) for (const endpoint of part) all.push(endpoint);
  return all;
}

function overlaid<V>(map: ReadonlyMap<string, V>, changed: ReadonlyMap<string, V | undefined>): Map<string, V> {
  const result = new Map(map);
  for (const [key, value] of changed) {
    if (value === undefined) result.delete(key);
    else result.set(key, value);
  }
  return result;
}

function changes<V>(
  a: ReadonlyMap<string, V>,
  b: ReadonlyMap<string, V>,
  isSame: (x: V, y: V) => boolean,
): Map<string, V | undefined> {
  const changed = new Map<string, V | undefined>();
  if (a === b) return changed;
  for (const [key, value] of b) {
    const before = a.get(key);
    if (before === undefined || !isSame(before, value)) changed.set(key, value);
  }
  for (const key of a.keys()) if (!b.has(key)) changed.set(key, undefined);
  return changed;
}

function diffShards(a: ShardMap | undefined, b: ShardMap | undefined): ShardDelta | undefined {
  if (b === undefined) return { version: 0, isWhole: true, changed: new Map() };
  if (a === undefined) return { version: b.version, isWhole: true, changed: b.shards };
  const changed = changes(a.shards, b.shards, sameReplicas);
  return changed.size === 0 && a.version === b.version ? undefined : { version: b.version, isWhole: false, changed };
}

function mergeShards(a: ShardDelta | undefined, b: ShardDelta | undefined): ShardDelta | undefined {
  if (a === undefined || b === undefined || b.isWhole) return b ?? a;
  return { version: b.version, isWhole: a.isWhole, changed: new Map([...a.changed, ...b.changed]) };
}

function withShards(map: ShardMap | undefined, { version, isWhole, changed }: ShardDelta): ShardMap | undefined {
  if (version === 0) return undefined;
  return {
    version,
    shards: overlaid((isWhole ? undefined : map?.shards) ?? new Map<string, readonly ShardReplica[]>(), changed),
  };
}

function diffRouting(a: Routing, b: Routing): Partial<Routing> | undefined {
  if (a === b) return undefined;
  const changed = (Object.keys(b) as (keyof Routing)[]).filter((part) => {
    return a[part] !== b[part] && JSON.stringify(a[part]) !== JSON.stringify(b[part]);
  });
  return changed.length === 0 ? undefined : Object.fromEntries(changed.map((part) => [part, b[part]]));
}
