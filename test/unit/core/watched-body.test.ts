/** Bodies that are passed on: how they end, and when. */
import { describe, expect, it } from 'vitest';
import { watchedBody, watchedPieces } from '../../../src/core/internal/watched-body.js';

async function* numbers(): AsyncGenerator<number> {
  yield 1;
  yield 2;
}

function watch(body: AsyncIterable<number>) {
  const ends: string[] = [];
  return { ends, pieces: watchedPieces(body, (how) => ends.push(how)) };
}

describe('a body that is iterated', () => {
  it('is passed on, and is whole when it is', async () => {
    const { ends, pieces } = watch(numbers());
    const seen: number[] = [];
    for await (const piece of pieces) seen.push(piece);
    expect([seen, ends]).toEqual([[1, 2], ['whole']]);
    expect([await pieces.next(), await pieces.return?.()]).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    expect(ends).toEqual(['whole']);
  });

  it('throws on what it throws, once', async () => {
    const { ends, pieces } = watch({
      [Symbol.asyncIterator]() {
        throw new Error('broken');
      },
    });
    await expect(pieces.next()).rejects.toThrow('broken');
    await pieces.return?.();
    expect(ends).toEqual(['error']);
  });

  it('is left when its reader leaves, with the cleaning up done', async () => {
    let isClean = false;
    const body = async function* () {
      try {
        yield 1;
      } finally {
        await Promise.resolve();
        isClean = true;
      }
    };
    const ends: [string, boolean][] = [];
    for await (const _piece of watchedPieces(body(), (how) => ends.push([how, isClean]))) break;
    expect(ends).toEqual([['ignored', true]]);
  });

  it('is left only when the step it is at is over', async () => {
    let finish: ((result: IteratorResult<number>) => void) | undefined;
    let returned = 0;
    const body: AsyncIterableIterator<number> = {
      [Symbol.asyncIterator]: () => body,
      next: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
      return: async () => {
        returned++;
        return { done: true, value: undefined };
      },
    };
    const { ends, pieces } = watch(body);
    const next = pieces.next();
    await Promise.all([pieces.return?.(), pieces.return?.()]);
    expect([returned, ends]).toEqual([1, []]);
    finish?.({ done: true, value: undefined });
    await next;
    expect([await pieces.next(), ends]).toEqual([{ done: true, value: undefined }, ['ignored']]);
  });

  it('that nobody began is returned, and is left then', async () => {
    let returned = 0;
    const body: AsyncIterableIterator<number> = {
      [Symbol.asyncIterator]: () => body,
      next: () => Promise.reject(new Error('not asked for')),
      return: async () => {
        returned++;
        throw new Error('broken');
      },
    };
    const { ends, pieces } = watch(body);
    expect(ends).toEqual([]);
    await expect(pieces.return?.()).rejects.toThrow('broken');
    expect([returned, ends]).toEqual([1, ['ignored']]);
  });

  it('need not know how to return', async () => {
    const body: AsyncIterableIterator<number> = {
      [Symbol.asyncIterator]: () => body,
      next: async () => ({ done: false, value: 1 }),
    };
    const { ends, pieces } = watch(body);
    await pieces.next();
    await pieces.return?.();
    expect(ends).toEqual(['ignored']);
  });
});

describe('a body of the fetch style', () => {
  it('is left once, when its source has let go, though a piece is awaited', async () => {
    let letGo: (() => void) | undefined;
    const source = new ReadableStream<Uint8Array>({
      cancel: () =>
        new Promise((resolve) => {
          letGo = resolve;
        }),
    });
    const ends: string[] = [];
    const reader = watchedBody(source, (how) => ends.push(how)).getReader();
    const piece = reader.read();
    const left = reader.cancel();
    expect((await piece).done).toBe(true);
    expect(ends).toEqual([]);
    letGo?.();
    await left;
    expect(ends).toEqual(['ignored']);
  });
});
