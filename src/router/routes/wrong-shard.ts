/**
 * What a server says that was asked for a shard it does not hold: status 421, nothing done, and the version of the map it goes by. A
 * caller whose map is older looks for a newer one; in either case it tries elsewhere.
 * @see RFC 9110, section 15.5.20 (421 Misdirected Request)
 */
import { HEADERS, type HeaderList, headerValue } from '../../core/headers.js';
import type { CallAnswer } from '../../core/transport/call.js';

export const WRONG_SHARD_STATUS = 421;

/** The answer of such a server. `mapVersion`: of its own map; 0: it has none. */
export function wrongShardAnswer(mapVersion: number): CallAnswer {
  return {
    status: WRONG_SHARD_STATUS,
    headers: [HEADERS.shardMap.text, String(mapVersion), HEADERS.rejected.text, '1'],
  };
}

/** The shard a request is for, and the version of its caller's map; undefined when it names none. */
export function requestedShard(headers: HeaderList): { readonly shard: string; readonly mapVersion: number } | undefined {
  const shard = headerValue(headers, HEADERS.shard);
  if (shard === undefined) return undefined;
  return { shard: decodeURIComponent(shard), mapVersion: versionOf(headers) ?? 0 };
}

/** The version of the server's map, when the answer says that the shard is not there. */
export function wrongShardVersion(status: number, headers: HeaderList): number | undefined {
  return status === WRONG_SHARD_STATUS ? versionOf(headers) : undefined;
}

function versionOf(headers: HeaderList): number | undefined {
  const version = Number(headerValue(headers, HEADERS.shardMap) ?? Number.NaN);
  return Number.isSafeInteger(version) && version >= 0 ? version : undefined;
}
