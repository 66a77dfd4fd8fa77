/**
 * Tables and deltas as bytes: a checksum, a line feed, JSON by columns. A table is the delta from nothing.
 *
 * `{ v: 1, service, token, from, version, put, removed, loads, shards, routing }`, unknown fields ignored. JSON and not a binary form:
 * by columns it comes to some 10 bytes an endpoint, its parser is the fastest there is in this runtime, and people can read it.
 */
import { createHash } from 'node:crypto';
import {
  asArray,
  asFields,
  asInteger,
  asNumber,
  asString,
  decoding,
  type Fields,
  malformed,
  parseDocument,
} from './document-fields.js';
import { decodeEndpoints, encodeEndpoints } from './endpoint-columns.js';
import { decodeRouting, encodeRouting } from './routing-codec.js';
import { emptyTable, type RoutingTable } from './routing-table.js';
import { parseShards } from './shard-map.js';
import { decodeColumn, encodeColumn } from './string-column.js';
import { applyDelta, diffTables, type ShardDelta, type TableDelta } from './table-delta.js';

/** Hexadecimal digits of the checksum, of SHA-256: against damage and mix-ups, not against forgers, who could write the head as well. */
export const CHECKSUM_LENGTH = 16;
const LINE_FEED = 10;
const MAX_ID_LENGTH = 256;
const MAX_NAME_LENGTH = 1024;
/** Loads are told to within this. */
const LOAD_DIGITS = 3;

export function encodeTable(table: RoutingTable): Uint8Array {
  const empty = emptyTable(table.service);
  return encodeDelta(diffTables(empty, table));
}

/** @throws {EvenkeelError} `invalid-argument` for anything but a whole table. */
export function decodeTable(bytes: Uint8Array): RoutingTable {
  const delta = decodeDelta(bytes);
  if (delta.from !== 0) throw malformed('routing table', `it is a delta from version ${delta.from}`);
  return applyDelta(emptyTable(delta.service), delta);
}

export function encodeDelta({ service, token, from, version, put, removed, loads, shards, routing }: TableDelta): Uint8Array {
  const told = [...loads];
  const text = JSON.stringify({
    v: 1,
    service,
    token,
    from,
    version,
    ...(put.length > 0 ? { put: encodeEndpoints(put) } : undefined),
    ...(removed.length > 0 ? { removed: [removed.length, encodeColumn(removed)] } : undefined),
    ...(told.length > 0
      ? {
          loads: [
            told.length,
            encodeColumn(told.map(([id]) => id)),
            told.map(([, load]) => (load === undefined ? null : round(load))),
          ],
        }
      : undefined),
    ...(shards === undefined
      ? undefined
      : {
          shards: {
            version: shards.version,
            whole: shards.isWhole,
            set: Object.fromEntries([...shards.changed].filter(([, replicas]) => replicas !== undefined)),
            gone: [...shards.changed].filter(([, replicas]) => replicas === undefined).map(([name]) => name),
          },
        }),
    ...(routing === undefined ? undefined : { routing: encodeRouting(routing) }),
  });
  return new TextEncoder().encode(`${checksumOf(text)}\n${text}`);
}

/** @throws {EvenkeelError} `invalid-argument` for anything but a whole delta. */
export function decodeDelta(bytes: Uint8Array): TableDelta {
  const what = 'routing table';
  return decoding(what, () => {
    const body = bytes.subarray(CHECKSUM_LENGTH + 1);
    if (bytes[CHECKSUM_LENGTH] !== LINE_FEED || checksumOf(body) !== checksumIn(bytes)) {
      throw malformed(what, 'its checksum does not hold');
    }
    const fields = parseDocument(what, body);
    const from = asInteger('from', fields.from);
    return {
      service: asString('service', fields.service, MAX_NAME_LENGTH),
      token: asInteger('token', fields.token),
      from,
      version: asInteger('version', fields.version, from),
      put: fields.put === undefined ? [] : decodeEndpoints(fields.put),
      removed: fields.removed === undefined ? [] : decodeIds('removed', fields.removed),
      loads: fields.loads === undefined ? new Map() : decodeLoads(fields.loads),
      shards: fields.shards === undefined ? undefined : decodeShards(asFields('shards', fields.shards)),
      routing: fields.routing === undefined ? undefined : decodeRouting(fields.routing),
    };
  });
}

/** The checksum that encoded bytes begin with. */
export function checksumIn(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes.subarray(0, CHECKSUM_LENGTH));
}

function checksumOf(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex').slice(0, CHECKSUM_LENGTH);
}

function decodeIds(what: string, value: unknown): readonly string[] {
  const [count, column] = asArray(what, value, 16);
  return decodeColumn(what, column, asInteger(what, count), MAX_ID_LENGTH);
}

function decodeLoads(value: unknown): Map<string, number | undefined> {
  const row = asArray('loads', value, 16);
  const ids = decodeIds('loads', row);
  const loads = asArray('loads', row[2], ids.length);
  return new Map(ids.map((id, i) => [id, loads[i] === null ? undefined : asNumber('load', loads[i])]));
}

function decodeShards(fields: Fields): ShardDelta {
  const set = parseShards(fields.set);
  const gone = asArray('shards gone', fields.gone).map((name) => asString('shard', name, MAX_ID_LENGTH));
  return {
    version: asInteger('shards version', fields.version),
    isWhole: fields.whole === true,
    changed: new Map([...set, ...gone.map((name) => [name, undefined] as const)]),
  };
}

function round(load: number): number {
  return Number(load.toFixed(LOAD_DIGITS));
}
