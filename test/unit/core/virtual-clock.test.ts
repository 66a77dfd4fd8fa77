import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../../src/core/virtual-clock.js';

describe('virtualClock', () => {
  it('fires in order of time, then of creation', async () => {
    const clock = virtualClock();
    const fired: string[] = [];
    clock.timer(20, () => fired.push(`c${clock.now()}`));
    clock.timer(10, () => fired.push(`a${clock.now()}`));
    clock.timer(10, () => fired.push(`b${clock.now()}`));
    clock.timer(10.5, () => fired.push(`f${clock.now()}`));
    await clock.advance(15);
    expect(fired).toEqual(['a10', 'b10', 'f10.5']);
    expect(clock.now()).toBe(15);
    await clock.advance(5);
    expect(fired.at(-1)).toBe('c20');
  });

  it('lets promise and nextTick chains of any depth end between two timers', async () => {
    const clock = virtualClock();
    const seen: string[] = [];
    clock.timer(1, async () => {
      for (let i = 0; i < 500; i++) await new Promise<void>((resolve) => process.nextTick(resolve));
      for (let i = 0; i < 500; i++) await undefined;
      seen.push('chain');
    });
    clock.timer(1, () => seen.push('next timer'));
    await clock.run();
    expect(seen).toEqual(['chain', 'next timer']);
  });

  it('does so for every one of a hundred timers in a row, whichever share a turn of the event loop', async () => {
    const clock = virtualClock();
    const seen: string[] = [];
    for (let i = 0; i < 100; i++) {
      clock.timer(i, async () => {
        for (let hop = 0; hop < 20; hop++) {
          await new Promise<void>((resolve) => process.nextTick(() => queueMicrotask(resolve)));
          await undefined;
        }
        seen.push(`chain ${i}`);
      });
      clock.timer(i, () => seen.push(`next ${i}`));
    }
    await clock.run();
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => [`chain ${i}`, `next ${i}`]).flat());
  });

  it('stops at a timer that throws, in the middle of a turn, and goes on when it is run again', async () => {
    const clock = virtualClock();
    const fired: number[] = [];
    for (let i = 0; i < 60; i++) {
      clock.timer(i, () => {
        fired.push(i);
        if (i === 21) throw new Error('a timer of the test');
      });
    }
    await expect(clock.run()).rejects.toThrow('a timer of the test');
    await clock.settle();
    expect(fired).toHaveLength(22);
    expect(clock.now()).toBe(21);
    expect(await clock.run()).toBe(38);
    expect(fired).toEqual(Array.from({ length: 60 }, (_, i) => i));
  });

  it('fires timers made by timers within the same advance', async () => {
    const clock = virtualClock();
    const at: number[] = [];
    const again = () => {
      at.push(clock.now());
      if (at.length < 5) clock.timer(10, again);
    };
    clock.timer(10, again);
    await clock.advance(35);
    expect(at).toEqual([10, 20, 30]);
    await clock.run();
    expect(at).toHaveLength(5);
  });

  it('does not fire what was cancelled, by itself or by another timer of the same moment', async () => {
    const clock = virtualClock();
    let fired = 0;
    const early = clock.timer(1, () => fired++);
    clock.timer(2, () => late.cancel());
    const late = clock.timer(2, () => fired++);
    early.cancel();
    await clock.run();
    expect(fired).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('counts pending timers through ten thousand cancellations', () => {
    const clock = virtualClock();
    const timers = Array.from({ length: 10_000 }, (_, i) => clock.timer(i, () => {}));
    for (const timer of timers.slice(10)) timer.cancel();
    for (const timer of timers.slice(10)) timer.cancel();
    expect(clock.pending).toBe(10);
    expect(clock.runSync()).toBe(10);
  });

  it('rejects with what a timer throws, and goes on after it', async () => {
    const clock = virtualClock();
    let fired = 0;
    clock.timer(5, () => {
      throw new Error('broken timer');
    });
    clock.timer(10, () => fired++);
    await expect(clock.advance(20)).rejects.toThrow('broken timer');
    expect(clock.now()).toBe(5);
    await clock.advance(20);
    expect(fired).toBe(1);
  });

  it('runs callbacks synchronously with runSync, up to a moment', () => {
    const clock = virtualClock();
    let fired = 0;
    for (let i = 1; i <= 10; i++) clock.timer(i, () => fired++);
    expect(clock.runSync(4)).toBe(4);
    expect(clock.now()).toBe(4);
    expect(clock.runSync()).toBe(6);
  });

  it('moves the calendar alone with jumpWallTime', async () => {
    const clock = virtualClock({ wallTimeMs: 1000 });
    await clock.advance(10);
    clock.jumpWallTime(-500);
    expect([clock.now(), clock.coarse(), clock.wallTime()]).toEqual([10, 10, 510]);
  });

  it('refuses times that are negative or no number', async () => {
    const clock = virtualClock();
    expect(() => clock.timer(-1, () => {})).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    await expect(clock.advance(Number.NaN)).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});
