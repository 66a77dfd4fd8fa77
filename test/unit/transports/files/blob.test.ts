import { constants, existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rm, rmdir, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/core/random.js';
import { fill, readBlob, writeBlob } from '../../../../src/testing/blob-bytes.js';
import { bytesOf, patternOf, textOf } from '../../../../src/testing/conformance.js';
import { createFileBlobs, type FileBlobOptions } from '../../../../src/transports/files/blob.js';
import { BUFFER_BYTES } from '../../../../src/transports/files/blob-buffers.js';
import { liveFileSystem } from '../../../../src/transports/files/file-system.js';
import { type FileOperation, faultyFileSystem, systemError } from '../../../support/faulty-file-system.js';
import { rounds } from '../../../support/rounds.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evenkeel-blob-'));
});
afterAll(() => rm(folder, { recursive: true }));

let stores = 0;
function openStore() {
  const path = join(folder, String(++stores));
  const disk = faultyFileSystem(liveFileSystem());
  const count = (operation: FileOperation) => disk.calls.filter((call) => call.operation === operation).length;
  return { path, disk, count, blobs: createFileBlobs({ folder: path, fileSystem: disk }) };
}

const filesIn = async (path: string) => (await readdir(path, { recursive: true })).sort();

describe('createFileBlobs', () => {
  it('refuses options that are none', () => {
    for (const [option, value] of [
      ['folder', ''],
      ['folder', 'a\0b'],
      ['folder', 7],
      ['folder', undefined],
      ['fileSystem', {}],
      ['fileSystem', null],
      ['random', Math],
    ] as const) {
      const options = { folder, [option]: value } as FileBlobOptions;
      expect(() => createFileBlobs(options)).toThrow(
        expect.objectContaining({ code: 'invalid-argument', message: expect.stringContaining(option) }),
      );
    }
  });

  it('touches nothing before the first writer', async () => {
    const { path, blobs } = openStore();
    expect(await blobs.list('', { limit: 10 })).toEqual([]);
    expect(await blobs.stat('a/b')).toBeUndefined();
    expect(await blobs.delete('a/b')).toBe(false);
    expect(existsSync(path)).toBe(false);
    await blobs.close();
  });

  it('refuses names that leave the folder, and NUL', async () => {
    const { blobs } = openStore();
    for (const name of ['..', '../a', 'a/../../b', 'a\0', '/etc/passwd', '']) {
      await expect(blobs.writer(name)).rejects.toMatchObject({ code: 'invalid-argument' });
      await expect(blobs.stat(name)).rejects.toMatchObject({ code: 'invalid-argument' });
    }
    await blobs.close();
  });

  it('names temporary files by its own randomness, again where a name is taken', async () => {
    const { path } = openStore();
    const names = async (files: number) => {
      const blobs = createFileBlobs({ folder: path, random: seededRandom(1) });
      const writers = [];
      for (let i = 0; i < files; i++) writers.push(await blobs.writer(`a${i}`));
      const found = await filesIn(path);
      return { found, blobs };
    };
    const one = await names(2);
    expect(one.found).toHaveLength(2);
    for (const name of one.found) expect(name).toMatch(/^\.[0-9a-f]{16}\.tmp$/);
    const other = await names(1);
    expect(other.found).toHaveLength(3);
    await other.blobs.close();
    await one.blobs.close();
    expect(await filesIn(path)).toEqual([]);
  });
});

