/** Blobs written and read whole, and bytes that show where they come from. */
import type { BlobTransport, BlobWriter } from 'evenkeel/core';

export function patternOf(bytes: number, salt: number): Uint8Array {
  return new Uint8Array(bytes).map((_, i) => i * 31 + (i >>> 10) + salt);
}

export async function fill(writer: BlobWriter, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength; ) {
    const buffer = await writer.buffer();
    const n = Math.min(buffer.byteLength, bytes.byteLength - at);
    buffer.set(bytes.subarray(at, at + n));
    await writer.write(n);
    at += n;
  }
}

export async function write(blobs: BlobTransport, name: string, bytes: Uint8Array): Promise<void> {
  const writer = await blobs.writer(name, { bytes: bytes.byteLength });
  await fill(writer, bytes);
  await writer.commit();
}

/** @param bytes - At most so many. */
export async function read(blobs: BlobTransport, name: string, bytes: number): Promise<Uint8Array> {
  const target = new Uint8Array(bytes);
  return target.subarray(0, await blobs.readInto(name, 0, target));
}
