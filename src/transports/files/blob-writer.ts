/**
 * One blob on its way to the disk. Pieces are joined in the lent buffer until it is full; full buffers are written while the
 * caller fills the next, at most three at a time, so that a writer holds four and a caller that is faster than the disk waits in
 * `buffer()`.
 *
 * Who may touch a buffer when a writer ends early? Whoever had it last. A write on its way is waited for, and a buffer that is
 * lent at that moment is never used again: its borrower may be filling it still.
 */
import { checkInteger, EvenkeelError } from '../../core/errors.js';
import { fileError } from '../../core/internal/file-error.js';
import { cancelled } from '../../core/internal/transport-guards.js';
import type { BlobStat, BlobWriter } from '../../core/transport/blob.js';
import { type BlobBuffers, BUFFER_BYTES } from './blob-buffers.js';
import type { NewBlobFile } from './blob-file.js';
import { BLOCK_BYTES, blockChecksum, footerBytes, writeFooter } from './blob-format.js';

/** So many that the disk does not wait for this thread, and fewer than Node's four file threads. */
const MAX_WRITES = 3;
/** Lent bytes begin at a multiple of it, whatever was written before. */
const ALIGNMENT = 8;

export interface FileBlobWriterOptions {
  readonly name: string;
  readonly path: string;
  readonly file: NewBlobFile;
  readonly buffers: BlobBuffers;
  readonly bytes: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** The writer has ended, and its file is gone or has its name. */
  readonly onEnd: (writer: FileBlobWriter) => void;
}

export class FileBlobWriter implements BlobWriter {
  readonly #options: FileBlobWriterOptions;
  /** `publishing`: the new name is being made, and there is no way back. */
  #phase: 'open' | 'committing' | 'publishing' | 'over' = 'open';
  /** Bytes handed to the file, a multiple of a buffer. */
  #position = 0;
  readonly #checksums: number[] = [];
  #current: Uint8Array | undefined;
  /** Bytes of `current` that are written. */
  #filled = 0;
  /** Bytes of `current` whose checksums are taken, a multiple of a block. */
  #proved = 0;
  #isLending = false;
  #lent: Uint8Array | undefined;
  /** Writes on their way; they never reject. */
  readonly #writes = new Set<Promise<void>>();
  #finishing: Promise<void> | undefined;
  /** What the next operation is told, and those after it. */
  #refusal: EvenkeelError | undefined;
  #laterRefusal: EvenkeelError | undefined;
  #discarding: Promise<void> | undefined;

