/**
 * The file of a blob on its way: a temporary one beside its target, which takes the target's name when every byte of it is on the
 * disk. Until then nothing of it can be seen, and whatever fails, it is removed.
 *
 * Whole buffers go past the page cache (O_DIRECT) where the file system takes that: the kernel then need not copy them, and the
 * flush at the end finds nothing left to do. The odd bytes at the end, which are not aligned, go through the cache.
 */
import { constants } from 'node:fs';
import { dirname } from 'node:path';
import { EvenkeelError } from '../../core/errors.js';
import type { BlobFolders } from './blob-folders.js';
import { closeAfter, systemCode, writeAll } from './file-steps.js';
import type { FileSystem, OpenFile } from './file-system.js';

/** Whether the store's file system takes direct writes, for all of its writers: the first that is refused tells. */
export interface DirectWrites {
  arePossible: boolean;
}

export function directWrites(): DirectWrites {
  // macOS and Windows have no such flag.
  return { arePossible: constants.O_DIRECT !== undefined };
}

export class NewBlobFile {
  readonly #fs: FileSystem;
  readonly #folders: BlobFolders;
  readonly #direct: DirectWrites;
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: OpenFile;
  #directFile: Promise<OpenFile | undefined> | undefined;
  #isOpen = true;

  private constructor(store: BlobFileStore, path: string, temporary: string, file: OpenFile) {
    this.#fs = store.fs;
    this.#folders = store.folders;
    this.#direct = store.direct;
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  /** @param path - The name it will take. */
  static async create(store: BlobFileStore, path: string): Promise<NewBlobFile> {
    const { path: temporary, file } = await store.folders.createTemporary(dirname(path));
    return new NewBlobFile(store, path, temporary, file);
  }

  /** For bytes whose memory, number and position are all multiples of a page. */
  async writeAligned(bytes: Uint8Array, position: number): Promise<void> {
    this.#directFile ??= this.#openDirect();
    const file = await this.#directFile;
    let written = 0;
    if (file !== undefined && this.#direct.arePossible) {
      try {
        written = await file.write(bytes, position);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        this.#direct.arePossible = false;
      }
    }
    // What a direct write left over need not be aligned any more.
    if (written < bytes.byteLength) await this.write(bytes.subarray(written), position + written);
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    return writeAll(this.#file, bytes, position);
  }

  /** Everything written is on the disk, and it is `bytes` in all. */
  async seal(bytes: number): Promise<void> {
    const directFile = await this.#directFile;
    this.#directFile = undefined;
    await directFile?.close();
    await this.#file.datasync();
    const { bytes: found } = await this.#file.facts();
    if (found !== bytes) {
      throw new EvenkeelError('data-loss', `${this.#temporary} has ${found} bytes after ${bytes} were written`, {
        details: { path: this.#temporary, bytes: found, expected: bytes },
      });
    }
    this.#isOpen = false;
    await this.#file.close();
  }

  /** Takes its name, for good. */
  async publish(): Promise<void> {
    await this.#fs.rename(this.#temporary, this.#path);
    await this.#folders.sync(dirname(this.#path));
  }

  /** Leaves nothing behind, as far as that is possible; never throws. */
  async discard(): Promise<void> {
    const directFile = await this.#directFile;
    this.#directFile = undefined;
    if (directFile !== undefined) await closeAfter(directFile, false);
    if (this.#isOpen) await closeAfter(this.#file, false);
    this.#isOpen = false;
    await this.#fs.unlink(this.#temporary).catch(() => {});
    await this.#folders.prune(dirname(this.#path));
  }

  /** Direct writes only save time: whatever keeps us from them does not fail the blob. */
  async #openDirect(): Promise<OpenFile | undefined> {
    if (!this.#direct.arePossible) return undefined;
    try {
      return await this.#fs.open(this.#temporary, constants.O_WRONLY | constants.O_DIRECT);
    } catch (error) {
      if (isRefusal(error)) this.#direct.arePossible = false;
      return undefined;
    }
  }
}

/** What the files of one store share. */
export interface BlobFileStore {
  readonly fs: FileSystem;
  readonly folders: BlobFolders;
  readonly direct: DirectWrites;
}

function isRefusal(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'EINVAL' || code === 'ENOTSUP' || code === 'EOPNOTSUPP';
}
