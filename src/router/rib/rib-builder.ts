/**
 * Builds the routing tables of all services of a store, one process at a time.
 *
 * What happens when it dies? Another leads within a lease and a third, reads what is there, and goes on from the last plan. Until then,
 * and if there is none, callers keep the tables they have. What a builder that was asleep still writes is not named by any head.
 */
import { keySegment } from '../../core/announcement.js';
import { type Campaign, campaign } from '../../core/campaign.js';
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { EventSource, type Events } from '../../core/events.js';
import type { Drainable } from '../../core/lifecycle.js';
import { createRuntime, type Runtime } from '../../core/runtime.js';
import type { StateTransport } from '../../core/transport/state.js';
import { BuilderTerm } from './builder-term.js';
import { checkRings, type RingOptions } from './locality.js';
import { DEFAULT_RIB_LEADER_KEY } from './rib-keys.js';
import type { Publication } from './rib-publisher.js';
import { DEFAULT_RETURN_STEP, DEFAULT_SPILL_HYSTERESIS, DEFAULT_SPILL_THRESHOLD } from './routing-plan.js';
import type { PlanSettings } from './service-fold.js';

export interface ServiceRouting {
  /** How the service's rings are cut. Default: by label. */
  rings?: RingOptions;
  /** Utilisation above which traffic goes to the next ring. Default 0.75. */
  threshold?: number;
  /** Default 0.05; below `threshold`. */
  hysteresis?: number;
  /** Most of a client locality's traffic that comes back in a second. Default 0.25; above 0, at most 1. */
  returnPerSecond?: number;
  /** Share of the near traffic that a failing locality still gets, to be seen to heal. Default 0.01; 0 to 0.1. */
  probeRatio?: number;
}

export interface RibBuilderOptions extends ServiceRouting {
  /** Where servers announce themselves and tables are published. Not closed by the builder. */
  state: StateTransport;
  /** Default: every service that anybody announces. */
  services?: readonly string[];
  /** Where one service differs. Default: none does. */
  routing?: (service: string) => ServiceRouting | undefined;
  /** Between two publications of a service whose list changes. Default 200 ms; 10 to 60,000. */
  minIntervalMs?: number;
  /** Between two plans for a service of which only the numbers change. Default 1,000 ms; 100 to 600,000. */
  loadIntervalMs?: number;
  /** What builders contend for. Default `leaders/rib`; readers must know another one. */
  leaderKey?: string;
  /** Of the election. Default 5,000 ms. */
  leaseMs?: number;
  /** Told to whoever asks who leads. */
  name?: string;
  /** Default: one of its own. */
  runtime?: Runtime;
}

export type RibBuilderEvents = {
  elected: { readonly token: number };
  deposed: { readonly token: number };
  published: { readonly service: string; readonly version: number; readonly bytes: number; readonly kind: Publication['kind'] };
  /** A document that could not be read; what it said before stays. */
  malformed: { readonly key: string; readonly error: unknown };
};

export interface RibBuilderSnapshot {
  readonly isLeading: boolean;
  readonly token: number | undefined;
  readonly services: number;
  readonly endpoints: number;
  /** Since the store last proved that nothing is newer; undefined while another leads. */
  readonly ageMs: number | undefined;
  readonly published: Readonly<Record<Publication['kind'], number>>;
  readonly publishedBytes: number;
  readonly malformed: number;
  readonly errors: number;
}

export interface RibBuilder extends Drainable {
  readonly events: Events<RibBuilderEvents>;
  snapshot(): RibBuilderSnapshot;
  /** Gives up a term that runs, so that another may build. Never rejects. */
  drain(): Promise<void>;
  /** The same as drain: what is not published the next one publishes. */
  close(): Promise<void>;
}

export const DEFAULT_RIB_MIN_INTERVAL_MS = 200;
export const DEFAULT_RIB_LOAD_INTERVAL_MS = 1000;
export const DEFAULT_PROBE_RATIO = 0.01;
const RETRY_MS = 1000;

/**
 * Campaigns to be the builder, and builds while it is. Any number of processes may run one. Costs the leader a watch on all
 * announcements, and two small writes a change of a service; the others three small reads a lease.
 *
 * @example
 * ```ts
 * import { createMemoryState } from 'evenkeel/memory';
 * import { createRibBuilder } from 'evenkeel/router';
 *
 * const builder = createRibBuilder({ state: createMemoryState() });
 * builder.events.on('published', ({ service, version }) => console.log(service, version));
 * await builder.close();
 * ```
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 */
export function createRibBuilder(options: RibBuilderOptions): RibBuilder {
  if (typeof options.state?.watch !== 'function') throw invalidArgument('state', options.state, 'a StateTransport');
  checkNumber('minIntervalMs', options.minIntervalMs ?? DEFAULT_RIB_MIN_INTERVAL_MS, 10, 60_000);
  checkNumber('loadIntervalMs', options.loadIntervalMs ?? DEFAULT_RIB_LOAD_INTERVAL_MS, 100, 600_000);
  settingsOf(options);
  return new ElectedBuilder(options);
}

