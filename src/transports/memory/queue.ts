/**
 * The reference QueueTransport: a queue in this process's memory, as durable as the process. Is a late ack taken? No: from the
 * moment its lease has run out, whether or not somebody else has the item by then, a delivery answers `aborted`.
 */
import { type Clock, liveClock } from '../../core/clock.js';
import { checkInteger, checkNumber, EvenkeelError, invalidArgument } from '../../core/errors.js';
import { checkItems, checkLease, checkLimit } from '../../core/internal/queue-arguments.js';
import { checkOpen, MAX_LEASE_MS, MIN_LEASE_MS } from '../../core/internal/transport-guards.js';
import type { DeadLetter, Delivery, QueueItem, QueueStats, QueueTransport } from '../../core/transport/queue.js';
import { QueueStore, type QueueWaiter, type StoredItem } from './queue-store.js';

export interface MemoryQueueOptions {
  /** Default: the process's clock. */
  clock?: Clock;
  /** Shared by transports that act as several processes on one queue. Default: a store of its own. */
  store?: MemoryQueueStore;
  /** Items stored, dead letters apart; more are refused with `resource-exhausted`. Default 100,000. */
  maxItems?: number;
  /** Deliveries after which an item that is not acknowledged becomes a dead letter. Default: never. */
  deadAfter?: number;
}

/** What several memory queue transports share; closing one and opening another on it is a restart. */
export interface MemoryQueueStore {
  /** Items stored, dead letters apart. */
  readonly size: number;
}

const DEFAULT_MAX_ITEMS = 100_000;
const MAX_REASON_LENGTH = 1024;
const MAX_DELAY_MS = 366 * 24 * 60 * 60 * 1000;

export function memoryQueueStore(): MemoryQueueStore {
  return new QueueStore();
}

/**
 * Delivery at least once inside one process: for tests, and for work that may be lost with the process.
 *
 * @example
 * ```ts
 * import { createMemoryQueue } from 'evenkeel/memory';
 *
 * const queue = createMemoryQueue();
 * await queue.enqueue([{ body: new TextEncoder().encode('hello') }]);
 * const [delivery] = await queue.lease({ max: 1, leaseMs: 30_000 });
 * await delivery?.ack();
 * ```
 * @throws {EvenkeelError} `invalid-argument` for a number below 1, or a `store` that `memoryQueueStore` did not make.
 */
export function createMemoryQueue(options: MemoryQueueOptions = {}): QueueTransport {
  const store = options.store ?? memoryQueueStore();
  if (!(store instanceof QueueStore)) throw invalidArgument('store', store, 'what memoryQueueStore() returned');
  const maxItems = checkInteger('maxItems', options.maxItems ?? DEFAULT_MAX_ITEMS, 1);
  const deadAfter = options.deadAfter === undefined ? Number.POSITIVE_INFINITY : checkInteger('deadAfter', options.deadAfter, 1);
  store.attach(options.clock ?? liveClock());
  return new MemoryQueue(store, maxItems, deadAfter);
}

class MemoryQueue implements QueueTransport {
  readonly #store: QueueStore;
  readonly #maxItems: number;
  readonly #deadAfter: number;
  readonly #waiting = new Set<(error: EvenkeelError) => void>();
  #isClosed = false;

  constructor(store: QueueStore, maxItems: number, deadAfter: number) {
    this.#store = store;
    this.#maxItems = maxItems;
    this.#deadAfter = deadAfter;
  }

  async enqueue(items: readonly QueueItem[], options?: { signal?: AbortSignal }): Promise<number[]> {
    this.check();
    return this.#store.add(checkItems(items, options), this.#maxItems);
  }

  async lease(options: { max: number; leaseMs: number; signal?: AbortSignal }): Promise<Delivery[]> {
    this.check();
    const { signal } = options;
    const { max, leaseMs } = checkLease(options);
    if (signal?.aborted) return [];
    const ready = this.#take(max, leaseMs);
    if (ready.length > 0) return ready;
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#store.unwait(waiter);
        this.#waiting.delete(fail);
        signal?.removeEventListener('abort', onAbort);
      };
      const fail = (error: EvenkeelError) => {
        end();
        reject(error);
      };
      const onAbort = () => {
        end();
        resolve([]);
      };
      const waiter: QueueWaiter = {
        give: () => {
          end();
          resolve(this.#take(max, leaseMs));
        },
      };
      this.#store.wait(waiter);
      this.#waiting.add(fail);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  async stats(): Promise<QueueStats> {
    this.check();
    return this.#store.stats();
  }

  async deadLetters(options: { limit: number }): Promise<readonly DeadLetter[]> {
    this.check();
    return this.#store.deadLetters(checkLimit(options));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const fail of this.#waiting) fail(new EvenkeelError('failed-precondition', 'the queue transport was closed'));
  }

  check(): void {
    checkOpen(this.#isClosed, 'the queue transport');
  }

  #take(max: number, leaseMs: number): Delivery[] {
    const deliveries: Delivery[] = [];
    while (deliveries.length < max) {
      const item = this.#store.take(leaseMs, this.#deadAfter);
      if (item === undefined) break;
      deliveries.push(new MemoryDelivery(this, this.#store, item));
    }
    return deliveries;
  }
}

class MemoryDelivery implements Delivery {
  readonly id: number;
  readonly body: Uint8Array;
  readonly attempt: number;
  readonly fence: number;
  readonly #transport: MemoryQueue;
  readonly #store: QueueStore;
  readonly #item: StoredItem;
  #isAcked = false;

  constructor(transport: MemoryQueue, store: QueueStore, item: StoredItem) {
    this.id = item.id;
    this.body = new Uint8Array(item.body);
    this.attempt = item.attempts;
    this.fence = item.fence;
    this.#transport = transport;
    this.#store = store;
    this.#item = item;
  }

  async ack(): Promise<void> {
    if (this.#isAcked) return;
    this.#store.remove(this.#held());
    this.#isAcked = true;
  }

  async nack(delayMs = 0): Promise<void> {
    checkNumber('delayMs', delayMs, 0, MAX_DELAY_MS);
    this.#store.release(this.#held(), delayMs);
  }

  async extend(ms: number): Promise<void> {
    checkNumber('ms', ms, MIN_LEASE_MS, MAX_LEASE_MS);
    this.#store.extend(this.#held(), ms);
  }

  async deadLetter(reason: string): Promise<void> {
    if (typeof reason !== 'string') throw invalidArgument('reason', reason, 'a string');
    this.#store.bury(this.#held(), reason.slice(0, MAX_REASON_LENGTH));
  }

  #held(): StoredItem {
    this.#transport.check();
    if (this.#store.holds(this.#item, this.fence)) return this.#item;
    throw new EvenkeelError('aborted', `the lease of item ${this.id} is no longer ours`, {
      details: { id: this.id, fence: this.fence },
    });
  }
}
