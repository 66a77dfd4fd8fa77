import { copyFileSync, mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { liveRandom } from 'evenkeel/core';
import { liveFileSystem } from 'evenkeel/files';
import { describe, expect, it } from 'vitest';
import { QueueFolder } from '../../../../src/transports/files/queue-folder.js';
import { replay } from '../../../../src/transports/files/queue-replay.js';
import { failing } from '../../../support/faulty-file-system.js';
import { idleFileSystem } from '../../../support/idle-file-system.js';
import { bodyOf, framesOf, queueRig, takeAll, textsDue } from './queue-rig.js';

const MARK_BYTES = 33;
const code = (expected: string) => expect.objectContaining({ code: expected });
const segmentOf = (lsn: number) => `${String(lsn).padStart(16, '0')}.log`;

function contentOf(folder: string): Map<string, string> {
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name)).toString('hex')]));
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(path, bytes);
}

/** The segment of two items, and how far the first reaches, of a process that was killed. */
async function twoItems(rig: ReturnType<typeof queueRig>): Promise<{ before: number; whole: Buffer }> {
  const first = rig.open();
  await first.enqueue([{ body: bodyOf('1') }]);
  const path = join(rig.folder, segmentOf(1));
  const before = framesOf(path).byteLength;
  await first.enqueue([{ body: bodyOf('2'), key: 'k' }]);
  const whole = framesOf(path);
  rig.kill();
  return { before, whole };
}

describe('a log that a crash cut off', () => {
  it('ends before the frame that is not whole, at every byte of it, and goes on in a new segment', async () => {
    const rig = queueRig();
    const { before, whole } = await twoItems(rig);
    for (let length = before; length <= whole.byteLength; length++) {
      const folder = `${rig.folder}-${length}`;
      mkdirSync(folder);
      writeFileSync(join(folder, segmentOf(1)), whole.subarray(0, length));
      const expected = length === whole.byteLength ? ['1', '2'] : ['1'];
      const queue = rig.open({ folder });
      expect(await textsDue(queue), `${length} bytes`).toEqual(expected);
      await queue.enqueue([{ body: bodyOf('3') }]);
      await queue.close();
      const kept = framesOf(join(folder, segmentOf(1)));
      expect(kept.byteLength).toBeGreaterThanOrEqual(length === whole.byteLength ? length : before);
      expect(kept).toEqual(whole.subarray(0, kept.byteLength));
      const again = rig.open({ folder });
      expect((await again.stats()).leased, `${length} bytes`).toBe(expected.length);
      expect(await textsDue(again), `${length} bytes`).toEqual(['3']);
      await again.close();
    }
  });

  it('ends before the frame that is not whole where zeros were in its place, whichever part of it is on the disk', async () => {
    const rig = queueRig();
    const { before, whole } = await twoItems(rig);
    for (let at = before; at < whole.byteLength; at++) {
      const parts = { head: Buffer.from(whole).fill(0, at), tail: Buffer.from(whole).fill(0, before, at + 1) };
      for (const [part, bytes] of Object.entries(parts)) {
        const folder = `${rig.folder}-${part}-${at}`;
        mkdirSync(folder);
        writeFileSync(join(folder, segmentOf(1)), Buffer.concat([bytes, Buffer.alloc(5000)]));
        const queue = rig.open({ folder });
        expect(await textsDue(queue), `${part} at byte ${at}`).toEqual(['1']);
        await queue.enqueue([{ body: bodyOf('3') }]);
        await queue.close();
        const again = rig.open({ folder });
        expect((await again.stats()).due + (await again.stats()).leased, `${part} at byte ${at}`).toBe(2);
        await again.close();
      }
    }
  });

  it('is on the disk, in a file of its own, before anybody is given what its writer did not see synced', async () => {
    const rig = queueRig();
    await rig.open().enqueue([{ body: bodyOf('1') }]);
    rig.kill();
    const queue = rig.open();
    expect((await queue.stats()).due).toBe(1);
    const calls = () => rig.fs.calls.map(({ operation, path }) => `${operation} ${path.slice(path.lastIndexOf('.'))}`);
    const renamed = calls().indexOf('rename .tmp');
    expect(calls().slice(0, renamed)).toContain('datasync .tmp');
    expect(calls()[renamed + 2]).toContain('sync');
    expect(calls()).not.toContain('datasync .log');
    expect(await textsDue(queue)).toEqual(['1']);
    await queue.close();
    rig.kill();
    await rig.open().stats();
    expect(calls()).not.toContain('rename .tmp');
  });

  it('survives a start that fails anywhere', async () => {
    const rig = queueRig();
    await rig.open().enqueue([{ body: bodyOf('1') }]);
    for (let nth = 1; nth < 40; nth++) {
      rig.kill();
      const queue = rig.open();
      rig.fs.before = failing(nth, 'EIO', undefined, true);
      await queue.stats().catch(() => {});
      rig.kill();
      const { due, leased } = await rig.open().stats();
      expect(due + leased, `operation ${nth}`).toBe(1);
    }
  });

  it('is not damaged when records that nobody waited for are torn before others of the same write', async () => {
    const rig = queueRig();
    const fileSystem = idleFileSystem(rig.fs);
    const queue = rig.open({ fileSystem });
    await queue.enqueue([{ body: bodyOf('1') }]);
    const path = join(rig.folder, segmentOf(1));
    await queue.lease({ max: 1, leaseMs: 60_000 });
    await fileSystem.idle();
    const leased = framesOf(path).byteLength;
    rig.fs.before = failing(1, 'EIO', 'datasync');
    await expect(queue.enqueue([{ body: bodyOf('2') }])).rejects.toThrow(code('internal'));
    expect(framesOf(path).byteLength).toBeGreaterThan(leased);
    rig.kill();
    flip(path, leased - 1);
    expect(await textsDue(rig.open())).toEqual(['1']);
  });

  it('may end in bytes of any kind', async () => {
    const rig = queueRig();
    const queue = rig.open();
    await queue.enqueue([{ body: bodyOf('1') }]);
    rig.kill();
    const path = join(rig.folder, segmentOf(1));
    writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(5000)]));
    expect(await textsDue(rig.open())).toEqual(['1']);
  });

  it('may end in a segment without a header', async () => {
    const rig = queueRig();
    const queue = rig.open();
    await queue.enqueue([{ body: bodyOf('1') }]);
    rig.kill();
    const path = join(rig.folder, segmentOf(1));
    for (const length of [0, 7, 20]) {
      writeFileSync(path, readFileSync(path).subarray(0, length));
      const next = rig.open();
      expect(await takeAll(next)).toEqual([]);
      rig.kill();
    }
    const last = rig.open();
    await last.enqueue([{ body: bodyOf('2') }]);
    await last.close();
    expect(rig.files()).toEqual([segmentOf(1)]);
    expect(await textsDue(rig.open())).toEqual(['2']);
  });
});

