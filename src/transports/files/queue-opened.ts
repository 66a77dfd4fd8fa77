/**
 * A queue whose folder this process owns: what is asked of it goes to the log, and is true once the log has it.
 *
 * Which answers wait for the disk? enqueue, ack, nack and deadLetter. A lease and an extend do not: their records are written at once,
 * and synced with the next operation that waits. That is safe, because what they protect ends with the process:
 *
 * - All holders of leases are clients in this process. After a crash nobody is left to be fenced off, so an item may be due at once.
 * - Fences never repeat: a block of them is reserved by a record that is synced before the first of it is given out, and a restart
 *   begins above every block reserved. Thus a number written to another system by a holder that died stays below all later ones.
 * - Attempts may be counted too low when the machine, not merely the process, crashes in the moments after a lease, or when the disk
 *   was full at the time of it and the process ends before the item is nacked.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { EvenkeelError } from '../../core/errors.js';
import type { NewItem } from '../../core/internal/queue-arguments.js';
import { checkOpen, full } from '../../core/internal/transport-guards.js';
import type { DeadLetter, QueueStats } from '../../core/transport/queue.js';
import { encodeRecord, type QueueRecord } from './queue-format.js';
import type { QueueImage } from './queue-image.js';
import type { QueueBounds, StoredItem } from './queue-items.js';
import { QueueItems } from './queue-items.js';
import type { QueueLog } from './queue-log.js';
import type { SnapshotContent } from './queue-snapshot.js';

/** One delivery; `item` changes on. */
export interface Lease {
  readonly item: StoredItem;
  readonly fence: number;
  readonly attempts: number;
}

/** A lease that waits for something due. */
export interface QueueWaiter {
  readonly max: number;
  readonly leaseMs: number;
  give(leases: Lease[]): void;
  fail(error: EvenkeelError): void;
}

/** Fences reserved at a time: at 100,000 deliveries a second, one sync in 10 seconds. */
const FENCE_BLOCK = 2 ** 20;
/** Leases waiting at once, over all clients. */
const MAX_WAITING = 10_000;

export class OpenQueue {
  readonly #clock: Clock;
  readonly #items: QueueItems;
  readonly #log: QueueLog;
  readonly #end: () => Promise<void>;
  readonly #waiters = new Set<QueueWaiter>();
  #fence: number;
  #reserved: number;
  #isReserving = false;
  #timer: Timer | undefined;
  #isClosed = false;

  /** @param end - Gives the folder back. */
  constructor(clock: Clock, bounds: QueueBounds, image: QueueImage, log: QueueLog, end: () => Promise<void>) {
    this.#clock = clock;
    this.#items = new QueueItems(clock, bounds, image);
    this.#fence = image.reserved + 1;
    this.#reserved = image.reserved;
    this.#log = log;
    this.#end = end;
  }

  get liveBytes(): number {
    return this.#items.liveBytes;
  }

