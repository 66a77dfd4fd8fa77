/** What a failing disk can do to a blob: nothing, but to the call that notices. */
import { constants } from 'node:fs';
import { rm, truncate, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isEvenkeelError } from '../../../../src/core/errors.js';
import { fill, readBlob, writeBlob } from '../../../../src/testing/blob-bytes.js';
import { patternOf } from '../../../../src/testing/conformance.js';
import { createFileBlobs } from '../../../../src/transports/files/blob.js';
import { BUFFER_BYTES } from '../../../../src/transports/files/blob-buffers.js';
import { type FaultyFileSystem, failing, systemError } from '../../../support/faulty-file-system.js';
import { blobStores, filesIn } from './blob-stores.js';

const openStore = blobStores();
const isTemporary = (name: string) => name.endsWith('.tmp');
const SMALL = patternOf(1000, 1);
/** A buffer, which goes past the page cache where that is possible, and a rest. */
const LARGE = patternOf(BUFFER_BYTES + 70_000, 2);

describe('when writes are cut short', () => {
  it.each([
    ['a small blob', SMALL, 7],
    ['a blob of several buffers', LARGE, 100_003],
  ])('%s is written whole', async (_, bytes, maxWriteBytes) => {
    const { disk, blobs } = openStore();
    disk.maxWriteBytes = maxWriteBytes;
    await writeBlob(blobs, 'a', bytes);
    expect(Buffer.compare(await readBlob(blobs, 'a'), bytes)).toBe(0);
    await blobs.close();
  });

  it.each([
    ['in its first write', 100],
    ['in its footer', LARGE.byteLength + 10],
    ['in its rest', BUFFER_BYTES + 5000],
  ])('a disk that fills up is resource-exhausted, the old blob stays and nothing else: %s', async (_, freeBytes) => {
    const { path, disk, blobs } = openStore();
    await writeBlob(blobs, 'a', SMALL);
    disk.freeBytes = freeBytes;
    const writer = await blobs.writer('a');
    await expect(fill(writer, LARGE).then(() => writer.commit())).rejects.toMatchObject({ code: 'resource-exhausted' });
    await expect(writer.commit()).rejects.toMatchObject({ code: 'failed-precondition', cause: { code: 'resource-exhausted' } });
    expect(await filesIn(path)).toEqual(['a.blob']);
    expect(Buffer.compare(await readBlob(blobs, 'a'), SMALL)).toBe(0);
    disk.freeBytes = Number.POSITIVE_INFINITY;
    await writeBlob(blobs, 'a', LARGE);
    expect(Buffer.compare(await readBlob(blobs, 'a'), LARGE)).toBe(0);
    await blobs.close();
  });
});

