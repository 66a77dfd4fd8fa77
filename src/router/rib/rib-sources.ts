/** Everything a builder folds, watched: announcements, shard maps, demand, round trips; each to the fold of its service. */
import { announcedService, SERVICES_PREFIX } from '../../core/announcement.js';
import type { StateEntry, StateTransport } from '../../core/transport/state.js';
import type { Rtt } from './locality.js';
import { DEMAND_PREFIX, RTT_PREFIX, SHARDS_PREFIX } from './rib-keys.js';
import { decodeRtt } from './rtt.js';
import { ServiceFold } from './service-fold.js';
import { type DocumentListener, WatchedDocuments } from './watched-documents.js';

/** `list`: who is there, or where a shard is; to be told soon. `load`: numbers; they can wait a little. */
export type Change = 'list' | 'load';

export interface SourcesOptions {
  readonly state: StateTransport;
  /** Segments of the services to be folded; undefined: all. */
  readonly only: ReadonlySet<string> | undefined;
  /** @param segment - The service, as a segment of keys; undefined: all services. */
  readonly onChange: (segment: string | undefined, change: Change) => void;
  readonly onMalformed: (key: string, error: unknown) => void;
}

export class RibSources {
  readonly folds = new Map<string, ServiceFold>();
  readonly #options: SourcesOptions;
  readonly #watches: readonly WatchedDocuments[];
  readonly #rtts = new Map<string, Rtt>();
  #rttList: readonly Rtt[] | undefined;

  /** @throws What the store's `watch` throws. */
  constructor(options: SourcesOptions) {
    this.#options = options;
    const { state } = options;
    const watches: WatchedDocuments[] = [];
    try {
      watches.push(new WatchedDocuments(state, SERVICES_PREFIX, this.#guarded(this.#announcements())));
      watches.push(new WatchedDocuments(state, SHARDS_PREFIX, this.#guarded(this.#shardMaps())));
      watches.push(new WatchedDocuments(state, DEMAND_PREFIX, this.#guarded(this.#demands())));
      watches.push(new WatchedDocuments(state, RTT_PREFIX, this.#guarded(this.#roundTrips())));
    } catch (error) {
      for (const watch of watches) watch.close();
      throw error;
    }
    this.#watches = watches;
  }

  /** Only then is what they hold the whole truth. */
  get isComplete(): boolean {
    return this.#watches.every(({ isComplete }) => isComplete);
  }

  /** Since the store last proved the least fresh of them. */
  get ageMs(): number {
    return Math.max(...this.#watches.map(({ ageMs }) => ageMs));
  }

  get rtts(): readonly Rtt[] {
    this.#rttList ??= [...this.#rtts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, rtt]) => rtt);
    return this.#rttList;
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
  }

  #announcements(): DocumentListener {
    return {
      onPut: (entry) => {
        const segment = announcedService(entry.key);
        const fold = segment === undefined ? undefined : this.#foldOf(segment);
        if (fold !== undefined) this.#options.onChange(segment, fold.announce(entry) ? 'list' : 'load');
      },
      onGone: (key, isWithdrawal) => {
        const segment = announcedService(key);
        this.folds.get(segment ?? '')?.withdraw(key, isWithdrawal);
        if (segment !== undefined) this.#options.onChange(segment, 'list');
      },
    };
  }

  #shardMaps(): DocumentListener {
    const segmentOf = (key: string) => key.slice(SHARDS_PREFIX.length);
    return {
      onPut: (entry) => this.#on(segmentOf(entry.key), 'list', (fold) => fold.setShards(entry)),
      onGone: (key) => this.#on(segmentOf(key), 'list', (fold) => fold.forgetShards()),
    };
  }

  #demands(): DocumentListener {
    const segmentOf = (key: string) => key.slice(DEMAND_PREFIX.length).split('/', 1)[0] ?? '';
    return {
      onPut: (entry) => this.#on(segmentOf(entry.key), 'load', (fold) => fold.setDemand(entry)),
      onGone: (key) => this.#on(segmentOf(key), 'load', (fold) => fold.forgetDemand(key)),
    };
  }

  #roundTrips(): DocumentListener {
    return {
      onPut: (entry) => this.#setRtt(entry.key, decodeRtt(entry.value)),
      onGone: (key) => this.#setRtt(key, undefined),
    };
  }

  #setRtt(key: string, rtt: Rtt | undefined): void {
    const before = this.#rtts.get(key);
    if (rtt === undefined ? before === undefined : before?.rttMs === rtt.rttMs) return;
    if (rtt === undefined) this.#rtts.delete(key);
    else this.#rtts.set(key, rtt);
    this.#rttList = undefined;
    this.#options.onChange(undefined, 'load');
  }

  #on(segment: string, change: Change, act: (fold: ServiceFold) => void): void {
    const fold = this.#foldOf(segment);
    if (fold === undefined) return;
    act(fold);
    this.#options.onChange(segment, change);
  }

  #foldOf(segment: string): ServiceFold | undefined {
    const { only } = this.#options;
    if (segment === '' || segment.includes('/') || (only !== undefined && !only.has(segment))) return undefined;
    const known = this.folds.get(segment);
    if (known !== undefined) return known;
    const fold = new ServiceFold(`${SERVICES_PREFIX}${segment}/endpoints/`);
    this.folds.set(segment, fold);
    return fold;
  }

  /** One malformed document is one document. */
  #guarded(listener: DocumentListener): DocumentListener {
    const guard = (entry: StateEntry) => {
      try {
        listener.onPut(entry);
      } catch (error) {
        this.#options.onMalformed(entry.key, error);
      }
    };
    // Whichever comes last completes them.
    return { ...listener, onPut: guard, onSynced: () => this.#options.onChange(undefined, 'list') };
  }
}
