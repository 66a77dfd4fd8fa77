import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { QueueTransport } from 'evenkeel/core';
import { virtualClock } from 'evenkeel/testing';
import { describe, expect, it } from 'vitest';
import { failing, systemError } from '../../../support/faulty-file-system.js';
import { idleFileSystem } from '../../../support/idle-file-system.js';
import { bodyOf, queueRig, takeAll, textOf, textsDue } from './queue-rig.js';

const segmentBytes = 4096;
const filler = new Uint8Array(500);

/** Items that are stored and acknowledged at once, until most of the log speaks of what has gone. */
async function churn(queue: QueueTransport, rounds = 40): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    await queue.enqueue([{ body: filler, notBefore: 1 }]);
    const [delivery] = await queue.lease({ max: 1, leaseMs: 1000 });
    if (delivery?.body.byteLength !== filler.byteLength) throw new Error('not the item just stored');
    await delivery.ack();
  }
}

/** An item in every state: due, with a start time, leased, nacked, dead. */
async function fill(queue: QueueTransport): Promise<void> {
  await queue.enqueue([{ body: bodyOf('leased') }, { body: bodyOf('nacked') }, { body: bodyOf('dead') }]);
  const [, nacked, dead] = await queue.lease({ max: 3, leaseMs: 3_600_000 });
  await nacked?.nack(7_200_000);
  await dead?.deadLetter('no use');
  await queue.enqueue([
    { body: bodyOf('due'), key: 'due' },
    { body: bodyOf('later'), notBefore: Date.now() + 86_400_000 },
  ]);
}

async function expectAll(queue: QueueTransport, nextId: number): Promise<void> {
  expect(await queue.stats()).toEqual({ due: 1, delayed: 2, leased: 1, dead: 1 });
  expect((await queue.deadLetters({ limit: 10 })).map(({ body, reason }) => [textOf(body), reason])).toEqual([
    ['dead', 'no use'],
  ]);
  const [id = 0] = await queue.enqueue([{ body: bodyOf('twin'), key: 'due' }]);
  expect(id).toBe(4);
  const [fresh = 0] = await queue.enqueue([{ body: bodyOf('fresh') }]);
  expect(fresh).toBeGreaterThanOrEqual(nextId);
}

