/**
 * BlobTransport in a folder of this machine, for any number of its processes.
 *
 * When does a blob exist, and when is it durable? It exists, for all processes at once, when its file has its name; it is durable
 * when the folder of that name is synced, which is when `commit` resolves. A process that reads it in between may see what a
 * power cut then takes back; nothing whose `commit` resolved is lost, and no half of a blob is ever seen.
 */
import { dirname, resolve } from 'node:path';
import { checkInteger, EvenkeelError, invalidArgument, isEvenkeelError } from '../../core/errors.js';
import { checkBlobUse, checkList, checkRange, noSuchBlob } from '../../core/internal/blob-arguments.js';
import { fileError } from '../../core/internal/file-error.js';
import { checkOpen, checkSignal } from '../../core/internal/transport-guards.js';
import { liveRandom, type Random } from '../../core/random.js';
import type { BlobStat, BlobTransport, BlobWriter } from '../../core/transport/blob.js';
import { BlobBuffers } from './blob-buffers.js';
import { type BlobFileStore, directWrites, NewBlobFile } from './blob-file.js';
import { BlobFolders } from './blob-folders.js';
import { type ListedBlob, walkBlobs } from './blob-listing.js';
import { blobPath } from './blob-names.js';
import { readBlobRange, readBlobSize } from './blob-reader.js';
import { FileBlobWriter } from './blob-writer.js';
import { unlinkIfThere } from './file-steps.js';
import { type FileSystem, liveFileSystem } from './file-system.js';

export interface FileBlobOptions {
  /** The store's own folder, made by the first writer. */
  folder: string;
  /** Default: the machine's. */
  fileSystem?: FileSystem;
  /** Names temporary files. Default: seeded by the operating system. */
  random?: Random;
}

/** Files looked at together while a page is made: what Node's file threads do at once. */
const LOOK_AHEAD = 4;

/**
 * Immutable named bytes in a folder: checkpoints on a local disk, cold blocks, anything that is written whole and read by range.
 *
 * A blob is one file below `folder`, at a path like its name, with a checksum for each 64 KiB that every read proves. A blob
 * costs two flushes of the disk, of its bytes and of its name, and one more for each folder that is new. A writer holds up to
 * four buffers of 2 MiB, and a transport keeps eight for the next. Blobs larger than a buffer are written past the page cache
 * where the file system allows that.
 *
 * A page of a list costs a look into the folders it comes from and into each of its files. A file whose end is damaged has no
 * size that could be told: lists leave it out, `stat` and `readInto` say `data-loss`, `delete` removes it and a new blob replaces
 * it.
 *
 * A writer that dies leaves a temporary file, which goes when a process begins to write in its folder an hour later; by that rule
 * a writer that lives but writes nothing for an hour may find its file gone, and fails. Not for a folder that something else
 * writes to.
 *
 * @example
 * ```ts nocheck
 * import { createFileBlobs } from 'evenkeel/files';
 *
 * const blobs = createFileBlobs({ folder: '/var/lib/app/blobs' });
 * const writer = await blobs.writer('step/1');
 * const buffer = await writer.buffer();
 * await writer.write(new TextEncoder().encodeInto('weights', buffer).written);
 * await writer.commit();
 * ```
 * @throws {EvenkeelError} `invalid-argument` naming the option. Operations: `permission-denied`, `resource-exhausted` (a full
 *   disk), `data-loss` (a damaged file, which is named), `invalid-argument` (a path too long for the system), `internal` with the
 *   system's error as cause.
 */
export function createFileBlobs(options: FileBlobOptions): BlobTransport {
  const { folder, fileSystem = liveFileSystem(), random = liveRandom() } = options;
  if (typeof folder !== 'string' || folder === '' || folder.includes('\0')) throw invalidArgument('folder', folder, 'a path');
  if (typeof fileSystem?.open !== 'function') throw invalidArgument('fileSystem', fileSystem, 'a FileSystem');
  if (typeof random?.int !== 'function') throw invalidArgument('random', random, 'a Random');
  return new FileBlobs(fileSystem, resolve(folder), random);
}

