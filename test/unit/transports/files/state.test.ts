/** State in a folder: several processes, leases, what others see, and folders that cannot be used. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type StateEvent, seededRandom } from '../../../../src/core/index.js';
import { virtualClock } from '../../../../src/testing/index.js';
import { createFileState, type FileStateOptions } from '../../../../src/transports/files/index.js';
import { idleFileSystem } from '../../../support/idle-file-system.js';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function place() {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-state-'));
  folders.push(folder);
  const clock = virtualClock();
  const disk = idleFileSystem();
  // The system's hints come when they like; without them there is the look at the folder alone.
  const fileSystem = { ...disk, watchFolder: () => ({ [Symbol.dispose]: () => {} }) };
  const open = (options: Partial<FileStateOptions> = {}) => {
    return createFileState({ folder: join(folder, 'store'), clock, fileSystem, random: seededRandom(folder), ...options });
  };
  const advance = async (ms: number) => {
    for (let left = ms; left > 0; left -= 10) {
      await disk.idle();
      await clock.advance(Math.min(left, 10));
    }
    await disk.idle();
  };
  return { folder: join(folder, 'store'), parent: folder, clock, open, advance };
}

const bytes = (text: string) => Buffer.from(text);

describe('a second process', () => {
  it('sees a change within 60 ms, though the system gives no hint', async () => {
    const { open, advance, clock } = place();
    const [a, b] = [open(), open()];
    const seen: { at: number; key: string | undefined }[] = [];
    b.watch('', ({ entry }) => seen.push({ at: clock.now(), key: entry?.key }));
    await advance(200);
    for (let i = 0; i < 5; i++) {
      await advance(i * 7);
      const putAt = clock.now();
      await a.put(`k${i}`, bytes('1'));
      await advance(60);
      expect(seen.find(({ key }) => key === `k${i}`)?.at).toBeLessThanOrEqual(putAt + 60);
    }
    await Promise.all([a.close(), b.close()]);
    expect(clock.pending).toBe(0);
  });

  it('that only reads sees the newest commit at every get', async () => {
    const { open } = place();
    const [a, b] = [open(), open()];
    for (let i = 0; i < 20; i++) {
      await a.put('k', bytes(String(i)));
      expect(Buffer.from((await b.get('k'))?.value ?? []).toString()).toBe(String(i));
    }
    await Promise.all([a.close(), b.close()]);
  });

  it('that slept while a holder renewed its lease does not end it', async () => {
    const { open, advance } = place();
    const [holder, sleeper] = [open(), open()];
    let revision = await holder.put('leader', bytes('h'), { leaseMs: 300 });
    expect(await sleeper.get('leader')).toBeDefined();
    // The sleeper looks at nothing meanwhile; by what it knew the lease is long over.
    for (let i = 0; i < 5; i++) {
      await advance(200);
      revision = await holder.put('leader', bytes('h'), { leaseMs: 300, expect: revision });
    }
    await expect(sleeper.put('leader', bytes('s'), { expect: 'absent', leaseMs: 300 })).rejects.toMatchObject({
      code: 'aborted',
    });
    await holder.put('leader', bytes('h'), { leaseMs: 300, expect: revision });
    await Promise.all([holder.close(), sleeper.close()]);
  });
});

describe('writes that come together', () => {
  it('share a commit, each with a revision of its own, judged by those before it', async () => {
    const { open, folder } = place();
    const state = open();
    await state.put('first', bytes('1'));
    const before = readdirSync(folder).filter((name) => name.endsWith('.commit')).length;
    const results = await Promise.allSettled([
      state.put('a', bytes('1'), { expect: 'absent' }),
      state.put('a', bytes('2'), { expect: 'absent' }),
      state.put('b', bytes('1')),
      state.delete('b'),
      state.put('b', bytes('2'), { expect: 'absent' }),
      state.delete('nothing'),
    ]);
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code))).toEqual([
      2,
      'aborted',
      3,
      4,
      5,
      0,
    ]);
    expect(readdirSync(folder).filter((name) => name.endsWith('.commit'))).toHaveLength(before + 1);
    await state.close();
  });

  it('beyond the bounds of the store are refused, and the rest is taken', async () => {
    const { open } = place();
    const state = open({ maxKeys: 2, maxBytes: 1000 });
    const results = await Promise.allSettled(['a', 'b', 'c'].map((key) => state.put(key, bytes('1'))));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await expect(state.put('a', new Uint8Array(1000))).rejects.toMatchObject({ code: 'resource-exhausted' });
    await state.delete('b');
    await state.put('c', bytes('1'));
    await state.close();
  });

  it('that replace a document need room for the difference only', async () => {
    const { open } = place();
    const state = open({ maxBytes: 1000 });
    const of = (size: number) => new Uint8Array(size);
    await state.put('a', of(600), { leaseMs: 60_000 });
    await state.put('a', of(600), { leaseMs: 60_000, expect: 1 });
    await expect(state.put('b', of(600))).rejects.toMatchObject({ code: 'resource-exhausted' });
    // In one commit: what a delete and a smaller value leave is there for the next.
    await Promise.all([state.delete('a'), state.put('b', of(600)), state.put('b', of(100)), state.put('c', of(700))]);
    await expect(state.put('d', of(300))).rejects.toMatchObject({ code: 'resource-exhausted' });
    await state.close();
  });

  it('can be left while they wait; what was on its way may land', async () => {
    const { open } = place();
    const state = open();
    await state.get('k');
    const stop = new AbortController();
    const first = state.put('k', bytes('1'), { signal: stop.signal });
    const waiting = state.put('w', bytes('1'), { signal: stop.signal });
    stop.abort();
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    await state.put('after', bytes('1'));
    await state.close();
  });
});

describe('a folder', () => {
  it('that cannot be made is a coded error, and once it can be the same transport serves, watches too', async () => {
    const { open, parent, advance } = place();
    const inTheWay = join(parent, 'blocked');
    writeFileSync(inTheWay, 'a file');
    const state = open({ folder: join(inTheWay, 'store') });
    const events: StateEvent['type'][] = [];
    const watch = state.watch('', ({ type }) => events.push(type));
    await expect(state.put('k', bytes('1'))).rejects.toMatchObject({ code: 'failed-precondition' });
    await advance(1000);
    expect([events, watch.ageMs]).toEqual([[], Number.POSITIVE_INFINITY]);
    rmSync(inTheWay);
    await state.put('k', bytes('1'));
    await advance(1000);
    expect(events.slice(0, 2).sort()).toEqual(['put', 'synced']);
    await state.close();
  });

  it('that is emptied under a running process begins a new epoch, of which its watches are told', async () => {
    const { open, folder, advance } = place();
    const state = open({ random: seededRandom('other') });
    const events: StateEvent[] = [];
    state.watch('', (event) => events.push(event));
    await state.put('old', bytes('1'));
    await advance(100);
    rmSync(folder, { recursive: true });
    await advance(2000);
    await state.put('new', bytes('1'));
    await advance(1000);
    const reset = events.findIndex(({ type }) => type === 'reset');
    expect(reset).toBeGreaterThan(0);
    expect(events[reset]?.epoch).not.toBe(events[0]?.epoch);
    expect(events.slice(reset).some(({ entry }) => entry?.key === 'old')).toBe(false);
    expect(await state.get('old')).toBeUndefined();
    await state.close();
  });

  it.each([
    ['', 'folder'],
    ['a\0b', 'folder'],
  ])('named %j is refused', (folder, what) => {
    expect(() => createFileState({ folder })).toThrow(new RegExp(`^${what} is`));
  });

  it('whose bounds are out of range is refused', () => {
    expect(() => createFileState({ folder: 'x', maxKeys: 0 })).toThrow(/maxKeys is/);
    expect(() => createFileState({ folder: 'x', maxBytes: 2 ** 31 })).toThrow(/maxBytes is/);
  });
});
