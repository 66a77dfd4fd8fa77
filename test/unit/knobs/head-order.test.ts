import { describe, expect, it } from 'vitest';
import { HeadOrder } from '../../../src/knobs/head-order.js';

const reading = (epoch: string, revision: number, notBeforeMs: number, notAfterMs = notBeforeMs) => ({
  epoch,
  revision,
  notBeforeMs,
  notAfterMs,
});

describe('the order of readings', () => {
  it('is that of revisions within an epoch, whatever order they come in', () => {
    const order = new HeadOrder();
    const news = [3, 1, 3, 5, 4].map((revision, i) => order.take(reading('a', revision, i)));
    expect(news).toEqual(['newer', 'older', 'same', 'newer', 'older']);
    expect(order.revision).toBe(5);
  });

  it('takes another epoch that was asked for after the last proof of the present one, however low its revision', () => {
    const order = new HeadOrder();
    order.take(reading('a', 50, 0, 10));
    expect(order.take(reading('b', 7, 11, 12))).toBe('newer');
    expect([order.epoch, order.revision]).toEqual(['b', 7]);
  });

  it('does not go back to an epoch by an answer that was late', () => {
    const order = new HeadOrder();
    order.take(reading('a', 50, 0, 10));
    order.take(reading('b', 7, 11, 12));
    expect(order.take(reading('a', 51, 9, 20))).toBe('older');
    expect(order.take(reading('a', 51, 12, 20))).toBe('older');
    expect(order.revision).toBe(7);
  });

  it('takes an age from the earliest moment at which what it holds may have been the newest', () => {
    const order = new HeadOrder();
    expect(order.ageMs(5)).toBe(Number.POSITIVE_INFINITY);
    order.take(reading('a', 1, 10, 20));
    expect(order.ageMs(25)).toBe(15);
    order.take(reading('a', 1, 5, 24));
    expect(order.ageMs(25)).toBe(15);
    // An older one proves nothing of what is held.
    order.take(reading('a', 2, 25, 26));
    order.take(reading('a', 1, 40, 41));
    expect(order.ageMs(50)).toBe(25);
  });

  it('begins with a copy, which nobody has proven', () => {
    const order = new HeadOrder();
    order.restore('a', 9);
    expect(order.ageMs(0)).toBe(Number.POSITIVE_INFINITY);
    expect(order.take(reading('a', 8, 1))).toBe('older');
    expect(order.take(reading('a', 9, 2))).toBe('same');
    order.restore('z', 1);
    expect(order.epoch).toBe('a');
    const restored = new HeadOrder();
    restored.restore('a', 9);
    expect(restored.take(reading('b', 3, 1))).toBe('newer');
  });
});
