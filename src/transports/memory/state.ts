/**
 * The reference StateTransport: a store in this process. How durable is a put? As durable as the process. When is it visible?
 * When `put` was called, to every transport of the store.
 */
import { type Clock, liveClock } from '../../core/clock.js';
import { invalidArgument } from '../../core/errors.js';
import { checkExpect, checkPut, checkUse, checkWatch } from '../../core/internal/state-arguments.js';
import { StateWatch, toEntry } from '../../core/internal/state-watch.js';
import type { PutOptions, StateEntry, StateEvent, StateTransport, Watch } from '../../core/transport/state.js';
import { type MemoryStateStore, memoryStateStore, StateStore } from './state-store.js';

export interface MemoryStateOptions {
  /** Default: the process's clock. */
  clock?: Clock;
  /** Shared by transports that act as several processes on one store. Default: a store of its own. */
  store?: MemoryStateStore;
}

/**
 * Small keyed documents inside one process: for tests, and for services of one process that need no restart.
 *
 * Every promise settles in the next microtask; a watch costs one event a change and a timer a second.
 *
 * @example
 * ```ts
 * import { createMemoryState } from 'evenkeel/memory';
 *
 * const state = createMemoryState();
 * const revision = await state.put('config/search', new TextEncoder().encode('{"v":1}'), { expect: 'absent' });
 * ```
 * @throws {EvenkeelError} `invalid-argument` when `store` was not made by `memoryStateStore`.
 */
export function createMemoryState(options: MemoryStateOptions = {}): StateTransport {
  const store = options.store ?? memoryStateStore();
  if (!(store instanceof StateStore)) throw invalidArgument('store', store, 'what memoryStateStore() returned');
  return new MemoryState(store, options.clock ?? liveClock());
}

class MemoryState implements StateTransport {
  readonly #store: StateStore;
  readonly #clock: Clock;
  readonly #watches = new Set<StateWatch>();
  #isClosed = false;

  constructor(store: StateStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    store.attach(clock);
  }

  async get(key: string, options?: { signal?: AbortSignal }): Promise<StateEntry | undefined> {
    checkUse(this.#isClosed, key, options?.signal);
    const record = this.#store.get(key);
    return record === undefined ? undefined : toEntry(record);
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<number> {
    const { expect, leaseMs, signal } = options;
    checkUse(this.#isClosed, key, signal);
    const bytes = checkPut(value, options);
    return this.#store.put(key, bytes, expect, leaseMs);
  }

  async delete(key: string, options: { expect?: number; signal?: AbortSignal } = {}): Promise<number> {
    checkUse(this.#isClosed, key, options.signal);
    checkExpect(options.expect);
    return this.#store.delete(key, options.expect);
  }

  watch(prefix: string, on: (event: StateEvent) => void): Watch {
    checkWatch(this.#isClosed, prefix, on);
    const watch = new StateWatch(this.#store, this.#clock, prefix, on, (closed) => this.#watches.delete(closed));
    this.#watches.add(watch);
    return watch;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const watch of this.#watches) watch.close();
    this.#store.detach();
  }
}
