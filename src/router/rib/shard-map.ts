/**
 * Which endpoints hold a shard: the document `shards/<service>`, and looking things up in it.
 *
 * `{ v: 1, version, shards: { name: [{ endpoint, role }] } }`, unknown fields ignored. Whose version counts? The higher one: a server
 * that knows a newer map than its caller says so, and a caller never goes back.
 */
import { keySegment } from '../../core/announcement.js';
import { asArray, asFields, asInteger, asString, decoding, type Fields, malformed, parseDocument } from './document-fields.js';

export type ShardRole = 'primary' | 'replica';

export interface ShardReplica {
  /** Id of an endpoint of the service. */
  readonly endpoint: string;
  readonly role: ShardRole;
}

export interface ShardMap {
  /** Rises with every change. */
  readonly version: number;
  readonly shards: ReadonlyMap<string, readonly ShardReplica[]>;
}

export const MAX_SHARDS = 100_000;
const MAX_REPLICAS = 1000;
const MAX_NAME_LENGTH = 256;
const NOBODY: readonly ShardReplica[] = Object.freeze([]);

export function shardMapKey(service: string): string {
  return `shards/${keySegment(service)}`;
}

export function encodeShardMap({ version, shards }: ShardMap): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: 1, version, shards: Object.fromEntries(shards) }));
}

/** @throws {EvenkeelError} `invalid-argument` for anything but a whole map. */
export function decodeShardMap(bytes: Uint8Array): ShardMap {
  const what = 'shard map';
  return decoding(what, () => {
    const document = parseDocument(what, bytes);
    return { version: asInteger(`${what} version`, document.version, 1), shards: parseShards(document.shards) };
  });
}

export function parseShards(value: unknown): Map<string, readonly ShardReplica[]> {
  const entries = Object.entries(asFields('shards', value));
  if (entries.length > MAX_SHARDS) throw malformed('shards', `${entries.length} of them; at most ${MAX_SHARDS}`);
  return new Map(entries.map(([name, replicas]) => [asString('shard', name, MAX_NAME_LENGTH), parseReplicas(name, replicas)]));
}

/** Who holds `shard`, in the map's order; empty when the map does not know it. */
export function replicasOf(map: ShardMap, shard: string): readonly ShardReplica[] {
  return map.shards.get(shard) ?? NOBODY;
}

/** Undefined when it has none, as between two terms of a primary. */
export function primaryOf(map: ShardMap, shard: string): string | undefined {
  return replicasOf(map, shard).find(({ role }) => role === 'primary')?.endpoint;
}

/** The map to go by: never an older one after a newer. */
export function newerShardMap(a: ShardMap | undefined, b: ShardMap | undefined): ShardMap | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.version > a.version ? b : a;
}

export function sameReplicas(a: readonly ShardReplica[] | undefined, b: readonly ShardReplica[]): boolean {
  if (a === b) return true;
  if (a?.length !== b.length) return false;
  return a.every(({ endpoint, role }, i) => endpoint === b[i]?.endpoint && role === b[i]?.role);
}

function parseReplicas(shard: string, value: unknown): readonly ShardReplica[] {
  const seen = new Set<string>();
  let primaries = 0;
  const replicas = asArray(`shard ${shard}`, value, MAX_REPLICAS).map((item) => {
    const fields: Fields = asFields(`shard ${shard}`, item);
    const endpoint = asString(`endpoint of shard ${shard}`, fields.endpoint, MAX_NAME_LENGTH);
    const { role } = fields;
    if (role !== 'primary' && role !== 'replica') throw malformed(`shard ${shard}`, `role ${role}; expected primary or replica`);
    if (seen.has(endpoint)) throw malformed(`shard ${shard}`, `'${endpoint}' holds it twice`);
    seen.add(endpoint);
    if (role === 'primary' && ++primaries > 1) throw malformed(`shard ${shard}`, 'it has two primaries');
    return Object.freeze<ShardReplica>({ endpoint, role });
  });
  return Object.freeze(replicas);
}
