/**
 * BlobTransport: immutable named bytes, written whole or not at all, read by range.
 *
 * Who owns a buffer? The writer does: `buffer()` lends one, the caller fills its beginning and says `write(n)`; from then on it
 * belongs to the writer again. Lent buffers are aligned so that a file transport can write them without copying.
 *
 * Names: as the keys of StateTransport. A blob does not exist, for `stat`, `list` and readers, until `commit()` resolved somewhere.
 */

export interface BlobTransport {
  /**
   * Begins a blob. A name that exists is replaced by `commit`, atomically: a reader sees the old bytes or the new, never a mixture.
   * @param options.bytes - The size, when known. `commit` then fails with `data-loss` if another number was written.
   * @param options.signal - Aborts the writer; its operations then fail with `cancelled`.
   */
  writer(name: string, options?: { bytes?: number; signal?: AbortSignal }): Promise<BlobWriter>;
  /**
   * Fills `target` from `offset`; resolves with the number of bytes read, short only at the end of the blob.
   * @throws {EvenkeelError} `not-found`; `out-of-range` for an offset past the end; `data-loss` when stored bytes fail their checksum.
   */
  readInto(name: string, offset: number, target: Uint8Array, options?: { signal?: AbortSignal }): Promise<number>;
  stat(name: string): Promise<BlobStat | undefined>;
  /** Names in byte order, after `after` (exclusive), at most `limit` (1 to 1000). A page shorter than `limit` is the last. */
  list(prefix: string, options: { after?: string; limit: number }): Promise<readonly BlobStat[]>;
  /** Resolves with false when there was nothing to delete. */
  delete(name: string): Promise<boolean>;
  /** Aborts writers, refuses further use with `failed-precondition`. Idempotent. */
  close(): Promise<void>;
}

export interface BlobWriter {
  /**
   * An empty buffer to fill; its length is the largest `n` of the next `write`. Waits while the writer is behind:
   * back-pressure. One is lent at a time: asking again before `write` is `failed-precondition`.
   */
  buffer(): Promise<Uint8Array>;
  /** Takes the first `n` bytes of the buffer lent last. */
  write(n: number): Promise<void>;
  /** Makes the blob durable and visible under its name. After it, or after a failure, the writer is spent: `failed-precondition`. */
  commit(): Promise<BlobStat>;
  /** Leaves nothing behind. Idempotent; after `commit` it does nothing. */
  abort(): Promise<void>;
}

export interface BlobStat {
  readonly name: string;
  readonly bytes: number;
}
