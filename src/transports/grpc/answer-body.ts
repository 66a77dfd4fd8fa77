/**
 * The body of an answer, a message for each piece.
 *
 * Who returns its iterator? Whatever ends the call early does, once: while a piece is awaited or sent, and also before the first.
 */
import type { CallBody } from '../../core/transport/call.js';
import { letGo, toMessage } from './message.js';
import type { ServerStream } from './peer.js';

const EMPTY = Buffer.alloc(0);

export class AnswerBody {
  readonly #whole: Uint8Array | string;
  readonly #signal: AbortSignal;
  #iterator: AsyncIterator<Uint8Array | string> | undefined;

  /** @param signal - Aborted when nothing more is to be sent. */
  constructor(body: CallBody | undefined, signal: AbortSignal) {
    this.#signal = signal;
    this.#whole = typeof body === 'string' || body instanceof Uint8Array ? body : EMPTY;
    if (typeof body !== 'object' || body instanceof Uint8Array) return;
    this.#iterator = body[Symbol.asyncIterator]();
    if (signal.aborted) this.#leave();
    else signal.addEventListener('abort', this.#leave, { once: true });
  }

  /** Resolves when all is sent, or the signal is aborted; rejects with what the body threw. */
  async write(stream: ServerStream): Promise<void> {
    const iterator = this.#iterator;
    if (iterator === undefined) return this.#signal.aborted ? undefined : this.#send(stream, this.#whole);
    while (!this.#signal.aborted) {
      const { done, value } = await this.#pull(iterator);
      if (done || this.#signal.aborted) break;
      await this.#send(stream, value);
    }
    this.#signal.removeEventListener('abort', this.#leave);
  }

  async #pull(iterator: AsyncIterator<Uint8Array | string>): Promise<IteratorResult<Uint8Array | string>> {
    try {
      const next = await iterator.next();
      if (next.done) this.#iterator = undefined;
      return next;
    } catch (error) {
      // It ended by throwing: nothing to return.
      this.#iterator = undefined;
      throw error;
    }
  }

  /** Resolves when the wire has taken it, which may be never on a connection that is gone. */
  #send(stream: ServerStream, piece: Uint8Array | string): Promise<void> {
    const signal = this.#signal;
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        resolve();
      };
      signal.addEventListener('abort', done);
      stream.write(toMessage(piece), done);
    });
  }

  readonly #leave = (): void => {
    const iterator = this.#iterator;
    this.#iterator = undefined;
    if (iterator !== undefined) void letGo(iterator);
  };
}
