/**
 * Bytes between two parties of one process, at most {@link PIPE_BYTES} of them at rest: the place where back-pressure comes from.
 * One writer, one reader; either may leave.
 */
import { EvenkeelError, invalidArgument } from '../../core/errors.js';
import type { CallBody } from '../../core/transport/call.js';

/** Written but not read: when reached, the writer waits. */
export const PIPE_BYTES = 64 * 1024;
/** The largest piece a reader gets; so a pipe overshoots by less than this. */
export const PIECE_BYTES = 16 * 1024;

export class Pipe {
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #isEnded = false;
  #error: EvenkeelError | undefined;
  #isDiscarding = false;
  #onReadable: (() => void) | undefined;
  #onRoom: (() => void) | undefined;

  /** Nothing is left to read, and nothing will come. */
  get isDrained(): boolean {
    return this.#isEnded && this.#pieces.length === 0;
  }

  /** Called, once for each setting, when there is something to read, the end and errors included. */
  onReadable(callback: () => void): void {
    this.#onReadable = callback;
  }

  /** Resolves when a piece may be written, or the pipe is over. */
  room(): Promise<void> | undefined {
    if (this.#bytes < PIPE_BYTES || this.#error !== undefined) return undefined;
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  write(piece: Uint8Array): void {
    if (this.#isDiscarding || this.#error !== undefined) return;
    this.#pieces.push(piece);
    this.#bytes += piece.byteLength;
    this.#wakeReader();
  }

  end(): void {
    this.#isEnded = true;
    this.#wakeReader();
  }

  /** Drops what is unread; the reader gets `error`, a waiting writer goes on. */
  fail(error: EvenkeelError): void {
    if (this.#error !== undefined || this.isDrained) return;
    this.#error = error;
    this.#clear();
    this.#wakeReader();
  }

  /** The reader has had enough: what comes is dropped, and the writer is not held up. */
  discard(): void {
    this.#isDiscarding = true;
    this.#clear();
  }

  /** @throws {EvenkeelError} what `fail` was told. */
  read(): Uint8Array | undefined {
    if (this.#error !== undefined) throw this.#error;
    const piece = this.#pieces.shift();
    if (piece === undefined) return undefined;
    this.#bytes -= piece.byteLength;
    if (this.#bytes < PIPE_BYTES) this.#wakeWriter();
    return piece;
  }

  /** Reads to the end; leaving early discards the rest. */
  async *drain(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const piece = this.read();
        if (piece !== undefined) yield piece;
        else if (this.#isEnded) return;
        else await new Promise<void>((resolve) => this.onReadable(resolve));
      }
    } finally {
      this.discard();
    }
  }

  #clear(): void {
    this.#pieces = [];
    this.#bytes = 0;
    this.#wakeWriter();
  }

  #wakeReader(): void {
    const callback = this.#onReadable;
    this.#onReadable = undefined;
    callback?.();
  }

  #wakeWriter(): void {
    const callback = this.#onRoom;
    this.#onRoom = undefined;
    callback?.();
  }
}

/** Carries a body into a pipe, no faster than the pipe has room. */
export class BodyPump {
  readonly #body: CallBody | undefined;
  readonly #pipe: Pipe;
  readonly #ownsBody: boolean;
  #isStarted = false;
  #iterator: AsyncIterator<Uint8Array | string> | undefined;
  #isStopped = false;

  /** @param ownsBody - Nobody else will use the body: `stop` returns its iterator even when it was never pulled. */
  constructor(body: CallBody | undefined, pipe: Pipe, ownsBody: boolean) {
    this.#body = body;
    this.#pipe = pipe;
    this.#ownsBody = ownsBody;
  }

  /** Resolves with true when the body is in the pipe whole, false when stopped; rejects with what the body threw. */
  async run(): Promise<boolean> {
    const body = this.#body;
    this.#isStarted = true;
    if (body === undefined) return this.#end();
    if (typeof body === 'string' || body instanceof Uint8Array) return (await this.#write(body)) && this.#end();
    this.#iterator = body[Symbol.asyncIterator]();
    for (;;) {
      await this.#pipe.room();
      if (this.#isStopped) return false;
      const next = await this.#pull(this.#iterator);
      if (this.#isStopped) return false;
      if (next.done) {
        this.#iterator = undefined;
        return this.#end();
      }
      if (!(await this.#write(next.value))) return false;
    }
  }

  /** Returns the body's iterator. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    try {
      const body = this.#body;
      if (this.#ownsBody && !this.#isStarted && typeof body === 'object' && !(body instanceof Uint8Array)) {
        this.#iterator = body[Symbol.asyncIterator]();
      }
      const iterator = this.#iterator;
      this.#iterator = undefined;
      // Not awaited: a generator that waits for something else returns when that comes.
      iterator?.return?.()?.then(undefined, ignore);
    } catch {
      // The body's bug; its call is over already.
    }
  }

  async #pull(iterator: AsyncIterator<Uint8Array | string>): Promise<IteratorResult<Uint8Array | string>> {
    try {
      return await iterator.next();
    } catch (error) {
      this.#iterator = undefined; // It ended by throwing: nothing to return.
      throw error;
    }
  }

  async #write(chunk: string | Uint8Array): Promise<boolean> {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (!(bytes instanceof Uint8Array)) throw invalidArgument('a chunk of the body', chunk, 'a string or a Uint8Array');
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      await this.#pipe.room();
      if (this.#isStopped) return false;
      this.#pipe.write(new Uint8Array(bytes.subarray(at, at + PIECE_BYTES)));
    }
    return !this.#isStopped;
  }

  #end(): boolean {
    this.#pipe.end();
    return true;
  }
}

function ignore(): void {}

/** What a body threw, as the error of its call. */
export function bodyError(whose: string, error: unknown): EvenkeelError {
  if (error instanceof EvenkeelError && error.code === 'invalid-argument') return error;
  return new EvenkeelError('cancelled', `the body of the ${whose} failed`, { cause: error });
}
