import { copyFileSync, mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { failing } from '../../../support/faulty-file-system.js';
import { idleFileSystem } from '../../../support/idle-file-system.js';
import { bodyOf, queueRig, takeAll, textsDue } from './queue-rig.js';

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

describe('a log that a crash cut off', () => {
  it('ends before the frame that is not whole, at every byte of it, and goes on in a new segment', async () => {
    const rig = queueRig();
    const first = rig.open();
    await first.enqueue([{ body: bodyOf('1') }]);
    const path = join(rig.folder, segmentOf(1));
    const before = readFileSync(path).byteLength;
    await first.enqueue([{ body: bodyOf('2'), key: 'k' }]);
    const whole = readFileSync(path);
    rig.kill();
    for (let length = before; length <= whole.byteLength; length++) {
      const folder = `${rig.folder}-${length}`;
      mkdirSync(folder);
      writeFileSync(join(folder, segmentOf(1)), whole.subarray(0, length));
      const expected = length === whole.byteLength ? ['1', '2'] : ['1'];
      const queue = rig.open({ folder });
      expect(await textsDue(queue), `${length} bytes`).toEqual(expected);
      await queue.enqueue([{ body: bodyOf('3') }]);
      await queue.close();
      const kept = readFileSync(join(folder, segmentOf(1)));
      expect(kept.byteLength).toBeGreaterThanOrEqual(length === whole.byteLength ? length : before);
      expect(kept).toEqual(whole.subarray(0, kept.byteLength));
      const again = rig.open({ folder });
      expect((await again.stats()).leased, `${length} bytes`).toBe(expected.length);
      expect(await textsDue(again), `${length} bytes`).toEqual(['3']);
      await again.close();
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
    const leased = readFileSync(path).byteLength;
    rig.fs.before = failing(1, 'EIO', 'datasync');
    await expect(queue.enqueue([{ body: bodyOf('2') }])).rejects.toThrow(code('internal'));
    expect(readFileSync(path).byteLength).toBeGreaterThan(leased);
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
      // The mark at the end of a log that was closed is all that may go unnoticed.
      for (let at = 0; at < good.byteLength - MARK_BYTES; at++) {
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
    const good = readFileSync(one);
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
