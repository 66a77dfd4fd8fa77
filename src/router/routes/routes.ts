/**
 * From a call to the endpoints that may take it: who holds its shard, which version and tier its share of the traffic goes to, which
 * ring, which subset of a long list. Each step only narrows; a step that nobody asked for costs a comparison.
 */
import type { Clock } from '../../core/clock.js';
import type { Random } from '../../core/random.js';
import type { EndpointTable, Member } from '../endpoint-table.js';
import type { Picker } from '../pickers/picker.js';
import type { RingOptions } from '../rib/locality.js';
import { RingSelector } from '../rib/rings.js';
import type { RoutingTable } from '../rib/routing-table.js';
import { Pool, type Route } from './pool.js';
import { ShardPools } from './shard-pools.js';
import { type ResolvedSubset, rendezvousSubset } from './subset.js';
import type { RouteSplit } from './traffic-split.js';
import { utilizationOf } from './utilization.js';

export interface RoutesOptions {
  /** Where the caller stands; undefined: no rings. */
  readonly locality: string | undefined;
  readonly rings: RingOptions | undefined;
  readonly ringThreshold: number | undefined;
  /** Undefined: all endpoints are used. */
  readonly subset: ResolvedSubset | undefined;
  /** Of versions, of tiers. */
  readonly splits: readonly RouteSplit[];
  /** Subsets may be used now. */
  readonly subsetting: { readonly isOn: boolean };
}

export interface RouteRequest {
  readonly now: number;
  readonly shard: string | undefined;
  readonly shardRole: 'any' | 'primary';
}

/** Endpoints of certain kinds, and in them those of further kinds. */
interface KindPool {
  readonly wanted: readonly { readonly attribute: string; readonly kind: string }[];
  readonly narrower: Map<string | undefined, KindPool>;
  pool: Pool<Member> | undefined;
  version: number;
}

export class Routes {
  readonly #options: RoutesOptions;
  readonly #table: EndpointTable;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Names this router in the ranking of subsets. */
  readonly #client: string;
  readonly #makePicker: () => Picker;
  readonly #shards: ShardPools;
  readonly #all: Pool<Member>;
  /** Of any kind; the first split chooses among those within it, the second within that. */
  readonly #kinds: KindPool = { wanted: [], narrower: new Map(), pool: undefined, version: -1 };
  readonly #draw = () => this.#random.next();
  /** The plain case: one route for everything. */
  #whole: Route;
  readonly #isSplit: boolean;
  #tableVersion = -1;
  #isSubsetting = true;
  /** Rises when pools are to be filled anew. */
  #epoch = 0;
  #routing: RoutingTable | undefined;
  #version = 0;

  constructor(
    options: RoutesOptions,
    table: EndpointTable,
    clock: Clock,
    random: Random,
    client: string,
    makePicker: () => Picker,
  ) {
    this.#options = options;
    this.#table = table;
    this.#clock = clock;
    this.#random = random;
    this.#client = client;
    this.#makePicker = makePicker;
    this.#all = this.#makePool();
    this.#shards = new ShardPools(clock, () => this.#makePool());
    this.#whole = { set: table, picker: makePicker(), ring: undefined };
    this.#isSplit = options.locality !== undefined || options.splits.length > 0;
  }

  /** The picker of the plain case; of its kind for all others. */
  get picker(): Picker {
    return this.#whole.picker;
  }

  get shardMapVersion(): number {
    return this.#shards.mapVersion;
  }

  /** A newer table of the resolver; undefined: its plan is too old to go by. */
  setRouting(table: RoutingTable | undefined): void {
    this.#routing = table;
    this.#shards.setMap(table?.shards);
  }

