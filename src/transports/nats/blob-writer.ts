/**
 * One blob on its way: chunks go out as they fill, a bounded number at a time, and are nobody's until `commit` names them.
 *
 * Who owns a buffer? A full one that was lent is sent as it is, and lent again once the server has it; smaller pieces are gathered.
 */
import type { Timer } from '../../core/clock.js';
import { checkInteger, EvenkeelError, isEvenkeelError } from '../../core/errors.js';
import { cancelled } from '../../core/internal/transport-guards.js';
import type { BlobStat, BlobWriter } from '../../core/transport/blob.js';
import type { Chunks } from './blob-intents.js';
import type { NatsBlobStore } from './blob-store.js';

/** Chunks on their way, and buffers of one writer; one more is being filled. */
const CHUNKS_IN_FLIGHT = 8;
export const BUFFERS = CHUNKS_IN_FLIGHT + 2;
/** Others take a writer that says nothing for an hour for dead. */
const RENEW_EVERY_MS = 5 * 60_000;

export class NatsBlobWriter implements BlobWriter {
  readonly #store: NatsBlobStore;
  readonly #chunks: Chunks;
  readonly #name: string;
  readonly #expectedBytes: number | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onOver: (writer: NatsBlobWriter) => void;
  readonly #stop = new AbortController();
  readonly #free: Uint8Array[] = [];
  readonly #flying = new Set<Promise<void>>();
  #allocated = 0;
  #lent: Uint8Array | undefined;
  #isLending = false;
  /** Pieces on their way into `gathered`, one after the other. */
  #gathering: Promise<void> | undefined;
  /** Pieces smaller than a chunk. */
  #gathered: Uint8Array | undefined;
  #filled = 0;
  #bytes = 0;
  #count = 0;
  #renewal: Timer;
  #renewing: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  /** What a later use is told once the writer is spent; undefined while it is not. */
  #end: EvenkeelError | undefined;
  /** A chunk that could not be stored, until somebody was told. */
  #failure: unknown;
  #isRemoved: Promise<void> | undefined;
  #isCommitting = false;
  /** The manifest is on its way: from here on the chunks may be a blob's. */
  #committing: Promise<void> | undefined;

  constructor(
    store: NatsBlobStore,
    chunks: Chunks,
    options: { bytes?: number; signal?: AbortSignal },
    onOver: (writer: NatsBlobWriter) => void,
  ) {
    this.#store = store;
    this.#chunks = chunks;
    this.#name = chunks.name;
    this.#expectedBytes = options.bytes;
    this.#signal = options.signal;
    this.#onOver = onOver;
    this.#renewal = this.#renewLater();
    if (this.#signal?.aborted) this.#onAbort();
    else this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  async buffer(): Promise<Uint8Array> {
    this.#checkWritable();
    if (this.#lent !== undefined || this.#isLending) {
      throw new EvenkeelError('failed-precondition', 'the buffer lent last has not been written yet');
    }
    this.#isLending = true;
    try {
      await this.#gathering?.catch(() => {});
      this.#lent = await this.#take();
      return this.#lent;
    } finally {
      this.#isLending = false;
    }
  }

  async write(n: number): Promise<void> {
    this.#checkWritable();
    const lent = this.#lent;
    if (lent === undefined) throw new EvenkeelError('failed-precondition', 'no buffer is lent');
    checkInteger('n', n, 0, lent.byteLength);
    this.#lent = undefined;
    this.#bytes += n;
    if (n === lent.byteLength && this.#filled === 0 && this.#gathering === undefined) {
      this.#fly(lent, n);
      return;
    }
    const gathering = this.#gather(lent, n).finally(() => {
      this.#gathering = undefined;
    });
    this.#gathering = gathering;
    await gathering;
  }

