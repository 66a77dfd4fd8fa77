import { describe, expect, it } from 'vitest';
import { seededRandom, virtualClock } from '../../../../src/testing/index.js';
import { StateTombstones } from '../../../../src/transports/nats/state-tombstones.js';

const MINUTE = 60_000;

/** `purging` is asked before each removal. */
function opened(kind: 'written' | 'seen', purging?: (key: string) => void) {
  const clock = virtualClock();
  const purged: string[] = [];
  const gone = new Set<number>();
  const asked: number[] = [];
  const tombstones = new StateTombstones(
    kind,
    { clock, random: seededRandom(1) },
    {
      async purge(key, seq) {
        purging?.(key);
        purged.push(`${key} ${seq}`);
      },
      async has(seq) {
        asked.push(seq);
        return !gone.has(seq);
      },
    },
  );
  /** As a process that uses the bucket once a minute. */
  const pass = async (minutes: number) => {
    for (let minute = 0; minute < minutes; minute++) {
      tombstones.sweep();
      await clock.advance(MINUTE);
    }
  };
  return { clock, tombstones, purged, gone, asked, pass };
}

describe('markers of deletes', () => {
  it('that this process wrote are removed after ten minutes, up to their own sequence', async () => {
    const { tombstones, purged, pass, asked } = opened('written');
    tombstones.add('a', 1);
    await pass(9);
    tombstones.add('a', 1);
    tombstones.add('b', 7);
    await pass(3);
    expect(purged).toEqual(['a 1']);
    await pass(10);
    expect(purged).toEqual(['a 1', 'b 7']);
    expect(asked).toEqual([]);
  });

  it('stay where the key has a value again, and are others after a second delete', async () => {
    const { tombstones, purged, pass } = opened('written');
    tombstones.add('a', 1);
    tombstones.add('b', 2);
    tombstones.forget('a');
    await pass(9);
    tombstones.add('b', 4);
    await pass(3);
    expect(purged).toEqual([]);
  });

  it('that this process saw are removed later, and only when nobody has begun to', async () => {
    const { tombstones, purged, pass, gone, asked } = opened('seen');
    tombstones.add('a', 1);
    tombstones.add('b', 2);
    await pass(20);
    expect([purged, asked]).toEqual([[], []]);
    gone.add(1);
    await pass(20);
    expect([purged, asked]).toEqual([[], [1]]);
    tombstones.add('c', 3);
    await pass(40);
    expect([purged, asked]).toEqual([['c 3'], [1, 3]]);
  });

  it('go in groups, and what could not be removed is tried again', async () => {
    let isDown = true;
    let tried = 0;
    const { tombstones, purged, pass } = opened('written', () => {
      tried++;
      if (isDown) throw new Error('down');
    });
    for (let i = 0; i < 200; i++) tombstones.add(`k${i}`, i);
    await pass(10);
    expect(tried).toBe(0);
    while (tried === 0) await pass(1);
    expect(tried).toBe(64);
    isDown = false;
    await pass(3);
    expect(new Set(purged).size).toBe(200);
  });

  it('beyond the limit the oldest are left to others', async () => {
    const { tombstones, purged, pass } = opened('written');
    tombstones.limit = 2;
    for (const [index, key] of ['a', 'b', 'c'].entries()) tombstones.add(key, index);
    await pass(12);
    expect(purged).toEqual(['b 1', 'c 2']);
  });
});
