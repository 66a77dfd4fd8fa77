import { createFileQueue, fileQueueStore } from 'evenkeel/files';
import { virtualClock } from 'evenkeel/testing';
import { describe, expect, it } from 'vitest';
import { idleFileSystem } from '../../../support/idle-file-system.js';
import { bodyOf, queueRig, takeAll, textOf, textsDue } from './queue-rig.js';

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('options', () => {
  it.each([
    ['folder', ''],
    ['folder', 'a\0b'],
    ['folder', 7],
    ['maxItems', 0],
    ['maxItems', 1.5],
    ['maxBytes', 1024],
    ['maxBytes', 2 ** 31],
    ['segmentBytes', 4095],
    ['segmentBytes', Number.NaN],
  ])('name the bad %s %j, and what is expected', (name, value) => {
    const options = { folder: '/tmp/never-made', [name]: value } as { folder: string };
    for (const create of [createFileQueue, fileQueueStore]) {
      const error = (() => {
        try {
          return create(options) as unknown;
        } catch (failure) {
          return failure;
        }
      })();
      expect(error).toEqual(code('invalid-argument'));
      expect((error as Error).message).toContain(name);
    }
  });

  it('take no store but one of their own kind', () => {
    expect(() => createFileQueue({ store: { folder: '/tmp' } })).toThrow(code('invalid-argument'));
  });

  it('make no folder before the first use', async () => {
    const rig = queueRig();
    await rig.open().close();
    expect(() => rig.files()).toThrow('ENOENT');
  });
});

describe('a group', () => {
  it('costs one sync for all enqueues and acks that come while one is on its way', async () => {
    const rig = queueRig();
    const queue = rig.open();
    await queue.enqueue([{ body: bodyOf('first') }]);
    const syncs = () => rig.fs.calls.filter(({ operation, path }) => operation === 'datasync' && path.endsWith('.log')).length;
    const before = syncs();
    const ids = await Promise.all(Array.from({ length: 500 }, (_, i) => queue.enqueue([{ body: bodyOf(String(i)) }])));
    expect(ids.flat()).toEqual(Array.from({ length: 500 }, (_, i) => i + 2));
    expect(syncs() - before).toBeLessThanOrEqual(2);
    const deliveries = await takeAll(queue);
    await Promise.all(deliveries.map((delivery) => delivery.ack()));
    expect(syncs() - before).toBeLessThanOrEqual(5);
    expect(await queue.stats()).toEqual({ due: 0, delayed: 0, leased: 0, dead: 0 });
  });

  it('is shared by those who ask again as soon as they were told', async () => {
    const rig = queueRig();
    const queue = rig.open();
    await queue.stats();
    let groups = 0;
    rig.fs.before = ({ operation, path }) => {
      if (operation === 'datasync' && path.endsWith('.log')) groups++;
    };
    const produce = async () => {
      for (let i = 0; i < 20; i++) await queue.enqueue([{ body: bodyOf('x') }]);
    };
    await Promise.all(Array.from({ length: 50 }, produce));
    expect(groups).toBeLessThanOrEqual(22);
  });

  it('is not synced for a lease alone', async () => {
    const rig = queueRig();
    const idle = idleFileSystem(rig.fs);
    const queue = rig.open({ fileSystem: idle });
    await queue.enqueue([{ body: bodyOf('1') }, { body: bodyOf('2') }]);
    await queue.lease({ max: 1, leaseMs: 1000 });
    await idle.idle();
    const writes = rig.fs.calls.filter(({ operation }) => operation === 'write').length;
    const syncs = rig.fs.calls.filter(({ operation }) => operation === 'datasync').length;
    const [delivery] = await queue.lease({ max: 1, leaseMs: 1000 });
    await delivery?.extend(5000);
    await idle.idle();
    expect(rig.fs.calls.filter(({ operation }) => operation === 'datasync')).toHaveLength(syncs);
    expect(rig.fs.calls.filter(({ operation }) => operation === 'write').length).toBeGreaterThan(writes);
  });
});

