/**
 * Storing items, all or none.
 *
 * How is a key kept single when it may be ready or delayed, under any start time? Each subject takes one message. Across subjects a
 * new item looks before it is stored, and again afterwards: of two that were stored at the same time the later one surely sees the
 * earlier, and goes.
 */

import { setMaxListeners } from 'node:events';
import { isEvenkeelError } from '../../core/errors.js';
import type { NewItem } from '../../core/internal/queue-arguments.js';
import { full } from '../../core/internal/transport-guards.js';
import { randomId } from '../../core/random.js';
import type { StoredMessage } from './jetstream.js';
import type { QueueStreams } from './queue-streams.js';
import { isKeyToken, KEYLESS, keyToken } from './queue-subjects.js';

interface Placed {
  readonly subject: string;
  readonly token: string;
  readonly body: Uint8Array;
  readonly isDelayed: boolean;
  id: number | undefined;
  isOurs: boolean;
}

/** The id of an item that was moved: the sequence it had first. */
export const ID = 'Evenkeel-Id';
/** On their way at once. */
const MAX_ITEMS_AT_ONCE = 256;
const MAX_BYTES_AT_ONCE = 4 * 1024 * 1024;
/** A full window takes the server longer than one small message. */
const TRY_MS = 2000;
/** A count of the stored items is good for so long: other clients store, too. */
const COUNT_FOR_MS = 1000;
/** What a message has besides its body and its subject: its own header, and that of the store. */
const MESSAGE_BYTES = 128;

export class Enqueue {
  readonly #streams: QueueStreams;
  readonly #onDelayed: (dueMs: number) => void;
  readonly #unique: string;
  #ids = 0;
  #room = 0;
  #bytesLeft = 0;
  #countedAtMs = Number.NEGATIVE_INFINITY;

  constructor(streams: QueueStreams, onDelayed: (dueMs: number) => void) {
    this.#streams = streams;
    this.#onDelayed = onDelayed;
    this.#unique = randomId(streams.js.link.random).slice(0, 16);
  }

  async add(items: readonly NewItem[], signal: AbortSignal | undefined): Promise<number[]> {
    const stop = signal === undefined ? undefined : new AbortController();
    const onAbort = () => stop?.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await this.#add(items, stop?.signal);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #add(items: readonly NewItem[], signal: AbortSignal | undefined): Promise<number[]> {
    // Each message on its way listens.
    if (signal !== undefined) setMaxListeners(0, signal);
    const byKey = new Map<string, Placed>();
    const placed = items.map((item) => this.#place(item, byKey));
    const fresh = [...new Set(placed)];
    const keyed = [...byKey.values()];
    await this.#findTwins(keyed, signal);
    await this.#reserve(fresh.filter(({ id }) => id === undefined));
    try {
      await this.#store(fresh, signal);
      await this.#findTwins(
        keyed.filter(({ isOurs }) => isOurs),
        signal,
      );
    } catch (error) {
      await Promise.allSettled(fresh.filter(({ isOurs }) => isOurs).map(({ id }) => this.#streams.remove(id as number)));
      throw error;
    }
    for (const [index, { isDelayed }] of placed.entries()) if (isDelayed) this.#onDelayed(items[index]?.notBefore ?? 0);
    return placed.map(({ id }) => id as number);
  }

  #place({ body, key, notBefore }: NewItem, byKey: Map<string, Placed>): Placed {
    const twin = key === undefined ? undefined : byKey.get(key);
    if (twin !== undefined) return twin;
    const { subjects, js } = this.#streams;
    const isDelayed = notBefore !== undefined && notBefore > js.link.clock.wallTime();
    let token = key === undefined ? KEYLESS : keyToken(key);
    if (isDelayed && key === undefined) token += this.#unique + (this.#ids++).toString(36);
    const subject = isDelayed ? subjects.delayed(notBefore, token) : subjects.ready(token);
    const placed: Placed = { subject, token, body, isDelayed, id: undefined, isOurs: false };
    if (key !== undefined) byKey.set(key, placed);
    return placed;
  }

  /** An item stored before, of the same key, takes the place of ours. */
  async #findTwins(keyed: readonly Placed[], signal: AbortSignal | undefined): Promise<void> {
    if (keyed.length === 0) return;
    const { subjects, js } = this.#streams;
    const [first] = keyed;
    // Delayed ones first: what is moved meanwhile is then seen where it went.
    const isOne = keyed.length === 1 && first !== undefined;
    const filter = isOne ? subjects.delayedOf(first.token) : subjects.allDelayed;
    // Of one key there are few: the answer is as quick as any.
    const options = isOne ? { signal, tryTimeoutMs: TRY_MS, timeoutMs: js.link.settings.timeoutMs } : { signal };
    const delayed = new Map<string, string[]>();
    for (const subject of (await this.#streams.listSubjects(filter, options)).keys()) {
      const token = subjects.parseDelayed(subject)?.token;
      if (token !== undefined && isKeyToken(token)) delayed.set(token, [...(delayed.get(token) ?? []), subject]);
    }
    const look = async (placed: Placed) => {
      for (const subject of [...(delayed.get(placed.token) ?? []), subjects.ready(placed.token)]) {
        if (placed.isOurs && subject === placed.subject) continue;
        const message = await this.#streams.item(subject, { signal });
        if (message !== undefined) await this.#yieldTo(idOf(message), placed);
      }
    };
    await windows(keyed, (window) => Promise.all(window.map(look)));
  }

  async #yieldTo(id: number, placed: Placed): Promise<void> {
    if (placed.id !== undefined && placed.id <= id) return;
    if (placed.isOurs) await this.#streams.remove(placed.id as number);
    placed.id = id;
    placed.isOurs = false;
  }

