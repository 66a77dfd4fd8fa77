/**
 * Endpoints and routes of one service from the table that a builder publishes.
 *
 * What if the builder is dead? The table stays. When nothing has shown for `maxTableAgeMs` that a builder lives, while the store itself
 * is there, the announcements are watched directly, so that dead servers leave the list and new ones join it; the plan stays for
 * `maxPlanAgeMs`, and after that callers choose rings by what they see. A newer table ends that.
 * What does a caller cost the store? It watches the documents of this service and the lease of the builder: the number of other services
 * is nothing to it.
 */
import { keySegment } from '../../core/announcement.js';
import type { Timer } from '../../core/clock.js';
import type { Endpoint } from '../../core/endpoint.js';
import { checkNumber, EvenkeelError, invalidArgument } from '../../core/errors.js';
import { checkKey } from '../../core/internal/keys.js';
import type { EndpointSource, Resolution, Resolver, ResolverListener, ResolverRuntime } from '../../core/resolver.js';
import { stateResolver } from '../../core/resolver-state.js';
import type { StateEntry, StateTransport } from '../../core/transport/state.js';
import { DEFAULT_RIB_LEADER_KEY, headKey, ribPrefix } from './rib-keys.js';
import { type RoutingTable, sameEndpoints } from './routing-table.js';
import { TableAssembler } from './table-assembler.js';
import { TableFile } from './table-cache.js';
import { WatchedDocuments } from './watched-documents.js';

export interface RibResolverOptions {
  /** Where the builder publishes and servers announce themselves. Not closed by the resolver. */
  state: StateTransport;
  service: string;
  /** Keeps a checksummed copy of the last table: with the store away a cold start begins with it. One resolver a file. Default: none. */
  cacheFile?: string;
  /** Without a sign of life of a builder for this long, announcements are watched. Default 30,000 ms; 1,000 to 86,400,000. */
  maxTableAgeMs?: number;
  /** Then the last plan stays for this long. Default 600,000 ms; 0 to 86,400,000. */
  maxPlanAgeMs?: number;
  /** Default `leaders/rib`, as the builder's. */
  leaderKey?: string;
}

/** A listener that also wants to know the routes. */
export interface RoutingListener extends ResolverListener {
  /** After `onEndpoints` where that changed too. Undefined: the plan is too old to go by. */
  onRouting?(table: RoutingTable | undefined): void;
}

export interface RibResolver extends Resolver {
  start(runtime: ResolverRuntime, listener: RoutingListener): RibResolution;
}

export interface RibResolution extends Resolution {
  /** The last good one; undefined before the first. */
  readonly table: RoutingTable | undefined;
  /** Where the endpoints come from now. */
  readonly source: 'none' | 'cache' | 'table' | 'announcements';
}

export const DEFAULT_MAX_TABLE_AGE_MS = 30_000;
export const DEFAULT_MAX_PLAN_AGE_MS = 600_000;
/** Looks at the age this often in `maxTableAgeMs`. */
const CHECKS = 10;

/**
 * Follows the table of one service. A change reaches the caller as fast as the store tells it, some 200 ms after the server's
 * announcement; without any builder it is what `stateResolver` is.
 *
 * @example
 * ```ts
 * import { createMemoryState } from 'evenkeel/memory';
 * import { ribResolver } from 'evenkeel/router';
 *
 * const resolver = ribResolver({ state: createMemoryState(), service: 'search', cacheFile: '/tmp/evenkeel/search.rib' });
 * ```
 * @throws {EvenkeelError} `invalid-argument` for an empty service, an age out of range, or without a state transport.
 */
export function ribResolver(options: RibResolverOptions): RibResolver {
  const { state, service } = options;
  if (typeof state?.watch !== 'function') throw invalidArgument('state', state, 'a StateTransport');
  if (typeof service !== 'string' || service === '') throw invalidArgument('service', service, 'the name of a service');
  checkNumber('maxTableAgeMs', options.maxTableAgeMs ?? DEFAULT_MAX_TABLE_AGE_MS, 1000, 86_400_000);
  checkNumber('maxPlanAgeMs', options.maxPlanAgeMs ?? DEFAULT_MAX_PLAN_AGE_MS, 0, 86_400_000);
  if (options.leaderKey !== undefined) checkKey('leaderKey', options.leaderKey);
  const name = `rib:${service}`;
  return { name, start: (runtime, listener) => new TableResolution(name, options, runtime, listener) };
}

