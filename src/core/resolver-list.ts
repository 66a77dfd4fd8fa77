/**
 * The last good list of a resolver: one mechanism for all of them. A source offers lists, proves the one it offered, or fails;
 * this decides what the listener hears, how old the list is, and what is kept on disk.
 */
import { type Endpoint, parseEndpoints, sameEndpoint } from './endpoint.js';
import { EvenkeelError } from './errors.js';
import type { EndpointSource, LastGoodOptions, ResolverListener, ResolverRuntime } from './resolver.js';
import { decodeCachedList, encodeCachedList, MAX_CACHE_BYTES } from './resolver-cache.js';

/** A list that only proves itself again is written at most this often, so that the copy's age stays honest over a restart. */
const RESAVE_MS = 60_000;

export class EndpointList {
  readonly #name: string;
  readonly #runtime: ResolverRuntime;
  readonly #listener: ResolverListener;
  readonly #cacheFile: string | undefined;
  readonly #allowEmpty: boolean;
  /** The source's own measure of age, where it has a finer one than the time of the last offer. */
  readonly #sourceAgeMs: (() => number) | undefined;
  #endpoints: ReadonlyMap<string, Endpoint> | undefined;
  #source: EndpointSource = 'cache';
  #isHolding = false;
  #provenAt = Number.NEGATIVE_INFINITY;
  #savedAt = Number.NEGATIVE_INFINITY;
  #isSaving = false;
  #isClosed = false;

  constructor(
    name: string,
    runtime: ResolverRuntime,
    listener: ResolverListener,
    options: LastGoodOptions = {},
    sourceAgeMs?: () => number,
  ) {
    this.#name = name;
    this.#runtime = runtime;
    this.#listener = listener;
    this.#cacheFile = options.cacheFile;
    this.#allowEmpty = options.allowEmpty ?? false;
    this.#sourceAgeMs = sourceAgeMs;
    if (this.#cacheFile !== undefined) void this.#load(this.#cacheFile);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get ageMs(): number {
    if (this.#isHolding && this.#sourceAgeMs !== undefined) return this.#sourceAgeMs();
    return this.#runtime.clock.now() - this.#provenAt;
  }

  /** What the source says now, in any form {@link parseEndpoints} takes. False when it was refused and reported. */
  offer(values: unknown): boolean {
    let endpoints: readonly Endpoint[];
    try {
      endpoints = parseEndpoints(values);
    } catch (error) {
      this.fail(error);
      return false;
    }
    return this.accept(endpoints);
  }

  /**
   * As `offer`, for a list whose endpoints are checked.
   * @param isEmptyProven - The source says of every endpoint that it has gone; an empty list is then no failure of the source.
   */
  accept(endpoints: readonly Endpoint[], isEmptyProven = false): boolean {
    if (this.#isClosed) return false;
    if (
      endpoints.length === 0 &&
      !this.#allowEmpty &&
      !isEmptyProven &&
      this.#endpoints !== undefined &&
      this.#endpoints.size > 0
    ) {
      const fault = `${this.#name} names no endpoint any more; the last ${this.#endpoints.size} are kept`;
      this.fail(new EvenkeelError('unavailable', fault, { retryable: 'yes' }));
      return false;
    }
    const isChanged = !sameList(this.#endpoints, endpoints);
    const isConfirmed = this.#source === 'cache';
    this.#isHolding = true;
    this.#provenAt = this.#runtime.clock.now();
    if (isChanged || isConfirmed) this.#publish(endpoints, 'live');
    if (isChanged) this.#savedAt = Number.NEGATIVE_INFINITY;
    this.#saveIfDue();
    return true;
  }

  /** The source says that what it offered last still holds. */
  prove(): void {
    if (this.#isClosed || !this.#isHolding) return;
    this.#provenAt = this.#runtime.clock.now();
    this.#saveIfDue();
  }

  /** The source failed; the list stays and ages. */
  fail(error: unknown): void {
    if (this.#isClosed) return;
    if (this.#isHolding) {
      this.#provenAt = this.#runtime.clock.now() - this.ageMs;
      this.#isHolding = false;
    }
    const known =
      error instanceof EvenkeelError
        ? error
        : new EvenkeelError('unavailable', `${this.#name} failed: ${error}`, { retryable: 'yes', cause: error });
    this.#tell(() => this.#listener.onError(known));
  }

  /** Something is wrong that leaves the list as it is: one document of many, the copy on disk. */
  report(error: unknown): void {
    if (!this.#isClosed) this.#runtime.diagnostics.report(`resolver ${this.#name}`, error);
  }

  close(): void {
    this.#isClosed = true;
  }

  #publish(endpoints: readonly Endpoint[], source: EndpointSource): void {
    this.#source = source;
    this.#endpoints = new Map(endpoints.map((endpoint) => [endpoint.id, endpoint]));
    const frozen = Object.freeze([...endpoints]);
    this.#tell(() => this.#listener.onEndpoints(frozen, { source }));
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#runtime.diagnostics.report(`resolver ${this.#name}: listener`, error);
    }
  }

  async #load(path: string): Promise<void> {
    const { clock, host } = this.#runtime;
    try {
      const bytes = await host.readFile(path, MAX_CACHE_BYTES);
      if (bytes === undefined || this.#isClosed) return;
      const { endpoints, savedAt } = decodeCachedList(this.#name, bytes);
      if (endpoints.length === 0 || this.#endpoints !== undefined) return;
      // The calendar may have been set back meanwhile.
      this.#provenAt = clock.now() - Math.max(0, clock.wallTime() - savedAt);
      this.#publish(endpoints, 'cache');
    } catch (error) {
      this.report(error);
    }
  }

  #saveIfDue(): void {
    const { clock } = this.#runtime;
    if (this.#cacheFile === undefined || this.#isSaving || clock.now() - this.#savedAt < RESAVE_MS) return;
    void this.#save(this.#cacheFile);
  }

  async #save(path: string): Promise<void> {
    const { clock, host } = this.#runtime;
    const endpoints = [...(this.#endpoints?.values() ?? [])];
    // An empty copy would help nobody; the one on disk may.
    if (endpoints.length === 0) return;
    this.#isSaving = true;
    this.#savedAt = clock.now();
    try {
      await host.writeFile(path, encodeCachedList(this.#name, { endpoints, savedAt: clock.wallTime() }));
    } catch (error) {
      this.report(error);
    } finally {
      this.#isSaving = false;
    }
    // It may have changed while it was written.
    if (!this.#isClosed) this.#saveIfDue();
  }
}

/** Order aside: name servers rotate it at each answer. */
function sameList(known: ReadonlyMap<string, Endpoint> | undefined, endpoints: readonly Endpoint[]): boolean {
  if (known === undefined || known.size !== endpoints.length) return false;
  return endpoints.every((endpoint) => {
    const before = known.get(endpoint.id);
    return before !== undefined && sameEndpoint(before, endpoint);
  });
}
