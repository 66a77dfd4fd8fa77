/**
 * Reading a blob's file. A file is opened once for one read, so that a blob which is replaced meanwhile is read on as it was, and
 * every block that is touched is proved by its checksum before the read resolves.
 */
import { EvenkeelError } from '../../core/errors.js';
import { checkOffset } from '../../core/internal/blob-arguments.js';
import { checkSignal } from '../../core/internal/transport-guards.js';
import { BLOCK_BYTES, blobBytes, blockChecksum, CHECKSUM_BYTES, checksumOf, TRAILER_BYTES } from './blob-format.js';
import { closeAfter, openIfThere, readAll } from './file-steps.js';
import type { FileSystem, OpenFile } from './file-system.js';

/** Bytes asked of the file system at once: many for its speed, few enough to be proved while in the processor's cache. */
const READ_BYTES = 16 * BLOCK_BYTES;
/** The end of a file that is read first: the trailer, and all the checksums of a blob of up to 63 MiB. */
const TAIL_BYTES = 4096;

export interface ReadRange {
  readonly offset: number;
  readonly target: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of the blob at `path`; undefined where there is none. */
export function readBlobSize(fs: FileSystem, path: string, name: string): Promise<number | undefined> {
  return withBlob(fs, path, name, async (blob) => blob.bytes);
}

/** Fills the target as far as the blob goes and resolves with the bytes read; undefined where there is no blob. */
export function readBlobRange(fs: FileSystem, path: string, name: string, range: ReadRange): Promise<number | undefined> {
  return withBlob(fs, path, name, (blob) => blob.read(range));
}

async function withBlob<T>(fs: FileSystem, path: string, name: string, use: (blob: StoredBlob) => Promise<T>) {
  const file = await openIfThere(fs, path);
  if (file === undefined) return undefined;
  let isDone = false;
  try {
    const result = await use(await StoredBlob.of(file, name));
    isDone = true;
    return result;
  } finally {
    await closeAfter(file, isDone);
  }
}

class StoredBlob {
  readonly bytes: number;
  readonly #name: string;
  readonly #file: OpenFile;
  /** The last bytes of the file, without the trailer. */
  readonly #tail: Uint8Array;

  private constructor(name: string, file: OpenFile, bytes: number, tail: Uint8Array) {
    this.#name = name;
    this.#file = file;
    this.bytes = bytes;
    this.#tail = tail;
  }

  static async of(file: OpenFile, name: string): Promise<StoredBlob> {
    const { bytes: fileBytes } = await file.facts();
    const end = new Uint8Array(Math.min(fileBytes, TAIL_BYTES));
    const count = await readAll(file, end, fileBytes - end.byteLength);
    const bytes = blobBytes(end.subarray(-TRAILER_BYTES), fileBytes);
    if (count < end.byteLength || bytes === undefined) {
      const message = `the file of blob ${name} is damaged: its ${fileBytes} bytes do not end as a blob's do`;
      throw new EvenkeelError('data-loss', message, { details: { name, offset: fileBytes } });
    }
    return new StoredBlob(name, file, bytes, end.subarray(0, -TRAILER_BYTES));
  }

  async read({ offset, target, signal }: ReadRange): Promise<number> {
    checkOffset(this.#name, offset, this.bytes);
    const end = Math.min(offset + target.byteLength, this.bytes);
    if (offset === end) return 0;
    const first = Math.floor(offset / BLOCK_BYTES);
    const table = await this.#checksums(first, Math.ceil(end / BLOCK_BYTES));
    for (let at = offset; at < end; ) {
      checkSignal(signal, `reading ${this.#name}`);
      const block = Math.floor(at / BLOCK_BYTES);
      const whole = this.#wholeBlocks(at, end);
      if (whole > 0) {
        await this.#readBlocks(block, target.subarray(at - offset, at - offset + whole), table, first);
        at += whole;
      } else {
        const start = block * BLOCK_BYTES;
        const bytes = new Uint8Array(Math.min(BLOCK_BYTES, this.bytes - start));
        await this.#readBlocks(block, bytes, table, first);
        const wanted = bytes.subarray(at - start, end - start);
        target.set(wanted, at - offset);
        at += wanted.byteLength;
      }
    }
    return end - offset;
  }

  /**
   * Bytes from `at` on that are whole blocks of the range, and so can be read into their place; 0 where it only has a part of
   * one.
   */
  #wholeBlocks(at: number, end: number): number {
    if (at % BLOCK_BYTES !== 0) return 0;
    const most = Math.min(end - at, READ_BYTES);
    // The last block of a blob is whole however short it is.
    return at + most === this.bytes ? most : most - (most % BLOCK_BYTES);
  }

  /** Fills `target` with blocks from number `block` on and proves them. */
  async #readBlocks(block: number, target: Uint8Array, table: Uint8Array, first: number): Promise<void> {
    const count = await readAll(this.#file, target, block * BLOCK_BYTES);
    for (let at = 0; at < target.byteLength; at += BLOCK_BYTES) {
      const bytes = target.subarray(at, at + BLOCK_BYTES);
      const number = block + at / BLOCK_BYTES;
      if (at + bytes.byteLength > count || blockChecksum(bytes) !== checksumOf(table, first, number)) {
        const offset = number * BLOCK_BYTES;
        const message = `blob ${this.#name} is damaged within the ${bytes.byteLength} bytes at ${offset}`;
        throw new EvenkeelError('data-loss', message, { details: { name: this.#name, offset } });
      }
    }
  }

  /** The entries of the table for blocks `first` up to, not including, `end`. */
  async #checksums(first: number, end: number): Promise<Uint8Array> {
    const begin = this.bytes + first * CHECKSUM_BYTES;
    const size = (end - first) * CHECKSUM_BYTES;
    const tableEnd = this.bytes + Math.ceil(this.bytes / BLOCK_BYTES) * CHECKSUM_BYTES;
    const tailBegin = tableEnd - this.#tail.byteLength;
    if (begin >= tailBegin) return this.#tail.subarray(begin - tailBegin, begin - tailBegin + size);
    const table = new Uint8Array(size);
    // Entries that cannot be read are those of a blob cut short since it was opened: its blocks will not match.
    await readAll(this.#file, table, begin);
    return table;
  }
}
