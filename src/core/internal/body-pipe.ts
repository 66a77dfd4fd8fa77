/**
 * Bodies on their way: a pump that pulls a body no faster than what it fills has room, and a pipe for the bytes in between, at most
 * {@link PIPE_BYTES} of them at rest. One writer, one reader; either may leave.
 */
import { EvenkeelError, invalidArgument } from '../errors.js';
import type { CallBody } from '../transport/call.js';

/** Written but not read: when reached, the writer waits. */
export const PIPE_BYTES = 64 * 1024;
/** The largest piece a reader gets; so a pipe overshoots by less than this. */
export const PIECE_BYTES = 16 * 1024;

/** What a pump fills: a pipe of this process, or a wire. */
export interface BodyTarget {
  /** Resolves when a piece may be written, or there is no use in it any more; undefined when one may be at once. */
  room(): Promise<void> | undefined;
  write(piece: Uint8Array): void;
  end(): void;
}

export class Pipe implements BodyTarget {
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #isEnded = false;
  #error: EvenkeelError | undefined;
  #isDiscarding = false;
  #onReadable: (() => void) | undefined;
  #onRoom: (() => void) | undefined;
  readonly #onRead: ((bytes: number) => void) | undefined;

  /** @param onRead - Hears how many bytes left the pipe, read or discarded: room that a distant writer is to be told of. */
  constructor(onRead?: (bytes: number) => void) {
    this.#onRead = onRead;
  }

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
    if (this.#isDiscarding || this.#error !== undefined) {
      this.#onRead?.(piece.byteLength);
      return;
    }
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
    this.#onRead?.(piece.byteLength);
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
    if (this.#bytes > 0) this.#onRead?.(this.#bytes);
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

/** Carries a body to its target, no faster than that has room. */
export class BodyPump {
  readonly #body: CallBody | undefined;
  readonly #target: BodyTarget;
  readonly #pieceBytes: number;
  readonly #ownsBody: boolean;
  #isStarted = false;
  #iterator: AsyncIterator<Uint8Array | string> | undefined;
  #isStopped = false;

  /** @param ownsBody - Nobody else will use the body: `stop` returns its iterator even when it was never pulled. */
  constructor(body: CallBody | undefined, target: BodyTarget, ownsBody: boolean, pieceBytes = PIECE_BYTES) {
    this.#body = body;
    this.#target = target;
    this.#pieceBytes = pieceBytes;
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
      // Not a turn later when there is room: a body that was announced is begun, so that it is also returned.
      const room = this.#target.room();
      if (room !== undefined) await room;
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
    for (let at = 0; at < bytes.byteLength; at += this.#pieceBytes) {
      await this.#target.room();
      if (this.#isStopped) return false;
      this.#target.write(new Uint8Array(bytes.subarray(at, at + this.#pieceBytes)));
    }
    return !this.#isStopped;
  }

  #end(): boolean {
    this.#target.end();
    return true;
  }
}

function ignore(): void {}

/** What a body threw, as the error of its call. */
export function bodyError(whose: string, error: unknown): EvenkeelError {
  if (error instanceof EvenkeelError && error.code === 'invalid-argument') return error;
  return new EvenkeelError('cancelled', `the body of the ${whose} failed`, { cause: error });
}
