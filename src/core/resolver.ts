/**
 * Where the endpoints of a service come from.
 *
 * When is a list old? `Resolution.ageMs` is the time since the source last proved that the list holds, on this process's monotonic
 * clock. A source that fails, or suddenly knows nobody, does not empty the list: the last good answer stays and its age grows.
 */
import type { Endpoint } from './endpoint.js';
import type { EvenkeelError } from './errors.js';
import type { Runtime } from './runtime.js';

export type ResolverRuntime = Pick<Runtime, 'clock' | 'random' | 'host' | 'diagnostics'>;

export interface Resolver {
  /** For errors and telemetry: `static`, `dns:search.internal`. */
  readonly name: string;
  /** Begins to watch the source. One resolver may be started by several owners; each start is on its own. Never throws. */
  start(runtime: ResolverRuntime, listener: ResolverListener): Resolution;
}

/** Called from a later microtask than `start`, and not after `close`. What it throws goes to diagnostics. */
export interface ResolverListener {
  /**
   * A whole list, checked, each id once, frozen. Called when it differs from the one before, and when a list from the cache was
   * confirmed. Empty only when the source has never known anybody, or with `allowEmpty`.
   */
  onEndpoints(endpoints: readonly Endpoint[], info: { readonly source: EndpointSource }): void;
  /** The source failed or came back empty; the list stays. Called at each failure, so at the pace of the resolver's retries. */
  onError(error: EvenkeelError): void;
}

/** `live`: the source said so. `cache`: read from the copy on disk; the source has not answered yet. */
export type EndpointSource = 'live' | 'cache';

export interface Resolution {
  /** Milliseconds since the last proof that the list holds; Infinity before the first list; 0 for a list that cannot change. */
  readonly ageMs: number;
  /** Asks the source again soon, for instance after failed connections. Cheap, and rate-limited where the source is shared. */
  refresh(): void;
  /** Idempotent. */
  close(): void;
}

/** What every resolver with a source that can fail takes. */
export interface LastGoodOptions {
  /**
   * A file that keeps a checksummed copy of the last good list: with the source down a cold start begins with it at once. One
   * resolver a file. Default: none.
   */
  cacheFile?: string;
  /** Believe a source that knew endpoints and now names none. Default false: that is taken for a failure of the source. */
  allowEmpty?: boolean;
}
