/** Blobs on a simulated machine. */
import type { Random } from '../../core/random.js';
import type { BlobTransport, BlobWriter } from '../../core/transport/blob.js';
import { createMemoryBlob } from '../../transports/memory/blob.js';
import { BlobStore } from '../../transports/memory/blob-store.js';
import type { SimMachine } from '../machine.js';
import type { SimNetwork } from '../network.js';
import { StoreServer } from './store-server.js';
import { Unsynced, type UnsyncedOptions } from './unsynced.js';

export interface SimBlobStoreOptions extends UnsyncedOptions {
  /** More are refused with `resource-exhausted`. Default 1 GiB. */
  readonly maxBytes?: number;
}

export class SimBlobStore {
  readonly server: StoreServer;
  /** At the store itself: for tests that look. */
  readonly local: BlobTransport;
  readonly #random: Random;
  readonly #blobs = new BlobStore();
  readonly #unsynced: Unsynced<ReadonlyMap<string, Uint8Array>>;
  readonly #tears: boolean;
  #lastWritten = '';

  constructor(machine: SimMachine, network: SimNetwork, random: Random, options: SimBlobStoreOptions = {}) {
    this.#random = random;
    this.local = createMemoryBlob({ store: this.#blobs, maxBytes: options.maxBytes });
    this.#unsynced = new Unsynced(machine, options, () => new Map(this.#blobs.blobs));
    this.#tears = options.tearsLastWrite ?? false;
    this.server = new StoreServer(machine, network, () => this.#lose());
  }

  /** A blob being written at the store, ended by a crash of it. */
  async openWriter(name: string, bytes: number | undefined): Promise<ServedWriter> {
    const writer = await this.local.writer(name, bytes === undefined ? {} : { bytes });
    const served = new ServedWriter(writer, () => {
      this.#unsynced.touch();
      this.#lastWritten = name;
    });
    served.forget = this.server.hold(() => served.abort());
    return served;
  }

  async delete(name: string): Promise<boolean> {
    this.#unsynced.touch();
    return this.local.delete(name);
  }

  #lose(): void {
    const disk = this.#unsynced.crash();
    if (disk === undefined) return;
    const torn = this.#tears ? this.#blobs.blobs.get(this.#lastWritten) : undefined;
    for (const name of [...this.#blobs.blobs.keys()]) if (!disk.has(name)) this.#blobs.remove(name);
    for (const [name, bytes] of disk) this.#blobs.put(name, bytes);
    // Written over the old bytes, if there were any, and cut somewhere.
    if (torn !== undefined && torn.byteLength > 0) {
      this.#blobs.put(this.#lastWritten, torn.slice(0, this.#random.int(torn.byteLength)));
    }
  }
}

/** A writer at the store, in the hands of one client. */
export class ServedWriter {
  readonly #writer: BlobWriter;
  readonly #onCommit: () => void;
  forget: () => boolean = () => false;

  constructor(writer: BlobWriter, onCommit: () => void) {
    this.#writer = writer;
    this.#onCommit = onCommit;
  }

  async write(piece: Uint8Array): Promise<void> {
    const buffer = await this.#writer.buffer();
    buffer.set(piece);
    await this.#writer.write(piece.byteLength);
  }

  commit() {
    this.forget();
    this.#onCommit();
    return this.#writer.commit();
  }

  abort(): void {
    this.forget();
    void this.#writer.abort();
  }
}
