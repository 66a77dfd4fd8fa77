import { isEvenkeelError } from 'evenkeel/core';
import { createMemoryQueue, memoryQueueStore } from 'evenkeel/memory';
import { virtualClock } from 'evenkeel/testing';
import { describe, expect, it } from 'vitest';

const item = { body: Uint8Array.of(1) };

describe('createMemoryQueue', () => {
  it('buries an item that was delivered deadAfter times, by nack or by running out', async () => {
    const clock = virtualClock();
    const queue = createMemoryQueue({ clock, deadAfter: 2 });
    await queue.enqueue([item, item]);
    const [first, second] = await queue.lease({ max: 2, leaseMs: 1000 });
    await first?.nack();
    await second?.nack();
    const [again] = await queue.lease({ max: 2, leaseMs: 1000 });
    await again?.nack();
    await clock.advance(1000);
    expect(await queue.stats()).toEqual({ due: 0, delayed: 0, leased: 0, dead: 2 });
    const letters = await queue.deadLetters({ limit: 10 });
    expect(letters.map(({ attempts, reason }) => [attempts, reason])).toEqual([
      [2, 'delivered 2 times'],
      [2, 'delivered 2 times'],
    ]);
    await queue.close();
  });

  it('refuses a batch that would not fit, whole, and lets twins pass', async () => {
    const queue = createMemoryQueue({ clock: virtualClock(), maxItems: 2 });
    const [id] = await queue.enqueue([{ ...item, key: 'k' }]);
    await expect(queue.enqueue([item, item])).rejects.toSatisfy(
      (error) => isEvenkeelError(error, 'resource-exhausted') && error.rejected,
    );
    expect((await queue.stats()).due).toBe(1);
    await queue.enqueue([item, { ...item, key: 'k' }]);
    expect(await queue.enqueue([{ ...item, key: 'k' }])).toEqual([id]);
    await queue.close();
  });

  it('sets a timer only while somebody waits', async () => {
    const clock = virtualClock();
    const store = memoryQueueStore();
    const queue = createMemoryQueue({ clock, store });
    await queue.enqueue([item]);
    await queue.lease({ max: 1, leaseMs: 1000 });
    expect(clock.pending).toBe(0);
    const waiting = queue.lease({ max: 1, leaseMs: 1000 });
    expect(clock.pending).toBe(1);
    await queue.close();
    await expect(waiting).rejects.toSatisfy((error) => isEvenkeelError(error, 'failed-precondition'));
    expect(clock.pending).toBe(0);
    expect(store.size).toBe(1);
  });

  it('refuses bounds below 1', () => {
    for (const options of [{ maxItems: 0 }, { deadAfter: 0 }, { deadAfter: 1.5 }]) {
      expect(() => createMemoryQueue(options)).toThrow(/whole number/);
    }
  });
});
