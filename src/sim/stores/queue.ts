/**
 * QueueTransport to a store on another simulated machine.
 *
 * What does a lease do while the store is away? It goes on waiting. An answer that was lost leaves its items leased until their leases
 * run out: delivery at least once.
 */
import { checkNumber, EvenkeelError, invalidArgument, isEvenkeelError } from '../../core/errors.js';
import { checkItems, checkLease, checkLimit } from '../../core/internal/queue-arguments.js';
import { checkOpen, MAX_LEASE_MS, MIN_LEASE_MS, unlessAborted } from '../../core/internal/transport-guards.js';
import type { DeadLetter, Delivery, QueueItem, QueueStats, QueueTransport } from '../../core/transport/queue.js';
import type { SimQueueStore } from './queue-store.js';
import type { StoreClient } from './store-client.js';

/** How long a lease waits at the store before it asks anew. */
const POLL_MS = 1000;
const AGAIN_MS = 250;
const MAX_DELAY_MS = 366 * 24 * 60 * 60 * 1000;

export class SimQueue implements QueueTransport {
  readonly #client: StoreClient;
  readonly #store: SimQueueStore;
  /** Ends each lease that waits, at the store. */
  readonly #polls = new Set<() => void>();
  readonly #waiting = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(client: StoreClient, store: SimQueueStore) {
    this.#client = client;
    this.#store = store;
  }

  async enqueue(items: readonly QueueItem[], options?: { signal?: AbortSignal }): Promise<number[]> {
    this.check();
    const checked = checkItems(items, options);
    return unlessAborted(
      this.#client.request('write', () => this.#store.enqueue(checked)),
      options?.signal,
    );
  }

  async lease(options: { max: number; leaseMs: number; signal?: AbortSignal }): Promise<Delivery[]> {
    this.check();
    const { max, leaseMs } = checkLease(options);
    const { signal } = options;
    const { clock } = this.#client.process.runtime;
    while (!signal?.aborted) {
      try {
        const deliveries = await this.#poll(max, leaseMs, signal);
        if (deliveries.length > 0) return deliveries.map((delivery) => new SimDelivery(this, delivery));
        // The polls of a lease that ended by itself are over in turn; those of a closed transport are not asked again.
        this.check('was closed');
      } catch (error) {
        if (!isEvenkeelError(error, 'unavailable')) throw error;
        this.check('was closed');
        await clock.sleep(AGAIN_MS);
      }
    }
    return [];
  }

  async stats(): Promise<QueueStats> {
    this.check();
    return this.#client.request('read', () => this.#store.local.stats());
  }

  async deadLetters(options: { limit: number }): Promise<readonly DeadLetter[]> {
    this.check();
    const limit = checkLimit(options);
    return this.#client.request('read', () => this.#store.local.deadLetters({ limit }));
  }

  /** Waits until the store knows that nobody waits any more: it would give items to the deaf. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const end of this.#polls) end();
    await Promise.allSettled(this.#waiting);
  }

  check(words = 'is closed'): void {
    if (words === 'is closed') checkOpen(this.#isClosed, 'the queue transport');
    else if (this.#isClosed) throw new EvenkeelError('failed-precondition', `the queue transport ${words}`);
  }

  settle(delivery: Delivery, act: (delivery: Delivery) => Promise<void>, isLast: boolean): Promise<void> {
    this.check();
    const { id, fence } = delivery;
    return this.#client.request('write', () => this.#store.settle(id, fence, act, isLast));
  }

  /** Asks once, and waits at the store for a while. */
  async #poll(max: number, leaseMs: number, signal: AbortSignal | undefined): Promise<Delivery[]> {
    const { process } = this.#client;
    const wire = this.#client.wire();
    const ended = new AbortController();
    const end = () => wire.send(() => ended.abort());
    const stop = () => process.operate(end);
    const forget = process.onKill(end);
    this.#polls.add(stop);
    signal?.addEventListener('abort', stop, { once: true });
    const { server } = this.#store;
    const answer = this.#client.request(
      'read',
      async () => {
        const timer = server.machine.clock.timer(POLL_MS, () => ended.abort());
        const release = server.hold(() => ended.abort());
        try {
          return await this.#store.lease(max, leaseMs, ended.signal);
        } finally {
          timer.cancel();
          release();
        }
      },
      wire,
    );
    this.#waiting.add(answer);
    try {
      return await answer;
    } finally {
      this.#waiting.delete(answer);
      this.#polls.delete(stop);
      signal?.removeEventListener('abort', stop);
      forget();
    }
  }
}

class SimDelivery implements Delivery {
  readonly id: number;
  readonly body: Uint8Array;
  readonly attempt: number;
  readonly fence: number;
  readonly #queue: SimQueue;
  #isAcked = false;

  constructor(queue: SimQueue, { id, body, attempt, fence }: Delivery) {
    this.#queue = queue;
    this.id = id;
    this.body = new Uint8Array(body);
    this.attempt = attempt;
    this.fence = fence;
  }

  async ack(): Promise<void> {
    if (this.#isAcked) return;
    await this.#queue.settle(this, (delivery) => delivery.ack(), true);
    this.#isAcked = true;
  }

  async nack(delayMs = 0): Promise<void> {
    checkNumber('delayMs', delayMs, 0, MAX_DELAY_MS);
    await this.#queue.settle(this, (delivery) => delivery.nack(delayMs), true);
  }

  async extend(ms: number): Promise<void> {
    checkNumber('ms', ms, MIN_LEASE_MS, MAX_LEASE_MS);
    await this.#queue.settle(this, (delivery) => delivery.extend(ms), false);
  }

  async deadLetter(reason: string): Promise<void> {
    if (typeof reason !== 'string') throw invalidArgument('reason', reason, 'a string');
    await this.#queue.settle(this, (delivery) => delivery.deadLetter(reason), true);
  }
}
