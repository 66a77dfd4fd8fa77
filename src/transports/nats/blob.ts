/**
 * BlobTransport on a stream of NATS JetStream.
 *
 * When is a blob there? When its manifest is: one small message, written after every chunk is acknowledged. Checksums are computed by
 * zlib's native code, chunk by chunk, so that a range can be read and proved without the rest.
 */
import { checkInteger, EvenkeelError, isEvenkeelError } from '../../core/errors.js';
import { fanOut } from '../../core/fan-out.js';
import { checkBlobUse, checkList, checkOffset, checkRange, noSuchBlob } from '../../core/internal/blob-arguments.js';
import { compareKeys } from '../../core/internal/keys.js';
import type { BlobStat, BlobTransport, BlobWriter } from '../../core/transport/blob.js';
import { type Manifest, NatsBlobStore } from './blob-store.js';
import { NatsBlobWriter } from './blob-writer.js';
import { linkOf, type NatsClient } from './client.js';
import { checkReplicas, JetStream } from './jetstream.js';
import { checkName } from './names.js';

export interface NatsBlobOptions {
  client: NatsClient;
  /** The bucket's name, made at the first use: 1 to 64 letters, digits, `-`, `_`. */
  bucket: string;
  /** Bytes the bucket holds; a blob beyond is refused with `resource-exhausted`. Read when the bucket is made. Default: the server's own limit. */
  maxBytes?: number;
  /** Servers that hold each chunk, 1, 3 or 5. Read when the bucket is made. Default 1. */
  replicas?: number;
}

/** Chunks asked for at once. */
const CHUNKS_IN_FLIGHT = 8;
const MANIFESTS_IN_FLIGHT = 32;
/** A blob replaced while it is read is read again. */
const MAX_REPLACED = 10;
/** The server tells all names or none: those of a listing are kept for its next page. */
const KEEP_NAMES_MS = 60_000;

/** What is left of a listing. */
interface Listing {
  readonly prefix: string;
  /** The last name of its last page. */
  readonly after: string;
  readonly names: readonly string[];
  /** The first of the next page. */
  readonly at: number;
  readonly readAtMs: number;
  readonly commits: number;
}

/**
 * Blobs on NATS, for readers on other machines. Several times as fast as the object store of NATS's own client, which hashes in
 * JavaScript; `nats object` does not read them.
 *
 * A reader of several ranges of a blob that is replaced meanwhile gets each range whole, from the old blob or the new.
 *
 * @example
 * ```ts nocheck
 * import * as nats from '@nats-io/transport-node';
 * import { createNatsBlobs, createNatsClient } from 'evenkeel/nats';
 *
 * const client = createNatsClient({ nats, connect: { servers: 'nats://10.0.0.7:4222' } });
 * const blobs = createNatsBlobs({ client, bucket: 'checkpoints' });
 * ```
 * @throws {EvenkeelError} `invalid-argument` naming the option. Operations: as of the client, and `data-loss` for a chunk that fails
 *   its checksum or is missing.
 */
export function createNatsBlobs(options: NatsBlobOptions): BlobTransport {
  const bounds = {
    maxBytes: options.maxBytes === undefined ? undefined : checkInteger('maxBytes', options.maxBytes, 1),
    replicas: checkReplicas(options.replicas),
  };
  return new NatsBlobs(new NatsBlobStore(new JetStream(linkOf(options.client)), checkName('bucket', options.bucket), bounds));
}

class NatsBlobs implements BlobTransport {
  readonly #store: NatsBlobStore;
  readonly #writers = new Set<NatsBlobWriter>();
  #listing: Listing | undefined;
  #isClosed = false;

  constructor(store: NatsBlobStore) {
    this.#store = store;
  }