class TableResolution implements RibResolution {
  readonly #name: string;
  readonly #options: RibResolverOptions;
  readonly #runtime: ResolverRuntime;
  readonly #listener: RoutingListener;
  readonly #maxTableAgeMs: number;
  readonly #maxPlanAgeMs: number;
  readonly #prefix: string;
  readonly #assembler: TableAssembler;
  readonly #file: TableFile | undefined;
  #tables: WatchedDocuments | undefined;
  #leader: WatchedDocuments | undefined;
  /** Announcements, while no builder lives. */
  #direct: Resolution | undefined;
  #table: RoutingTable | undefined;
  #source: RibResolution['source'] = 'none';
  #endpoints: readonly Endpoint[] | undefined;
  #endpointSource: EndpointSource | undefined;
  #toldFrom: RibResolution['source'] = 'none';
  #isPlanDropped = false;
  /** Clock.now() of the last sign that a builder lives; of a table from disk, when it was saved. */
  #builderSeenAt = Number.NEGATIVE_INFINITY;
  /** A head has been known since then of which documents are missing. */
  #behindSince: number | undefined;
  #timer: Timer | undefined;
  #isAdvancing = false;
  #isClosed = false;

  constructor(name: string, options: RibResolverOptions, runtime: ResolverRuntime, listener: RoutingListener) {
    this.#name = name;
    this.#options = options;
    this.#runtime = runtime;
    this.#listener = listener;
    this.#maxTableAgeMs = options.maxTableAgeMs ?? DEFAULT_MAX_TABLE_AGE_MS;
    this.#maxPlanAgeMs = options.maxPlanAgeMs ?? DEFAULT_MAX_PLAN_AGE_MS;
    const segment = keySegment(options.service);
    this.#prefix = ribPrefix(segment);
    this.#assembler = new TableAssembler(segment, this.#prefix);
    this.#file = options.cacheFile === undefined ? undefined : new TableFile(name, options.cacheFile, runtime);
    if (this.#file !== undefined) void this.#load(this.#file);
    queueMicrotask(() => this.refresh());
    this.#arm();
  }

  get table(): RoutingTable | undefined {
    return this.#table;
  }

  get source(): RibResolution['source'] {
    return this.#source;
  }

  get ageMs(): number {
    return this.#source === 'announcements' && this.#direct !== undefined ? this.#direct.ageMs : this.#tableAgeMs();
  }

  /** The store tells changes by itself; there is something to do only when it refused a watch. */
  refresh(): void {
    this.#direct?.refresh();
    if (this.#isClosed || this.#leader !== undefined) return;
    const { state, leaderKey = DEFAULT_RIB_LEADER_KEY } = this.#options;
    try {
      this.#tables ??= new WatchedDocuments(state, this.#prefix, {
        onPut: (entry) => this.#onTable(entry),
        onGone: (key) => this.#assembler.forget(key),
        onSynced: () => this.#advanceSoon(),
        onRestart: () => this.#assembler.restart(),
      });
      this.#leader = new WatchedDocuments(state, leaderKey, {
        onPut: ({ key }) => key === leaderKey && this.#onBuilder(),
        onGone: () => {},
      });
    } catch (error) {
      this.#fail(error);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#tables?.close();
    this.#leader?.close();
    this.#direct?.close();
  }

  #tableAgeMs(): number {
    const now = this.#runtime.clock.now();
    const behind = this.#behindSince === undefined ? 0 : now - this.#behindSince;
    return Math.max(now - this.#builderSeenAt, behind, this.#source === 'table' ? (this.#tables?.ageMs ?? 0) : 0);
  }

  #onBuilder(): void {
    this.#builderSeenAt = this.#runtime.clock.now();
  }

  #onTable({ key, value }: StateEntry): void {
    try {
      this.#assembler.put(key, value);
    } catch (error) {
      this.#report(error);
    }
    // What is listed may be of a builder that is long dead: only news is a sign of life.
    if (key === headKey(this.#prefix) && this.#tables?.isComplete) this.#onBuilder();
    this.#advanceSoon();
  }

  /** Once for all events of one batch. */
  #advanceSoon(): void {
    if (this.#isAdvancing || !this.#tables?.isComplete) return;
    this.#isAdvancing = true;
    queueMicrotask(() => {
      this.#isAdvancing = false;
      if (!this.#isClosed) this.#advance();
    });
  }

  #advance(): void {
    let table: RoutingTable | undefined;
    try {
      table = this.#assembler.advance();
    } catch (error) {
      this.#report(error);
    }
    if (!this.#assembler.isBehind) this.#behindSince = undefined;
    else this.#behindSince ??= this.#runtime.clock.now();
    if (table !== undefined) this.#use(table, 'live');
    // Nobody has ever built a table for it, or there is no builder: no need to wait.
    else if (this.#assembler.head === undefined) this.#fallBack();
  }

  #use(table: RoutingTable, source: EndpointSource): void {
    this.#table = table;
    this.#isPlanDropped = false;
    if (source === 'live') {
      this.#direct?.close();
      this.#direct = undefined;
      // What was listed has its age from the builder's lease, which is listed too; without one it begins now.
      if (this.#builderSeenAt === Number.NEGATIVE_INFINITY) this.#onBuilder();
    }
    this.#source = source === 'live' ? 'table' : 'cache';
    this.#tellEndpoints(table.endpoints, source);
    this.#tell(() => this.#listener.onRouting?.(table));
    if (source === 'live') this.#saveIfDue();
  }

  /** A whole list, where it is another than before or was only known from disk. */
  #tellEndpoints(endpoints: readonly Endpoint[], source: EndpointSource): void {
    const isConfirmed = source === 'live' && this.#endpointSource === 'cache';
    const before = this.#endpoints;
    this.#endpoints = endpoints;
    const hasSwitched = this.#source !== this.#toldFrom;
    this.#toldFrom = this.#source;
    if (!isConfirmed && (endpoints === before || (hasSwitched && sameEndpoints(before, endpoints)))) return;
    this.#endpointSource = source;
    this.#tell(() => this.#listener.onEndpoints(Object.freeze(endpoints), { source }));
  }

  #arm(): void {
    this.#timer = this.#runtime.clock.timer(this.#maxTableAgeMs / CHECKS, () => {
      this.refresh();
      this.#check();
      if (!this.#isClosed) this.#arm();
    });
  }

  #check(): void {
    this.#saveIfDue();
    const age = this.#tableAgeMs();
    const isStoreThere = (this.#tables?.ageMs ?? Number.POSITIVE_INFINITY) < this.#maxTableAgeMs;
    if (age > this.#maxTableAgeMs && isStoreThere) this.#fallBack();
    if (age > this.#maxTableAgeMs + this.#maxPlanAgeMs && this.#table !== undefined && !this.#isPlanDropped) {
      this.#isPlanDropped = true;
      this.#tell(() => this.#listener.onRouting?.(undefined));
    }
  }

  #fallBack(): void {
    if (this.#direct !== undefined) return;
    const { state, service } = this.#options;
    this.#direct = stateResolver({ state, service }).start(this.#runtime, {
      onEndpoints: (endpoints) => {
        if (this.#direct === undefined || this.#isClosed) return;
        // Until servers are heard of, those of the last table are better than none.
        if (endpoints.length === 0 && this.#endpoints !== undefined && this.#source !== 'announcements') return;
        this.#source = 'announcements';
        this.#tellEndpoints(endpoints, 'live');
      },
      onError: (error) => this.#fail(error),
    });
  }

  #fail(error: unknown): void {
    if (this.#isClosed) return;
    const known =
      error instanceof EvenkeelError
        ? error
        : new EvenkeelError('unavailable', `${this.#name} failed: ${error}`, { retryable: 'yes', cause: error });
    this.#tell(() => this.#listener.onError(known));
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#runtime.diagnostics.report(`resolver ${this.#name}: listener`, error);
    }
  }

  #report(error: unknown): void {
    this.#runtime.diagnostics.report(`resolver ${this.#name}`, error);
  }

  async #load(file: TableFile): Promise<void> {
    const cached = await file.load();
    if (cached === undefined || this.#isClosed || this.#source !== 'none') return;
    const { clock } = this.#runtime;
    // The calendar may have been set back meanwhile.
    const ageMs = Math.max(0, clock.wallTime() - cached.savedAt);
    this.#builderSeenAt = Math.max(this.#builderSeenAt, clock.now() - ageMs);
    this.#use(cached.table, 'cache');
  }

  #saveIfDue(): void {
    if (this.#source === 'table' && this.#table !== undefined && !this.#isClosed) this.#file?.saveIfDue(this.#table);
  }
}