describe('when an operation fails', () => {
  const outcomes = [
    ['once, and nothing is done', 'before', false],
    ['once, though it is done', 'after', false],
    ['and all after it, too', 'before', true],
  ] as const;
  const cases = outcomes.flatMap((outcome) => [
    [...outcome, 'a small blob', SMALL] as const,
    [...outcome, 'a large one', LARGE] as const,
  ]);

  it.each(cases)('%s, a replaced blob is the old or the new one (%s, %s, %s)', async (_, moment, andAfter, __, bytes) => {
    const old = patternOf(5000, 9);
    for (let nth = 1; ; nth++) {
      const { path, disk, blobs } = openStore();
      const healthy = createFileBlobs({ folder: path });
      await writeBlob(healthy, 'a/b', old);
      disk[moment] = failing(nth, 'EIO', undefined, andAfter);
      const error = await writeBlob(blobs, 'a/b', bytes).then(
        () => undefined,
        (reason) => reason,
      );
      disk[moment] = () => {};
      const found = await readBlob(healthy, 'a/b');
      const isNew = Buffer.compare(found, bytes) === 0;
      expect(isNew || Buffer.compare(found, old) === 0).toBe(true);
      expect(await healthy.list('', { limit: 10 })).toEqual([{ name: 'a/b', bytes: found.byteLength }]);
      expect(disk.openFiles).toBe(0);
      expectNoSecondSync(disk);
      if (error === undefined) expect(isNew).toBe(true);
      else expect(isEvenkeelError(error, 'internal'), String(error)).toBe(true);
      if (moment === 'before' && !andAfter) expect((await filesIn(path)).filter(isTemporary)).toEqual([]);
      await expectSwept(path);
      await blobs.close();
      const wasFaultless = !disk.calls.some(({ isFault }) => isFault);
      await rm(path, { recursive: true });
      if (wasFaultless) break;
      // Each is a call of its own: the loop ends when all have failed once.
      expect(nth).toBeLessThan(100);
    }
  });

  it('a blob in a new folder is there whole or not at all', async () => {
    for (let nth = 1; ; nth++) {
      const { path, disk, blobs } = openStore();
      disk.before = failing(nth, 'EIO');
      const isWritten = await writeBlob(blobs, 'a/b/c', SMALL).then(
        () => true,
        () => false,
      );
      const healthy = createFileBlobs({ folder: path });
      const found = await healthy.list('', { limit: 10 });
      if (found.length > 0) expect(Buffer.compare(await readBlob(healthy, 'a/b/c'), SMALL)).toBe(0);
      if (isWritten) expect(found).toHaveLength(1);
      expect((await filesIn(path)).filter(isTemporary)).toEqual([]);
      await blobs.close();
      if (!disk.calls.some(({ isFault }) => isFault)) break;
    }
  });

  it('a read or a delete says so, and leaves nothing open', async () => {
    for (let nth = 1, hadFault = true; hadFault; nth++) {
      const { disk, blobs } = openStore();
      await writeBlob(blobs, 'a', SMALL);
      disk.calls.length = 0;
      disk.before = failing(nth, 'EIO');
      for (const operation of [
        () => readBlob(blobs, 'a', 100),
        () => blobs.stat('a'),
        () => blobs.list('', { limit: 10 }),
        () => blobs.delete('a'),
      ]) {
        const failures = disk.calls.filter(({ isFault }) => isFault).length;
        const error = await operation().then(
          () => undefined,
          (reason) => reason,
        );
        const hasFailed = disk.calls.filter(({ isFault }) => isFault).length > failures;
        expect(isEvenkeelError(error, 'internal')).toBe(hasFailed);
      }
      expect(disk.openFiles).toBe(0);
      hadFault = disk.calls.some(({ isFault }) => isFault);
      await blobs.close();
    }
  });

  it('of the flushes, the file is not flushed again', async () => {
    for (const operation of ['datasync', 'sync'] as const) {
      const { path, disk, blobs } = openStore();
      await writeBlob(blobs, 'a', SMALL);
      disk.calls.length = 0;
      disk.before = failing(1, 'EIO', operation);
      await expect(writeBlob(blobs, 'a', LARGE)).rejects.toMatchObject({ code: 'internal' });
      expect(disk.calls.filter((call) => call.operation === 'datasync' || call.operation === 'sync').at(-1)?.isFault).toBe(true);
      expect((await filesIn(path)).filter(isTemporary)).toEqual([]);
      await blobs.close();
    }
  });

  it('to make the file, the store may be full of open files or forbidden', async () => {
    for (const [code, expected] of [
      ['EMFILE', 'resource-exhausted'],
      ['EROFS', 'permission-denied'],
      ['ENAMETOOLONG', 'invalid-argument'],
      ['ENOTDIR', 'failed-precondition'],
    ]) {
      const { disk, blobs } = openStore();
      await writeBlob(blobs, 'a', SMALL);
      disk.before = ({ operation }) => {
        if (operation === 'open') throw systemError(code ?? '');
      };
      await expect(blobs.writer('b')).rejects.toMatchObject({ code: expected });
      await expect(blobs.stat('a')).rejects.toMatchObject({ code: expected });
      await blobs.close();
    }
  });
});

describe('when a file has fewer bytes than were written to it', () => {
  it('the blob is data-loss to commit', async () => {
    const { path, disk, blobs } = openStore();
    const writer = await blobs.writer('a');
    await fill(writer, SMALL);
    disk.before = async ({ operation, path: temporary }) => {
      if (operation === 'facts') await truncate(temporary, 500);
    };
    await expect(writer.commit()).rejects.toMatchObject({ code: 'data-loss', details: { bytes: 500 } });
    expect(await filesIn(path)).toEqual([]);
    await blobs.close();
  });
});

describe('when the file system refuses direct writes', () => {
  const isDirect = (flags = 0) => constants.O_DIRECT !== undefined && (flags & constants.O_DIRECT) !== 0;

  it.skipIf(constants.O_DIRECT === undefined).each(['open', 'write'] as const)(
    'to %s, the blob goes through the cache, and so do those after it',
    async (operation) => {
      const { disk, blobs } = openStore();
      disk.before = (call) => {
        if (call.operation === operation && isDirect(call.flags)) throw systemError('EINVAL');
      };
      for (const name of ['a', 'b']) {
        await writeBlob(blobs, name, LARGE);
        expect(Buffer.compare(await readBlob(blobs, name), LARGE)).toBe(0);
      }
      expect(disk.calls.filter((call) => call.operation === 'open' && isDirect(call.flags))).toHaveLength(1);
      await blobs.close();
    },
  );
});

/** No file is flushed once more after a flush of it has failed. */
function expectNoSecondSync(disk: FaultyFileSystem): void {
  const failed = new Set<number | undefined>();
  for (const { operation, file, isFault } of disk.calls) {
    if (operation !== 'datasync' && operation !== 'sync') continue;
    expect(failed.has(file)).toBe(false);
    if (isFault) failed.add(file);
  }
}

/** Whatever is left goes when a later writer begins in the folder. */
async function expectSwept(path: string): Promise<void> {
  for (const name of (await filesIn(path)).filter(isTemporary)) await utimes(join(path, name), 0, 0);
  const later = createFileBlobs({ folder: path });
  await writeBlob(later, 'a/later', SMALL);
  expect((await filesIn(path)).filter(isTemporary)).toEqual([]);
  await later.close();
}