  /** Where the call may go; undefined when nobody who is open may take it. */
  routeOf(request: RouteRequest): Route | undefined {
    if (this.#table.candidates.length === 0) return undefined;
    if (request.shard !== undefined) return this.#routeToShard(request, request.shard);
    if (!this.#isSplit && this.#table.candidates.length <= (this.#options.subset?.maxEndpoints ?? Number.POSITIVE_INFINITY)) {
      return this.#whole;
    }
    this.#follow();
    return this.#poolFor(request.now).route(this.#draw, request.now);
  }

  /** All who may take it, near or far, of any kind: for a call whose own route has no room. */
  widened(request: RouteRequest): readonly Member[] {
    if (request.shard === undefined) return this.#table.candidates;
    this.#follow();
    return this.#shards.poolOf(request.shard, request.shardRole).candidates;
  }

  #routeToShard({ now, shardRole }: RouteRequest, shard: string): Route | undefined {
    this.#follow();
    return this.#shards.poolOf(shard, shardRole).route(this.#draw, now);
  }

  #follow(): void {
    const table = this.#table;
    const { isOn } = this.#options.subsetting;
    if (table.version === this.#tableVersion && isOn === this.#isSubsetting) return;
    this.#tableVersion = table.version;
    this.#isSubsetting = isOn;
    this.#epoch++;
    this.#all.update(table.candidates, table.members());
    this.#shards.update(table.candidates, table.members());
  }

  /** By the shares of now; a kind of which nobody is open leaves its share to all. */
  #poolFor(now: number): Pool<Member> {
    let chosen = this.#kinds;
    for (const split of this.#options.splits) {
      split.observe?.(this.#table.candidates, now);
      const shares = split.at(now);
      chosen = this.#narrowed(chosen, split.attribute, shares && draw(shares, this.#random.next()));
    }
    if (chosen.wanted.length === 0) return this.#all;
    const pool = this.#filled(chosen);
    return pool.size === 0 ? this.#all : pool;
  }

  /** @param kind - Undefined: any. */
  #narrowed(from: KindPool, attribute: string, kind: string | undefined): KindPool {
    let narrower = from.narrower.get(kind);
    if (narrower === undefined) {
      // Kinds come and go with releases.
      if (from.narrower.size >= MOST_KINDS) from.narrower.clear();
      const wanted = kind === undefined ? from.wanted : [...from.wanted, { attribute, kind }];
      narrower = { wanted, narrower: new Map(), pool: undefined, version: -1 };
      from.narrower.set(kind, narrower);
    }
    return narrower;
  }

  #filled(kinds: KindPool): Pool<Member> {
    kinds.pool ??= this.#makePool();
    if (kinds.version !== this.#epoch) {
      kinds.version = this.#epoch;
      const isWanted = ({ endpoint }: Member) =>
        kinds.wanted.every(({ attribute, kind }) => endpoint.attributes?.[attribute] === kind);
      kinds.pool.update(this.#table.candidates.filter(isWanted), [...this.#table.members()].filter(isWanted));
    }
    return kinds.pool;
  }

  #makePool(): Pool<Member> {
    const { locality, rings, ringThreshold, subset, subsetting } = this.#options;
    const selector =
      locality === undefined
        ? undefined
        : new RingSelector<Member>({
            locality,
            loadOf: (member) => utilizationOf(member, this.#clock.coarse()),
            ...(rings === undefined ? undefined : { rings }),
            ...(ringThreshold === undefined ? undefined : { threshold: ringThreshold }),
          });
    return new Pool<Member>({
      rings: selector,
      makePicker: this.#makePicker,
      routing: () => this.#routing,
      nextVersion: () => ++this.#version,
      subset: (candidates) =>
        subset === undefined || !subsetting.isOn || candidates.length < subset.minEndpoints
          ? candidates
          : rendezvousSubset(candidates, this.#client, subset.maxEndpoints),
    });
  }
}

const MOST_KINDS = 256;

/** The kind whose range `random`, uniform in [0, 1), falls into. */
function draw(shares: ReadonlyMap<string, number>, random: number): string {
  let sum = 0;
  let last = '';
  for (const [name, share] of shares) {
    if (share === 0) continue;
    last = name;
    sum += share;
    if (random < sum) return name;
  }
  return last;
}
