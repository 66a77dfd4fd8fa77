/** BlobTransport to a store on another simulated machine. */
import { checkInteger, EvenkeelError } from '../../core/errors.js';
import { checkBlobUse, checkList, checkRange } from '../../core/internal/blob-arguments.js';
import { unlessAborted } from '../../core/internal/transport-guards.js';
import type { BlobStat, BlobTransport, BlobWriter } from '../../core/transport/blob.js';
import type { SimBlobStore } from './blob-store.js';
import { SimBlobWriter } from './blob-writer.js';
import type { StoreClient } from './store-client.js';

export class SimBlobs implements BlobTransport {
  readonly #client: StoreClient;
  readonly #store: SimBlobStore;
  readonly #writers = new Set<SimBlobWriter>();
  #isClosed = false;

  constructor(client: StoreClient, store: SimBlobStore) {
    this.#client = client;
    this.#store = store;
  }

  async writer(name: string, options: { bytes?: number; signal?: AbortSignal } = {}): Promise<BlobWriter> {
    const { bytes, signal } = options;
    checkBlobUse(this.#isClosed, name, signal);
    if (bytes !== undefined) checkInteger('bytes', bytes, 0);
    const wire = this.#client.wire();
    const served = await this.#client.request('read', () => this.#store.openWriter(name, bytes), wire);
    const writer: SimBlobWriter = new SimBlobWriter(name, this.#client, wire, served, signal, () => this.#writers.delete(writer));
    this.#writers.add(writer);
    if (this.#isClosed) writer.fail(closed());
    return writer;
  }

  async readInto(name: string, offset: number, target: Uint8Array, options?: { signal?: AbortSignal }): Promise<number> {
    checkBlobUse(this.#isClosed, name, options?.signal);
    checkRange(offset, target);
    const read = async () => {
      const copy = new Uint8Array(target.byteLength);
      return copy.subarray(0, await this.#store.local.readInto(name, offset, copy));
    };
    const bytes = await unlessAborted(this.#client.request('read', read), options?.signal);
    target.set(bytes);
    return bytes.byteLength;
  }

  async stat(name: string): Promise<BlobStat | undefined> {
    checkBlobUse(this.#isClosed, name, undefined);
    return this.#client.request('read', () => this.#store.local.stat(name));
  }

  async list(prefix: string, options: { after?: string; limit: number }): Promise<readonly BlobStat[]> {
    const page = checkList(this.#isClosed, prefix, options);
    return this.#client.request('read', () => this.#store.local.list(prefix, page));
  }

  async delete(name: string): Promise<boolean> {
    checkBlobUse(this.#isClosed, name, undefined);
    return this.#client.request('write', () => this.#store.delete(name));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const writer of this.#writers) writer.fail(closed());
  }
}

function closed(): EvenkeelError {
  return new EvenkeelError('failed-precondition', 'the blob transport is closed');
}
