import { describe, expect, it } from 'vitest';
import { fill, readBlob, writeBlob } from '../../../../src/testing/blob-bytes.js';
import { bytesOf, patternOf, textOf } from '../../../../src/testing/conformance.js';
import { BUFFER_BYTES } from '../../../../src/transports/files/blob-buffers.js';
import { systemError } from '../../../support/faulty-file-system.js';
import { blobStores, filesIn } from './blob-stores.js';

const openStore = blobStores();

describe('a lent buffer', () => {
  it('that its borrower transferred away after all is not lent again', async () => {
    const { blobs } = openStore();
    const writer = await blobs.writer('a');
    const { buffer, byteLength } = await writer.buffer();
    await writer.write(byteLength);
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    await writer.abort();
    const next = await blobs.writer('b');
    expect((await next.buffer()).byteLength).toBe(BUFFER_BYTES);
    await next.abort();
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

  it('waits for what is on its way to the disk', async () => {
    const { disk, blobs } = openStore();
    const held: (() => void)[] = [];
    disk.before = ({ operation }) => (operation === 'write' ? new Promise((resolve) => held.push(resolve)) : undefined);
    const writer = await blobs.writer('a');
    const written = await writer.buffer();
    await writer.write(written.byteLength);
    while (held.length < 1) await new Promise(setImmediate);
    let isOver = false;
    const abort = writer.abort().then(() => {
      isOver = true;
    });
    const next = await blobs.writer('b');
    expect((await next.buffer()).buffer).not.toBe(written.buffer);
    expect(isOver).toBe(false);
    disk.before = () => {};
    held[0]?.();
    await abort;
    await next.abort();
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
    const calls = disk.calls.length;
    expect(disk.openFiles).toBe(0);
    expect(await filesIn(path)).toEqual([]);
    for (const result of await results)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'failed-precondition' } });
    // Nothing of them goes on after the close.
    expect(disk.calls).toHaveLength(calls);
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
