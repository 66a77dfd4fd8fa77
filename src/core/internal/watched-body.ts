/** A body that is passed on, and its true end. */

/** Whole, broken off by its source (`error`), or left by its reader (`ignored`). */
export type BodyEnd = 'whole' | 'error' | 'ignored';

/** Passes a body on, no faster than it is read, and says how it ended. */
export function watchedBody(body: ReadableStream<Uint8Array>, onEnd: (how: BodyEnd) => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) {
            controller.enqueue(value);
            return;
          }
          onEnd('whole');
          controller.close();
        } catch (error) {
          onEnd('error');
          controller.error(error);
        }
      },
      cancel(reason) {
        onEnd('ignored');
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** The same for a body that is iterated. One that nobody begins to read ends nothing. */
export async function* watchedPieces<T>(body: AsyncIterable<T>, onEnd: (how: BodyEnd) => void): AsyncGenerator<T> {
  let how: BodyEnd = 'ignored';
  try {
    for await (const piece of body) yield piece;
    how = 'whole';
  } catch (error) {
    how = 'error';
    throw error;
  } finally {
    onEnd(how);
  }
}
