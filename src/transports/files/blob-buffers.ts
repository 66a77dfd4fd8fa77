/** The memory that writers lend: page-aligned, as writing past the page cache asks for, and used again by the next blob. */

/** A multiple of a page and of the block of a checksum; long enough that the disk, not the number of calls, sets the pace. */
export const BUFFER_BYTES = 2 * 1024 * 1024;
/** Behind them there is room for a last piece that begins up to 7 bytes late, and for the footer of a blob of up to 63 MiB. */
const SPARE_BYTES = 4096;
/** Kept for the next blobs, what two writers hold; more are left to the garbage collector. */
const MAX_FREE = 8;

/** Not yet in the types of ES2023. */
const ResizableBuffer = ArrayBuffer as new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer;

export class BlobBuffers {
  readonly #free: Uint8Array[] = [];

  take(): Uint8Array {
    return this.#free.pop() ?? allocate(BUFFER_BYTES + SPARE_BYTES);
  }

  give(buffer: Uint8Array): void {
    // A caller may have transferred what was lent to it, which leaves nothing here.
    if (this.#free.length < MAX_FREE && buffer.byteLength > 0) this.#free.push(buffer);
  }

  clear(): void {
    this.#free.length = 0;
  }
}

/** Resizable memory begins at a page, since it grows by pages; what `new Uint8Array(n)` gives begins 16 bytes after one. */
function allocate(bytes: number): Uint8Array {
  return new Uint8Array(new ResizableBuffer(bytes, { maxByteLength: bytes }));
}
