/**
 * The items of an open queue, in memory, and when each is due. Nothing here waits for the disk: an item that is being stored, or whose
 * end is being stored, stands aside until it is said how that went.
 *
 * `notBefore` is calendar time and is compared with `wallTime()`; leases and nack delays are durations on the monotonic clock. After a
 * restart a lease begins anew, and a nack delay is known by the calendar time of its end. Among due items the one that became due
 * first goes first, then the lower id.
 */
import type { Clock } from '../../core/clock.js';
import { EvenkeelError } from '../../core/errors.js';
import { BinaryHeap } from '../../core/internal/binary-heap.js';
import { Deadlines } from '../../core/internal/deadlines.js';
import type { NewItem } from '../../core/internal/queue-arguments.js';
import { full } from '../../core/internal/transport-guards.js';
import type { QueueStats } from '../../core/transport/queue.js';
import type { DeadLetters } from './queue-dead-letters.js';
import type { ItemRecord } from './queue-format.js';
import type { QueueImage } from './queue-image.js';

export interface QueueBounds {
  readonly maxItems: number;
  /** Of bodies and keys. */
  readonly maxBytes: number;
}

export interface StoredItem extends ItemRecord {
  notBefore: number | undefined;
  attempts: number;
  /** Of the newest lease, as is the next. */
  fence: number;
  leaseMs: number | undefined;
  /** When it became due, on the monotonic clock. */
  dueAt: number;
  phase: 'storing' | 'delayed' | 'hidden' | 'due' | 'leased' | 'ending' | 'gone';
  /** While it is being stored. */
  stored: Promise<void> | undefined;
}

export interface Admission {
  /** One for each item asked for. */
  readonly ids: readonly number[];
  readonly fresh: readonly StoredItem[];
  /** Items of others that hold keys of this batch and are still being stored. */
  readonly twins: readonly StoredItem[];
}

/** The calendar may jump, and no timer tells. */
const LOOK_AGAIN_MS = 1000;

export class QueueItems {
  readonly letters: DeadLetters;
  readonly #clock: Clock;
  readonly #bounds: QueueBounds;
  readonly #items = new Map<number, StoredItem>();
  readonly #keys = new Map<string, StoredItem>();
  readonly #due = new BinaryHeap<StoredItem>((a, b) => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.id < b.id));
  readonly #delayed = new BinaryHeap<{ item: StoredItem; notBefore: number }>((a, b) => a.notBefore < b.notBefore);
  /** Leased and hidden items, by the time they are due again. */
  readonly #returns = new Deadlines<StoredItem>();
  #leased = 0;
  #storing = 0;
  #bytes = 0;
  #nextId: number;

  constructor(clock: Clock, bounds: QueueBounds, image: QueueImage) {
    this.#clock = clock;
    this.#bounds = bounds;
    this.letters = image.letters;
    this.#nextId = image.nextId;
    for (const record of image.items.values()) {
      const item: StoredItem = { ...record, dueAt: 0, phase: 'storing', stored: undefined };
      this.#hold(item);
      if (item.leaseMs === undefined) this.store(item);
      else this.#lease(item, item.leaseMs);
    }
  }

  get nextId(): number {
    return this.#nextId;
  }

  get hasDue(): boolean {
    this.#promote();
    return this.#due.size > 0;
  }

  /** Bytes that a snapshot would have, more or less. */
  get liveBytes(): number {
    return this.#bytes + this.letters.bytes + 50 * (this.#items.size + this.letters.size);
  }

