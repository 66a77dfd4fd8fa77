/**
 * QueueTransport in a folder of this machine, for one process at a time and any number of its clients.
 *
 * When has an enqueue happened? When it resolves, its items are on the disk. When it fails with `retryable: 'unknown'`, they may still
 * come back after a crash; a `key` makes a second try harmless. An `ack` that fails has perhaps happened too.
 */
import { resolve } from 'node:path';
import { type Clock, liveClock } from '../../core/clock.js';
import { checkInteger, EvenkeelError, invalidArgument } from '../../core/errors.js';
import { checkItems, checkLease, checkLimit } from '../../core/internal/queue-arguments.js';
import { checkOpen } from '../../core/internal/transport-guards.js';
import { liveRandom, type Random } from '../../core/random.js';
import type { DeadLetter, Delivery, QueueItem, QueueStats, QueueTransport } from '../../core/transport/queue.js';
import { type FileSystem, liveFileSystem } from './file-system.js';
import { FileDelivery } from './queue-delivery.js';
import type { Lease, OpenQueue, QueueWaiter } from './queue-opened.js';
import { liveProcesses, type ProcessTable } from './queue-process.js';
import { SharedQueue } from './queue-store.js';

export interface FileQueueStoreOptions {
  /** The queue's own folder, made at the first use. On a file system of this machine that has hard links. */
  folder: string;
  /** Items stored, dead letters apart; more are refused with `resource-exhausted`. As many dead letters stay. Default 100,000. */
  maxItems?: number;
  /**
   * Bytes of bodies and keys stored, all of them in memory too; more are refused with `resource-exhausted`. Dead letters have a quarter
   * of it beside. Default 256 MiB; 1 MiB to 1 GiB.
   */
  maxBytes?: number;
  /** Bytes after which the log goes on in another file. It is compacted from four times that on. Default 16 MiB; 4 KiB to 1 GiB. */
  segmentBytes?: number;
  /** Default: the process's clock. */
  clock?: Clock;
  /** Names temporary files. Default: seeded by the operating system. */
  random?: Random;
  /** Default: the machine's. */
  fileSystem?: FileSystem;
  /** Tells whether the folder's last owner still runs. Default: the machine's processes. */
  processes?: ProcessTable;
}

/** A folder of its own, or a store that other clients of this process use as well. */
export type FileQueueOptions =
  | (FileQueueStoreOptions & { store?: undefined })
  | ({ store: FileQueueStore } & { [K in keyof FileQueueStoreOptions]?: undefined });

/** What several clients of one process share. The last one that closes gives the folder back; opening another is a restart. */
export interface FileQueueStore {
  /** Absolute. */
  readonly folder: string;
}

export const DEFAULT_MAX_QUEUE_ITEMS = 100_000;
export const DEFAULT_MAX_QUEUE_BYTES = 256 * 1024 * 1024;
export const DEFAULT_QUEUE_SEGMENT_BYTES = 16 * 1024 * 1024;
const MIB = 1024 * 1024;

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function fileQueueStore(options: FileQueueStoreOptions): FileQueueStore {
  const { folder, clock = liveClock(), random = liveRandom(), fileSystem = liveFileSystem() } = options;
  if (typeof folder !== 'string' || folder === '' || folder.includes('\0')) throw invalidArgument('folder', folder, 'a path');
  return new SharedQueue({
    path: resolve(folder),
    clock,
    random,
    fileSystem,
    processes: options.processes ?? liveProcesses(),
    bounds: {
      maxItems: checkInteger('maxItems', options.maxItems ?? DEFAULT_MAX_QUEUE_ITEMS, 1),
      maxBytes: checkInteger('maxBytes', options.maxBytes ?? DEFAULT_MAX_QUEUE_BYTES, MIB, 1024 * MIB),
    },
    segmentBytes: checkInteger('segmentBytes', options.segmentBytes ?? DEFAULT_QUEUE_SEGMENT_BYTES, 4096, 1024 * MIB),
  });
}

