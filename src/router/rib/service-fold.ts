/**
 * One service as its builder knows it: announcements, demand, shard map; folded into a table and a plan.
 *
 * What does it not believe? That everybody is gone, unless the last one said so itself: leases that run out together are the trouble of
 * the store. And documents that do not parse: what was said before stays.
 */
import { type AnnouncedLoad, decodeUnder } from '../../core/announcement.js';
import { type Endpoint, MAX_ENDPOINTS, sameEndpoint } from '../../core/endpoint.js';
import { EvenkeelError } from '../../core/errors.js';
import type { StateEntry } from '../../core/transport/state.js';
import { type Demand, decodeDemand, estimateDemand } from './demand.js';
import type { Rtt } from './locality.js';
import type { TableContent } from './rib-publisher.js';
import {
  type ClientLocality,
  type PlanInput,
  planRoutingTable,
  type RoutingPlan,
  type ServerLocality,
  workPerCallOf,
} from './routing-plan.js';
import { type LocalityLoad, sortedById } from './routing-table.js';
import { decodeShardMap, newerShardMap, type ShardMap } from './shard-map.js';
import { spliced } from './table-delta.js';

export type PlanSettings = Pick<PlanInput, 'rings' | 'threshold' | 'hysteresis' | 'probeRatio'> & {
  /** Most of a client's traffic that comes back in a second. */
  readonly stepPerSecond: number;
};

interface Server {
  readonly endpoint: Endpoint;
  load: AnnouncedLoad | undefined;
}

/** The cost of a call is learned over this long. */
const COST_TIME_CONSTANT_MS = 5000;
/** Above this many endpoints loads are told by locality only: a caller's own view of a server is fresher, and much less is sent. */
const MAX_TOLD_LOADS = 1000;
const LOAD_STEPS = 20;
/** Numbers of localities are told again when they moved by this much. */
const UTILIZATION_STEP = 0.02;
const RATE_RATIO = 0.1;

export class ServiceFold {
  readonly #announcements: string;
  readonly #servers = new Map<string, Server>();
  readonly #demand = new Map<string, Demand>();
  #shards: ShardMap | undefined;
  #endpoints: readonly Endpoint[] = [];
  /** Since that list was made, by id; undefined: gone. */
  readonly #changed = new Map<string, Endpoint | undefined>();
  #isWithdrawal = false;
  #estimate: readonly ClientLocality[] = [];
  #workPerCall: number | undefined;
  #plan: RoutingPlan | undefined;
  #toldPlan: RoutingPlan | undefined;
  #plannedAt = Number.NEGATIVE_INFINITY;
  #told: readonly LocalityLoad[] = [];
  #last: TableContent | undefined;

  /** @param announcements - The prefix of their keys. */
  constructor(announcements: string) {
    this.#announcements = announcements;
  }

  /** Goes on from the plan of the builder before. */
  resume(plan: RoutingPlan | undefined): void {
    this.#plan ??= plan;
  }

  get plan(): RoutingPlan | undefined {
    return this.#plan;
  }

  get size(): number {
    return this.#servers.size;
  }

  /** Nothing is known of it: no builder needs to think of it. */
  get isEmpty(): boolean {
    return this.#servers.size === 0 && this.#demand.size === 0 && this.#shards === undefined;
  }

