/** Damaged messages in the streams of NATS: told with a code, never taken for something else, and in nobody's way. */
import * as nats from '@nats-io/transport-node';
import { isEvenkeelError } from 'evenkeel/core';
import { createNatsBlobs, createNatsClient } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { type NatsServer, natsMissing, natsServer } from '../support/nats-server.js';
import { stored } from '../support/nats-streams.js';
import { item, opened, textOf } from '../support/opened-queue.js';
import { patternOf, read, write } from '../support/whole-blobs.js';

/** Stores a message as somebody who is not us would. */
async function store(server: NatsServer, subject: string, data: Uint8Array | string, headers: Record<string, string> = {}) {
  const connection = await nats.connect({ servers: server.servers });
  const own = nats.headers();
  for (const [name, value] of Object.entries(headers)) own.set(name, value);
  const answer = await connection.request(subject, data, { headers: own, timeout: 1000 });
  await connection.close();
  expect(answer.json<{ error?: object }>().error).toBe(undefined);
}

/** The last message of a subject: its bytes, and one of its headers. */
async function last(server: NatsServer, stream: string, subject: string, header: string) {
  const connection = await nats.connect({ servers: server.servers });
  const { headers, data } = await connection.request(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify({ last_by_subj: subject }));
  await connection.close();
  return { data: new Uint8Array(data), header: { [header]: headers?.get(header) ?? '' } };
}

const codeOf = async (operation: Promise<unknown>) => {
  const error = await operation.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  return isEvenkeelError(error) ? error.code : error;
};

describe.skipIf(natsMissing !== undefined)('a blob on nats', { timeout: 20_000 }, () => {
  it('whose manifest has one wrong byte, whichever, is data-loss, and is replaced or deleted like any other', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    const bytes = patternOf(2000, 1);
    await write(blobs, 'a', bytes);
    const { data, header } = await last(server, 'EKB_b', '$EKB.b.m.a', 'Evenkeel-Crc32');
    for (let at = 0; at < data.byteLength; at++) {
      // A digit stays one.
      const damaged = data.with(at, (data[at] ?? 0) ^ 1);
      await store(server, '$EKB.b.m.a', damaged, header);
      const about = Buffer.from(damaged).toString();
      expect(await codeOf(blobs.stat('a')), about).toBe('data-loss');
      expect(await codeOf(blobs.list('', { limit: 10 })), about).toBe('data-loss');
      expect(await codeOf(blobs.readInto('a', 1500, new Uint8Array(10))), about).toBe('data-loss');
    }
    await write(blobs, 'a', patternOf(100, 2));
    expect(Buffer.compare(await read(blobs, 'a', 200), patternOf(100, 2))).toBe(0);
    await store(server, '$EKB.b.m.a', 'damaged', header);
    expect(await blobs.delete('a')).toBe(true);
    expect(await blobs.stat('a')).toBe(undefined);
    expect((await stored(server)).m).toBe(0);
  });

  it('whose chunk has another byte, no checksum or another length is data-loss, and the next blob is read', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const blobs = createNatsBlobs({ client, bucket: 'b' });
    await write(blobs, 'a', patternOf(2000, 1));
    await write(blobs, 'b', patternOf(2000, 2));
    const manifest = await last(server, 'EKB_b', '$EKB.b.m.a', 'Evenkeel-Crc32');
    const { id } = JSON.parse(Buffer.from(manifest.data).toString()) as { id: string };
    const subject = `$EKB.b.c.${id}.0`;
    const { data, header } = await last(server, 'EKB_b', subject, 'Evenkeel-Crc32');
    const damages: [Uint8Array, Record<string, string>][] = [
      [data.with(1000, (data[1000] ?? 0) ^ 1), header],
      [data, {}],
      [data, { 'Evenkeel-Crc32': `${header['Evenkeel-Crc32']}0` }],
      [data.subarray(1), header],
      [new Uint8Array(0), { 'Evenkeel-Crc32': '0' }],
    ];
    for (const [bytes, headers] of damages) {
      await store(server, subject, bytes, headers);
      expect(await codeOf(read(blobs, 'a', 3000))).toBe('data-loss');
    }
    expect(Buffer.compare(await read(blobs, 'b', 3000), patternOf(2000, 2))).toBe(0);
  });
});