/**
 * Work that outlives the process: the embedded default, without a server, for one process of one machine.
 *
 * An enqueue costs one flush of the disk, and all that come while one is on its way share the next; so do ack, nack and deadLetter. A
 * lease and an extend wait for nothing. Items stay in memory, and a start reads the folder through. A folder has one owner: a
 * second process, and a second store in this one, are refused until the first has closed or died. Not for folders shared over a
 * network or between containers.
 *
 * @example
 * ```ts nocheck
 * import { createFileQueue } from 'evenkeel/files';
 *
 * const queue = createFileQueue({ folder: '/var/lib/app/queue' });
 * await queue.enqueue([{ body: new TextEncoder().encode('hello'), key: 'greeting/1' }]);
 * const [delivery] = await queue.lease({ max: 1, leaseMs: 30_000 });
 * await delivery?.ack();
 * ```
 * @throws {EvenkeelError} `invalid-argument` naming the option. Operations: `failed-precondition` (another owner, which is named),
 *   `data-loss` (a damaged file, which is named), `permission-denied`, `resource-exhausted` (the queue or the disk is full), `internal`
 *   with the system's error as cause.
 */
export function createFileQueue(options: FileQueueOptions): QueueTransport {
  const store = options.store ?? fileQueueStore(options);
  if (!(store instanceof SharedQueue)) throw invalidArgument('store', store, 'what fileQueueStore() returned');
  store.attach();
  return new FileQueue(store);
}

class FileQueue implements QueueTransport {
  readonly #store: SharedQueue;
  readonly #waiting = new Set<(error: EvenkeelError) => void>();
  #closed: Promise<void> | undefined;

  constructor(store: SharedQueue) {
    this.#store = store;
  }

  async enqueue(items: readonly QueueItem[], options?: { signal?: AbortSignal }): Promise<number[]> {
    this.check();
    const checked = checkItems(items, options);
    return (await this.#open()).enqueue(checked);
  }

  async lease(options: { max: number; leaseMs: number; signal?: AbortSignal }): Promise<Delivery[]> {
    this.check();
    const { signal } = options;
    const { max, leaseMs } = checkLease(options);
    if (signal?.aborted) return [];
    const queue = await this.#open();
    if (signal?.aborted) return [];
    const ready = queue.take(max, leaseMs);
    return this.#toDeliveries(queue, ready.length > 0 ? ready : await this.#wait(queue, max, leaseMs, signal));
  }

  async stats(): Promise<QueueStats> {
    this.check();
    return (await this.#open()).stats();
  }

  async deadLetters(options: { limit: number }): Promise<readonly DeadLetter[]> {
    this.check();
    const limit = checkLimit(options);
    return (await this.#open()).deadLetters(limit);
  }

  close(): Promise<void> {
    if (this.#closed === undefined) {
      for (const fail of this.#waiting) fail(new EvenkeelError('failed-precondition', 'the queue transport was closed'));
      this.#closed = this.#store.release();
    }
    return this.#closed;
  }

  check(): void {
    checkOpen(this.#closed !== undefined, 'the queue transport');
  }

  /** A client that was closed while the folder was opened must not use it. */
  async #open(): Promise<OpenQueue> {
    const queue = await this.#store.open();
    this.check();
    return queue;
  }

  #wait(queue: OpenQueue, max: number, leaseMs: number, signal: AbortSignal | undefined): Promise<Lease[]> {
    return new Promise((resolve, reject) => {
      const end = <T>(settle: (value: T) => void) => {
        return (value: T) => {
          queue.unwait(waiter);
          this.#waiting.delete(waiter.fail);
          signal?.removeEventListener('abort', onAbort);
          settle(value);
        };
      };
      const waiter: QueueWaiter = { max, leaseMs, give: end(resolve), fail: end(reject) };
      const onAbort = () => waiter.give([]);
      this.#waiting.add(waiter.fail);
      signal?.addEventListener('abort', onAbort, { once: true });
      try {
        queue.wait(waiter);
      } catch (error) {
        waiter.fail(error as EvenkeelError);
      }
    });
  }

  #toDeliveries(queue: OpenQueue, leases: readonly Lease[]): Delivery[] {
    return leases.map((lease) => new FileDelivery(queue, lease, () => this.check()));
  }
}

/** Half a surrogate pair would come back from the disk as another key. */
