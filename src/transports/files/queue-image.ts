/** What a log says, record by record: the items, the dead letters, and how far ids and fences may have been given out. */
import { type DeadLetterBounds, DeadLetters } from './queue-dead-letters.js';
import type { ItemRecord, QueueRecord } from './queue-format.js';

type ImageItem = { -readonly [K in keyof ItemRecord]: ItemRecord[K] };

export class QueueImage {
  /** In the order of their ids. */
  readonly items = new Map<number, ImageItem>();
  readonly letters: DeadLetters;
  nextId = 1;
  /** No fence above it was given out. */
  reserved = 0;

  constructor(bounds: DeadLetterBounds) {
    this.letters = new DeadLetters(bounds);
  }

  /** A record may speak of an item that has gone: a snapshot is written while the queue goes on. */
  apply(record: QueueRecord): void {
    switch (record.type) {
      case 'enqueue':
        for (const item of record.items) this.#add({ ...item, attempts: 0, fence: 0, leaseMs: undefined });
        break;
      case 'lease':
        for (const { id, fence, attempts } of record.leases) this.#set(id, { fence, attempts, leaseMs: record.leaseMs });
        break;
      case 'ack':
        this.items.delete(record.id);
        break;
      case 'nack':
        this.#set(record.id, { attempts: record.attempts, notBefore: record.notBefore, leaseMs: undefined });
        break;
      case 'bury':
        this.#bury(record.id, record.attempts, record.reason);
        break;
      case 'fences':
        this.reserved = Math.max(this.reserved, record.reserved);
        break;
      case 'counters':
        this.nextId = record.nextId;
        this.reserved = record.reserved;
        break;
      case 'item':
        this.#add({ ...record.item });
        break;
      case 'letter':
        this.letters.push(record.letter);
        break;
      case 'end':
        break;
    }
  }

  #add(item: ImageItem): void {
    this.items.set(item.id, item);
    this.nextId = Math.max(this.nextId, item.id + 1);
  }

  #set(id: number, change: Partial<ImageItem>): void {
    const item = this.items.get(id);
    if (item !== undefined) Object.assign(item, change);
  }

  #bury(id: number, attempts: number, reason: string): void {
    const item = this.items.get(id);
    if (item === undefined) return;
    this.items.delete(id);
    this.letters.push({ id, body: item.body, attempts, reason });
  }
}
