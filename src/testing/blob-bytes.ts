/** Writing and reading blobs whole, as the suite's cases need it. */
import assert from 'node:assert/strict';
import type { BlobStat, BlobTransport, BlobWriter } from '../core/transport/blob.js';

/** Puts `bytes` into a writer, in pieces of at most `piece` bytes; the lent buffer's size bounds them further. */
export async function fill(writer: BlobWriter, bytes: Uint8Array, piece = Number.POSITIVE_INFINITY): Promise<void> {
  for (let at = 0; at < bytes.byteLength; ) {
    const buffer = await writer.buffer();
    const n = Math.min(buffer.byteLength, piece, bytes.byteLength - at);
    buffer.set(bytes.subarray(at, at + n));
    await writer.write(n);
    at += n;
  }
}

export async function writeBlob(blobs: BlobTransport, name: string, bytes: Uint8Array, piece?: number): Promise<BlobStat> {
  const writer = await blobs.writer(name);
  await fill(writer, bytes, piece);
  return writer.commit();
}

/** The whole blob, read in ranges of `step` bytes until one is short. */
export async function readBlob(blobs: BlobTransport, name: string, step = 64 * 1024): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const most = ((await blobs.stat(name))?.bytes ?? 0) + step;
  for (let offset = 0; ; ) {
    const target = new Uint8Array(step);
    const n = await blobs.readInto(name, offset, target);
    parts.push(target.subarray(0, n));
    offset += n;
    // A transport that never reads short would keep us here for ever.
    assert.ok(offset <= most, `${name} has no end`);
    if (n < step) return Buffer.concat(parts);
  }
}
