/** StateTransport to a store on another simulated machine. */
import { checkExpect, checkPut, checkUse, checkWatch } from '../../core/internal/state-arguments.js';
import { StateWatch } from '../../core/internal/state-watch.js';
import { unlessAborted } from '../../core/internal/transport-guards.js';
import type { PutOptions, StateEntry, StateEvent, StateTransport, Watch } from '../../core/transport/state.js';
import { StateCopy } from './state-copy.js';
import type { SimStateStore } from './state-store.js';
import type { StoreClient } from './store-client.js';

export class SimState implements StateTransport {
  readonly #client: StoreClient;
  readonly #store: SimStateStore;
  readonly #copy: StateCopy;
  readonly #watches = new Set<StateWatch>();
  #isClosed = false;

  constructor(client: StoreClient, store: SimStateStore) {
    this.#client = client;
    this.#store = store;
    this.#copy = new StateCopy(client, store);
  }

  async get(key: string, options?: { signal?: AbortSignal }): Promise<StateEntry | undefined> {
    checkUse(this.#isClosed, key, options?.signal);
    const { local } = this.#store;
    return unlessAborted(
      this.#client.request('read', () => local.get(key)),
      options?.signal,
    );
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<number> {
    const { expect, leaseMs, signal } = options;
    checkUse(this.#isClosed, key, signal);
    const bytes = checkPut(value, options);
    const { local } = this.#store;
    return unlessAborted(
      this.#client.request('write', () => local.put(key, bytes, { expect, leaseMs })),
      signal,
    );
  }

  async delete(key: string, options: { expect?: number; signal?: AbortSignal } = {}): Promise<number> {
    const { expect, signal } = options;
    checkUse(this.#isClosed, key, signal);
    checkExpect(expect);
    const { local } = this.#store;
    return unlessAborted(
      this.#client.request('write', () => local.delete(key, { expect })),
      signal,
    );
  }

  watch(prefix: string, on: (event: StateEvent) => void): Watch {
    checkWatch(this.#isClosed, prefix, on);
    const { clock } = this.#client.process.runtime;
    const watch = new StateWatch(this.#copy, clock, prefix, on, (closed) => this.#watches.delete(closed));
    this.#watches.add(watch);
    return watch;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const watch of this.#watches) watch.close();
  }
}