  async #reserve(fresh: readonly Placed[]): Promise<void> {
    if (fresh.length === 0) return;
    const now = this.#streams.js.link.clock.now();
    let bytes = 0;
    for (const { body, subject } of fresh) bytes += body.byteLength + subject.length + MESSAGE_BYTES;
    const isFull = () => fresh.length > this.#room || bytes > this.#bytesLeft;
    if (isFull() || now - this.#countedAtMs > COUNT_FOR_MS) await this.#count(now);
    if (isFull() && (await this.#streams.removeEnded())) await this.#count(now);
    if (fresh.length > this.#room) throw full('the queue', this.#streams.maxItems);
    if (bytes > this.#bytesLeft) throw full('the queue', this.#streams.maxBytes);
    this.#room -= fresh.length;
    this.#bytesLeft -= bytes;
  }

  async #count(now: number): Promise<void> {
    const used = await this.#streams.usage();
    this.#room = this.#streams.maxItems - used.messages;
    this.#bytesLeft = this.#streams.maxBytes - used.bytes;
    this.#countedAtMs = now;
  }

  async #store(fresh: readonly Placed[], signal: AbortSignal | undefined): Promise<void> {
    await windows(
      fresh.filter(({ id }) => id === undefined),
      async (window) => {
        // In order on one connection; all are awaited, so that what was stored is known.
        const ended = await Promise.allSettled(window.map((placed) => this.#publish(placed, signal)));
        const failures = ended.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
        // One that may have been stored says more than one that was refused.
        const unknown = failures.find((failure) => isEvenkeelError(failure) && failure.retryable === 'unknown');
        if (failures.length > 0) throw unknown ?? failures[0];
      },
    );
  }

  async #publish(placed: Placed, signal: AbortSignal | undefined): Promise<void> {
    const { js, items } = this.#streams;
    const { subject, body, token } = placed;
    const expect = isKeyToken(token) ? 0 : undefined;
    for (;;) {
      try {
        const options = { what: 'enqueue', stream: items, expect, signal, tryTimeoutMs: TRY_MS };
        placed.id = (await js.publish(subject, body, options)).seq;
        placed.isOurs = true;
        return;
      } catch (error) {
        if (!isEvenkeelError(error, 'aborted')) throw error;
      }
      const twin = await this.#streams.item(subject, { signal });
      if (twin !== undefined) {
        placed.id = idOf(twin);
        return;
      }
    }
  }
}

/** Of an item's message. */
export function idOf(message: StoredMessage): number {
  return itemId(message.header(ID), message.seq);
}

/** What is no earlier sequence is no id that we wrote. */
export function itemId(header: string | undefined, seq: number): number {
  return header !== undefined && /^[1-9]\d*$/.test(header) && Number(header) < seq ? Number(header) : seq;
}

async function windows<T extends { readonly body: Uint8Array }>(
  items: readonly T[],
  work: (window: readonly T[]) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < items.length; ) {
    let to = from;
    for (let bytes = 0; to < items.length && to - from < MAX_ITEMS_AT_ONCE; to++) {
      bytes += items[to]?.body.byteLength ?? 0;
      if (bytes > MAX_BYTES_AT_ONCE && to > from) break;
    }
    await work(items.slice(from, to));
    from = to;
  }
}