describe('the cost of a blob', () => {
  it('that fits in a buffer is one write, however many pieces it came in', async () => {
    const { count, blobs } = openStore();
    const bytes = patternOf(1_000_000);
    await writeBlob(blobs, 'a', bytes, 997);
    expect([count('write'), count('datasync')]).toEqual([1, 1]);
    expect(Buffer.compare(await readBlob(blobs, 'a'), bytes)).toBe(0);
    await blobs.close();
  });

  it('of several buffers is a write each', async () => {
    const { count, blobs } = openStore();
    await writeBlob(blobs, 'a', patternOf(3 * BUFFER_BYTES + 10), 10_001);
    expect(count('write')).toBe(4);
    await blobs.close();
  });

  it('in a folder that is known is one flush of the file and one of its folder', async () => {
    const { disk, count, blobs } = openStore();
    await writeBlob(blobs, 'a/b/first', bytesOf('1'));
    disk.calls.length = 0;
    await writeBlob(blobs, 'a/b/second', bytesOf('2'));
    expect([count('mkdir'), count('datasync'), count('sync')]).toEqual([0, 1, 1]);
    await blobs.close();
  });

  it('is not paid in memory: small blobs share one buffer, one after the other', async () => {
    const { blobs } = openStore();
    const memory = new Set<ArrayBufferLike>();
    for (let i = 0; i < 30; i++) {
      const writer = await blobs.writer('a');
      const buffer = await writer.buffer();
      memory.add(buffer.buffer);
      await writer.write(10);
      await (i % 2 === 0 ? writer.commit() : writer.abort());
    }
    expect(memory.size).toBe(1);
    await blobs.close();
  });

  it('past the page cache is paid where the file system takes direct writes: buffers are aligned to pages', async (context) => {
    const { O_DIRECT, O_WRONLY, O_CREAT } = constants;
    const probe =
      O_DIRECT === undefined
        ? undefined
        : await open(join(folder, 'probe'), O_WRONLY | O_CREAT | O_DIRECT).catch(() => undefined);
    if (probe === undefined) return context.skip('no direct writes here');
    await probe.close();
    const { disk, blobs } = openStore();
    await writeBlob(blobs, 'a', patternOf(3 * BUFFER_BYTES + 10));
    const direct = disk.calls.filter(({ operation, flags = 0 }) => operation === 'write' && (flags & O_DIRECT) !== 0);
    expect(direct.map(({ bytes }) => bytes)).toEqual([BUFFER_BYTES, BUFFER_BYTES, BUFFER_BYTES]);
    // A refused one would have been written a second time.
    expect(disk.calls.filter(({ operation }) => operation === 'write')).toHaveLength(4);
    await blobs.close();
  });

  it('read in steps is a bounded part of the footer for each', async () => {
    const { disk, count, blobs } = openStore();
    await writeBlob(blobs, 'a', patternOf(2_000_000));
    disk.calls.length = 0;
    const target = new Uint8Array(2_000_000);
    await blobs.readInto('a', 0, target);
    // The end, and the bytes in pieces of a mebibyte.
    expect([count('open'), count('read')]).toEqual([1, 3]);
    await blobs.close();
  });
});

describe('pieces', () => {
  it('that end a few bytes before a buffer does leave no gap', async () => {
    const { blobs } = openStore();
    for (const short of [1, 3, 7, 8, 9]) {
      const bytes = patternOf(BUFFER_BYTES + 100, short);
      const writer = await blobs.writer('a');
      let at = 0;
      for (const n of [BUFFER_BYTES - short, short, 100]) {
        const buffer = await writer.buffer();
        expect(buffer.byteOffset % 8).toBe(0);
        buffer.set(bytes.subarray(at, at + n));
        await writer.write(n);
        at += n;
      }
      await writer.commit();
      expect(Buffer.compare(await readBlob(blobs, 'a'), bytes)).toBe(0);
    }
    await blobs.close();
  });
});

describe('a writer that is faster than the disk', () => {
  it('waits for a buffer while three are on their way', async () => {
    const { disk, blobs } = openStore();
    const held: (() => void)[] = [];
    disk.before = ({ operation }) => (operation === 'write' ? new Promise((resolve) => held.push(resolve)) : undefined);
    const writer = await blobs.writer('a');
    for (let i = 0; i < 3; i++) await writer.write((await writer.buffer()).byteLength);
    let isLent = false;
    const fourth = writer.buffer().then((buffer) => {
      isLent = true;
      return buffer;
    });
    while (held.length < 3) await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(isLent).toBe(false);
    held.shift()?.();
    expect((await fourth).byteLength).toBe(BUFFER_BYTES);
    disk.before = () => {};
    for (const release of held) release();
    await writer.abort();
    await blobs.close();
  });
});

