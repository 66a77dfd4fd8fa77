/** The blobs that memory blob transports share. Bytes of a blob are never changed: another blob takes its place. */

/** What several memory blob transports share. Unfinished writers are no part of it. */
export interface MemoryBlobStore {
  /** Bytes stored and being written. */
  readonly bytes: number;
}

export class BlobStore implements MemoryBlobStore {
  readonly blobs = new Map<string, Uint8Array>();
  bytes = 0;

  put(name: string, bytes: Uint8Array): void {
    this.bytes -= this.blobs.get(name)?.byteLength ?? 0;
    this.blobs.set(name, bytes);
  }

  /** @returns False when there was none. */
  remove(name: string): boolean {
    this.bytes -= this.blobs.get(name)?.byteLength ?? 0;
    return this.blobs.delete(name);
  }
}

export function memoryBlobStore(): MemoryBlobStore {
  return new BlobStore();
}