  constructor(options: FileBlobWriterOptions) {
    this.#options = options;
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  async buffer(): Promise<Uint8Array> {
    if (this.#phase !== 'open') return this.#refuse();
    if (this.#isLending) throw new EvenkeelError('failed-precondition', 'the buffer lent last has not been written yet');
    this.#isLending = true;
    while (this.#current === undefined && this.#writes.size >= MAX_WRITES) await Promise.race(this.#writes);
    // It may have ended while we waited, by an abort or by a write that failed.
    if (this.#hasEnded()) return this.#refuse();
    this.#current ??= this.#options.buffers.take();
    const begin = Math.ceil(this.#filled / ALIGNMENT) * ALIGNMENT;
    this.#lent = this.#current.subarray(begin, begin + BUFFER_BYTES - this.#filled);
    return this.#lent;
  }

  async write(n: number): Promise<void> {
    if (this.#phase !== 'open') return this.#refuse();
    const current = this.#current;
    const lent = this.#lent;
    if (lent === undefined || current === undefined) throw new EvenkeelError('failed-precondition', 'no buffer is lent');
    checkInteger('n', n, 0, lent.byteLength);
    this.#isLending = false;
    this.#lent = undefined;
    const begin = lent.byteOffset - current.byteOffset;
    if (begin !== this.#filled) current.copyWithin(this.#filled, begin, begin + n);
    this.#filled += n;
    // At once, while they are still in the processor's cache.
    const whole = this.#filled - (this.#filled % BLOCK_BYTES);
    this.#prove(current.subarray(this.#proved, whole));
    this.#proved = whole;
    if (this.#filled === BUFFER_BYTES) this.#send(current);
  }

  async commit(): Promise<BlobStat> {
    if (this.#phase !== 'open') return this.#refuse();
    const { name, bytes: expected, signal, onEnd } = this.#options;
    const bytes = this.#position + this.#filled;
    this.#phase = 'committing';
    this.#finishing = this.#finish(bytes, expected);
    try {
      await this.#finishing;
    } catch (error) {
      this.#fail(error);
      return this.#refuse();
    }
    this.#phase = 'over';
    this.#refusal = this.#laterRefusal = new EvenkeelError('failed-precondition', `${name} is committed`);
    signal?.removeEventListener('abort', this.#onAbort);
    if (this.#current !== undefined) this.#options.buffers.give(this.#current);
    this.#current = this.#lent = undefined;
    onEnd(this);
    return { name, bytes };
  }

  abort(): Promise<void> {
    return this.end(new EvenkeelError('failed-precondition', `the writer of ${this.#options.name} was aborted`));
  }

  /** Ends the writer, if it has not ended; every later operation fails with `error`. Waits until nothing of it is left. */
  async end(error: EvenkeelError): Promise<void> {
    this.#over(error, error);
    await this.#finishing?.catch(() => {});
    await this.#discarding;
  }

  /** Hands the full buffer to the file. */
  #send(buffer: Uint8Array): void {
    const position = this.#position;
    const bytes = buffer.subarray(0, BUFFER_BYTES);
    this.#position += BUFFER_BYTES;
    this.#current = undefined;
    this.#filled = this.#proved = 0;
    const write = this.#options.file
      .writeAligned(bytes, position)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#writes.delete(write);
        this.#options.buffers.give(buffer);
      });
    this.#writes.add(write);
  }

  async #finish(bytes: number, expected: number | undefined): Promise<void> {
    const { name, file } = this.#options;
    if (expected !== undefined && expected !== bytes) {
      throw new EvenkeelError('data-loss', `${name} was announced with ${expected} bytes and written with ${bytes}`, {
        details: { expected, bytes },
      });
    }
    await Promise.all([this.#writeEnd(bytes), ...this.#writes]);
    this.#throwIfOver();
    await file.seal(bytes + footerBytes(bytes));
    this.#throwIfOver();
    this.#phase = 'publishing';
    try {
      await file.publish();
    } catch (error) {
      this.#phase = 'committing';
      throw error;
    }
  }

  /** The last bytes and the footer: one write, where the buffer has room for both. */
  async #writeEnd(bytes: number): Promise<void> {
    const { file } = this.#options;
    const rest = this.#current?.subarray(0, this.#filled) ?? new Uint8Array();
    this.#prove(rest.subarray(this.#proved));
    const size = footerBytes(bytes);
    const room = this.#current?.subarray(this.#filled, this.#filled + size);
    if (this.#current !== undefined && room?.byteLength === size) {
      writeFooter(room, bytes, this.#checksums);
      return file.write(this.#current.subarray(0, this.#filled + size), this.#position);
    }
    const footer = new Uint8Array(size);
    writeFooter(footer, bytes, this.#checksums);
    await file.write(rest, this.#position);
    await file.write(footer, bytes);
  }

  /** Takes the checksums of blocks, the last of which may be short. */
  #prove(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; at += BLOCK_BYTES) {
      this.#checksums.push(blockChecksum(bytes.subarray(at, at + BLOCK_BYTES)));
    }
  }

  /** What went wrong is told once, by the operation that finds it. */
  #fail(cause: unknown): void {
    const { name, path } = this.#options;
    const error = fileError('write', path, cause);
    this.#over(error, new EvenkeelError('failed-precondition', `the writer of ${name} failed before`, { cause: error }));
  }

  #over(refusal: EvenkeelError, laterRefusal: EvenkeelError): void {
    if (this.#phase === 'publishing' || this.#phase === 'over') return;
    this.#phase = 'over';
    this.#refusal = refusal;
    this.#laterRefusal = laterRefusal;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#discarding = this.#discard();
  }

  async #discard(): Promise<void> {
    const { file, buffers, onEnd } = this.#options;
    await this.#finishing?.catch(() => {});
    await Promise.all(this.#writes);
    if (this.#current !== undefined && !this.#isLending) buffers.give(this.#current);
    this.#current = this.#lent = undefined;
    await file.discard();
    onEnd(this);
  }

  /** Throws why the writer takes nothing more, when all of it is cleared away. */
  async #refuse(): Promise<never> {
    const { name } = this.#options;
    await this.#discarding;
    const refusal = this.#refusal ?? new EvenkeelError('failed-precondition', `${name} is being committed`);
    this.#refusal = this.#laterRefusal;
    throw refusal;
  }

  #hasEnded(): boolean {
    return this.#phase !== 'open';
  }

  /** An abort between two steps of a commit ends it there. */
  #throwIfOver(): void {
    if (this.#phase === 'over' && this.#refusal !== undefined) throw this.#refusal;
  }

  readonly #onAbort = (): void => {
    const { signal, name } = this.#options;
    if (signal === undefined) return;
    const error = cancelled(signal, `the writer of ${name}`);
    this.#over(error, error);
  };
}