describe('a writer that ends early', () => {
  it('does not give away the buffer that is lent at that moment', async () => {
    const { blobs } = openStore();
    const controller = new AbortController();
    const writer = await blobs.writer('a', { signal: controller.signal });
    const lent = await writer.buffer();
    controller.abort();
    await writer.abort();
    const next = await blobs.writer('b');
    const other = await next.buffer();
    other.set(bytesOf('hello'));
    lent.fill(0xee);
    await next.write(5);
    await next.commit();
    expect(textOf(await readBlob(blobs, 'b'))).toBe('hello');
    await blobs.close();
  });

  it('is told once what went wrong in the background, and then that it is spent', async () => {
    const { path, disk, blobs } = openStore();
    const writer = await blobs.writer('a/b');
    disk.before = ({ operation }) => {
      if (operation === 'write') throw systemError('EIO');
    };
    await writer.write((await writer.buffer()).byteLength);
    await expect(fill(writer, patternOf(3 * BUFFER_BYTES))).rejects.toMatchObject({ code: 'internal', cause: { code: 'EIO' } });
    expect(await filesIn(path)).toEqual([]);
    await expect(writer.buffer()).rejects.toMatchObject({ code: 'failed-precondition' });
    await expect(writer.write(1)).rejects.toMatchObject({ code: 'failed-precondition' });
    await expect(writer.commit()).rejects.toMatchObject({ code: 'failed-precondition' });
    await writer.abort();
    await blobs.close();
  });

  it.each(['write', 'datasync', 'facts', 'close'] as const)(
    'in the midst of a commit, at %s, leaves the old blob',
    async (operation) => {
      const { path, disk, blobs } = openStore();
      await writeBlob(blobs, 'a', bytesOf('old'));
      const controller = new AbortController();
      const writer = await blobs.writer('a', { signal: controller.signal });
      await fill(writer, bytesOf('new'));
      disk.before = (call) => {
        if (call.operation === operation) controller.abort();
      };
      await expect(writer.commit()).rejects.toMatchObject({ code: 'cancelled' });
      await expect(writer.commit()).rejects.toMatchObject({ code: 'cancelled' });
      expect(textOf(await readBlob(blobs, 'a'))).toBe('old');
      expect(await filesIn(path)).toEqual(['a.blob']);
      expect(disk.openFiles).toBe(0);
      await blobs.close();
    },
  );

  it.each(['rename', 'sync'] as const)('after the point of no return, at %s, is committed', async (operation) => {
    const { path, disk, blobs } = openStore();
    const controller = new AbortController();
    const writer = await blobs.writer('a', { signal: controller.signal });
    await fill(writer, bytesOf('new'));
    let aborted: Promise<void> | undefined;
    disk.before = (call) => {
      if (call.operation !== operation) return;
      controller.abort();
      aborted = writer.abort();
    };
    expect(await writer.commit()).toEqual({ name: 'a', bytes: 3 });
    await aborted;
    expect(await filesIn(path)).toEqual(['a.blob']);
    await blobs.close();
  });

  it('takes nothing more while it commits', async () => {
    const { blobs } = openStore();
    const writer = await blobs.writer('a');
    await writer.buffer();
    const commit = writer.commit();
    await expect(writer.buffer()).rejects.toMatchObject({ code: 'failed-precondition' });
    await expect(writer.write(0)).rejects.toMatchObject({ code: 'failed-precondition' });
    await expect(writer.commit()).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await commit).toEqual({ name: 'a', bytes: 0 });
    await blobs.close();
  });

  it('leaves no empty folder', async () => {
    const { path, blobs } = openStore();
    const writer = await blobs.writer('a/b/c');
    expect(await filesIn(path)).toHaveLength(3);
    await writer.abort();
    expect(await filesIn(path)).toEqual([]);
    await blobs.close();
  });

  it('by the close of its transport, does so while its file is being made', async () => {
    const { path, disk, blobs } = openStore();
    const writers = ['a', 'b/c'].map((name) => blobs.writer(name));
    const results = Promise.allSettled(writers);
    await blobs.close();
    for (const result of await results)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'failed-precondition' } });
    expect(await filesIn(path)).toEqual([]);
    expect(disk.openFiles).toBe(0);
  });

  it('by its signal, does so while its file is being made', async () => {
    const { path, blobs } = openStore();
    const controller = new AbortController();
    const writer = blobs.writer('a', { signal: controller.signal });
    controller.abort();
    await expect(writer).rejects.toMatchObject({ code: 'cancelled' });
    expect(await filesIn(path)).toEqual([]);
    await blobs.close();
  });
});

describe('folders', () => {
  it('go with their last blob, up to the store’s own', async () => {
    const { path, blobs } = openStore();
    const long = 'x'.repeat(450);
    for (const name of ['a/b/c', 'a/d', long]) await writeBlob(blobs, name, bytesOf('1'));
    await blobs.delete('a/b/c');
    expect(await readdir(join(path, 'a'))).toEqual(['d.blob']);
    await blobs.delete('a/d');
    await blobs.delete(long);
    expect(await filesIn(path)).toEqual([]);
    await writeBlob(blobs, 'a/b/c', bytesOf('2'));
    expect(textOf(await readBlob(blobs, 'a/b/c'))).toBe('2');
    await blobs.close();
  });

  it('that vanish before the first file in them is made are made again', async () => {
    const { disk, blobs } = openStore();
    await writeBlob(blobs, 'a/b/c', bytesOf('1'));
    let left = 3;
    disk.before = async ({ operation, path: file }) => {
      if (operation !== 'open' || !file.endsWith('.tmp') || left-- <= 0) return;
      // As another process would that deletes the last blob in them.
      await rm(join(dirname(file), 'c.blob'), { force: true });
      await rmdir(dirname(file));
      await rmdir(dirname(dirname(file)));
    };
    await writeBlob(blobs, 'a/b/d', bytesOf('2'));
    expect(textOf(await readBlob(blobs, 'a/b/d'))).toBe('2');
    await blobs.close();
  });

  it('are made and removed by many at once, and no blob is lost', async () => {
    const { path } = openStore();
    const clients = [createFileBlobs({ folder: path }), createFileBlobs({ folder: path })];
    for (let round = 0; round < rounds(20); round++) {
      await Promise.all(
        clients.map(async (blobs, i) => {
          await writeBlob(blobs, `x/y/${i}`, bytesOf(String(round)));
          expect(textOf(await readBlob(blobs, `x/y/${i}`))).toBe(String(round));
          expect(await blobs.delete(`x/y/${i}`)).toBe(true);
        }),
      );
    }
    expect(await filesIn(path)).toEqual([]);
    await Promise.all(clients.map((blobs) => blobs.close()));
  });

  it('of which one is a file are failed-precondition', async () => {
    const { path, blobs } = openStore();
    await mkdir(path);
    await writeFile(join(path, 'a'), 'in the way');
    await expect(blobs.writer('a/b')).rejects.toMatchObject({ code: 'failed-precondition' });
    await expect(blobs.readInto('a/b', 0, new Uint8Array(1))).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await blobs.list('', { limit: 1 })).toEqual([]);
    await blobs.close();
  });
});

