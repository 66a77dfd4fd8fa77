/**
 * The items that memory queue transports share, and who waits for them.
 *
 * When is an item due? `notBefore` is calendar time and is compared with `wallTime()`; leases and nack delays are durations on the
 * store's monotonic clock, which is that of the first transport opened on it: the store plays the server. Among due items the one
 * that became due first goes first, then the lower id.
 */

import type { Clock, Timer } from '../../core/clock.js';
import { BinaryHeap } from '../../core/internal/binary-heap.js';
import { Deadlines } from '../../core/internal/deadlines.js';
import type { NewItem } from '../../core/internal/queue-arguments.js';
import { full } from '../../core/internal/transport-guards.js';
import type { DeadLetter, QueueStats } from '../../core/transport/queue.js';

/** Dead letters kept; the oldest goes when another comes. */
export const MAX_DEAD_LETTERS = 10_000;
/** Leases waiting at once, over all transports of a store. */
const MAX_WAITING = 10_000;
/** The calendar may jump while a lease waits for a start time, and no timer tells. */
const LOOK_AGAIN_MS = 1000;

export interface StoredItem {
  readonly id: number;
  readonly body: Uint8Array;
  readonly key: string | undefined;
  /** Calendar time before which it is not due; 0: none. */
  readonly notBefore: number;
  /** When it became due, on the monotonic clock. */
  dueAt: number;
  attempts: number;
  /** Of the newest lease. */
  fence: number;
  phase: 'delayed' | 'hidden' | 'due' | 'leased' | 'gone';
  /** Deliveries after which it is dead; set by whoever leases it. */
  deadAfter: number;
}

/** A queue's content at one moment, its items copied. Numbers of items and leases are no part of it: they are never given again. */
export interface QueueImage {
  readonly items: readonly { readonly item: StoredItem; readonly returnsAt: number | undefined }[];
  readonly dead: readonly DeadLetter[];
}

/** A lease that waits for something due. */
export interface QueueWaiter {
  /** Takes what is due; called when something is. */
  give(): void;
}

export class QueueStore {
  readonly #due = new BinaryHeap<StoredItem>((a, b) => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.id < b.id));
  readonly #delayed = new BinaryHeap<StoredItem>((a, b) => a.notBefore < b.notBefore);
  /** Leased and hidden items, by the time they are due again. */
  readonly #returns = new Deadlines<StoredItem>();
  readonly #items = new Set<StoredItem>();
  readonly #keys = new Map<string, StoredItem>();
  readonly #waiters = new Set<QueueWaiter>();
  #dead: DeadLetter[] = [];
  #leased = 0;
  #nextId = 1;
  #nextFence = 1;
  #clock: Clock | undefined;
  #timer: Timer | undefined;

  get size(): number {
    return this.#items.size;
  }

  attach(clock: Clock): void {
    this.#clock ??= clock;
  }

