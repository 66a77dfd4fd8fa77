/**
 * The reference StateTransport: a store in this process. How durable is a put? As durable as the process. When is it visible?
 * When `put` was called, to every transport of the store.
 */
import { type Clock, liveClock } from '../../core/clock.js';
import { checkInteger, checkNumber, invalidArgument } from '../../core/errors.js';
import { checkKey, checkKeyPrefix } from '../../core/internal/keys.js';
import { StateWatch, toEntry } from '../../core/internal/state-watch.js';
import { checkOpen, checkSignal, copyBytes, MAX_LEASE_MS, MIN_LEASE_MS } from '../../core/internal/transport-guards.js';
import {
  MAX_STATE_BYTES,
  type PutOptions,
  type StateEntry,
  type StateEvent,
  type StateTransport,
  type Watch,
} from '../../core/transport/state.js';
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
    this.#check(key, options?.signal);
    const record = this.#store.get(key);
    return record === undefined ? undefined : toEntry(record);
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<number> {
    const { expect, leaseMs, signal } = options;
    this.#check(key, signal);
    if (expect !== undefined && expect !== 'absent') checkInteger('expect', expect, 1);
    if (leaseMs !== undefined) checkNumber('leaseMs', leaseMs, MIN_LEASE_MS, MAX_LEASE_MS);
    return this.#store.put(key, copyBytes('value', value, MAX_STATE_BYTES), expect, leaseMs);
  }

  async delete(key: string, options: { expect?: number; signal?: AbortSignal } = {}): Promise<number> {
    this.#check(key, options.signal);
    if (options.expect !== undefined) checkInteger('expect', options.expect, 1);
    return this.#store.delete(key, options.expect);
  }

  watch(prefix: string, on: (event: StateEvent) => void): Watch {
    checkOpen(this.#isClosed, 'the state transport');
    checkKeyPrefix('prefix', prefix);
    if (typeof on !== 'function') throw invalidArgument('on', on, 'a function');
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

  #check(key: string, signal: AbortSignal | undefined): void {
    checkOpen(this.#isClosed, 'the state transport');
    checkKey('key', key);
    checkSignal(signal, 'the operation');
  }
}
