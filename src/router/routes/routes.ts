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
import type { TrafficSplit } from './traffic-split.js';

export interface RoutesOptions {
  /** Where the caller stands; undefined: no rings. */
  readonly locality: string | undefined;
  readonly rings: RingOptions | undefined;
  readonly ringThreshold: number | undefined;
  /** Undefined: all endpoints are used. */
  readonly subset: ResolvedSubset | undefined;
  /** Of versions, of tiers. */
  readonly splits: readonly TrafficSplit[];
  /** Subsets may be used now. */
  readonly subsetting: { readonly isOn: boolean };
}

export interface RouteRequest {
  readonly now: number;
  readonly shard: string | undefined;
  readonly shardRole: 'any' | 'primary';
}

/** A report older than this tells nothing of a ring. */
const MAX_REPORT_AGE_MS = 10_000;
/** One server that claims more must not empty its ring. */
const MAX_TOLD_USE = 2;

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
  /** By the kinds chosen, one of each split. */
  readonly #split = new Map<string, { pool: Pool<Member>; version: number }>();
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
    const { splits } = this.#options;
    let key = '';
    const kinds: string[] = [];
    for (const split of splits) {
      const shares = split.at(now);
      if (shares === undefined) continue;
      const kind = draw(shares, this.#random.next());
      kinds.push(split.attribute, kind);
      key += `${split.attribute.length} ${split.attribute} ${kind.length} ${kind} `;
    }
    if (key === '') return this.#all;
    const pool = this.#splitPool(key, kinds);
    return pool.size === 0 ? this.#all : pool;
  }

  /** @param kinds - Attribute and value in turn. */
  #splitPool(key: string, kinds: readonly string[]): Pool<Member> {
    let entry = this.#split.get(key);
    if (entry === undefined) {
      if (this.#split.size >= MOST_SPLITS) this.#split.clear();
      entry = { pool: this.#makePool(), version: -1 };
      this.#split.set(key, entry);
    }
    if (entry.version !== this.#epoch) {
      entry.version = this.#epoch;
      const isWanted = ({ endpoint }: Member) =>
        kinds.every((name, i) => i % 2 === 1 || endpoint.attributes?.[name] === kinds[i + 1]);
      entry.pool.update(this.#table.candidates.filter(isWanted), [...this.#table.members()].filter(isWanted));
    }
    return entry.pool;
  }

  #makePool(): Pool<Member> {
    const { locality, rings, ringThreshold, subset, subsetting } = this.#options;
    const selector =
      locality === undefined
        ? undefined
        : new RingSelector<Member>({
            locality,
            loadOf: (member) => loadOf(member, this.#clock.coarse()),
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

const MOST_SPLITS = 1024;

/** Utilisation of an endpoint for the load of its ring; errors are use, or a region that fails fast would look idle. */
function loadOf(member: Member, now: number): number | undefined {
  const { report } = member;
  const failing = member.failureNow(now);
  const isFresh = report !== undefined && now - member.reportAtMs <= MAX_REPORT_AGE_MS;
  const told = isFresh ? (report.applicationUtilization ?? report.cpuUtilization) : undefined;
  const utilization = told === undefined ? undefined : Math.min(MAX_TOLD_USE, told);
  if (utilization === undefined) return failing > 0 ? failing : undefined;
  return utilization + failing * Math.max(0, 1 - utilization);
}

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
