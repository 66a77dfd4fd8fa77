/** A body that is passed on, and its true end: nothing of it is awaited any more, of one that was left neither. */

/** Whole, broken off by its source (`error`), or left by its reader (`ignored`). */
export type BodyEnd = 'whole' | 'error' | 'ignored';

/** Passes a body on, no faster than it is read, and says how it ended: once, and of one that was left when its source has let go. */
export function watchedBody(body: ReadableStream<Uint8Array>, onEnd: (how: BodyEnd) => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  // A piece that is awaited meanwhile comes as an end.
  let isLeft = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (isLeft) return;
          if (!done) {
            controller.enqueue(value);
            return;
          }
          onEnd('whole');
          controller.close();
        } catch (error) {
          if (isLeft) return;
          onEnd('error');
          controller.error(error);
        }
      },
      async cancel(reason) {
        isLeft = true;
        try {
          await reader.cancel(reason);
        } finally {
          onEnd('ignored');
        }
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * The same for a body that is iterated. Not a generator: one that awaits a piece hears of `return` only when that is there, and the body, which may
 * well end at once, would not hear of it at all.
 */
export function watchedPieces<T>(body: AsyncIterable<T>, onEnd: (how: BodyEnd) => void): AsyncIterableIterator<T> {
  return new WatchedPieces(body, onEnd);
}

class WatchedPieces<T> implements AsyncIterableIterator<T> {
  readonly #body: AsyncIterable<T>;
  readonly #onEnd: (how: BodyEnd) => void;
  #iterator: AsyncIterator<T> | undefined;
  #how: BodyEnd | undefined;
  /** Those of the body that are not over. */
  #steps = 0;

  constructor(body: AsyncIterable<T>, onEnd: (how: BodyEnd) => void) {
    this.#body = body;
    this.#onEnd = onEnd;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this;
  }

  async next(): Promise<IteratorResult<T>> {
    if (this.#how !== undefined) return OVER;
    this.#steps++;
    try {
      const result = await this.#begun().next();
      if (result.done) this.#how ??= 'whole';
      return result;
    } catch (error) {
      this.#how ??= 'error';
      throw error;
    } finally {
      this.#onStep();
    }
  }

  async return(): Promise<IteratorResult<T>> {
    if (this.#how !== undefined) return OVER;
    this.#how = 'ignored';
    this.#steps++;
    try {
      await this.#begun().return?.();
      return OVER;
    } finally {
      this.#onStep();
    }
  }

  #begun(): AsyncIterator<T> {
    this.#iterator ??= this.#body[Symbol.asyncIterator]();
    return this.#iterator;
  }

  #onStep(): void {
    if (--this.#steps === 0 && this.#how !== undefined) this.#onEnd(this.#how);
  }
}

const OVER: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });
