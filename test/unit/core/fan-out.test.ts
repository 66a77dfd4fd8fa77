import { describe, expect, it } from 'vitest';
import { fanOut } from '../../../src/core/fan-out.js';
import { virtualClock } from '../../../src/core/virtual-clock.js';

describe('fanOut', () => {
  it('works on every item, at most `concurrency` at once, and takes no more ahead', async () => {
    const clock = virtualClock();
    let taken = 0;
    let done = 0;
    let most = 0;
    let running = 0;
    function* items() {
      for (; taken < 50; ) {
        taken++;
        expect(taken - done).toBeLessThanOrEqual(5);
        yield taken;
      }
    }
    const work = async () => {
      most = Math.max(most, ++running);
      await clock.sleep(10);
      running--;
      done++;
    };
    const all = fanOut(items(), work, { concurrency: 4 });
    await clock.run();
    await all;
    expect([done, most]).toEqual([50, 4]);
  });

  it('stops at the first failure, aborts the others, waits for them, and throws it', async () => {
    const clock = virtualClock();
    const log: string[] = [];
    const work = async (item: number, signal: AbortSignal) => {
      await clock.sleep(item);
      if (item === 2) throw new Error('first');
      if (signal.aborted) log.push(`${item} sees the abort`);
      if (item === 3) throw new Error('second');
    };
    const all = fanOut([3, 2, 30, 1, 1, 1, 1], work, { concurrency: 3 });
    const failed = expect(all).rejects.toThrow('first');
    await clock.run();
    await failed;
    expect(log).toEqual(['3 sees the abort', '30 sees the abort']);
  });

  it('takes async iterables, and fails with them', async () => {
    const seen: number[] = [];
    async function* items() {
      yield 1;
      yield 2;
      throw new Error('the source broke');
    }
    await expect(fanOut(items(), async (item) => void seen.push(item), { concurrency: 2 })).rejects.toThrow('the source broke');
    expect(seen).toEqual([1, 2]);
  });

  it('ends when its signal aborts, although the source is silent', async () => {
    const controller = new AbortController();
    let wasReturned = false;
    const silent: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: async () => {
          wasReturned = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const all = fanOut(silent, async () => {}, { concurrency: 2, signal: controller.signal });
    const cause = new Error('enough');
    controller.abort(cause);
    await expect(all).rejects.toMatchObject({ code: 'cancelled', cause });
    expect(wasReturned).toBe(true);
  });

  it('does nothing with a signal that has aborted', async () => {
    let worked = 0;
    const all = fanOut([1, 2], async () => void worked++, { concurrency: 1, signal: AbortSignal.abort() });
    await expect(all).rejects.toMatchObject({ code: 'cancelled' });
    expect(worked).toBe(0);
  });

  it('returns the source when it stops early', async () => {
    let wasReturned = false;
    function* items() {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        wasReturned = true;
      }
    }
    const work = async (item: number) => {
      if (item === 3) throw new Error('stop');
    };
    await expect(fanOut(items(), work, { concurrency: 1 })).rejects.toThrow('stop');
    expect(wasReturned).toBe(true);
  });

  it.each([0, 1.5, 10_001])('refuses a concurrency of %d', async (concurrency) => {
    await expect(fanOut([], async () => {}, { concurrency })).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});
