import { describe, expect, it } from 'vitest';
import { seededRandom, virtualClock } from '../../../../src/testing/index.js';
import { StateTombstones } from '../../../../src/transports/nats/state-tombstones.js';

const MINUTE = 60_000;

function opened(purge?: (key: string) => Promise<void>) {
  const clock = virtualClock();
  const purged: string[] = [];
  const tombstones = new StateTombstones(clock, seededRandom(1), async (key, seq) => {
    await purge?.(key);
    purged.push(`${key} ${seq}`);
  });
  return { clock, tombstones, purged };
}

describe('markers of deletes', () => {
  it('are removed ten minutes after they were first seen, up to their own sequence', async () => {
    const { clock, tombstones, purged } = opened();
    tombstones.saw('a', 1);
    await clock.advance(9 * MINUTE);
    tombstones.saw('a', 1);
    tombstones.saw('b', 7);
    tombstones.sweep();
    await clock.advance(2 * MINUTE);
    tombstones.sweep();
    await clock.advance(0);
    expect(purged).toEqual(['a 1']);
    await clock.advance(10 * MINUTE);
    tombstones.sweep();
    await clock.advance(0);
    expect(purged).toEqual(['a 1', 'b 7']);
  });

  it('stay where the key has a value again, and are others after a second delete', async () => {
    const { clock, tombstones, purged } = opened();
    tombstones.saw('a', 1);
    tombstones.saw('b', 2);
    tombstones.forget('a');
    await clock.advance(9 * MINUTE);
    tombstones.saw('b', 4);
    await clock.advance(2 * MINUTE);
    tombstones.sweep();
    await clock.advance(0);
    expect(purged).toEqual([]);
  });

  it('go in groups, and a removal that fails ends the sweep', async () => {
    let isDown = true;
    let tried = 0;
    const { clock, tombstones, purged } = opened(async () => {
      tried++;
      if (isDown) throw new Error('down');
    });
    for (let i = 0; i < 200; i++) tombstones.saw(`k${i}`, i);
    await clock.advance(11 * MINUTE);
    tombstones.sweep();
    await clock.advance(0);
    expect(tried).toBe(64);
    isDown = false;
    await clock.advance(2 * MINUTE);
    tombstones.sweep();
    await clock.advance(0);
    expect(purged.length).toBe(136);
  });

  it('beyond the limit the oldest are left to others', async () => {
    const { clock, tombstones, purged } = opened();
    tombstones.limit = 2;
    for (const [index, key] of ['a', 'b', 'c'].entries()) tombstones.saw(key, index);
    await clock.advance(11 * MINUTE);
    tombstones.sweep();
    await clock.advance(0);
    expect(purged).toEqual(['b 1', 'c 2']);
  });
});