class FileBlobs implements BlobTransport {
  readonly #root: string;
  readonly #store: BlobFileStore;
  readonly #buffers = new BlobBuffers();
  readonly #writers = new Set<FileBlobWriter>();
  /** Writers whose file is being made. */
  readonly #opening = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(fs: FileSystem, root: string, random: Random) {
    this.#root = root;
    this.#store = { fs, folders: new BlobFolders(fs, root, random), direct: directWrites() };
  }

  async writer(name: string, options: { bytes?: number; signal?: AbortSignal } = {}): Promise<BlobWriter> {
    const path = this.#check(name, options.signal);
    if (options.bytes !== undefined) checkInteger('bytes', options.bytes, 0);
    const opening = this.#open(name, path, options);
    this.#opening.add(opening);
    try {
      return await opening;
    } catch (error) {
      throw fileError('write', path, error);
    } finally {
      this.#opening.delete(opening);
    }
  }

  async readInto(name: string, offset: number, target: Uint8Array, options?: { signal?: AbortSignal }): Promise<number> {
    const path = this.#check(name, options?.signal);
    checkRange(offset, target);
    const range = { offset, target, signal: options?.signal };
    const bytes = await attempt('read', path, () => readBlobRange(this.#store.fs, path, name, range));
    if (bytes === undefined) throw noSuchBlob(name);
    return bytes;
  }

  async stat(name: string): Promise<BlobStat | undefined> {
    const path = this.#check(name);
    const bytes = await attempt('read', path, () => readBlobSize(this.#store.fs, path, name));
    return bytes === undefined ? undefined : { name, bytes };
  }

  async list(prefix: string, options: { after?: string; limit: number }): Promise<readonly BlobStat[]> {
    const { after, limit } = checkList(this.#isClosed, prefix, options);
    return attempt('list', this.#root, async () => {
      const page: BlobStat[] = [];
      const names = walkBlobs(this.#store.fs, this.#root, prefix, after);
      for (let found = await take(names, LOOK_AHEAD); found.length > 0; found = await take(names, LOOK_AHEAD)) {
        // Those that vanished since, or cannot be told, take no room: a short page would pass for the last.
        for (const stat of await Promise.all(found.map((blob) => this.#look(blob)))) {
          if (stat !== undefined) page.push(stat);
          if (page.length === limit) return page;
        }
      }
      return page;
    });
  }

  async delete(name: string): Promise<boolean> {
    const path = this.#check(name);
    const { fs, folders } = this.#store;
    return attempt('delete', path, async () => {
      if (!(await unlinkIfThere(fs, path))) return false;
      await folders.sync(dirname(path));
      await folders.prune(dirname(path));
      return true;
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#opening);
    const error = new EvenkeelError('failed-precondition', 'the blob transport is closed');
    await Promise.all([...this.#writers].map((writer) => writer.end(error)));
    this.#buffers.clear();
  }

  async #open(name: string, path: string, options: { bytes?: number; signal?: AbortSignal }): Promise<FileBlobWriter> {
    const { bytes, signal } = options;
    const file = await NewBlobFile.create(this.#store, path);
    if (this.#isClosed || signal?.aborted) {
      await file.discard();
      checkOpen(this.#isClosed, 'the blob transport');
      checkSignal(signal, `the writer of ${name}`);
    }
    const onEnd = (writer: FileBlobWriter) => this.#writers.delete(writer);
    const writer = new FileBlobWriter({ name, path, file, bytes, signal, buffers: this.#buffers, onEnd });
    this.#writers.add(writer);
    return writer;
  }

  async #look({ name, path }: ListedBlob): Promise<BlobStat | undefined> {
    try {
      const bytes = await readBlobSize(this.#store.fs, path, name);
      return bytes === undefined ? undefined : { name, bytes };
    } catch (error) {
      if (isEvenkeelError(error, 'data-loss')) return undefined;
      throw error;
    }
  }

  /** The path of a name that may be used now. */
  #check(name: string, signal?: AbortSignal): string {
    checkBlobUse(this.#isClosed, name, signal);
    return blobPath(this.#root, name);
  }
}

async function take<T>(source: AsyncGenerator<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < count) {
    const { done, value } = await source.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

/** The system's errors, told as this library's. */
async function attempt<T>(action: string, path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw fileError(action, path, error);
  }
}
