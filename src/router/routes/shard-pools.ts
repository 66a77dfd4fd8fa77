/**
 * Which endpoints hold a shard, as pools of their own.
 *
 * Whose map counts? The resolver's, of which no older version is taken after a newer. A server that was asked for a shard it does not
 * hold says so, with the version of its map: then the caller's map is looked up anew, and the call goes elsewhere.
 */
import { type Cache, createCache } from '../../core/cache.js';
import type { Clock } from '../../core/clock.js';
import type { Member } from '../endpoint-table.js';
import { newerShardMap, replicasOf, type ShardMap } from '../rib/shard-map.js';
import type { Pool } from './pool.js';

/** Pools of shards in use; the others are made anew when they are called. */
const MAX_POOLS = 4096;

export class ShardPools {
  readonly #pools: Cache<string, { pool: Pool<Member>; version: number }>;
  readonly #make: () => Pool<Member>;
  #map: ShardMap | undefined;
  /** Rises with the map and with the endpoints. */
  #version = 0;
  #open: ReadonlyMap<string, Member> = new Map();
  #known: ReadonlyMap<string, Member> = new Map();

  constructor(clock: Clock, make: () => Pool<Member>) {
    this.#make = make;
    this.#pools = createCache({ clock, maxEntries: MAX_POOLS });
  }

  /** Of the map; 0: there is none. */
  get mapVersion(): number {
    return this.#map?.version ?? 0;
  }

  setMap(map: ShardMap | undefined): void {
    const newer = newerShardMap(this.#map, map);
    if (newer === this.#map) return;
    this.#map = newer;
    this.#version++;
  }

  update(candidates: readonly Member[], known: Iterable<Member>): void {
    this.#open = byId(candidates);
    this.#known = byId(known);
    this.#version++;
  }

  /** The pool of those who hold `shard`; empty when nobody does. `primary`: only who may write. */
  poolOf(shard: string, role: 'any' | 'primary'): Pool<Member> {
    const key = role === 'primary' ? `primary ${shard}` : `any ${shard}`;
    let entry = this.#pools.get(key);
    if (entry === undefined) {
      entry = { pool: this.#make(), version: -1 };
      this.#pools.set(key, entry);
    }
    if (entry.version !== this.#version) {
      entry.version = this.#version;
      const holders =
        this.#map === undefined ? [] : replicasOf(this.#map, shard).filter((one) => role === 'any' || one.role === 'primary');
      const find = (from: ReadonlyMap<string, Member>) =>
        holders.map(({ endpoint }) => from.get(endpoint)).filter((member) => member !== undefined);
      entry.pool.update(find(this.#open), find(this.#known));
    }
    return entry.pool;
  }
}

function byId(members: Iterable<Member>): Map<string, Member> {
  const map = new Map<string, Member>();
  for (const member of members) map.set(member.endpoint.id, member);
  return map;
}