  async writer(name: string, options: { bytes?: number; signal?: AbortSignal } = {}): Promise<BlobWriter> {
    this.#check(name, options.signal);
    if (options.bytes !== undefined) checkInteger('bytes', options.bytes, 0);
    const chunks = await this.#store.begin(name, options.signal);
    const writer = new NatsBlobWriter(this.#store, chunks, options, (over) => this.#writers.delete(over));
    this.#writers.add(writer);
    if (this.#isClosed) writer.fail(new EvenkeelError('failed-precondition', 'the blob transport is closed'));
    return writer;
  }

  async readInto(name: string, offset: number, target: Uint8Array, options?: { signal?: AbortSignal }): Promise<number> {
    const signal = options?.signal;
    this.#check(name, signal);
    checkRange(offset, target);
    let last: Manifest | undefined;
    for (let replaced = 0; ; replaced++) {
      const manifest = await this.#store.manifest(name, signal);
      if (manifest === undefined) throw noSuchBlob(name);
      checkOffset(name, offset, manifest.bytes);
      // The same manifest, and a chunk of it is missing.
      if (manifest.id === last?.id || replaced > MAX_REPLACED) {
        throw new EvenkeelError('data-loss', `a chunk of ${name} is missing`, { details: { name } });
      }
      try {
        return await this.#readRange(manifest, offset, target, signal);
      } catch (error) {
        if (!isEvenkeelError(error, 'not-found')) throw error;
        last = manifest;
      }
    }
  }

  async stat(name: string): Promise<BlobStat | undefined> {
    this.#check(name);
    const manifest = await this.#store.manifest(name);
    return manifest === undefined ? undefined : { name, bytes: manifest.bytes };
  }

  async list(prefix: string, options: { after?: string; limit: number }): Promise<readonly BlobStat[]> {
    const { after, limit } = checkList(this.#isClosed, prefix, options);
    const listing = this.#continued(prefix, after) ?? (await this.#listed(prefix, after));
    const { names } = listing;
    const page: BlobStat[] = [];
    let { at } = listing;
    // A blob deleted since its name was listed makes room for the next: a short page is the last one.
    while (at < names.length && page.length < limit) {
      const part = names.slice(at, at + limit - page.length);
      at += part.length;
      const stats = new Map<string, BlobStat>();
      const read = async (name: string) => {
        const manifest = await this.#store.manifest(name);
        if (manifest !== undefined) stats.set(name, { name, bytes: manifest.bytes });
      };
      await fanOut(part, read, { concurrency: MANIFESTS_IN_FLIGHT });
      for (const name of part) {
        const stat = stats.get(name);
        if (stat !== undefined) page.push(stat);
      }
    }
    const last = page.at(-1);
    this.#listing = last === undefined || at === names.length ? undefined : { ...listing, after: last.name, at };
    return page;
  }

  #continued(prefix: string, after: string | undefined): Listing | undefined {
    const listing = this.#listing;
    if (listing === undefined || listing.prefix !== prefix || listing.after !== after) return undefined;
    const isFresh = this.#store.js.link.clock.now() - listing.readAtMs < KEEP_NAMES_MS;
    return isFresh && listing.commits === this.#store.commits ? listing : undefined;
  }

  async #listed(prefix: string, after = ''): Promise<Listing> {
    const { commits } = this.#store;
    const readAtMs = this.#store.js.link.clock.now();
    const names = await this.#store.names(prefix);
    const first = names.findIndex((name) => compareKeys(name, after) > 0);
    return { prefix, after, names, at: first < 0 ? names.length : first, readAtMs, commits };
  }

  async delete(name: string): Promise<boolean> {
    this.#check(name);
    return this.#store.delete(name);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const writers = [...this.#writers];
    for (const writer of writers) writer.fail(new EvenkeelError('failed-precondition', 'the blob transport is closed'));
    this.#store.close();
    await Promise.all(writers.map((writer) => writer.removed));
  }

  async #readRange(manifest: Manifest, offset: number, target: Uint8Array, signal: AbortSignal | undefined): Promise<number> {
    const { chunkBytes } = manifest;
    const end = Math.min(manifest.bytes, offset + target.byteLength);
    if (end <= offset) return 0;
    const first = Math.floor(offset / chunkBytes);
    const count = Math.ceil(end / chunkBytes) - first;
    const read = async (index: number, stop: AbortSignal) => {
      const at = index * chunkBytes;
      const chunk = await this.#store.readChunk(manifest, index, stop);
      const expected = Math.min(chunkBytes, manifest.bytes - at);
      if (chunk.byteLength !== expected) {
        throw new EvenkeelError('data-loss', `chunk ${index} of ${manifest.name} has ${chunk.byteLength} bytes, not ${expected}`);
      }
      const from = Math.max(offset, at);
      target.set(chunk.subarray(from - at, end - at), from - offset);
    };
    const chunks = Array.from({ length: count }, (_, i) => first + i);
    await fanOut(chunks, read, { concurrency: CHUNKS_IN_FLIGHT, ...(signal === undefined ? undefined : { signal }) });
    return end - offset;
  }

  #check(name: string, signal?: AbortSignal): void {
    checkBlobUse(this.#isClosed, name, signal);
  }
}
