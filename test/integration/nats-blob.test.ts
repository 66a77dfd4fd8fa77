/** Blobs on a server that dies, that is full, and after a writer that died. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as nats from '@nats-io/transport-node';
import { type BlobTransport, EvenkeelError } from 'evenkeel/core';
import { createNatsBlobs, createNatsClient, createNatsState } from 'evenkeel/nats';
import { seededRandom } from 'evenkeel/testing';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/http-servers.js';
import { movedClock } from '../support/moved-clock.js';
import { countingPeer } from '../support/nats-counting.js';
import { natsMissing, natsServer } from '../support/nats-server.js';
import { expectSwept, stored } from '../support/nats-streams.js';
import { rounds } from '../support/rounds.js';
import { fill, patternOf, read, write } from '../support/whole-blobs.js';

const CHUNK = 512 * 1024;

/** Once more when the server says that it forgot a chunk it had acknowledged. */
async function writeUnlessForgotten(blobs: BlobTransport, name: string, bytes: Uint8Array): Promise<void> {
  try {
    await write(blobs, name, bytes);
  } catch (error) {
    if (!(error instanceof EvenkeelError && error.message.includes('forgot'))) throw error;
    await write(blobs, name, bytes);
  }
}

describe.skipIf(natsMissing !== undefined)('a blob on nats', { timeout: 60_000 }, () => {
  it('whose server is killed at any moment of the writing is whole once it is committed', { timeout: 600_000 }, async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers }, timeoutMs: 20_000 });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    await write(blobs, 'a', patternOf(3 * CHUNK, 0));
    const seed = 'blob kills 1';
    const random = seededRandom(seed);
    for (let round = 1; round <= rounds(4, 200); round++) {
      const about = `round ${round}, seed ${seed}`;
      const next = patternOf(12 * CHUNK + 7, round);
      const writing = writeUnlessForgotten(blobs, 'a', next);
      // Up to the end of the commit.
      await sleep(random.int(80));
      await server.kill();
      await server.restart();
      await writing;
      expect(Buffer.compare(await read(blobs, 'a', 20 * CHUNK), next), about).toBe(0);
      // A killed server may forget a removal: then the word that something has to go is still there, too.
      const { c = 0, m, w } = await stored(server);
      expect([m, c === 13 || w !== 0], about).toEqual([1, true]);
    }
    await expectSwept(server, { c: 13, m: 1, w: 0 });
  });

  it('that is replaced, deleted or given up leaves no chunk behind', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    for (const salt of [1, 2, 3]) await write(blobs, 'a', patternOf(2 * CHUNK, salt));
    expect(await stored(server)).toEqual({ c: 2, m: 1, w: 0 });
    const writer = await blobs.writer('b');
    await fill(writer, patternOf(4 * CHUNK, 1));
    await writer.abort();
    const left = await blobs.writer('c');
    await fill(left, patternOf(4 * CHUNK, 1));
    await blobs.delete('a');
    await blobs.close();
    expect(await stored(server)).toEqual({ c: 0, m: 0, w: 0 });
  });

  it('beyond the bucket’s bytes is refused with resource-exhausted, once, and what is there stays', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b', maxBytes: 4 * CHUNK });
    await write(blobs, 'kept', patternOf(CHUNK, 1));
    const writer = await blobs.writer('large');
    await expect(fill(writer, patternOf(8 * CHUNK, 1)).then(() => writer.commit())).rejects.toMatchObject({
      code: 'resource-exhausted',
    });
    await expect(writer.commit()).rejects.toMatchObject({ code: 'failed-precondition', cause: { code: 'resource-exhausted' } });
    await writer.abort();
    expect(await stored(server)).toEqual({ c: 1, m: 1, w: 0 });
    expect((await read(blobs, 'kept', 2 * CHUNK)).byteLength).toBe(CHUNK);
  });

  it('is deleted from a bucket that is full to the last byte', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b', maxBytes: 2 * CHUNK });
    await write(blobs, 'a', patternOf(CHUNK, 1));
    const connection = await nats.connect({ servers: server.servers });
    const left = async () => {
      const answer = await connection.request('$JS.API.STREAM.INFO.EKB_b');
      return 2 * CHUNK - answer.json<{ state: { bytes: number } }>().state.bytes;
    };
    // A message takes 30 bytes and its subject besides. Ten bytes stay free.
    const other = '$EKB.b.other';
    await connection.request(other, new Uint8Array((await left()) - other.length - 40));
    expect(await left()).toBe(10);
    await connection.close();
    expect(await blobs.delete('a')).toBe(true);
    expect(await blobs.stat('a')).toBe(undefined);
  });

  it('whose writer died is removed by others, an hour after they first saw it', async () => {
    await using server = await natsServer();
    const clock = movedClock();
    {
      await using dying = createNatsClient({ nats, connect: { servers: server.servers } });
      const writer = await createNatsBlobs({ client: dying, bucket: 'b' }).writer('lost');
      await fill(writer, patternOf(3 * CHUNK, 1));
      await eventually('its chunks are stored', async () => (await stored(server)).c === 3);
    }
    await using client = createNatsClient({ nats, connect: { servers: server.servers }, clock });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    await write(blobs, 'first', patternOf(10, 1));
    clock.aheadMs += 59 * 60_000;
    await write(blobs, 'second', patternOf(10, 1));
    expect((await stored(server)).c).toBe(5);
    clock.aheadMs += 12 * 60_000;
    await write(blobs, 'third', patternOf(10, 1));
    await eventually('they are gone', async () => (await stored(server)).c === 3);
    expect(await stored(server)).toEqual({ c: 3, m: 3, w: 0 });
  });

  it('a message that the server does not take for its size is out-of-range, at once', async () => {
    await using server = await natsServer({ config: 'max_payload: 10000' });
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const state = createNatsState({ client, bucket: 'b' });
    await expect(state.put('a', new Uint8Array(20_000))).rejects.toMatchObject({ code: 'out-of-range' });
    await state.put('a', new Uint8Array(5000));
  });

  it.each(['abort', 'close', 'signal'])(
    'that is given up by %s while it is committed is whole, the old or the new',
    async (how) => {
      await using server = await natsServer();
      await using client = createNatsClient({ nats, connect: { servers: server.servers } });
      const blobs = createNatsBlobs({ client, bucket: 'b' });
      await write(blobs, 'a', patternOf(CHUNK, 1));
      const controller = new AbortController();
      const writer = await blobs.writer('a', { signal: controller.signal });
      await fill(writer, patternOf(CHUNK, 2));
      await eventually('its chunk is stored', async () => (await stored(server)).c === 2);
      const committed = writer.commit().then(
        () => 2,
        () => 1,
      );
      await Promise.resolve();
      if (how === 'abort') void writer.abort();
      else if (how === 'signal') controller.abort();
      else void blobs.close();
      const salt = await committed;
      const reader = createNatsBlobs({ client, bucket: 'b' });
      expect(Buffer.compare(await read(reader, 'a', 2 * CHUNK), patternOf(CHUNK, salt))).toBe(0);
    },
  );

  it('whose delete lost its answer is deleted, with its chunks', async () => {
    await using server = await natsServer();
    const peer = countingPeer();
    await using client = createNatsClient({ nats: peer.module, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    await write(blobs, 'a', patternOf(2 * CHUNK, 1));
    peer.loseAnswer('$JS.API.STREAM.PURGE.EKB_b');
    expect(await blobs.delete('a')).toBe(true);
    expect(await stored(server)).toEqual({ c: 0, m: 0, w: 0 });
    expect(await blobs.delete('a')).toBe(false);
  });

  it('whose writer could not remove what it replaced, or deleted, leaves that to others', async () => {
    const config = `authorization { users = [
      { user: app, password: p }, { user: weak, password: p, permissions: { publish: { deny: "$JS.API.STREAM.PURGE.>" } } } ] }
      no_auth_user: app`;
    await using server = await natsServer({ config });
    await using weak = createNatsClient({ nats, connect: { servers: server.servers, user: 'weak', pass: 'p' } });
    const writing = createNatsBlobs({ client: weak, bucket: 'b' });
    await write(writing, 'a', patternOf(3 * CHUNK, 1));
    await write(writing, 'a', patternOf(2 * CHUNK, 2));
    await write(writing, 'kept', patternOf(CHUNK, 3));
    await expect(writing.delete('kept')).rejects.toMatchObject({ code: 'permission-denied' });
    expect(await stored(server)).toEqual({ c: 6, m: 2, w: 3 });
    await expectSwept(server, { c: 3, m: 2, w: 0 });
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    expect(Buffer.compare(await read(blobs, 'a', 3 * CHUNK), patternOf(2 * CHUNK, 2))).toBe(0);
    expect(Buffer.compare(await read(blobs, 'kept', 3 * CHUNK), patternOf(CHUNK, 3))).toBe(0);
  });

  it('whose writer others took for dead is not committed, and nothing of it stays', async () => {
    await using server = await natsServer();
    await using slow = createNatsClient({ nats, connect: { servers: server.servers } });
    const writer = await createNatsBlobs({ client: slow, bucket: 'b' }).writer('a');
    await fill(writer, patternOf(2 * CHUNK, 1));
    await expectSwept(server, { c: 0, m: 0, w: 0 });
    await expect(writer.commit()).rejects.toMatchObject({ code: 'aborted' });
    expect(await stored(server)).toEqual({ c: 0, m: 0, w: 0 });
  });

  it('on a server that takes small messages goes in smaller chunks', async () => {
    await using server = await natsServer({ config: 'max_payload: 60000' });
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    const bytes = patternOf(500_001, 1);
    await write(blobs, 'a', bytes);
    expect(Buffer.compare(await read(blobs, 'a', 600_000), bytes)).toBe(0);
    expect((await stored(server)).c).toBe(9);
  });

  it('in a bucket that others made without direct reads is read', async () => {
    await using server = await natsServer();
    const connection = await nats.connect({ servers: server.servers });
    await connection.request(
      '$JS.API.STREAM.CREATE.EKB_b',
      JSON.stringify({ name: 'EKB_b', subjects: ['$EKB.b.>'], max_msgs_per_subject: 1, allow_direct: false }),
    );
    await connection.close();
    const peer = countingPeer();
    await using client = createNatsClient({ nats: peer.module, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    await write(blobs, 'a', patternOf(CHUNK + 1, 1));
    expect(Buffer.compare(await read(blobs, 'a', 2 * CHUNK), patternOf(CHUNK + 1, 1))).toBe(0);
    expect(peer.published('$JS.API.DIRECT.GET.EKB_b')).toBe(0);
  });

  it('that is begun while the server does not answer ends with its signal', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers }, timeoutMs: 20_000 });
    await createNatsState({ client, bucket: 'warm' }).get('a');
    server.pause();
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    const controller = new AbortController();
    const writer = blobs.writer('a', { signal: controller.signal });
    const put = createNatsState({ client, bucket: 'b' }).put('a', new Uint8Array(1), { signal: controller.signal });
    controller.abort();
    await expect(writer).rejects.toMatchObject({ code: 'cancelled' });
    await expect(put).rejects.toMatchObject({ code: 'cancelled' });
    server.resume();
  });

  it('lends one buffer and commits once, however often it is asked at once', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    const writer = await blobs.writer('a');
    const lent = await Promise.allSettled([writer.buffer(), writer.buffer()]);
    expect(lent.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await writer.write(1);
    const committed = await Promise.allSettled([writer.commit(), writer.commit()]);
    expect(committed).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'failed-precondition' } }]);
  });

  it('whose commit lost its answer is committed once, and leaves nothing of what it replaced', async () => {
    await using server = await natsServer();
    const peer = countingPeer();
    await using client = createNatsClient({ nats: peer.module, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    await write(blobs, 'a', patternOf(CHUNK, 1));
    peer.loseAnswer('$EKB.b.m.a');
    await write(blobs, 'a', patternOf(CHUNK, 2));
    expect(peer.published('$EKB.b.m.a')).toBe(3);
    expect(Buffer.compare(await read(blobs, 'a', 2 * CHUNK), patternOf(CHUNK, 2))).toBe(0);
    expect(await stored(server)).toEqual({ c: 1, m: 1, w: 0 });
  });

  it('whose commit was acknowledged and cannot be looked for keeps its chunks', async () => {
    await using server = await natsServer();
    const peer = countingPeer();
    await using client = createNatsClient({ nats: peer.module, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    const held = peer.hold('$EKB.b.m.a');
    const writing = write(blobs, 'a', patternOf(CHUNK, 1));
    const release = await held;
    peer.loseAnswer('$JS.API.STREAM.MSG.GET.EKB_b', { error: { code: 503, err_code: 10008, description: 'no leader now' } });
    release();
    await expect(writing).rejects.toMatchObject({ retryable: 'unknown', rejected: false });
    expect(Buffer.compare(await read(blobs, 'a', 2 * CHUNK), patternOf(CHUNK, 1))).toBe(0);
  });

  it('in a bucket that was deleted is not there, and the next is written', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    await write(blobs, 'a', patternOf(10, 1));
    const connection = await nats.connect({ servers: server.servers });
    await connection.request('$JS.API.STREAM.DELETE.EKB_b');
    await connection.close();
    expect(await blobs.stat('a')).toBe(undefined);
    await write(blobs, 'a', patternOf(10, 2));
    expect((await read(blobs, 'a', 20)).byteLength).toBe(10);
  });

  it('whose commit lost its answer and was refused when it was repeated keeps its chunks', async () => {
    await using server = await natsServer();
    const peer = countingPeer();
    await using client = createNatsClient({ nats: peer.module, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    await write(blobs, 'a', patternOf(CHUNK, 1));
    peer.loseAnswer('$EKB.b.m.a', { error: { code: 503, err_code: 10008, description: 'no leader now' } });
    await expect(write(blobs, 'a', patternOf(CHUNK, 2))).rejects.toMatchObject({ retryable: 'unknown', rejected: false });
    expect(Buffer.compare(await read(blobs, 'a', 2 * CHUNK), patternOf(CHUNK, 2))).toBe(0);
  });

  it('takes no more bytes while it is committed', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    const writer = await blobs.writer('a');
    await fill(writer, patternOf(1000, 1));
    const committed = writer.commit();
    await expect(writer.buffer()).rejects.toMatchObject({ code: 'failed-precondition' });
    expect((await committed).bytes).toBe(1000);
    expect(Buffer.compare(await read(blobs, 'a', 2000), patternOf(1000, 1))).toBe(0);
  });
});
