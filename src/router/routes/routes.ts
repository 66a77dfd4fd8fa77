/**
 * From a call to the endpoints that may take it: who holds its shard, which version its share of the traffic goes to, which ring, which
 * tier in it, which subset of a long list. Each step only narrows; a step that nobody asked for costs a comparison.
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
import { drawShare, type RouteSplit } from './traffic-split.js';
import { utilizationOf } from './utilization.js';

export interface RoutesOptions {
  /** Where the caller stands; undefined: no rings. */
  readonly locality: string | undefined;
  readonly rings: RingOptions | undefined;
  readonly ringThreshold: number | undefined;
  /** Undefined: all endpoints are used. */
  readonly subset: ResolvedSubset | undefined;
  /** Undefined: versions do not matter. */
  readonly versions: RouteSplit | undefined;
  readonly tiers: RouteSplit | undefined;
  /** Subsets may be used now. */
  readonly subsetting: { readonly isOn: boolean };
}

export interface RouteRequest {
  readonly now: number;
  readonly shard: string | undefined;
  readonly shardRole: 'any' | 'primary';
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
  readonly #draw = () => this.#random.next();
  /** The plain case: one route for everything. */
  #whole: Route;
  readonly #isSplit: boolean;
  #tableVersion = -1;
  #isSubsetting = true;
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
    this.#isSplit = options.locality !== undefined || options.versions !== undefined || options.tiers !== undefined;
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
    return this.#ofVersion(this.#all, request.now).route(this.#draw, request.now);
  }

  /** All who may take it, near or far, of any tier, of any version with a share: for a call whose own route has no room. */
  widened({ now, shard, shardRole }: RouteRequest): readonly Member[] {
    const { versions } = this.#options;
    if (shard === undefined && versions === undefined) return this.#table.candidates;
    this.#follow();
    const pool = shard === undefined ? this.#all : this.#shards.poolOf(shard, shardRole);
    const shares = versions?.at(now, pool.candidates, pool);
    if (versions === undefined || shares === undefined) return pool.candidates;
    const wanted = pool.candidates.filter(
      ({ endpoint }) => (shares.get(endpoint.attributes?.[versions.attribute] ?? '') ?? 0) > 0,
    );
    return wanted.length === 0 ? pool.candidates : wanted;
  }

  #routeToShard({ now, shardRole }: RouteRequest, shard: string): Route | undefined {
    this.#follow();
    return this.#ofVersion(this.#shards.poolOf(shard, shardRole), now).route(this.#draw, now);
  }

  #follow(): void {
    const table = this.#table;
    const { isOn } = this.#options.subsetting;
    if (table.version === this.#tableVersion && isOn === this.#isSubsetting) return;
    this.#tableVersion = table.version;
    this.#isSubsetting = isOn;
    const known = [...table.members()];
    this.#all.update(table.candidates, known);
    this.#shards.update(table.candidates, known);
  }

  /** By the shares of now; a version of which nobody is open leaves its share to the others. */
  #ofVersion(pool: Pool<Member>, now: number): Pool<Member> {
    const { versions } = this.#options;
    const shares = versions?.at(now, pool.candidates, pool);
    if (versions === undefined || shares === undefined || pool.size === 0) return pool;
    const { attribute } = versions;
    const version = drawShare(shares, this.#random.next(), pool.kinds(attribute));
    return version === undefined ? pool : pool.ofKind(attribute, version);
  }

  #makePool(): Pool<Member> {
    const { locality, rings, ringThreshold, subset, subsetting, tiers } = this.#options;
    const makeRings = () =>
      locality === undefined
        ? undefined
        : new RingSelector<Member>({
            locality,
            loadOf: (member) => utilizationOf(member, this.#clock.coarse()),
            ...(rings === undefined ? undefined : { rings }),
            ...(ringThreshold === undefined ? undefined : { threshold: ringThreshold }),
          });
    return new Pool<Member>({
      makeRings,
      tiers,
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
