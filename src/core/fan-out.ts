/**
 * The one door to p-limit: the same work for many items, a few at a time. For background work (blob chunks, warm-up, health
 * checks), never on the path of a call. At most `concurrency` items are taken from the source ahead of their turn.
 */
import pLimit from 'p-limit';
import { checkInteger, EvenkeelError } from './errors.js';

/**
 * Runs `work` for each item; resolves when all are done. The first failure stops the feed, aborts the rest by their signal, waits
 * for those that run, and is thrown.
 *
 * @param options.concurrency - Items at work at once, 1 and up.
 * @throws {EvenkeelError} `cancelled` when `signal` aborts; otherwise what `work` threw.
 */
export async function fanOut<T>(
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T, signal: AbortSignal) => Promise<void>,
  options: { concurrency: number; signal?: AbortSignal },
): Promise<void> {
  const concurrency = checkInteger('concurrency', options.concurrency, 1, 10_000);
  const limit = pLimit({ concurrency, rejectOnClear: true });
  const stop = new AbortController();
  const onAbort = () => stop.abort(new EvenkeelError('cancelled', 'fan-out was cancelled', { cause: options.signal?.reason }));
  if (options.signal?.aborted) onAbort();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const running = new Set<Promise<void>>();
  try {
    for await (const item of until(stop.signal, items)) {
      const task = limit(work, item, stop.signal)
        .catch((error: unknown) => stop.abort(error))
        .finally(() => running.delete(task));
      running.add(task);
      // The feed is bounded here: p-limit's own queue is not.
      if (running.size >= concurrency) await Promise.race(running);
    }
  } catch (error) {
    stop.abort(error);
  } finally {
    if (stop.signal.aborted) limit.clearQueue();
    await Promise.all(running);
    options.signal?.removeEventListener('abort', onAbort);
  }
  if (stop.signal.aborted) throw stop.signal.reason;
}

/** The items until `signal` aborts, be the source silent at that moment; the source is told to return and not waited for. */
async function* until<T>(signal: AbortSignal, items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T, void> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  // One promise an item, not a race with one for all: that would remember every item until the end.
  let wake: (() => void) | undefined;
  const onAbort = () => wake?.();
  signal.addEventListener('abort', onAbort, { once: true });
  let isOver = false;
  try {
    while (!signal.aborted) {
      const result = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        wake = () => resolve(undefined);
        Promise.resolve(source.next()).then(resolve, reject);
      });
      isOver = result?.done === true;
      if (isOver || result === undefined || signal.aborted) return;
      yield result.value;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    if (!isOver) void Promise.resolve(source.return?.()).catch(() => {});
  }
}