describe('a log of which most has gone', () => {
  it('is written anew, keeps every item and gives the space back', async () => {
    const rig = queueRig();
    const queue = rig.open({ segmentBytes });
    await fill(queue);
    let largest = 0;
    for (let i = 0; i < 20; i++) {
      await churn(queue, 10);
      largest = Math.max(largest, rig.size());
    }
    expect(largest).toBeLessThan(8 * segmentBytes);
    await queue.close();
    const [snapshot = ''] = rig.files('.snapshot');
    expect(Number(snapshot.slice(0, 16))).toBeGreaterThan(1);
    expect(rig.files('.log').every((name) => name.slice(0, 16) >= snapshot.slice(0, 16))).toBe(true);
    await expectAll(rig.open(), 200);
  });

  it('keeps ids rising when nothing is left of it', async () => {
    const rig = queueRig();
    const queue = rig.open({ segmentBytes });
    await churn(queue, 100);
    await queue.close();
    expect(rig.files('.snapshot')).toHaveLength(1);
    const next = rig.open();
    expect(await next.enqueue([{ body: bodyOf('1') }])).toEqual([101]);
  });

  it('is left alone while most of it is alive', async () => {
    const rig = queueRig();
    const queue = rig.open({ segmentBytes });
    for (let i = 0; i < 100; i++) await queue.enqueue([{ body: filler }]);
    await queue.close();
    expect(rig.files('.snapshot')).toEqual([]);
    expect(rig.files('.log').length).toBeGreaterThan(10);
    expect((await rig.open().stats()).due).toBe(100);
  });

  it('is written anew when restarts have left it in many small files', async () => {
    const rig = queueRig();
    for (let i = 0; i < 70; i++) {
      const queue = rig.open();
      await queue.enqueue([{ body: bodyOf(String(i)) }]);
      await queue.close();
    }
    expect(rig.files('').length).toBeLessThan(70);
    expect(rig.files('.snapshot')).toHaveLength(1);
    expect(await textsDue(rig.open())).toEqual(Array.from({ length: 70 }, (_, i) => String(i)));
  });

  it('loses nothing whichever operation fails, or is the last before a crash', async () => {
    let compactions = 0;
    for (const andAfter of [false, true]) {
      for (let nth = 1; nth < 40; nth++) {
        const rig = queueRig();
        const queue = rig.open({ segmentBytes });
        await fill(queue);
        // As far as the cut, which begins with a temporary file.
        let seen = 0;
        let isCompacting = false;
        rig.fs.before = ({ operation, path }) => {
          isCompacting ||= operation === 'open' && path.endsWith('.tmp');
          if (!isCompacting) return;
          seen++;
          if (seen === nth || (andAfter && seen > nth)) throw Object.assign(new Error('EIO'), { code: 'EIO' });
        };
        await churn(queue, 60).catch(() => {});
        if (isCompacting) compactions++;
        rig.kill();
        const next = rig.open({ segmentBytes });
        const { due, delayed, leased, dead } = await next.stats();
        // The item that was being churned may be there.
        expect({ delayed, dead }, `operation ${nth}`).toEqual({ delayed: 2, dead: 1 });
        expect(due + leased, `operation ${nth}`).toBeGreaterThanOrEqual(2);
        expect(due + leased, `operation ${nth}`).toBeLessThanOrEqual(3);
        expect(rig.files('.tmp'), `operation ${nth}`).toEqual([]);
        expect(await next.enqueue([{ body: bodyOf('twin'), key: 'due' }])).toEqual([4]);
        await next.close();
      }
    }
    expect(compactions).toBe(78);
  });

  it('is not given up when a compaction fails: the next one succeeds', async () => {
    const rig = queueRig();
    const queue = rig.open({ segmentBytes });
    await fill(queue);
    rig.fs.before = failing(1, 'ENOSPC', 'rename');
    await churn(queue, 100);
    await queue.close();
    expect(rig.files('.snapshot')).toHaveLength(1);
    await expectAll(rig.open(), 100);
  });

  it('is not removed before the name of its snapshot is on the disk', async () => {
    const rig = queueRig();
    const fileSystem = idleFileSystem(rig.fs);
    const queue = rig.open({ segmentBytes, fileSystem });
    await fill(queue);
    let isRenamed = false;
    rig.fs.before = ({ operation, path }) => {
      if (operation === 'sync' && isRenamed) throw systemError('EIO');
      isRenamed ||= operation === 'rename' && path.endsWith('.tmp');
    };
    // One step at a time: nothing but the compaction is at work when it comes to the end of it.
    while (!isRenamed) {
      await queue.enqueue([{ body: filler, notBefore: 1 }]);
      await fileSystem.idle();
      const [delivery] = isRenamed ? [] : await queue.lease({ max: 1, leaseMs: 1000 });
      await fileSystem.idle();
      if (!isRenamed) await delivery?.ack();
      await fileSystem.idle();
    }
    expect(rig.files('.log')[0]).toBe('0000000000000001.log');
    expect(rig.fs.calls.filter(({ operation, path }) => operation === 'unlink' && path.endsWith('.log'))).toEqual([]);
    rig.kill();
    // The power is cut: the name is gone.
    for (const name of rig.files('.snapshot')) rmSync(join(rig.folder, name));
    const { delayed, dead } = await rig.open({ segmentBytes }).stats();
    expect({ delayed, dead }).toEqual({ delayed: 2, dead: 1 });
  });

  it('names a damaged snapshot', async () => {
    const rig = queueRig();
    const queue = rig.open({ segmentBytes });
    await fill(queue);
    await churn(queue, 60);
    await queue.close();
    const [name = ''] = rig.files('.snapshot');
    const path = join(rig.folder, name);
    const good = readFileSync(path);
    for (let at = 0; at < good.byteLength; at++) {
      const bad = Buffer.from(good);
      bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
      writeFileSync(path, bad);
      const broken = rig.open();
      const error = await broken.stats().catch((failure) => failure);
      expect(error.code, `byte ${at}`).toBe('data-loss');
      expect(error.details.path).toBe(path);
      await broken.close();
    }
    writeFileSync(path, good);
    await expectAll(rig.open(), 60);
  });

  it('is written anew while the queue goes on, and shows what happened meanwhile', async () => {
    const rig = queueRig();
    const clock = virtualClock();
    const fileSystem = idleFileSystem(rig.fs);
    const queue = rig.open({ segmentBytes, clock, fileSystem });
    // So many that the snapshot takes several steps.
    for (let i = 0; i < 10; i++)
      await queue.enqueue(Array.from({ length: 30 }, () => ({ body: new Uint8Array(10_000).fill(i) })));
    const first = await takeAll(queue);
    for (const delivery of first.slice(0, 200)) await delivery.ack();
    let during = 0;
    rig.fs.before = async ({ operation, path }) => {
      if (operation === 'write' && path.endsWith('.tmp')) during++;
    };
    let isDone = false;
    const ended = (async () => {
      for (const [i, delivery] of first.slice(200).entries()) {
        if (i % 4 === 0) await delivery.ack();
        else if (i % 4 === 1) await delivery.nack();
        else if (i % 4 === 2) await delivery.deadLetter(`reason ${i}`);
      }
      isDone = true;
    })();
    await ended;
    expect(isDone).toBe(true);
    await fileSystem.idle();
    expect(during).toBeGreaterThan(1);
    await queue.close();
    const next = rig.open({ clock });
    expect(await next.stats()).toEqual({ due: 25, delayed: 0, leased: 25, dead: 25 });
    expect((await next.deadLetters({ limit: 100 })).map(({ reason }) => reason)).toEqual(
      Array.from({ length: 25 }, (_, i) => `reason ${4 * i + 2}`),
    );
  });
});