  async commit(): Promise<BlobStat> {
    this.#checkWritable();
    this.#isCommitting = true;
    await this.#gathering;
    const expected = this.#expectedBytes;
    if (expected !== undefined && expected !== this.#bytes) {
      const message = `${this.#name} was announced with ${expected} bytes and written with ${this.#bytes}`;
      const error = new EvenkeelError('data-loss', message, { details: { expected, bytes: this.#bytes } });
      this.fail(spent(this.#name, error));
      throw error;
    }
    const stat = { name: this.#name, bytes: this.#bytes };
    if (this.#gathered !== undefined && this.#filled > 0) this.#fly(this.#gathered, this.#filled);
    await Promise.all([...this.#flying, this.#renewing]);
    this.#check();
    this.#committing = this.#store.commit(this.#chunks, stat.bytes);
    // Whoever aborts now is too late: the commit decides.
    this.#finish(new EvenkeelError('failed-precondition', `${this.#name} is committed, or failed to be`));
    try {
      await this.#committing;
    } catch (error) {
      // When it may have landed the chunks stay; the intent beside them tells others, in time, which it was.
      if (!isEvenkeelError(error) || error.retryable !== 'unknown') await this.#store.remove(this.#chunks);
      throw error;
    }
    return stat;
  }

  async abort(): Promise<void> {
    this.fail(new EvenkeelError('failed-precondition', `the writer of ${this.#name} was aborted`));
    await this.#committing?.catch(() => {});
    await this.#isRemoved;
  }

  /** Ends the writer and removes what it wrote. After its end: nothing. */
  fail(error: EvenkeelError): void {
    if (this.#end !== undefined) return;
    this.#finish(error);
    this.#stop.abort(error);
    // After the chunks on their way, which would come back otherwise.
    this.#isRemoved = Promise.allSettled(this.#flying).then(() => this.#store.remove(this.#chunks));
  }

  get removed(): Promise<void> | undefined {
    return this.#isRemoved;
  }

  #finish(end: EvenkeelError): void {
    this.#end = end;
    this.#renewal.cancel();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#onOver(this);
    this.#wake?.();
  }

  readonly #onAbort = (): void => this.fail(cancelled(this.#signal as AbortSignal, `the writing of ${this.#name}`));

  #check(): void {
    if (this.#end === undefined) return;
    const error = this.#failure ?? this.#end;
    this.#failure = undefined;
    throw error;
  }

  #checkWritable(): void {
    this.#check();
    if (this.#isCommitting) throw new EvenkeelError('failed-precondition', `${this.#name} is being committed`);
  }

  async #take(): Promise<Uint8Array> {
    for (;;) {
      this.#check();
      const free = this.#free.pop();
      if (free !== undefined) return free;
      if (this.#allocated < BUFFERS) {
        this.#allocated++;
        return new Uint8Array(this.#chunks.chunkBytes);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #give(buffer: Uint8Array): void {
    this.#free.push(buffer);
    this.#wake?.();
  }

  async #gather(lent: Uint8Array, bytes: number): Promise<void> {
    const { chunkBytes } = this.#chunks;
    for (let at = 0; at < bytes; ) {
      this.#gathered ??= await this.#take();
      const n = Math.min(bytes - at, chunkBytes - this.#filled);
      this.#gathered.set(lent.subarray(at, at + n), this.#filled);
      this.#filled += n;
      at += n;
      if (this.#filled < chunkBytes) continue;
      this.#fly(this.#gathered, chunkBytes);
      this.#gathered = undefined;
      this.#filled = 0;
    }
    this.#give(lent);
  }

  #fly(buffer: Uint8Array, n: number): void {
    const flight = this.#store
      .writeChunk(this.#chunks, this.#count++, buffer.subarray(0, n), this.#stop.signal)
      .then(
        () => this.#give(buffer),
        (error: unknown) => {
          if (this.#end === undefined) this.#failure = error;
          this.fail(spent(this.#name, error));
        },
      )
      .finally(() => this.#flying.delete(flight));
    this.#flying.add(flight);
  }

  #renewLater(): Timer {
    return this.#store.js.link.clock.timer(RENEW_EVERY_MS, () => {
      this.#renewing = this.#renew().finally(() => {
        this.#renewing = undefined;
        if (this.#end === undefined) this.#renewal = this.#renewLater();
      });
    });
  }

  async #renew(): Promise<void> {
    try {
      await this.#store.renew(this.#chunks, this.#stop.signal);
    } catch (error) {
      // Without an answer there is time for more tries; without its chunks there is nothing to write on.
      if (isEvenkeelError(error, 'aborted')) this.fail(spent(this.#name, error));
    }
  }
}

function spent(name: string, cause: unknown): EvenkeelError {
  return new EvenkeelError('failed-precondition', `the writer of ${name} failed before`, { cause });
}