describe.skipIf(natsMissing !== undefined)('a queue on nats', { timeout: 20_000 }, () => {
  it.each(['', 'x', '1.5', '-1', '1e99', '0'])(
    'an item whose id is damaged (%j) has that of its message, and the next comes',
    async (id) => {
      await using server = await natsServer();
      await using one = opened(server);
      const [first = 0] = await one.queue.enqueue([item('first')]);
      await store(server, '$EKQ.q.r.u', 'damaged', { 'Evenkeel-Id': id });
      await store(server, `$EKQ.q.d.1.k${Buffer.from('key').toString('hex')}`, 'delayed', { 'Evenkeel-Id': id });
      await one.queue.enqueue([item('next')]);
      const seen = new Map<number, string>();
      while (seen.size < 4) {
        for (const delivery of await one.queue.lease({ max: 10, leaseMs: 30_000 })) {
          seen.set(delivery.id, textOf(delivery.body));
          await delivery.ack();
        }
      }
      const texts = ['first', 'damaged', 'delayed', 'next'];
      expect([...seen].sort(([a], [b]) => a - b)).toEqual(texts.map((text, i) => [first + i, text]));
      expect(await one.queue.stats()).toEqual({ due: 0, delayed: 0, leased: 0, dead: 0 });
    },
  );

  it('what lies under a subject that no item has is not delivered, is not counted, and is in nobody’s way', async () => {
    await using server = await natsServer();
    await using one = opened(server);
    await one.queue.stats();
    for (const subject of ['d.soon.u1', 'd.1', 'd.1.x', 'other', 'd.99999999999999999999.u1']) {
      await store(server, `$EKQ.q.${subject}`, 'damaged');
    }
    await one.queue.enqueue([
      { ...item('1'), key: 'k' },
      { ...item('2'), notBefore: Date.now() - 1 },
    ]);
    expect(await one.queue.stats()).toEqual({ due: 2, delayed: 0, leased: 0, dead: 0 });
    const deliveries = await one.queue.lease({ max: 10, leaseMs: 30_000 });
    expect(deliveries.map(({ body }) => textOf(body)).sort()).toEqual(['1', '2']);
    for (const delivery of deliveries) await delivery.ack();
    expect((await one.queue.stats()).due).toBe(0);
  });

  it.each([
    ['2', { 'Evenkeel-Reason': '"no', 'Evenkeel-Attempts': '1' }],
    ['2', { 'Evenkeel-Reason': '7', 'Evenkeel-Attempts': '1' }],
    ['2', { 'Evenkeel-Attempts': '1' }],
    ['2', { 'Evenkeel-Reason': '"no use"', 'Evenkeel-Attempts': 'x' }],
    ['2', { 'Evenkeel-Reason': '"no use"' }],
    ['two', { 'Evenkeel-Reason': '"no use"', 'Evenkeel-Attempts': '1' }],
  ])('a dead letter that is damaged (%s %j) is data-loss, named, and what is alive goes on', async (id, headers) => {
    await using server = await natsServer();
    await using one = opened(server);
    await one.queue.enqueue([item('dead')]);
    await (await one.queue.lease({ max: 1, leaseMs: 30_000 }))[0]?.deadLetter('no use');
    await store(server, `$EKQD.q.${id}`, 'damaged', headers);
    expect((await one.queue.deadLetters({ limit: 1 })).map(({ body }) => textOf(body))).toEqual(['dead']);
    await expect(one.queue.deadLetters({ limit: 2 })).rejects.toMatchObject({
      code: 'data-loss',
      details: { subject: `$EKQD.q.${id}` },
    });
    await one.queue.enqueue([item('next')]);
    const [delivery] = await one.queue.lease({ max: 1, leaseMs: 30_000 });
    expect(textOf(delivery?.body ?? new Uint8Array())).toBe('next');
    await delivery?.ack();
    expect(await one.queue.stats()).toEqual({ due: 0, delayed: 0, leased: 0, dead: 2 });
  });
});
