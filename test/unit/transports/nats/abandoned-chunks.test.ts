import { describe, expect, it } from 'vitest';
import { EvenkeelError } from '../../../../src/core/errors.js';
import { seededRandom, virtualClock } from '../../../../src/testing/index.js';
import { AbandonedChunks, type StoredIntent } from '../../../../src/transports/nats/abandoned-chunks.js';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

function opened(abandoning?: (id: string) => void) {
  const clock = virtualClock();
  const stored = new Map<string, StoredIntent>();
  const abandoned: string[] = [];
  const chunks = new AbandonedChunks(
    { clock, random: seededRandom(1) },
    {
      async *ids() {
        yield* stored.keys();
      },
      read: async (id) => stored.get(id),
    },
    async (id) => {
      abandoning?.(id);
      stored.delete(id);
      abandoned.push(id);
    },
  );
  return { clock, stored, abandoned, chunks };
}

describe('abandoned chunks', () => {
  it('are those whose intent is unchanged for an hour, looked at every ten minutes', async () => {
    const { clock, stored, abandoned, chunks } = opened();
    stored.set('dead', { seq: 1, atMs: 0 });
    stored.set('alive', { seq: 2, atMs: 0 });
    chunks.look();
    for (let minute = 0; minute < 180; minute += 5) {
      if (minute < 60) expect(abandoned).toEqual([]);
      stored.set('alive', { seq: 3 + minute, atMs: 0 });
      await clock.advance(5 * MINUTE);
    }
    expect(abandoned).toEqual(['dead']);
  });

  it('are at once those whose intent is a day older than one that was just written, by the clock that stamped both', async () => {
    const { clock, stored, abandoned, chunks } = opened();
    stored.set('dead', { seq: 1, atMs: 5 * DAY });
    stored.set('younger', { seq: 2, atMs: 5 * DAY + 1 });
    stored.set('own', { seq: 3, atMs: 6 * DAY });
    chunks.look('own');
    await clock.advance(0);
    expect(abandoned).toEqual(['dead']);
  });

  it('one that cannot be removed keeps nobody from the others; a server that is away ends the look', async () => {
    let code: 'data-loss' | 'unavailable' = 'unavailable';
    const tried: string[] = [];
    const { clock, stored, abandoned, chunks } = opened((id) => {
      tried.push(id);
      if (id === 'a') throw new EvenkeelError(code, 'no');
    });
    stored.set('a', { seq: 1, atMs: 0 });
    stored.set('b', { seq: 2, atMs: 0 });
    chunks.look();
    await clock.advance(65 * MINUTE);
    expect([tried, abandoned]).toEqual([['a'], []]);
    code = 'data-loss';
    await clock.advance(10 * MINUTE);
    expect([tried, abandoned]).toEqual([['a', 'a', 'b'], ['b']]);
  });

  it('are nobody’s any more once closed', async () => {
    const { clock, stored, abandoned, chunks } = opened();
    stored.set('dead', { seq: 1, atMs: 0 });
    chunks.look();
    chunks.close();
    await clock.advance(DAY);
    chunks.look();
    await clock.advance(DAY);
    expect(abandoned).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