  /** All or none. */
  add(items: readonly NewItem[], maxItems: number): number[] {
    const fresh = new Set<string>();
    let added = 0;
    for (const { key } of items) {
      if (key !== undefined && (this.#keys.has(key) || fresh.has(key))) continue;
      if (key !== undefined) fresh.add(key);
      added++;
    }
    if (this.#items.size + added > maxItems) throw full('the queue', maxItems);
    const ids = items.map((item) => this.#add(item));
    this.serve();
    return ids;
  }

  /** The item due first, leased; undefined when none is due. */
  take(leaseMs: number, deadAfter: number): StoredItem | undefined {
    this.#promote();
    const item = this.#due.pop();
    if (item === undefined) return undefined;
    item.phase = 'leased';
    item.attempts++;
    item.fence = this.#nextFence++;
    item.deadAfter = deadAfter;
    this.#leased++;
    this.#returns.set(item, this.#now() + leaseMs);
    return item;
  }

  holds(item: StoredItem, fence: number): boolean {
    this.#promote();
    return item.phase === 'leased' && item.fence === fence;
  }

  extend(item: StoredItem, ms: number): void {
    this.#returns.set(item, this.#now() + ms);
    this.serve();
  }

  /** Ends a lease: due again after `delayMs`. */
  release(item: StoredItem, delayMs: number): void {
    this.#unlease(item);
    if (item.attempts >= item.deadAfter) this.#bury(item, `delivered ${item.attempts} times`);
    else if (delayMs === 0) this.#makeDue(item, this.#now());
    else this.#hide(item, this.#now() + delayMs);
    this.serve();
  }

  /** Ends a lease: the item is done. */
  remove(item: StoredItem): void {
    this.#unlease(item);
    this.#drop(item);
  }

  bury(item: StoredItem, reason: string): void {
    this.#unlease(item);
    this.#bury(item, reason);
  }

  wait(waiter: QueueWaiter): void {
    if (this.#waiters.size >= MAX_WAITING) throw full('the list of waiting leases', MAX_WAITING);
    this.#waiters.add(waiter);
    this.#arm();
  }

  unwait(waiter: QueueWaiter): void {
    this.#waiters.delete(waiter);
    this.#arm();
  }

  /** Gives what is due to those who wait, first come first served, and sleeps until the next is. */
  serve(): void {
    this.#promote();
    for (const waiter of this.#waiters) {
      if (this.#due.size === 0) break;
      this.#waiters.delete(waiter);
      waiter.give();
    }
    this.#arm();
  }

  stats(): QueueStats {
    this.#promote();
    const due = this.#due.size;
    return { due, delayed: this.#items.size - due - this.#leased, leased: this.#leased, dead: this.#dead.length };
  }

  deadLetters(limit: number): readonly DeadLetter[] {
    this.#promote();
    return this.#dead.slice(0, limit).map((letter) => ({ ...letter, body: new Uint8Array(letter.body) }));
  }

  /** O(items). For stores that forget what was not flushed. */
  image(): QueueImage {
    this.#promote();
    return {
      items: [...this.#items].map((item) => ({ item: { ...item }, returnsAt: this.#returns.get(item) })),
      dead: this.#dead.slice(),
    };
  }

  /** Has the content of `image`, and none of its own. */
  restore(image: QueueImage): void {
    for (const item of this.#items) item.phase = 'gone';
    this.#items.clear();
    this.#keys.clear();
    this.#due.retain(() => false);
    this.#delayed.retain(() => false);
    this.#returns.clear();
    this.#leased = 0;
    this.#dead = image.dead.slice();
    for (const { item: saved, returnsAt } of image.items) {
      const item = { ...saved };
      this.#items.add(item);
      if (item.key !== undefined) this.#keys.set(item.key, item);
      if (item.phase === 'due') this.#due.push(item);
      else if (item.phase === 'delayed') this.#delayed.push(item);
      else this.#returns.set(item, returnsAt ?? this.#now());
      if (item.phase === 'leased') this.#leased++;
    }
    this.serve();
  }

  #add({ body, key, notBefore }: NewItem): number {
    const twin = key === undefined ? undefined : this.#keys.get(key);
    if (twin !== undefined) return twin.id;
    const item: StoredItem = {
      id: this.#nextId++,
      body,
      key,
      notBefore: notBefore ?? 0,
      dueAt: 0,
      attempts: 0,
      fence: 0,
      phase: 'delayed',
      deadAfter: 0,
    };
    this.#items.add(item);
    if (key !== undefined) this.#keys.set(key, item);
    if (notBefore === undefined) this.#makeDue(item, this.#now());
    else this.#delayed.push(item);
    return item.id;
  }

  #promote(): void {
    const now = this.#now();
    const wall = this.#clock?.wallTime() ?? 0;
    for (let next = this.#delayed.peek(); next !== undefined && next.notBefore <= wall; next = this.#delayed.peek()) {
      this.#delayed.pop();
      this.#makeDue(next, now - (wall - next.notBefore));
    }
    for (let next = this.#returns.takeDue(now); next !== undefined; next = this.#returns.takeDue(now)) {
      const { key: item, at } = next;
      if (item.phase === 'leased') {
        this.#leased--;
        if (item.attempts >= item.deadAfter) {
          this.#bury(item, `delivered ${item.attempts} times`);
          continue;
        }
      }
      this.#makeDue(item, at);
    }
  }

  #makeDue(item: StoredItem, at: number): void {
    item.phase = 'due';
    item.dueAt = at;
    this.#due.push(item);
  }

  #hide(item: StoredItem, until: number): void {
    item.phase = 'hidden';
    this.#returns.set(item, until);
  }

  #unlease(item: StoredItem): void {
    this.#leased--;
    this.#returns.delete(item);
  }

  #drop(item: StoredItem): void {
    item.phase = 'gone';
    this.#items.delete(item);
    if (item.key !== undefined) this.#keys.delete(item.key);
  }

  #bury(item: StoredItem, reason: string): void {
    this.#drop(item);
    if (this.#dead.length >= MAX_DEAD_LETTERS) this.#dead.shift();
    this.#dead.push({ id: item.id, body: item.body, attempts: item.attempts, reason });
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#waiters.size === 0 || this.#clock === undefined) return;
    let inMs = (this.#returns.next() ?? Number.POSITIVE_INFINITY) - this.#now();
    const delayed = this.#delayed.peek();
    if (delayed !== undefined) inMs = Math.min(inMs, delayed.notBefore - this.#clock.wallTime(), LOOK_AGAIN_MS);
    if (inMs === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#clock.timer(Math.max(0, inMs), () => this.serve());
  }

  #now(): number {
    return this.#clock?.now() ?? 0;
  }
}
