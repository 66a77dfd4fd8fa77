/** Arguments of a queue, checked by one rule for every transport: what works on one works on all. */
import { checkInteger, checkNumber, invalidArgument } from '../errors.js';
import { MAX_QUEUE_BATCH, MAX_QUEUE_BODY_BYTES, type QueueItem } from '../transport/queue.js';
import { checkSignal, copyBytes, MAX_LEASE_MS, MIN_LEASE_MS } from './transport-guards.js';

const MAX_KEY_BYTES = 512;

/** An item that was checked; its body is nobody else's. */
export interface NewItem {
  readonly body: Uint8Array;
  readonly key: string | undefined;
  readonly notBefore: number | undefined;
}

/** @throws {EvenkeelError} `invalid-argument` naming the value, `out-of-range` for a body too large, `cancelled`. */
export function checkItems(items: readonly QueueItem[], options: { signal?: AbortSignal } | undefined): NewItem[] {
  if (!Array.isArray(items)) throw invalidArgument('items', items, 'an array');
  if (items.length > MAX_QUEUE_BATCH) throw invalidArgument('items.length', items.length, `at most ${MAX_QUEUE_BATCH}`);
  checkSignal(options?.signal, 'the enqueue');
  return items.map(checkItem);
}

/** @throws {EvenkeelError} `invalid-argument` naming the value. */
export function checkLease(options: { max: number; leaseMs: number }): { max: number; leaseMs: number } {
  return {
    max: checkInteger('max', options.max, 1, MAX_QUEUE_BATCH),
    leaseMs: checkNumber('leaseMs', options.leaseMs, MIN_LEASE_MS, MAX_LEASE_MS),
  };
}

/** @throws {EvenkeelError} `invalid-argument` naming the value. */
export function checkLimit({ limit }: { limit: number }): number {
  return checkInteger('limit', limit, 1, MAX_QUEUE_BATCH);
}

function checkItem({ body, key, notBefore }: QueueItem): NewItem {
  if (notBefore !== undefined) checkNumber('item.notBefore', notBefore, 0);
  if (key !== undefined && !isKey(key)) throw invalidArgument('item.key', key, `1 to ${MAX_KEY_BYTES} bytes of UTF-8`);
  return { body: copyBytes('item.body', body, MAX_QUEUE_BODY_BYTES), key, notBefore };
}

/** Half of a surrogate pair is no UTF-8: it would come back as another key. */
function isKey(key: unknown): boolean {
  return typeof key === 'string' && key !== '' && !/\p{Surrogate}/u.test(key) && Buffer.byteLength(key) <= MAX_KEY_BYTES;
}
