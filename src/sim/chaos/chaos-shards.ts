/** Who holds which shard, which changes while calls are under way. */
import type { Random } from '../../core/random.js';
import type { ShardMap } from '../../router/rib/shard-map.js';

const SHARDS = 8;
const REPLICAS = 3;

/** The truth, as servers know it; callers hear of it later. */
export class ChaosShards {
  version = 1;
  readonly #servers: readonly string[];
  readonly #random: Random;
  readonly #holders: string[][];

  constructor(servers: readonly string[], random: Random) {
    this.#servers = servers;
    this.#random = random;
    this.#holders = Array.from({ length: SHARDS }, (_, shard) =>
      Array.from({ length: REPLICAS }, (_, i) => servers[(shard + i) % servers.length] as string),
    );
  }

  shardOf(call: number): string {
    return `shard-${call % SHARDS}`;
  }

  holds(server: string, shard: string): boolean {
    return this.#holders[Number(shard.slice('shard-'.length))]?.includes(server) === true;
  }

  /** One of those who hold a shard gives it to one who does not. */
  move(): void {
    const holders = this.#holders[this.#random.int(SHARDS)] as string[];
    const others = this.#servers.filter((server) => !holders.includes(server));
    holders[this.#random.int(REPLICAS)] = others[this.#random.int(others.length)] as string;
    this.version++;
  }

  map(): ShardMap {
    const shards = this.#holders.map((holders, i) => {
      const replicas = holders.map((endpoint, at) => ({ endpoint, role: at === 0 ? 'primary' : 'replica' }) as const);
      return [`shard-${i}`, replicas] as const;
    });
    return { version: this.version, shards: new Map(shards) };
  }
}