describe('what a dead writer left', () => {
  const HOUR_S = 3600;

  it('goes when a later one begins in its folder, unless it is younger than an hour or of another kind', async () => {
    const { path, count, blobs } = openStore();
    await mkdir(join(path, 'a'), { recursive: true });
    const left = async (name: string, ageS: number) => {
      await writeFile(join(path, 'a', name), 'half');
      const at = Date.now() / 1000 - ageS;
      await utimes(join(path, 'a', name), at, at);
    };
    await left('.0123456789abcdef.tmp', HOUR_S + 60);
    await left('.fedcba9876543210.tmp', HOUR_S - 60);
    await left('.profile', 2 * HOUR_S);
    expect(await blobs.list('', { limit: 10 })).toEqual([]);
    await writeBlob(blobs, 'b', bytesOf('1'));
    expect(await readdir(join(path, 'a'))).toHaveLength(3);
    await writeBlob(blobs, 'a/b', bytesOf('1'));
    expect((await readdir(join(path, 'a'))).sort()).toEqual(['.fedcba9876543210.tmp', '.profile', 'b.blob']);
    const looks = count('readdir');
    await writeBlob(blobs, 'a/c', bytesOf('1'));
    expect(count('readdir')).toBe(looks);
    await blobs.close();
  });
});

describe('a read', () => {
  it('that has begun goes on in the old blob when it is replaced or deleted', async () => {
    const { disk, blobs } = openStore();
    const old = patternOf(3_000_000, 1);
    for (const replace of [
      () => writeBlob(blobs, 'a', patternOf(3_000_000, 2)).then(() => {}),
      () => blobs.delete('a').then(() => {}),
    ]) {
      await writeBlob(blobs, 'a', old);
      let reads = 0;
      disk.before = async ({ operation }) => {
        if (operation === 'read' && ++reads === 2) await replace();
      };
      const target = new Uint8Array(3_000_000);
      expect(await blobs.readInto('a', 0, target)).toBe(3_000_000);
      expect(Buffer.compare(target, old)).toBe(0);
      disk.before = () => {};
    }
    await blobs.close();
  });

  it('ends between two pieces when its signal aborts, and closes the file', async () => {
    const { disk, count, blobs } = openStore();
    await writeBlob(blobs, 'a', patternOf(5_000_000));
    disk.calls.length = 0;
    const controller = new AbortController();
    disk.before = ({ operation }) => {
      if (operation === 'read' && count('read') === 3) controller.abort();
    };
    const read = blobs.readInto('a', 0, new Uint8Array(5_000_000), { signal: controller.signal });
    await expect(read).rejects.toMatchObject({ code: 'cancelled' });
    expect(count('read')).toBe(3);
    expect(disk.openFiles).toBe(0);
    await blobs.close();
  });

  it('that the file system answers bit by bit is whole', async () => {
    const { blobs } = openStore();
    const bytes = patternOf(200_000);
    await writeBlob(blobs, 'a', bytes);
    const live = liveFileSystem();
    const slow = createFileBlobs({
      folder: join(folder, String(stores)),
      fileSystem: {
        ...live,
        async open(path, flags) {
          const file = await live.open(path, flags);
          return {
            read: (target, position) => file.read(target.subarray(0, 1009), position),
            write: (given, position) => file.write(given, position),
            datasync: () => file.datasync(),
            sync: () => file.sync(),
            truncate: (size) => file.truncate(size),
            facts: () => file.facts(),
            close: () => file.close(),
          };
        },
      },
    });
    expect(Buffer.compare(await readBlob(slow, 'a'), bytes)).toBe(0);
    await slow.close();
    await blobs.close();
  });
});
