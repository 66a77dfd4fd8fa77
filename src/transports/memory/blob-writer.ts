/** One blob on its way: chunks that nobody sees until `commit` joins and publishes them in one step. */
import { EvenkeelError } from '../../core/errors.js';
import { LentBuffer } from '../../core/internal/lent-buffer.js';
import { cancelled } from '../../core/internal/transport-guards.js';
import type { BlobStat, BlobWriter } from '../../core/transport/blob.js';

/** What a writer needs of its store. */
export interface BlobDestination {
  /** @throws {EvenkeelError} `resource-exhausted`. */
  reserve(bytes: number): void;
  publish(bytes: Uint8Array): void;
  /** The writer is spent; `released` bytes of what it reserved are not used after all. */
  finish(released: number): void;
}

export class MemoryBlobWriter implements BlobWriter {
  readonly #name: string;
  readonly #expectedBytes: number | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #destination: BlobDestination;
  readonly #buffer = new LentBuffer();
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** Why the writer is spent; undefined while it is not. */
  #end: EvenkeelError | undefined;

  constructor(name: string, options: { bytes?: number; signal?: AbortSignal }, destination: BlobDestination) {
    this.#name = name;
    this.#expectedBytes = options.bytes;
    this.#signal = options.signal;
    this.#destination = destination;
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  async buffer(): Promise<Uint8Array> {
    this.#check();
    return this.#buffer.lend();
  }

  async write(n: number): Promise<void> {
    this.#check();
    const piece = this.#buffer.filled(n);
    this.#destination.reserve(n);
    this.#buffer.takeBack();
    this.#bytes += n;
    if (n > 0) this.#chunks.push(piece.slice());
  }

  async commit(): Promise<BlobStat> {
    this.#check();
    if (this.#expectedBytes !== undefined && this.#expectedBytes !== this.#bytes) {
      const message = `${this.#name} was announced with ${this.#expectedBytes} bytes and written with ${this.#bytes}`;
      const error = new EvenkeelError('data-loss', message, { details: { expected: this.#expectedBytes, bytes: this.#bytes } });
      this.fail(new EvenkeelError('failed-precondition', `the writer of ${this.#name} failed before`, { cause: error }));
      throw error;
    }
    const whole = new Uint8Array(this.#bytes);
    let offset = 0;
    for (const chunk of this.#chunks) {
      whole.set(chunk, offset);
      offset += chunk.byteLength;
    }
    this.#destination.publish(whole);
    this.#spend(new EvenkeelError('failed-precondition', `${this.#name} is committed`), 0);
    return { name: this.#name, bytes: whole.byteLength };
  }

  async abort(): Promise<void> {
    this.fail(new EvenkeelError('failed-precondition', `the writer of ${this.#name} was aborted`));
  }

  /** Ends the writer, if it has not ended; every later operation fails with `error`. */
  fail(error: EvenkeelError): void {
    if (this.#end === undefined) this.#spend(error, this.#bytes);
  }

  #spend(end: EvenkeelError, released: number): void {
    this.#end = end;
    this.#chunks = [];
    this.#buffer.drop();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#destination.finish(released);
  }

  #check(): void {
    if (this.#end !== undefined) throw this.#end;
  }

  readonly #onAbort = (): void => {
    if (this.#signal !== undefined) this.fail(cancelled(this.#signal, `the writer of ${this.#name}`));
  };
}
