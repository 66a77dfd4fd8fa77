/**
 * The reference BlobTransport: blobs in this process's memory. A writer lends one buffer for its whole life and copies out of it
 * on `write`, so what a caller does to the buffer afterwards changes nothing that was written.
 */
import { checkInteger, EvenkeelError, invalidArgument } from '../../core/errors.js';
import { checkBlobUse, checkList, checkOffset, checkRange, noSuchBlob } from '../../core/internal/blob-arguments.js';
import { compareKeys } from '../../core/internal/keys.js';
import { full } from '../../core/internal/transport-guards.js';
import type { BlobStat, BlobTransport, BlobWriter } from '../../core/transport/blob.js';
import { BlobStore, type MemoryBlobStore, memoryBlobStore } from './blob-store.js';
import { MemoryBlobWriter } from './blob-writer.js';

export interface MemoryBlobOptions {
  /** Shared by transports that act as several processes on one store. Default: a store of its own. */
  store?: MemoryBlobStore;
  /** Bytes the store holds, unfinished writers included; more are refused with `resource-exhausted`. Default 1 GiB. */
  maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 2 ** 30;

/**
 * Immutable named bytes inside one process: for tests, and as the fastest tier of what must not outlive the process.
 *
 * @example
 * ```ts
 * import { createMemoryBlob } from 'evenkeel/memory';
 *
 * const writer = await createMemoryBlob().writer('step/1');
 * const buffer = await writer.buffer();
 * await writer.write(new TextEncoder().encodeInto('weights', buffer).written);
 * await writer.commit();
 * ```
 * @throws {EvenkeelError} `invalid-argument` for `maxBytes` below 1, or a `store` that `memoryBlobStore` did not make.
 */
export function createMemoryBlob(options: MemoryBlobOptions = {}): BlobTransport {
  const store = options.store ?? memoryBlobStore();
  if (!(store instanceof BlobStore)) throw invalidArgument('store', store, 'what memoryBlobStore() returned');
  return new MemoryBlob(store, checkInteger('maxBytes', options.maxBytes ?? DEFAULT_MAX_BYTES, 1));
}

class MemoryBlob implements BlobTransport {
  readonly #store: BlobStore;
  readonly #maxBytes: number;
  readonly #writers = new Set<MemoryBlobWriter>();
  #isClosed = false;

  constructor(store: BlobStore, maxBytes: number) {
    this.#store = store;
    this.#maxBytes = maxBytes;
  }

  async writer(name: string, options: { bytes?: number; signal?: AbortSignal } = {}): Promise<BlobWriter> {
    this.#check(name, options.signal);
    if (options.bytes !== undefined) checkInteger('bytes', options.bytes, 0);
    const store = this.#store;
    const writer = new MemoryBlobWriter(name, options, {
      reserve: (bytes) => {
        if (store.bytes + bytes > this.#maxBytes) throw full('the store', this.#maxBytes);
        store.bytes += bytes;
      },
      publish: (bytes) => store.put(name, bytes),
      finish: (released) => {
        store.bytes -= released;
        this.#writers.delete(writer);
      },
    });
    this.#writers.add(writer);
    return writer;
  }

  async readInto(name: string, offset: number, target: Uint8Array, options?: { signal?: AbortSignal }): Promise<number> {
    this.#check(name, options?.signal);
    checkRange(offset, target);
    const bytes = this.#store.blobs.get(name);
    if (bytes === undefined) throw noSuchBlob(name);
    checkOffset(name, offset, bytes.byteLength);
    const part = bytes.subarray(offset, offset + target.byteLength);
    target.set(part);
    return part.byteLength;
  }

  async stat(name: string): Promise<BlobStat | undefined> {
    this.#check(name);
    const bytes = this.#store.blobs.get(name);
    return bytes === undefined ? undefined : { name, bytes: bytes.byteLength };
  }

  async list(prefix: string, options: { after?: string; limit: number }): Promise<readonly BlobStat[]> {
    const { after, limit } = checkList(this.#isClosed, prefix, options);
    const names: string[] = [];
    for (const name of this.#store.blobs.keys()) {
      if (name.startsWith(prefix) && (after === undefined || compareKeys(name, after) > 0)) names.push(name);
    }
    const page = names.sort(compareKeys).slice(0, limit);
    return page.map((name) => ({ name, bytes: this.#store.blobs.get(name)?.byteLength ?? 0 }));
  }

  async delete(name: string): Promise<boolean> {
    this.#check(name);
    return this.#store.remove(name);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const writer of this.#writers) writer.fail(new EvenkeelError('failed-precondition', 'the blob transport is closed'));
  }

  #check(name: string, signal?: AbortSignal): void {
    checkBlobUse(this.#isClosed, name, signal);
  }
}