  /** Resolves with the ids once all of them are on the disk, also those that others are storing. */
  async enqueue(items: readonly NewItem[]): Promise<number[]> {
    this.#check();
    const { ids, fresh, twins } = this.#items.admit(items);
    const waits = twins.map(({ stored }) => stored);
    if (fresh.length > 0) {
      const stored = this.#write(
        { type: 'enqueue', items: fresh },
        () => {
          for (const item of fresh) this.#items.store(item);
          this.serve();
        },
        () => {
          for (const item of fresh) this.#items.drop(item);
        },
      );
      for (const item of fresh) item.stored = stored;
      waits.push(stored);
    }
    await Promise.all(waits);
    return [...ids];
  }

  /** Up to `max` items that are due, leased. */
  take(max: number, leaseMs: number): Lease[] {
    this.#check();
    const leases: Lease[] = [];
    while (leases.length < max && this.#fence <= this.#reserved) {
      const item = this.#items.take(leaseMs, this.#fence);
      if (item === undefined) break;
      leases.push({ item, fence: this.#fence++, attempts: item.attempts });
    }
    if (leases.length === 0) return leases;
    this.#note(leaseMs, leases);
    if (this.#reserved - this.#fence < FENCE_BLOCK / 2) this.#reserve();
    return leases;
  }

  wait(waiter: QueueWaiter): void {
    this.#check();
    if (this.#waiters.size >= MAX_WAITING) throw full('the list of waiting leases', MAX_WAITING);
    this.#waiters.add(waiter);
    this.serve();
  }

  unwait(waiter: QueueWaiter): void {
    this.#waiters.delete(waiter);
    this.#arm();
  }

  ack(lease: Lease): Promise<void> {
    return this.#finish(lease, { type: 'ack', id: lease.item.id }, (item) => this.#items.drop(item));
  }

  nack(lease: Lease, delayMs: number): Promise<void> {
    const { item, attempts } = lease;
    const until = this.#clock.now() + delayMs;
    const notBefore = this.#clock.wallTime() + delayMs;
    return this.#finish(lease, { type: 'nack', id: item.id, attempts, notBefore }, () => {
      this.#items.release(item, until, notBefore);
      this.serve();
    });
  }

  bury(lease: Lease, reason: string): Promise<void> {
    const { item, attempts } = lease;
    return this.#finish(lease, { type: 'bury', id: item.id, attempts, reason }, () => this.#items.bury(item, reason));
  }

  extend(lease: Lease, ms: number): void {
    this.#checkHeld(lease);
    this.#items.extend(lease.item, ms);
    this.#note(ms, [lease]);
    this.#arm();
  }

  stats(): QueueStats {
    this.#check();
    return this.#items.stats();
  }

  deadLetters(limit: number): readonly DeadLetter[] {
    this.#check();
    return this.#items.letters.oldest(limit).map((letter) => ({ ...letter, body: new Uint8Array(letter.body) }));
  }

  /** What a snapshot at `lsn` shows. */
  contentAt(lsn: number): SnapshotContent {
    const { nextId, letters } = this.#items;
    return { lsn, nextId, reserved: this.#reserved, items: this.#items.stored(), letters: letters.oldest() };
  }

  /** Gives what is due to those who wait, first come first served, and sleeps until the next is. */
  serve(): void {
    for (const waiter of this.#waiters) {
      if (!this.#items.hasDue) break;
      if (this.#log.failure !== undefined) {
        this.#failWaiters(this.#log.failure);
        break;
      }
      if (this.#fence > this.#reserved) {
        this.#reserve();
        break;
      }
      this.#waiters.delete(waiter);
      waiter.give(this.take(waiter.max, waiter.leaseMs));
    }
    this.#arm();
  }

  /** What was asked for is finished first. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#failWaiters(new EvenkeelError('failed-precondition', 'the queue is closed'));
    await this.#log.close();
    await this.#end();
  }

  #check(): void {
    checkOpen(this.#isClosed, 'the queue');
    if (this.#log.failure !== undefined) throw this.#log.failure;
  }

  #checkHeld({ item, fence }: Lease): void {
    this.#check();
    if (this.#items.isHeld(item, fence)) return;
    throw new EvenkeelError('aborted', `the lease of item ${item.id} is no longer ours`, { details: { id: item.id, fence } });
  }

  /** Ends a lease, once that is on the disk. Until then nobody can have the item; after a failure it is held as before. */
  async #finish(lease: Lease, record: QueueRecord, apply: (item: StoredItem) => void): Promise<void> {
    this.#checkHeld(lease);
    const suspended = this.#items.suspend(lease.item);
    await this.#write(
      record,
      () => apply(lease.item),
      () => {
        suspended.resume();
        this.serve();
      },
    );
  }

  #write(record: QueueRecord, apply: () => void, revert: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#log.append({
        frame: encodeRecord(record),
        isDurable: true,
        done() {
          apply();
          resolve();
        },
        failed(error) {
          revert();
          reject(error);
        },
      });
    });
  }

  /** Written, not waited for; what a failure costs stands in the header. */
  #note(leaseMs: number, leases: readonly Lease[]): void {
    const entries = leases.map(({ item: { id }, fence, attempts }) => ({ id, fence, attempts }));
    const frame = encodeRecord({ type: 'lease', leaseMs, leases: entries });
    this.#log.append({ frame, isDurable: false, done() {}, failed() {} });
  }

  /** The next block, before this one is used up: only the first lease after a start waits for it. */
  #reserve(): void {
    if (this.#isReserving) return;
    this.#isReserving = true;
    const reserved = this.#reserved + FENCE_BLOCK;
    this.#write(
      { type: 'fences', reserved },
      () => {
        this.#isReserving = false;
        this.#reserved = reserved;
      },
      () => {
        this.#isReserving = false;
      },
    ).then(
      () => this.serve(),
      (error) => {
        if (this.#fence > this.#reserved) this.#failWaiters(error);
      },
    );
  }

  #failWaiters(error: EvenkeelError): void {
    for (const waiter of this.#waiters) waiter.fail(error);
    this.#waiters.clear();
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#waiters.size === 0 || this.#isClosed) return;
    const inMs = this.#items.msToNext();
    if (inMs === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#clock.timer(inMs, () => this.serve());
  }
}
