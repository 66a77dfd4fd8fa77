/** A queue on a simulated machine. */
import { EvenkeelError } from '../../core/errors.js';
import type { NewItem } from '../../core/internal/queue-arguments.js';
import type { Random } from '../../core/random.js';
import type { Delivery, QueueTransport } from '../../core/transport/queue.js';
import { createMemoryQueue } from '../../transports/memory/queue.js';
import { type QueueImage, QueueStore } from '../../transports/memory/queue-store.js';
import type { SimMachine } from '../machine.js';
import type { SimNetwork } from '../network.js';
import { StoreServer } from './store-server.js';
import { Unsynced, type UnsyncedOptions } from './unsynced.js';

export interface SimQueueStoreOptions extends UnsyncedOptions {
  /** Default 100,000. */
  readonly maxItems?: number;
  /** Deliveries after which an item becomes a dead letter. Default: never. */
  readonly deadAfter?: number;
}

/** Deliveries remembered after they were settled: an answer may have been lost, and the same word come again. */
const MAX_SETTLED = 1000;

export class SimQueueStore {
  readonly server: StoreServer;
  /** At the store itself: for tests that look. */
  readonly local: QueueTransport;
  readonly #random: Random;
  readonly #items = new QueueStore();
  readonly #unsynced: Unsynced<QueueImage>;
  readonly #tears: boolean;
  /** By item: the newest lease. */
  readonly #deliveries = new Map<number, Delivery>();
  readonly #settled = new Map<number, Delivery>();
  #lastEnqueued: readonly NewItem[] = [];

  constructor(machine: SimMachine, network: SimNetwork, random: Random, options: SimQueueStoreOptions = {}) {
    this.#random = random;
    const { maxItems, deadAfter } = options;
    this.local = createMemoryQueue({ clock: machine.clock, store: this.#items, maxItems, deadAfter });
    this.#unsynced = new Unsynced(machine, options, () => this.#items.image());
    this.#tears = options.tearsLastWrite ?? false;
    this.server = new StoreServer(machine, network, () => this.#lose());
  }

  async enqueue(items: readonly NewItem[]): Promise<number[]> {
    this.#unsynced.touch();
    const ids = await this.local.enqueue(items);
    this.#lastEnqueued = items;
    return ids;
  }

  async lease(max: number, leaseMs: number, signal: AbortSignal): Promise<Delivery[]> {
    const deliveries = await this.local.lease({ max, leaseMs, signal });
    if (deliveries.length > 0) this.#unsynced.touch();
    for (const delivery of deliveries) this.#deliveries.set(delivery.id, delivery);
    return deliveries;
  }

  /** Does something to a delivery that a client holds. */
  async settle(id: number, fence: number, act: (delivery: Delivery) => Promise<void>, isLast: boolean): Promise<void> {
    const delivery = this.#deliveries.get(id) ?? this.#settled.get(id);
    if (delivery?.fence !== fence) {
      throw new EvenkeelError('aborted', `the lease of item ${id} is no longer ours`, { details: { id, fence } });
    }
    this.#unsynced.touch();
    await act(delivery);
    if (!isLast) return;
    this.#deliveries.delete(id);
    this.#settled.set(id, delivery);
    const [oldest = id] = this.#settled.keys();
    if (this.#settled.size > MAX_SETTLED) this.#settled.delete(oldest);
  }

  #lose(): void {
    const disk = this.#unsynced.crash();
    if (disk === undefined) return;
    this.#deliveries.clear();
    this.#settled.clear();
    this.#items.restore(disk);
    // The beginning of the batch that was being written.
    const { length } = this.#lastEnqueued;
    if (this.#tears && length > 0) void this.local.enqueue(this.#lastEnqueued.slice(0, this.#random.int(length)));
  }
}