describe('the zeros behind a log', () => {
  it('are as many as the frames, and end where the segment does', async () => {
    const rig = queueRig();
    const segmentBytes = 4096;
    const queue = rig.open({ segmentBytes });
    await queue.enqueue([{ body: bodyOf('1'.repeat(500)) }]);
    const path = join(rig.folder, segmentOf(1));
    expect(readFileSync(path).byteLength).toBe(2 * framesOf(path).byteLength);
    for (let i = 0; i < 50; i++) await queue.enqueue([{ body: bodyOf('2'.repeat(200)) }]);
    const segments = rig.files('.log').map((name) => join(rig.folder, name));
    for (const each of segments.slice(0, -1)) {
      expect(readFileSync(each).byteLength).toBe(Math.max(framesOf(each).byteLength, segmentBytes));
    }
    expect(segments.length).toBeGreaterThan(2);
  });

  it('do not count as bytes of the log', async () => {
    const rig = queueRig();
    const queue = rig.open({ segmentBytes: 4096 });
    for (let i = 0; i < 25; i++) await queue.enqueue([{ body: bodyOf('2'.repeat(200)) }]);
    const used = rig.files('.log').map((name) => framesOf(join(rig.folder, name)).byteLength);
    rig.kill();
    const folder = new QueueFolder(liveFileSystem(), rig.folder, liveRandom());
    const { start } = await replay(folder, { maxLetters: 1, maxBytes: 1 });
    expect(used.length).toBeGreaterThan(1);
    expect(start.size).toEqual({ bytes: used.reduce((sum, bytes) => sum + bytes, 0), files: used.length });
  });
});

describe('a damaged log', () => {
  /** Two segments, and the places where the frames of the first begin. */
  async function damagedRig() {
    const rig = queueRig();
    const first = rig.open();
    for (const text of ['1', '2', '3']) await first.enqueue([{ body: bodyOf(text) }]);
    await first.close();
    const second = rig.open();
    await second.enqueue([{ body: bodyOf('4') }]);
    await second.enqueue([{ body: bodyOf('5') }]);
    await second.close();
    const [one = '', two = ''] = rig.files('.log').map((name) => join(rig.folder, name));
    return { rig, one, two };
  }

  it('is data-loss, names the file and the place, and is left as it is, whichever byte is wrong', async () => {
    const { rig, one, two } = await damagedRig();
    for (const path of [one, two]) {
      const good = readFileSync(path);
      // The mark at the end of a log that was closed is all that may go unnoticed, and the zeros behind it.
      const end = framesOf(path).byteLength - MARK_BYTES;
      for (let at = 0; at < end; at++) {
        flip(path, at);
        const before = contentOf(rig.folder);
        const queue = rig.open();
        const error = await queue.stats().catch((failure) => failure);
        expect(error, `${path}, byte ${at}`).toEqual(code('data-loss'));
        expect(error.details.path).toBe(path);
        expect(error.details.offset).toBeLessThanOrEqual(at);
        await queue.close();
        expect(contentOf(rig.folder)).toEqual(before);
        writeFileSync(path, good);
      }
    }
    expect(await textsDue(rig.open())).toEqual(['1', '2', '3', '4', '5']);
  });

  it('is data-loss when a segment is cut short that another follows', async () => {
    const { rig, one } = await damagedRig();
    const good = framesOf(one);
    writeFileSync(one, good.subarray(0, good.byteLength - 40));
    await expect(rig.open().stats()).rejects.toThrow(code('data-loss'));
  });

  it('is data-loss when a segment is missing, wherever', async () => {
    const { rig, one, two } = await damagedRig();
    const third = rig.open();
    await third.enqueue([{ body: bodyOf('6') }]);
    await third.close();
    for (const path of [one, two]) {
      copyFileSync(path, `${rig.folder}.copy`);
      unlinkSync(path);
      const queue = rig.open();
      await expect(queue.stats()).rejects.toThrow(code('data-loss'));
      await queue.close();
      copyFileSync(`${rig.folder}.copy`, path);
    }
    expect(await textsDue(rig.open())).toEqual(['1', '2', '3', '4', '5', '6']);
  });

  it('can be opened once it is whole again, by the same client', async () => {
    const { rig, one } = await damagedRig();
    flip(one, 40);
    const queue = rig.open();
    await expect(queue.stats()).rejects.toThrow(code('data-loss'));
    flip(one, 40);
    expect(await textsDue(queue)).toEqual(['1', '2', '3', '4', '5']);
  });
});