function settingsOf(routing: ServiceRouting): PlanSettings {
  const threshold = checkNumber('threshold', routing.threshold ?? DEFAULT_SPILL_THRESHOLD, Number.MIN_VALUE, 100);
  return {
    rings: checkRings(routing.rings),
    threshold,
    hysteresis: checkNumber('hysteresis', routing.hysteresis ?? DEFAULT_SPILL_HYSTERESIS, 0, threshold),
    stepPerSecond: checkNumber('returnPerSecond', routing.returnPerSecond ?? DEFAULT_RETURN_STEP, Number.MIN_VALUE, 1),
    probeRatio: checkNumber('probeRatio', routing.probeRatio ?? DEFAULT_PROBE_RATIO, 0, 0.1),
  };
}

class ElectedBuilder implements RibBuilder {
  readonly events: EventSource<RibBuilderEvents>;
  readonly #options: RibBuilderOptions;
  readonly #runtime: Runtime;
  readonly #campaign: Campaign;
  readonly #settings = new Map<string, PlanSettings>();
  #term: BuilderTerm | undefined;
  readonly #published = { whole: 0, delta: 0, merged: 0 };
  #publishedBytes = 0;
  #malformed = 0;
  #errors = 0;

  constructor(options: RibBuilderOptions) {
    this.#options = options;
    this.#runtime = options.runtime ?? createRuntime();
    this.events = new EventSource<RibBuilderEvents>('rib builder', this.#runtime.diagnostics);
    this.#campaign = campaign({
      state: options.state,
      key: options.leaderKey ?? DEFAULT_RIB_LEADER_KEY,
      leaseMs: options.leaseMs,
      name: options.name,
      runtime: this.#runtime,
    });
    this.#campaign.events.on('elected', ({ token, signal }) => this.#begin(token, signal));
    this.#campaign.events.on('deposed', ({ token }) => this.#end(token));
  }

  snapshot(): RibBuilderSnapshot {
    const term = this.#term;
    return {
      isLeading: term !== undefined,
      token: this.#campaign.term?.token,
      services: term?.services ?? 0,
      endpoints: term?.endpoints ?? 0,
      ageMs: term?.ageMs,
      published: { ...this.#published },
      publishedBytes: this.#publishedBytes,
      malformed: this.#malformed,
      errors: this.#errors,
    };
  }

  drain(): Promise<void> {
    return this.close();
  }

  close(): Promise<void> {
    return this.#campaign.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #begin(token: number, signal: AbortSignal): void {
    const { state, services, minIntervalMs, loadIntervalMs } = this.#options;
    try {
      this.#term = new BuilderTerm({
        state,
        runtime: this.#runtime,
        token,
        signal,
        only: services && new Set(services.map(keySegment)),
        minIntervalMs: minIntervalMs ?? DEFAULT_RIB_MIN_INTERVAL_MS,
        loadIntervalMs: loadIntervalMs ?? DEFAULT_RIB_LOAD_INTERVAL_MS,
        settings: (segment) => this.#settingsFor(segment),
        onPublished: (segment, publication) => this.#onPublished(segment, publication),
        onMalformed: (key, error) => this.#onMalformed(key, error),
        onError: (error) => this.#onError(error),
      });
      this.events.emit('elected', { token });
    } catch (error) {
      this.#onError(error);
      // To lead and not to build would be the worst.
      this.#runtime.clock.timer(RETRY_MS, () => {
        if (this.#campaign.term?.token === token) this.#begin(token, signal);
      });
    }
  }

  #end(token: number): void {
    this.#term?.end();
    this.#term = undefined;
    this.events.emit('deposed', { token });
  }

  #settingsFor(segment: string): PlanSettings {
    const known = this.#settings.get(segment);
    if (known !== undefined) return known;
    const service = serviceNamed(segment);
    const settings = settingsOf({ ...this.#options, ...this.#options.routing?.(service) });
    this.#settings.set(segment, settings);
    return settings;
  }

  #onPublished(segment: string, { table, bytes, kind }: Publication): void {
    this.#published[kind]++;
    this.#publishedBytes += bytes;
    if (this.events.has('published')) {
      this.events.emit('published', { service: serviceNamed(segment), version: table.version, bytes, kind });
    }
  }

  #onMalformed(key: string, error: unknown): void {
    this.#malformed++;
    if (this.events.has('malformed')) this.events.emit('malformed', { key, error });
  }

  #onError(error: unknown): void {
    this.#errors++;
    this.#runtime.diagnostics.report('rib builder', error);
  }
}

/** A name too long for a key is a hash there, and stays one. */
function serviceNamed(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