describe('bounds', () => {
  it('refuse more items than maxItems, all of a batch, and take more when some have gone', async () => {
    const rig = queueRig();
    const queue = rig.open({ maxItems: 3 });
    await queue.enqueue([{ body: bodyOf('1') }, { body: bodyOf('2') }]);
    await expect(queue.enqueue([{ body: bodyOf('3') }, { body: bodyOf('4') }])).rejects.toThrow(code('resource-exhausted'));
    const results = await Promise.allSettled(['5', '6', '7'].map((text) => queue.enqueue([{ body: bodyOf(text) }])));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    const [first] = await takeAll(queue);
    await first?.ack();
    await queue.enqueue([{ body: bodyOf('8') }]);
    expect(await queue.stats()).toEqual({ due: 1, delayed: 0, leased: 2, dead: 0 });
  });

  it('refuse more bytes than maxBytes, also after a restart', async () => {
    const rig = queueRig();
    const options = { maxBytes: 1024 * 1024 };
    const body = new Uint8Array(256 * 1024 - 3);
    const queue = rig.open(options);
    for (let i = 0; i < 4; i++) await queue.enqueue([{ body, key: `k${i}` }]);
    await expect(queue.enqueue([{ body: new Uint8Array(5) }])).rejects.toThrow(code('resource-exhausted'));
    await queue.close();
    const next = rig.open(options);
    await expect(next.enqueue([{ body: new Uint8Array(5) }])).rejects.toThrow(code('resource-exhausted'));
    expect(await next.enqueue([{ body, key: 'k2' }])).toEqual([3]);
    const [delivery] = await next.lease({ max: 1, leaseMs: 1000 });
    await delivery?.ack();
    await next.enqueue([{ body: new Uint8Array(5) }]);
  });

  it('drop the oldest dead letters, beyond maxItems and beyond a quarter of maxBytes', async () => {
    const rig = queueRig();
    const bury = async (queue: ReturnType<typeof rig.open>, bytes: number, reason: string) => {
      await queue.enqueue([{ body: new Uint8Array(bytes) }]);
      const [delivery] = await queue.lease({ max: 1, leaseMs: 1000 });
      await delivery?.deadLetter(reason);
    };
    const reasons = async (queue: ReturnType<typeof rig.open>) =>
      (await queue.deadLetters({ limit: 100 })).map(({ reason }) => reason);
    const options = { maxItems: 5, maxBytes: 1024 * 1024 };
    const queue = rig.open(options);
    for (let i = 0; i < 8; i++) await bury(queue, 10, String(i));
    expect(await reasons(queue)).toEqual(['3', '4', '5', '6', '7']);
    for (const reason of ['large', 'larger']) await bury(queue, 130 * 1024, reason);
    expect(await reasons(queue)).toEqual(['larger']);
    await queue.close();
    expect(await reasons(rig.open(options))).toEqual(['larger']);
  });

  it('refuse a key that UTF-8 cannot carry', async () => {
    const queue = queueRig().open();
    await expect(queue.enqueue([{ body: bodyOf('1'), key: 'a\ud800' }])).rejects.toThrow(code('invalid-argument'));
  });
});

describe('over restarts', () => {
  it('fences rise, whether the process was closed or killed', async () => {
    const rig = queueRig();
    const clock = virtualClock();
    let queue = rig.open({ clock });
    await queue.enqueue([{ body: bodyOf('1') }]);
    let last = 0;
    for (let life = 0; life < 10; life++) {
      for (let i = 0; i < 3; i++) {
        const [delivery] = await queue.lease({ max: 1, leaseMs: 1000 });
        expect(delivery?.fence).toBeGreaterThan(last);
        expect(Number.isSafeInteger(delivery?.fence)).toBe(true);
        last = delivery?.fence ?? 0;
        await delivery?.nack();
      }
      if (life % 2 === 0) await queue.close();
      rig.kill();
      queue = rig.open({ clock });
    }
    const [delivery] = await queue.lease({ max: 1, leaseMs: 1000 });
    expect(delivery?.attempt).toBe(31);
  });

  it('a lease that a killed process gave out still counts as an attempt, and ends one lease later', async () => {
    const rig = queueRig();
    const clock = virtualClock();
    const fileSystem = idleFileSystem(rig.fs);
    const queue = rig.open({ clock, fileSystem });
    await queue.enqueue([{ body: bodyOf('poison') }]);
    await queue.lease({ max: 1, leaseMs: 5000 });
    await fileSystem.idle();
    rig.kill();
    const next = rig.open({ clock });
    expect(await next.stats()).toEqual({ due: 0, delayed: 0, leased: 1, dead: 0 });
    await clock.advance(4999);
    expect((await next.stats()).due).toBe(0);
    await clock.advance(1);
    const [delivery] = await next.lease({ max: 1, leaseMs: 5000 });
    expect(delivery?.attempt).toBe(2);
  });

  it('a client that was closed while the folder was opened does nothing', async () => {
    const rig = queueRig();
    const queue = rig.open();
    const refused = expect(queue.enqueue([{ body: bodyOf('1') }])).rejects.toThrow(code('failed-precondition'));
    await queue.close();
    await refused;
    expect(await textsDue(rig.open())).toEqual([]);
  });

  it('an enqueue and an ack that were under way when the last client closed are done', async () => {
    const rig = queueRig();
    const queue = rig.open();
    await queue.enqueue([{ body: bodyOf('1') }]);
    const [delivery] = await takeAll(queue);
    const work = Promise.all([queue.enqueue([{ body: bodyOf('2') }]), delivery?.ack()]);
    await new Promise((resolve) => setImmediate(resolve));
    await queue.close();
    await work;
    expect((await takeAll(rig.open())).map(({ body }) => textOf(body))).toEqual(['2']);
  });
});
