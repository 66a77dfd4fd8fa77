import { statSync } from 'node:fs';
import { join } from 'node:path';
import { isEvenkeelError } from 'evenkeel/core';
import { virtualClock } from 'evenkeel/testing';
import { describe, expect, it } from 'vitest';
import { type FileOperation, failing } from '../../../support/faulty-file-system.js';
import { idleFileSystem } from '../../../support/idle-file-system.js';
import { bodyOf, framesOf, queueRig, takeAll, textOf, textsDue } from './queue-rig.js';

const code = (expected: string, more = {}) => expect.objectContaining({ code: expected, ...more });

describe('a queue on a disk that fails', () => {
  it('writes on where a write was cut short', async () => {
    const rig = queueRig();
    rig.fs.maxWriteBytes = 7;
    const queue = rig.open();
    await queue.enqueue([{ body: bodyOf('a body of some length'), key: 'k' }]);
    await queue.close();
    expect(await textsDue(rig.open())).toEqual(['a body of some length']);
  });

  it.each<FileOperation>(['write', 'datasync', 'open', 'sync'])('takes nothing for stored whose %s failed', async (operation) => {
    const rig = queueRig();
    const queue = rig.open();
    expect((await queue.stats()).due).toBe(0);
    rig.fs.before = failing(1, 'EIO', operation);
    const error = await queue.enqueue([{ body: bodyOf('1'), key: 'k' }, { body: bodyOf('2') }]).catch((failure) => failure);
    expect(error).toEqual(code('internal', { retryable: 'unknown' }));
    expect(await queue.stats()).toEqual({ due: 0, delayed: 0, leased: 0, dead: 0 });
    const [id] = await queue.enqueue([{ body: bodyOf('3'), key: 'k' }]);
    expect(id).toBe(3);
    await queue.close();
    expect(rig.fs.openFiles).toBe(0);
    const next = rig.open();
    expect((await takeAll(next)).map((each) => [each.id, textOf(each.body)])).toEqual([[3, '3']]);
    expect(await next.enqueue([{ body: bodyOf('4') }])).toEqual([4]);
  });

  it('never syncs a file again whose sync failed, nor writes to it', async () => {
    const rig = queueRig();
    const queue = rig.open();
    await queue.enqueue([{ body: bodyOf('1') }]);
    for (let i = 0; i < 3; i++) {
      rig.fs.before = failing(1, 'EIO', 'datasync');
      await expect(queue.enqueue([{ body: bodyOf('lost') }])).rejects.toThrow(code('internal'));
    }
    rig.fs.before = () => {};
    await queue.enqueue([{ body: bodyOf('2') }]);
    await queue.close();
    const faulty = new Set<number | undefined>();
    for (const { operation, file, isFault } of rig.fs.calls) {
      if (isFault) faulty.add(file);
      else if (faulty.has(file)) expect(operation).toBe('close');
    }
    expect(faulty.size).toBe(3);
    expect(await textsDue(rig.open())).toEqual(['1', '2']);
  });

  it('holds an item whose ack failed as before, and takes the next ack', async () => {
    const rig = queueRig();
    const fileSystem = idleFileSystem(rig.fs);
    const queue = rig.open({ fileSystem });
    await queue.enqueue([{ body: bodyOf('1') }, { body: bodyOf('2') }, { body: bodyOf('3') }]);
    const [ack, nack, bury] = await takeAll(queue);
    await fileSystem.idle();
    rig.fs.before = failing(1, 'EIO', 'datasync', true);
    await expect(ack?.ack()).rejects.toThrow(code('internal', { retryable: 'unknown' }));
    await expect(nack?.nack()).rejects.toThrow(code('internal'));
    await expect(bury?.deadLetter('no use')).rejects.toThrow(code('internal'));
    expect(await queue.stats()).toEqual({ due: 0, delayed: 0, leased: 3, dead: 0 });
    rig.fs.before = () => {};
    await ack?.ack();
    await nack?.nack();
    await bury?.deadLetter('no use');
    expect(await queue.stats()).toEqual({ due: 1, delayed: 0, leased: 0, dead: 1 });
    await queue.close();
    expect(await rig.open().stats()).toEqual({ due: 1, delayed: 0, leased: 0, dead: 1 });
  });

  it('fails two enqueues of one key together when they are stored together', async () => {
    const rig = queueRig();
    const queue = rig.open();
    await queue.stats();
    rig.fs.before = failing(1, 'ENOSPC', 'write');
    const results = await Promise.allSettled([
      queue.enqueue([{ body: bodyOf('1'), key: 'k' }]),
      queue.enqueue([{ body: bodyOf('2'), key: 'k' }, { body: bodyOf('3') }]),
    ]);
    for (const result of results) {
      expect(result).toEqual({ status: 'rejected', reason: code('resource-exhausted', { retryable: 'unknown' }) });
    }
    expect((await queue.stats()).due).toBe(0);
    await queue.enqueue([{ body: bodyOf('4'), key: 'k' }]);
    expect(await textsDue(queue)).toEqual(['4']);
  });

  it('keeps what it has on a full disk, gives it out, and takes acks when there is room again', async () => {
    const rig = queueRig();
    const queue = rig.open();
    await queue.enqueue([{ body: bodyOf('1') }, { body: bodyOf('2') }]);
    const [first] = await queue.lease({ max: 1, leaseMs: 60_000 });
    rig.fs.freeBytes = 10;
    await expect(queue.enqueue([{ body: bodyOf('3') }])).rejects.toThrow(code('resource-exhausted'));
    await expect(first?.ack()).rejects.toThrow(code('resource-exhausted'));
    const [second] = await queue.lease({ max: 1, leaseMs: 60_000 });
    expect(second && textOf(second.body)).toBe('2');
    await expect(second?.ack()).rejects.toThrow(code('resource-exhausted'));
    const files = rig.files('').length;
    for (let i = 0; i < 10; i++) await expect(first?.ack()).rejects.toThrow(code('resource-exhausted'));
    expect(rig.files('').length).toBe(files);
    rig.fs.freeBytes = Number.POSITIVE_INFINITY;
    await first?.ack();
    await queue.enqueue([{ body: bodyOf('4') }]);
    await queue.close();
    const next = rig.open();
    // The record of the second lease had no room: that item is due at once, as if its lease had run out.
    expect(await textsDue(next)).toEqual(['2', '4']);
  });

  it('stores items as long as they fit, also when the zeros that go before them do not', async () => {
    const rig = queueRig();
    const queue = rig.open();
    await queue.enqueue([{ body: new Uint8Array(1000) }]);
    const path = join(rig.folder, rig.files('.log')[0] ?? '');
    const room = 1500;
    const most = statSync(path).size + room;
    rig.fs.freeBytes = room;
    let stored = 0;
    let used = 0;
    const error = await (async () => {
      for (; ; stored++) {
        await queue.enqueue([{ body: bodyOf('x'.repeat(200)) }]);
        used = framesOf(path).byteLength;
      }
    })().catch((failure) => failure);
    expect(error).toEqual(code('resource-exhausted'));
    const frameAndMarkBytes = 200 + 24 + 4 + 9 + 33;
    expect(most - used).toBeLessThan(frameAndMarkBytes);
    expect(most - used).toBeGreaterThanOrEqual(0);
    await queue.close();
    rig.fs.freeBytes = Number.POSITIVE_INFINITY;
    expect((await rig.open().stats()).due).toBe(1 + stored);
  });

  it('stores an item whose zeros fail, and goes on without', async () => {
    const rig = queueRig();
    const queue = rig.open();
    expect((await queue.stats()).due).toBe(0);
    rig.fs.before = failing(2, 'EIO', 'write');
    for (let i = 0; i < 9; i++) await queue.enqueue([{ body: bodyOf(String(i)) }]);
    expect(rig.fs.calls.filter(({ isFault }) => isFault)).toHaveLength(1);
    expect(rig.files('.log')).toHaveLength(1);
    await queue.close();
    expect(await textsDue(rig.open())).toEqual(Array.from({ length: 9 }, (_, i) => String(i)));
  });

  it('fails a waiting lease whose fences cannot be reserved, and serves the next', async () => {
    const rig = queueRig();
    const queue = rig.open();
    await queue.enqueue([{ body: bodyOf('1') }]);
    rig.fs.before = failing(1, 'ENOSPC', 'datasync');
    await expect(queue.lease({ max: 1, leaseMs: 1000 })).rejects.toThrow(code('resource-exhausted'));
    expect(await textsDue(queue)).toEqual(['1']);
  });

  it('opens again after an open that failed, whichever operation it was, and leaves no file open', async () => {
    const rig = queueRig();
    const filled = rig.open();
    await filled.enqueue([{ body: bodyOf('1') }]);
    await filled.close();
    for (let nth = 1; nth < 40; nth++) {
      const queue = rig.open();
      rig.fs.before = failing(nth, 'EIO');
      const error = await queue.stats().then(
        () => undefined,
        (failure) => failure,
      );
      rig.fs.before = () => {};
      if (error !== undefined) expect(isEvenkeelError(error), `operation ${nth}: ${error}`).toBe(true);
      expect((await queue.stats()).due + (await queue.stats()).leased, `operation ${nth}`).toBe(1);
      await queue.close();
      expect(rig.fs.openFiles, `operation ${nth}`).toBe(0);
    }
  });

  it.each(['before', 'after'] as const)('keeps its word whichever operation fails %s it was done', async (when) => {
    for (let nth = 1; nth < 60; nth++) {
      const rig = queueRig();
      const queue = rig.open({ segmentBytes: 4096 });
      await queue.stats();
      rig.fs[when] = failing(nth, 'EIO');
      const stored = new Set<string>();
      const maybe = new Set<string>();
      const ids = new Set<number>();
      for (let i = 0; i < 8; i++) {
        const text = String(i);
        try {
          const [id = 0] = await queue.enqueue([{ body: bodyOf(text) }, { body: new Uint8Array(1000) }]);
          expect(ids.has(id)).toBe(false);
          ids.add(id);
          stored.add(text);
        } catch (error) {
          expect(error).toEqual(code('internal'));
          maybe.add(text);
        }
        if (i % 3 !== 2) continue;
        const [delivery] = await queue.lease({ max: 1, leaseMs: 60_000 }).catch(() => []);
        if (delivery === undefined) continue;
        const got = textOf(delivery.body);
        try {
          await delivery.ack();
          stored.delete(got);
        } catch {
          stored.delete(got);
          maybe.add(got);
        }
      }
      if (nth % 2 === 0) await queue.close().catch(() => {});
      rig.kill();
      const next = rig.open();
      const { due, leased } = await next.stats();
      expect(due + leased).toBeGreaterThan(0);
      await next.close();
      const found = await foundAfterLeases(rig);
      for (const text of stored) expect(found.has(text), `operation ${nth}: ${text} is lost`).toBe(true);
      for (const text of found) {
        if (text.charCodeAt(0) !== 0) expect(stored.has(text) || maybe.has(text), `${nth}: ${text} came back`).toBe(true);
      }
    }
  });
});

/** Bodies of all items, leased ones too: a restart is asked with a clock that is beyond every lease. */
async function foundAfterLeases(rig: ReturnType<typeof queueRig>): Promise<Set<string>> {
  const clock = virtualClock();
  const queue = rig.open({ clock });
  await queue.stats();
  await clock.advance(60_000);
  const found = new Set(await textsDue(queue));
  await queue.close();
  return found;
}
