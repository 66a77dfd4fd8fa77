import { constants, existsSync } from 'node:fs';
import { mkdir, open, readdir, rm, rmdir, truncate, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/core/random.js';
import { readBlob, writeBlob } from '../../../../src/testing/blob-bytes.js';
import { bytesOf, patternOf, textOf } from '../../../../src/testing/conformance.js';
import { createFileBlobs, type FileBlobOptions } from '../../../../src/transports/files/blob.js';
import { BUFFER_BYTES } from '../../../../src/transports/files/blob-buffers.js';
import { rounds } from '../../../support/rounds.js';
import { blobStores, filesIn } from './blob-stores.js';

const openStore = blobStores();

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
      const options = { folder: 'a', [option]: value } as FileBlobOptions;
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

  it('deleted is one flush of its folder, when its name is gone', async () => {
    const { path, disk, blobs } = openStore();
    await writeBlob(blobs, 'a', bytesOf('1'));
    disk.calls.length = 0;
    await blobs.delete('a');
    expect(disk.calls.map(({ operation }) => operation)).toEqual(['unlink', 'open', 'sync', 'close']);
    expect(disk.calls[2]?.path).toBe(path);
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
    const { O_DIRECT, O_RDONLY } = constants;
    const { path, disk, blobs } = openStore();
    await writeBlob(blobs, 'a', patternOf(3 * BUFFER_BYTES + 10));
    const probe =
      O_DIRECT === undefined ? undefined : await open(join(path, 'a.blob'), O_RDONLY | O_DIRECT).catch(() => undefined);
    if (probe === undefined) return context.skip('no direct writes here');
    await probe.close();
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

  it('that another process made again are made known on the disk again', async () => {
    const { path, disk, count, blobs } = openStore();
    await writeBlob(blobs, 'a/b', bytesOf('1'));
    await blobs.delete('a/b');
    await mkdir(join(path, 'a'));
    disk.calls.length = 0;
    await writeBlob(blobs, 'a/c', bytesOf('2'));
    expect([count('mkdir'), count('sync')]).toEqual([1, 2]);
    await blobs.close();
  });

  it('that another process removes in the midst of a delete take it with them: the one above is flushed', async () => {
    const { path, disk, blobs } = openStore();
    await writeBlob(blobs, 'a/b', bytesOf('1'));
    disk.calls.length = 0;
    disk.before = async (call) => {
      if (call.operation === 'open' && call.path === join(path, 'a')) await rmdir(call.path);
    };
    expect(await blobs.delete('a/b')).toBe(true);
    expect(disk.calls.find(({ operation }) => operation === 'sync')?.path).toBe(path);
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

  it('of a file that is cut short meanwhile is data-loss, even where its target holds the very bytes already', async () => {
    const { path, disk, count, blobs } = openStore();
    const bytes = patternOf(100_000);
    await writeBlob(blobs, 'a', bytes);
    disk.calls.length = 0;
    disk.before = async ({ operation }) => {
      if (operation === 'read' && count('read') === 2) await truncate(join(path, 'a.blob'), 70_000);
    };
    await expect(blobs.readInto('a', 0, bytes)).rejects.toMatchObject({ code: 'data-loss', details: { offset: 65_536 } });
    await blobs.close();
  });

  it('that the file system answers bit by bit is whole', async () => {
    const { disk, blobs } = openStore();
    const bytes = patternOf(200_000);
    await writeBlob(blobs, 'a', bytes);
    disk.maxReadBytes = 1009;
    expect(Buffer.compare(await readBlob(blobs, 'a'), bytes)).toBe(0);
    await blobs.close();
  });
});