  /** True when the list changed; false for a renewal. @throws {EvenkeelError} For a malformed one, or one too many. */
  announce({ key, value }: StateEntry): boolean {
    const { endpoint, load } = decodeUnder(this.#announcements, key, value);
    const known = this.#servers.get(key);
    if (known !== undefined && sameEndpoint(known.endpoint, endpoint)) {
      known.load = load;
      return false;
    }
    if (known === undefined && this.#servers.size >= MAX_ENDPOINTS) {
      throw new EvenkeelError('resource-exhausted', `more than ${MAX_ENDPOINTS} endpoints announce one service`);
    }
    this.#servers.set(key, { endpoint, load });
    this.#changed.set(endpoint.id, endpoint);
    return true;
  }

  withdraw(key: string, isWithdrawal: boolean): void {
    const known = this.#servers.get(key);
    if (known === undefined) return;
    this.#servers.delete(key);
    this.#changed.set(known.endpoint.id, undefined);
    this.#isWithdrawal = isWithdrawal;
  }

  setDemand({ key, value }: StateEntry): void {
    this.#demand.set(key, decodeDemand(value));
  }

  forgetDemand(key: string): void {
    this.#demand.delete(key);
  }

  /** A map older than the one that is known is not taken over. */
  setShards({ value }: StateEntry): void {
    this.#shards = newerShardMap(this.#shards, decodeShardMap(value));
  }

  forgetShards(): void {
    this.#shards = undefined;
  }

  /** What is to be published at `now`. */
  fold(now: number, rtts: readonly Rtt[], settings: PlanSettings): TableContent {
    if (this.#servers.size === 0 && this.#endpoints.length > 0 && !this.#isWithdrawal && this.#last !== undefined)
      return this.#last;
    this.#refreshList();
    const { loads, localities } = this.#aggregate();
    this.#replan(now, localities, rtts, settings);
    this.#tellPlan();
    if (this.#isNews(localities)) this.#told = localities;
    this.#last = {
      endpoints: this.#endpoints,
      loads,
      shards: this.#shards,
      routing: { localities: this.#told, rtts, rings: settings.rings ?? {}, plan: this.#toldPlan },
    };
    return this.#last;
  }

  /** Sorting all for each change would be most of the work. */
  #refreshList(): void {
    if (this.#changed.size === 0) return;
    const put = sortedById([...this.#changed.values()].filter((endpoint) => endpoint !== undefined));
    const removed = [...this.#changed.keys()].filter((id) => this.#changed.get(id) === undefined);
    this.#endpoints = spliced(this.#endpoints, put, removed);
    this.#changed.clear();
  }

  #aggregate(): { loads: ReadonlyMap<string, number>; localities: readonly LocalityLoad[] } {
    const loads = new Map<string, number>();
    const isTelling = this.#servers.size <= MAX_TOLD_LOADS;
    const sums = new Map<string, LocalitySum>();
    for (const { endpoint, load } of this.#servers.values()) {
      const { id, locality = '', weight = 1 } = endpoint;
      const sum = sums.get(locality) ?? new LocalitySum();
      sums.set(locality, sum);
      sum.add(weight, load);
      if (isTelling && load?.utilization !== undefined) loads.set(id, Math.round(load.utilization * LOAD_STEPS) / LOAD_STEPS);
    }
    const localities = [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([locality, sum]) => sum.read(locality));
    return { loads, localities };
  }

  #replan(now: number, servers: readonly ServerLocality[], rtts: readonly Rtt[], settings: PlanSettings): void {
    if (servers.length === 0) return;
    const clients = this.#clients(servers);
    const elapsed = now - this.#plannedAt;
    const cost = workPerCallOf({ servers, clients });
    if (this.#workPerCall === undefined || this.#workPerCall === 0) this.#workPerCall = cost;
    else if (cost > 0) this.#workPerCall += (cost - this.#workPerCall) * (1 - Math.exp(-elapsed / COST_TIME_CONSTANT_MS));
    const { stepPerSecond, ...rest } = settings;
    const step = Math.min(1, Math.max(stepPerSecond * Math.min(1000, elapsed) * 0.001, Number.MIN_VALUE));
    const next = planRoutingTable({
      ...rest,
      servers,
      clients,
      rtts,
      workPerCall: this.#workPerCall,
      step,
      previous: this.#plan,
    });
    this.#plannedAt = now;
    this.#plan = next;
  }

  /** What a locality will come to is no news by itself. */
  #tellPlan(): void {
    const [told, plan] = [this.#toldPlan, this.#plan];
    const isSame =
      told !== undefined &&
      plan !== undefined &&
      JSON.stringify([told.clients, told.full]) === JSON.stringify([plan.clients, plan.full]) &&
      told.projected.every(
        ({ utilization }, i) => Math.abs(utilization - (plan.projected[i]?.utilization ?? 0)) < UTILIZATION_STEP,
      );
    if (!isSame) this.#toldPlan = plan;
  }

  /** All who call, and whoever stands where servers do: they may begin to. */
  #clients(servers: readonly ServerLocality[]): readonly ClientLocality[] {
    if (this.#demand.size === 0) {
      this.#estimate = estimateDemand(servers, this.#plan, this.#estimate);
      return this.#estimate;
    }
    const rates = new Map(servers.map(({ locality }) => [locality, 0]));
    for (const { locality, ratePerSecond } of this.#demand.values())
      rates.set(locality, (rates.get(locality) ?? 0) + ratePerSecond);
    return [...rates].map(([locality, ratePerSecond]) => ({ locality, ratePerSecond }));
  }

  #isNews(localities: readonly LocalityLoad[]): boolean {
    return localities.length !== this.#told.length || localities.some((now, i) => hasMoved(this.#told[i] as LocalityLoad, now));
  }
}

class LocalitySum {
  #endpoints = 0;
  #capacity = 0;
  #toldCapacity = 0;
  #work = 0;
  #ratedCapacity = 0;
  #rps = 0;
  #eps = 0;

  add(weight: number, load: AnnouncedLoad | undefined): void {
    this.#endpoints++;
    this.#capacity += weight;
    if (load?.utilization !== undefined) {
      this.#toldCapacity += weight;
      this.#work += weight * load.utilization;
    }
    if (load?.rps !== undefined) {
      this.#ratedCapacity += weight;
      this.#rps += load.rps;
      this.#eps += Math.min(load.rps, load.eps ?? 0);
    }
  }

  /** Those who tell nothing are taken to be as those who do. */
  read(locality: string): LocalityLoad {
    return {
      locality,
      endpoints: this.#endpoints,
      capacity: this.#capacity,
      ...(this.#toldCapacity === 0 ? undefined : { utilization: this.#work / this.#toldCapacity }),
      ...(this.#ratedCapacity === 0 ? undefined : { ratePerSecond: (this.#rps * this.#capacity) / this.#ratedCapacity }),
      ...(this.#ratedCapacity === 0 ? undefined : { errorRatio: this.#rps === 0 ? 0 : this.#eps / this.#rps }),
    };
  }
}

function hasMoved(before: LocalityLoad, now: LocalityLoad): boolean {
  const moved = (a: number | undefined, b: number | undefined, by: number) => {
    return (a === undefined) !== (b === undefined) || Math.abs((a ?? 0) - (b ?? 0)) >= by;
  };
  return (
    before.locality !== now.locality ||
    before.endpoints !== now.endpoints ||
    before.capacity !== now.capacity ||
    moved(before.utilization, now.utilization, UTILIZATION_STEP) ||
    moved(before.errorRatio, now.errorRatio, UTILIZATION_STEP) ||
    moved(before.ratePerSecond, now.ratePerSecond, Math.max(1, (before.ratePerSecond ?? 0) * RATE_RATIO))
  );
}
