/**
 * A blob's file: its bytes from the very beginning, so that they stay aligned, then what proves them.
 *
 *     bytes of the blob | CRC-32 of each block of 64 KiB, 4 bytes each | trailer
 *     trailer, 28 bytes: "evenblob" | version | bytes in a block | bytes in the blob (8) | CRC-32 of the 24 bytes before
 *
 * Numbers are little-endian, of 4 bytes where nothing else is said; the last block may be short. What proves the table of
 * checksums? Each entry is proved by its block, so that a reader needs no more of the table than the entries of the blocks it
 * reads.
 */
import { crc32 } from 'node:zlib';

export const BLOCK_BYTES = 64 * 1024;
export const TRAILER_BYTES = 28;
export const CHECKSUM_BYTES = 4;

const MAGIC = 'evenblob';
const VERSION = 1;
/** The trailer's own checksum is of what comes before it. */
const PROVED_BYTES = TRAILER_BYTES - CHECKSUM_BYTES;

export function blockChecksum(block: Uint8Array): number {
  return crc32(block);
}

/** Bytes after those of a blob of `bytes`. */
export function footerBytes(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * CHECKSUM_BYTES + TRAILER_BYTES;
}

/** Writes the footer of a blob into the first `footerBytes(bytes)` of `target`. */
export function writeFooter(target: Uint8Array, bytes: number, checksums: readonly number[]): void {
  const view = viewOf(target);
  let at = 0;
  for (const checksum of checksums) {
    view.setUint32(at, checksum, true);
    at += CHECKSUM_BYTES;
  }
  for (let i = 0; i < MAGIC.length; i++) target[at + i] = MAGIC.charCodeAt(i);
  view.setUint32(at + 8, VERSION, true);
  view.setUint32(at + 12, BLOCK_BYTES, true);
  view.setBigUint64(at + 16, BigInt(bytes), true);
  view.setUint32(at + PROVED_BYTES, crc32(target.subarray(at, at + PROVED_BYTES)), true);
}

/** Bytes of the blob whose file has `fileBytes` and ends in `trailer`; undefined when that is no whole file of this format. */
export function blobBytes(trailer: Uint8Array, fileBytes: number): number | undefined {
  if (trailer.byteLength !== TRAILER_BYTES) return undefined;
  const view = viewOf(trailer);
  if (view.getUint32(PROVED_BYTES, true) !== crc32(trailer.subarray(0, PROVED_BYTES))) return undefined;
  if (Buffer.from(trailer.subarray(0, MAGIC.length)).toString('latin1') !== MAGIC) return undefined;
  if (view.getUint32(8, true) !== VERSION || view.getUint32(12, true) !== BLOCK_BYTES) return undefined;
  const bytes = Number(view.getBigUint64(16, true));
  return bytes + footerBytes(bytes) === fileBytes ? bytes : undefined;
}

/** The checksum of one block, from the part of the table that begins at entry `first`. */
export function checksumOf(table: Uint8Array, first: number, block: number): number {
  return viewOf(table).getUint32((block - first) * CHECKSUM_BYTES, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