  /** Ids and keys for a batch, all of it or none; its new items stand aside until `store` or `drop`. */
  admit(items: readonly NewItem[]): Admission {
    this.#refuseOverflow(items);
    const fresh: StoredItem[] = [];
    const twins = new Set<StoredItem>();
    const first = this.#nextId;
    const ids = items.map((item) => {
      const twin = item.key === undefined ? undefined : this.#keys.get(item.key);
      if (twin !== undefined) {
        if (twin.phase === 'storing' && twin.id < first) twins.add(twin);
        return twin.id;
      }
      const rest = { attempts: 0, fence: 0, leaseMs: undefined, dueAt: 0, phase: 'storing', stored: undefined } as const;
      const added: StoredItem = { id: this.#nextId++, ...item, ...rest };
      this.#hold(added);
      fresh.push(added);
      return added.id;
    });
    return { ids, fresh, twins: [...twins] };
  }

  /** It is stored: due, now or later. */
  store(item: StoredItem): void {
    this.#storing--;
    item.stored = undefined;
    if (item.notBefore === undefined) {
      this.#makeDue(item, this.#clock.now());
    } else {
      item.phase = 'delayed';
      this.#delayed.push({ item, notBefore: item.notBefore });
    }
  }

  /** It has ended, or was never stored. */
  drop(item: StoredItem): void {
    if (item.phase === 'storing') this.#storing--;
    else this.#leased--;
    item.phase = 'gone';
    this.#bytes -= bytesOf(item);
    this.#items.delete(item.id);
    if (item.key !== undefined) this.#keys.delete(item.key);
  }

  /** The item due first, leased. */
  take(leaseMs: number, fence: number): StoredItem | undefined {
    this.#promote();
    const item = this.#due.pop();
    if (item === undefined) return undefined;
    item.attempts++;
    item.fence = fence;
    this.#lease(item, leaseMs);
    return item;
  }

  isHeld(item: StoredItem, fence: number): boolean {
    this.#promote();
    return item.phase === 'leased' && item.fence === fence;
  }

  extend(item: StoredItem, leaseMs: number): void {
    item.leaseMs = leaseMs;
    this.#returns.set(item, this.#clock.now() + leaseMs);
  }

  /** The end of a lease is being stored: until that is done the item is nobody's, and its lease does not run out. */
  suspend(item: StoredItem): { resume(): void } {
    const until = this.#returns.get(item) ?? this.#clock.now();
    this.#returns.delete(item);
    item.phase = 'ending';
    const resume = () => {
      item.phase = 'leased';
      this.#returns.set(item, until);
    };
    return { resume };
  }

  /** Due again at `until` on the monotonic clock, which is `notBefore` on the calendar. */
  release(item: StoredItem, until: number, notBefore: number): void {
    this.#leased--;
    item.leaseMs = undefined;
    item.notBefore = notBefore;
    if (until <= this.#clock.now()) {
      this.#makeDue(item, until);
    } else {
      item.phase = 'hidden';
      this.#returns.set(item, until);
    }
  }

  bury(item: StoredItem, reason: string): void {
    this.drop(item);
    this.letters.push({ id: item.id, body: item.body, attempts: item.attempts, reason });
  }

  /** Stored items, as a list that stays as it is. */
  stored(): StoredItem[] {
    return [...this.#items.values()].filter(({ phase }) => phase !== 'storing');
  }

  stats(): QueueStats {
    this.#promote();
    const due = this.#due.size;
    const delayed = this.#items.size - this.#storing - due - this.#leased;
    return { due, delayed, leased: this.#leased, dead: this.letters.size };
  }

  /** Until something becomes due, or the calendar is worth another look. Infinity: never. */
  msToNext(): number {
    const inMs = (this.#returns.next() ?? Number.POSITIVE_INFINITY) - this.#clock.now();
    const delayed = this.#delayed.peek();
    if (delayed === undefined) return Math.max(0, inMs);
    return Math.max(0, Math.min(inMs, delayed.notBefore - this.#clock.wallTime(), LOOK_AGAIN_MS));
  }

  #refuseOverflow(items: readonly NewItem[]): void {
    const { maxItems, maxBytes } = this.#bounds;
    const keys = new Set<string>();
    let [count, bytes] = [0, 0];
    for (const item of items) {
      if (item.key !== undefined && (this.#keys.has(item.key) || keys.has(item.key))) continue;
      if (item.key !== undefined) keys.add(item.key);
      count++;
      bytes += bytesOf(item);
    }
    if (this.#items.size + count > maxItems) throw full('the queue', maxItems);
    if (this.#bytes + bytes > maxBytes) {
      throw new EvenkeelError('resource-exhausted', `the queue holds ${this.#bytes} bytes, and at most ${maxBytes}`, {
        retryable: 'yes',
        rejected: true,
        details: { maxBytes },
      });
    }
  }

  #hold(item: StoredItem): void {
    this.#items.set(item.id, item);
    if (item.key !== undefined) this.#keys.set(item.key, item);
    this.#bytes += bytesOf(item);
    this.#storing++;
  }

  #lease(item: StoredItem, leaseMs: number): void {
    if (item.phase === 'storing') this.#storing--;
    item.phase = 'leased';
    item.leaseMs = leaseMs;
    this.#leased++;
    this.#returns.set(item, this.#clock.now() + leaseMs);
  }

  #promote(): void {
    const now = this.#clock.now();
    const wall = this.#clock.wallTime();
    for (let next = this.#delayed.peek(); next !== undefined && next.notBefore <= wall; next = this.#delayed.peek()) {
      this.#delayed.pop();
      this.#makeDue(next.item, now - (wall - next.notBefore));
    }
    for (let next = this.#returns.takeDue(now); next !== undefined; next = this.#returns.takeDue(now)) {
      if (next.key.phase === 'leased') this.#leased--;
      next.key.leaseMs = undefined;
      this.#makeDue(next.key, next.at);
    }
  }

  #makeDue(item: StoredItem, at: number): void {
    item.phase = 'due';
    item.dueAt = at;
    this.#due.push(item);
  }
}

function bytesOf({ body, key }: NewItem): number {
  return body.byteLength + (key === undefined ? 0 : Buffer.byteLength(key));
}
