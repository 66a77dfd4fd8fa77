/**
 * A response body as it arrives. Back-pressure: beyond HIGH_WATER_BYTES unread the transport stops reading, and the server feels it.
 * Read it to the end, `cancel()` it, or leave the loop: anything else holds the call in flight until its deadline.
 */
import { EvenkeelError } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';

export const HIGH_WATER_BYTES = 64 * 1024;

/** What the stream needs of its attempt. */
export interface BodySource {
  pause(): void;
  resume(): void;
  cancelBody(): void;
}

const END: IteratorResult<Uint8Array> = Object.freeze({ done: true, value: undefined });

export class BodyStream implements AsyncIterableIterator<Uint8Array> {
  readonly #source: BodySource;
  #chunks: Uint8Array[] = [];
  #first = 0;
  #unread = 0;
  #isPaused = false;
  #state: 'open' | 'ended' | 'failed' = 'open';
  #error: EvenkeelError | undefined;
  #resolve: ((result: IteratorResult<Uint8Array>) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;
  /** Set when the body has ended and the response had any. */
  trailers: HeaderList | undefined;

  constructor(source: BodySource) {
    this.#source = source;
  }

  /** The reader is behind, so nothing more is asked of the server. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** One read at a time. Chunks that came before a failure are read before it is thrown. */
  next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#first < this.#chunks.length) return Promise.resolve({ done: false, value: this.#take() });
    if (this.#state === 'ended') return Promise.resolve(END);
    if (this.#state === 'failed') {
      this.#state = 'ended';
      return Promise.reject(this.#error);
    }
    if (this.#resolve !== undefined) {
      return Promise.reject(new EvenkeelError('failed-precondition', 'the body is being read already: one read at a time'));
    }
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Leaving a `for await` early lands here. */
  return(): Promise<IteratorResult<Uint8Array>> {
    this.cancel();
    return Promise.resolve(END);
  }

  /** The rest is not wanted: ends the call and tells the server. Idempotent. */
  cancel(): void {
    const wasOpen = this.#state === 'open';
    this.#state = 'ended';
    this.#chunks = [];
    this.#first = 0;
    this.#settle(END);
    // Last, for the end that it brings about is not news to the reader.
    if (wasOpen) this.#source.cancelBody();
  }

  /**
   * The same body for code that wants a web stream. Use one form or the other.
   * @param told - What the reader is told of an error; default: the error.
   */
  toReadableStream(told: (error: unknown) => unknown = (error) => error): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          try {
            const { done, value } = await this.next();
            if (done) controller.close();
            else controller.enqueue(value);
          } catch (error) {
            controller.error(told(error));
          }
        },
        cancel: () => this.cancel(),
      },
      { highWaterMark: 0 },
    );
  }

  /** For the attempt. */
  push(chunk: Uint8Array): void {
    if (this.#state !== 'open') return;
    if (this.#resolve !== undefined) {
      this.#settle({ done: false, value: chunk });
      return;
    }
    this.#chunks.push(chunk);
    this.#unread += chunk.length;
    if (this.#unread >= HIGH_WATER_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#source.pause();
    }
  }

  /** For the attempt. */
  end(trailers: HeaderList | undefined): void {
    if (this.#state !== 'open') return;
    this.#state = 'ended';
    this.trailers = trailers;
    this.#settle(END);
  }

  /** For the attempt. */
  fail(error: EvenkeelError): void {
    if (this.#state !== 'open') return;
    this.#error = error;
    this.#state = 'failed';
    if (this.#reject === undefined) return;
    const reject = this.#reject;
    this.#resolve = undefined;
    this.#reject = undefined;
    this.#state = 'ended';
    reject(error);
  }

  #take(): Uint8Array {
    const chunk = this.#chunks[this.#first++] as Uint8Array;
    this.#unread -= chunk.length;
    // A reader that is always a little behind must not keep what it has read.
    if (this.#first * 2 >= this.#chunks.length) {
      this.#chunks.splice(0, this.#first);
      this.#first = 0;
    }
    if (this.#chunks.length === 0 && this.#isPaused) {
      this.#isPaused = false;
      this.#source.resume();
    }
    return chunk;
  }

  #settle(result: IteratorResult<Uint8Array>): void {
    const resolve = this.#resolve;
    if (resolve === undefined) return;
    this.#resolve = undefined;
    this.#reject = undefined;
    resolve(result);
  }
}
