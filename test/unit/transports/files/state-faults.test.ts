/** State on disks that fail, and folders whose files are damaged: a coded error, and what was committed stays. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type EvenkeelError, type StateTransport, seededRandom } from '../../../../src/core/index.js';
import { createFileState, liveFileSystem } from '../../../../src/transports/files/index.js';
import { type FaultyFileSystem, failing, faultyFileSystem } from '../../../support/faulty-file-system.js';

const folders: string[] = [];
const open: StateTransport[] = [];
afterEach(async () => {
  for (const state of open.splice(0)) await state.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Where a thousand commits take no time. */
const FAST = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

function place(parent = tmpdir()): { folder: string; disk: FaultyFileSystem; start(disk?: FaultyFileSystem): StateTransport } {
  const folder = mkdtempSync(join(parent, 'evenkeel-state-faults-'));
  folders.push(folder);
  const disk = faultyFileSystem(liveFileSystem());
  const start = (fileSystem = disk) => {
    const state = createFileState({ folder, fileSystem, random: seededRandom(folder) });
    open.push(state);
    return state;
  };
  return { folder, disk, start };
}

const bytes = (text: string) => Buffer.from(text);
const textOf = async (state: StateTransport, key: string) => {
  const entry = await state.get(key);
  return entry === undefined ? undefined : Buffer.from(entry.value).toString();
};
const temporary = (folder: string) => readdirSync(folder).filter((name) => name.endsWith('.tmp'));

describe('a disk', () => {
  it.each(['before', 'after'] as const)('whose n-th operation fails (%s it is done) costs one put at most', async (when) => {
    let failures = 0;
    for (let nth = 1; ; nth++) {
      const { folder, disk, start } = place();
      const state = start();
      await state.put('a', bytes('old'));
      const count = disk.calls.length;
      disk[when] = failing(nth, 'EIO');
      const error = await state.put('a', bytes('new'), { expect: 1 }).then(
        () => undefined,
        (failure: EvenkeelError) => failure,
      );
      const wasHit = disk.calls.slice(count).some(({ isFault }) => isFault);
      disk[when] = () => {};
      if (error !== undefined) {
        failures++;
        expect(error, `operation ${nth}`).toMatchObject({ code: 'internal', retryable: 'unknown' });
      }
      // What is not acknowledged may have landed; what is there is whole, for this process and for the next.
      const now = await textOf(state, 'a');
      expect(['old', 'new'], `operation ${nth}`).toContain(now);
      if (error === undefined) expect(now).toBe('new');
      const other = start(faultyFileSystem(liveFileSystem()));
      expect(await textOf(other, 'a')).toBe(now);
      await state.put('a', bytes('newer'));
      expect(await textOf(other, 'a')).toBe('newer');
      expect(temporary(folder).length, `operation ${nth}`).toBeLessThanOrEqual(1);
      await state.close();
      expect(disk.openFiles).toBe(0);
      if (!wasHit) break;
    }
    expect(failures).toBeGreaterThan(4);
  });

  it('that takes a few bytes at a time loses none', async () => {
    const { disk, start } = place();
    const state = start();
    disk.maxWriteBytes = 7;
    await state.put('a', bytes('x'.repeat(1000)));
    expect(await textOf(start(), 'a')).toBe('x'.repeat(1000));
  });

  it('that is full refuses with resource-exhausted, keeps what was there, and takes again when it can', async () => {
    const { folder, disk, start } = place();
    const state = start();
    await state.put('a', bytes('old'));
    disk.freeBytes = 100;
    await expect(state.put('a', bytes('x'.repeat(1000)))).rejects.toMatchObject({ code: 'resource-exhausted' });
    expect(await textOf(state, 'a')).toBe('old');
    expect(temporary(folder)).toEqual([]);
    disk.freeBytes = Number.POSITIVE_INFINITY;
    await state.put('a', bytes('new'));
    expect(await textOf(start(), 'a')).toBe('new');
  });

  it('never has one file synced again after it failed', async () => {
    const { disk, start } = place();
    const state = start();
    await state.put('a', bytes('1'));
    for (const operation of ['datasync', 'sync'] as const) {
      disk.before = failing(1, 'EIO', operation);
      await expect(state.put('a', bytes('2'))).rejects.toMatchObject({ code: 'internal' });
      disk.before = () => {};
      await state.put('a', bytes('3'));
    }
    const faults = disk.calls.filter(({ isFault }) => isFault);
    expect(faults.map(({ operation }) => operation)).toEqual(['datasync', 'sync']);
    for (const fault of faults) {
      const later = disk.calls.slice(disk.calls.indexOf(fault) + 1).filter(({ file }) => file === fault.file);
      expect(later.map(({ operation }) => operation)).toEqual(['close']);
    }
  });
});

