/**
 * Endpoints that announced themselves on a StateTransport. When does a caller hear of a new server? When the store's event arrives:
 * nothing is polled. After a gap the old list stays in force until the new one is complete, so that nobody is lost in between.
 */
import { announcementPrefix, decodeAnnouncement } from './announcement.js';
import { type Endpoint, MAX_ENDPOINTS, sameEndpoint } from './endpoint.js';
import { EvenkeelError, invalidArgument } from './errors.js';
import type { LastGoodOptions, Resolution, Resolver, ResolverListener, ResolverRuntime } from './resolver.js';
import { EndpointList } from './resolver-list.js';
import type { StateEntry, StateEvent, StateTransport, Watch } from './transport/state.js';

export interface StateResolverOptions extends LastGoodOptions {
  /** Where the servers announce themselves. Not closed by the resolver. */
  state: StateTransport;
  /** As the servers name it in `announce`. */
  service: string;
}

/**
 * Follows the servers that `announce()` themselves under `service`. A change reaches the caller as fast as the store tells it, well
 * under a second; a server whose lease ran out is gone. Its age is the watch's: how long the store has not proven the list.
 *
 * @example
 * ```ts
 * import { stateResolver } from 'evenkeel/core';
 * import { createMemoryState } from 'evenkeel/memory';
 *
 * const resolver = stateResolver({ state: createMemoryState(), service: 'search', cacheFile: '/tmp/evenkeel/search.json' });
 * ```
 * @throws {EvenkeelError} `invalid-argument` for an empty service or without a state transport.
 */
export function stateResolver(options: StateResolverOptions): Resolver {
  const { state, service } = options;
  if (typeof state?.watch !== 'function') throw invalidArgument('state', state, 'a StateTransport');
  announcementPrefix(service);
  const name = `state:${service}`;
  return { name, start: (runtime, listener) => new StateResolution(name, state, service, runtime, listener, options) };
}

type Announced = Map<string, Endpoint>;

class StateResolution implements Resolution {
  readonly #state: StateTransport;
  readonly #service: string;
  readonly #list: EndpointList;
  #watch: Watch | undefined;
  #announced: Announced = new Map();
  /** The list that is being received; undefined once it is complete. */
  #incoming: Announced | undefined = new Map();
  /** Changes up to this one are known. */
  #revision = 0;
  #epoch = '';
  /** The last change was an endpoint's own withdrawal. */
  #isWithdrawal = false;
  #isPublishing = false;

  constructor(
    name: string,
    state: StateTransport,
    service: string,
    runtime: ResolverRuntime,
    listener: ResolverListener,
    options: LastGoodOptions,
  ) {
    this.#state = state;
    this.#service = service;
    this.#list = new EndpointList(name, runtime, listener, options, () => this.#watch?.ageMs ?? Number.POSITIVE_INFINITY);
    queueMicrotask(() => this.refresh());
  }

  get ageMs(): number {
    return this.#list.ageMs;
  }

  /** The store tells changes by itself; there is something to do only when it refused the watch. */
  refresh(): void {
    if (this.#watch !== undefined || this.#list.isClosed) return;
    try {
      this.#watch = this.#state.watch(announcementPrefix(this.#service), this.#onEvent);
    } catch (error) {
      this.#list.fail(error);
    }
  }

  close(): void {
    this.#list.close();
    this.#watch?.close();
  }

  readonly #onEvent = (event: StateEvent): void => {
    const { type, entry, revision, epoch } = event;
    switch (type) {
      case 'reset':
        this.#incoming = new Map();
        break;
      case 'synced':
        this.#announced = this.#incoming ?? this.#announced;
        this.#isWithdrawal = false;
        this.#incoming = undefined;
        this.#revision = revision;
        this.#epoch = epoch;
        this.#schedule();
        break;
      case 'head':
        this.#list.prove();
        break;
      default:
        if (entry !== undefined) this.#change(type, entry, revision, epoch);
    }
  };

  #change(type: 'put' | 'delete' | 'expired', entry: StateEntry, revision: number, epoch: string): void {
    const { key } = entry;
    if (this.#incoming !== undefined) {
      if (type === 'put') this.#put(this.#incoming, entry);
      else this.#incoming.delete(key);
      return;
    }
    // A change may come twice; only rising revisions count.
    if (epoch === this.#epoch && revision <= this.#revision) return;
    this.#revision = revision;
    this.#epoch = epoch;
    const isChanged = type === 'put' ? this.#put(this.#announced, entry) : this.#announced.delete(key);
    // A server that withdraws says so; a lease that ran out may be the store's trouble, or the network's.
    this.#isWithdrawal = type === 'delete';
    if (isChanged) this.#schedule();
    else this.#list.prove();
  }

  /** A document that does not parse changes nothing: what its server said before stays. */
  #put(announced: Announced, { key, value }: StateEntry): boolean {
    const before = announced.get(key) ?? this.#announced.get(key);
    let endpoint: Endpoint;
    try {
      endpoint = decodeAnnouncement(this.#service, key, value);
      if (!announced.has(key) && announced.size >= MAX_ENDPOINTS) {
        throw new EvenkeelError('resource-exhausted', `more than ${MAX_ENDPOINTS} endpoints announce ${this.#service}`);
      }
    } catch (error) {
      this.#list.report(error);
      if (before !== undefined) announced.set(key, before);
      return false;
    }
    // Renewals of a lease write the same again, and come by the hundred.
    const isSame = announced.has(key) && before !== undefined && sameEndpoint(before, endpoint);
    if (!isSame) announced.set(key, endpoint);
    return !isSame;
  }

  /** Events of one batch make one list. */
  #schedule(): void {
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    queueMicrotask(() => {
      this.#isPublishing = false;
      // Meanwhile a new list may have begun; its end publishes.
      if (this.#incoming === undefined) this.#list.accept([...this.#announced.values()], this.#isWithdrawal);
    });
  }
}