describe('a damaged file', () => {
  it('is data-loss that names it, at any byte of a commit, and nothing is written over it', async () => {
    const { folder, start } = place(FAST);
    const state = start();
    await state.put('a', bytes('one'));
    await state.put('a', bytes('two'), { leaseMs: 1000 });
    await state.close();
    const path = join(folder, '0000000000000002.commit');
    const good = readFileSync(path);
    for (let at = 0; at < good.length; at += 3) {
      const bad = Buffer.from(good);
      bad.writeUInt8((bad.readUInt8(at) ^ (1 << (at % 8))) & 255, at);
      writeFileSync(path, bad);
      const reader = start();
      const code = at === 4 ? /^(data-loss|unimplemented)$/ : /^data-loss$/;
      await expect(reader.get('a'), `byte ${at}`).rejects.toMatchObject({ code: expect.stringMatching(code) });
      await expect(reader.put('a', bytes('three')), `byte ${at}`).rejects.toMatchObject({ code: expect.stringMatching(code) });
      await reader.close();
    }
    for (const length of [0, 10, 39, good.length - 1]) {
      writeFileSync(path, good.subarray(0, length));
      await expect(start().get('a')).rejects.toMatchObject({ code: 'data-loss', message: expect.stringContaining(path) });
    }
    writeFileSync(path, good);
    expect(await textOf(start(), 'a')).toBe('two');
  });

  it('that is missing from the middle, or the epoch, is data-loss', async () => {
    const { folder, start } = place(FAST);
    const state = start();
    for (let i = 0; i < 5; i++) await state.put('a', bytes(String(i)));
    await state.close();
    const commit = readFileSync(join(folder, '0000000000000003.commit'));
    rmSync(join(folder, '0000000000000003.commit'));
    await expect(start().get('a')).rejects.toMatchObject({ code: 'data-loss' });
    writeFileSync(join(folder, '0000000000000003.commit'), commit);
    const epoch = readFileSync(join(folder, 'epoch'));
    for (const damage of ['', 'nonsense', `${epoch.toString().slice(1)}`]) {
      writeFileSync(join(folder, 'epoch'), damage);
      await expect(start().get('a'), damage).rejects.toMatchObject({ code: 'data-loss' });
    }
    rmSync(join(folder, 'epoch'));
    await expect(start().put('a', bytes('x'))).rejects.toMatchObject({ code: 'data-loss' });
    expect(existsSync(join(folder, 'epoch'))).toBe(false);
    writeFileSync(join(folder, 'epoch'), epoch);
    expect(await textOf(start(), 'a')).toBe('4');
  });
});

describe('compaction', () => {
  const names = (folder: string, kind: string) => readdirSync(folder).filter((name) => name.endsWith(kind));
  const fill = async (state: StateTransport, count: number, from = 0) => {
    for (let i = 0; i < count; i++) await state.put(`k${(from + i) % 50}`, bytes(String(from + i)));
  };
  const expectAll = async (state: StateTransport, last: number) => {
    for (let i = Math.max(0, last - 50); i < last; i++) expect(await textOf(state, `k${i % 50}`)).toBe(String(i));
  };

  it('keeps two snapshots and the commits since the older; a store opened anew has everything', async () => {
    const { folder, start } = place(FAST);
    const state = start();
    await state.put('leased', bytes('1'), { leaseMs: 86_400_000 });
    await fill(state, 3500);
    expect(names(folder, '.snapshot')).toHaveLength(2);
    expect(names(folder, '.commit').length).toBeLessThan(2600);
    const other = start();
    await expectAll(other, 3500);
    expect((await other.get('leased'))?.leaseMs).toBe(86_400_000);
    expect((await other.get('k49'))?.revision).toBe(3501);
  });

  it('that leaves a watcher behind tells it so, and gives it the whole list', async () => {
    const { start, disk } = place(FAST);
    const slow = faultyFileSystem(liveFileSystem());
    const [writer, sleeper] = [start(disk), start(slow)];
    await fill(writer, 10);
    const types: string[] = [];
    const values = new Map<string, string>();
    sleeper.watch('', ({ type, entry }) => {
      types.push(type);
      if (entry !== undefined) values.set(entry.key, Buffer.from(entry.value).toString());
    });
    await sleeper.get('k0');
    let wake = () => {};
    const asleep = new Promise<void>((resolve) => {
      wake = resolve;
    });
    slow.before = () => asleep;
    await fill(writer, 3500, 10);
    slow.before = () => {};
    wake();
    expect(await textOf(sleeper, 'k9')).toBe('3509');
    await new Promise((resolve) => setImmediate(resolve));
    expect(types.filter((type) => type === 'reset')).toHaveLength(1);
    expect(values.get('k9')).toBe('3509');
  });

  it('is survived by a snapshot that is damaged: the older and the commits since then are there', async () => {
    const { folder, start } = place(FAST);
    const state = start();
    await fill(state, 2200);
    await state.close();
    const newest = join(folder, names(folder, '.snapshot').sort().at(-1) as string);
    const damaged = readFileSync(newest);
    damaged.writeUInt8(damaged.readUInt8(60) ^ 1, 60);
    writeFileSync(newest, damaged);
    await expectAll(start(), 2200);
  });

  it('that cannot write its snapshot fails no put', async () => {
    const { disk, start } = place(FAST);
    const state = start();
    disk.before = ({ operation, bytes: size = 0 }) => {
      if (operation === 'write' && size > 1000) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    };
    await fill(state, 1100);
    await expectAll(state, 1100);
  });

  it('while a commit is on its way leaves no commit outside of the history', async () => {
    const { start, folder } = place(FAST);
    const slow = faultyFileSystem(liveFileSystem());
    const [writer, sleeper] = [start(), start(slow)];
    await fill(writer, 10);
    await sleeper.get('k0');
    let wake = () => {};
    const asleep = new Promise<void>((resolve) => {
      wake = resolve;
    });
    slow.before = ({ operation }) => (operation === 'link' ? asleep : undefined);
    const late = sleeper.put('late', bytes('1'));
    await fill(writer, 3500, 10);
    slow.before = () => {};
    wake();
    // Its revision is long somebody else's, and the name of that is free again.
    await expect(late).rejects.toMatchObject({ code: 'unavailable', retryable: 'unknown' });
    expect(existsSync(join(folder, '0000000000000011.commit'))).toBe(false);
    await expectAll(sleeper, 3510);
    expect(await sleeper.get('late')).toBeUndefined();
    await sleeper.put('late', bytes('2'));
    expect(await textOf(writer, 'late')).toBe('2');
  });
});
