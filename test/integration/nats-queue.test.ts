/** A queue with clients that die, start times, keys, bounds, and streams that others delete. */
import * as nats from '@nats-io/transport-node';
import { createNatsClient, createNatsQueue } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { childProgram, SayingChild } from '../support/child-program.js';
import { eventually } from '../support/http-servers.js';
import { countingPeer } from '../support/nats-counting.js';
import { natsMissing, natsServer } from '../support/nats-server.js';
import { item, opened, textOf } from '../support/opened-queue.js';

const HOLDER = `
  import * as nats from '@nats-io/transport-node';
  import { createNatsClient, createNatsQueue } from 'evenkeel/nats';
  process.stdin.on('end', () => process.exit()).resume();
  const client = createNatsClient({ nats, connect: { servers: process.argv[2] } });
  const queue = createNatsQueue({ client, name: 'q' });
  const [delivery] = await queue.lease({ max: 1, leaseMs: 1500 });
  console.log(JSON.stringify({ id: delivery.id, attempt: delivery.attempt, fence: delivery.fence }));
`;

describe.skipIf(natsMissing !== undefined)('queue on nats', { timeout: 600_000 }, () => {
  it('gives the item of a holder that was killed to the next once its lease has run out, not before', async () => {
    await using server = await natsServer();
    await using next = opened(server);
    const [id] = await next.queue.enqueue([item('1')]);
    using program = await childProgram(HOLDER);
    const holder = new SayingChild<{ id: number; attempt: number; fence: number }>(program, [server.servers]);
    await holder.hasSaid(1);
    const startedMs = performance.now();
    const [said] = await holder.kill();
    expect(said).toMatchObject({ id, attempt: 1 });
    const [delivery] = await next.queue.lease({ max: 1, leaseMs: 30_000 });
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThan(1000);
    expect(tookMs).toBeLessThan(5000);
    expect(delivery).toMatchObject({ id, attempt: 2 });
    expect(delivery?.fence).toBeGreaterThan(said?.fence ?? Number.POSITIVE_INFINITY);
    await delivery?.ack();
  });

  it('moves an item whose start time has come without spending an attempt, and keeps its id and key', async () => {
    await using server = await natsServer();
    await using one = opened(server);
    await using two = opened(server);
    const notBefore = Date.now() + 700;
    const [id] = await one.queue.enqueue([{ ...item('1'), notBefore, key: 'a.b *>' }]);
    expect(await two.queue.enqueue([{ ...item('2'), key: 'a.b *>' }])).toEqual([id]);
    expect(await two.queue.enqueue([{ ...item('3'), key: 'a.b *>', notBefore: notBefore + 1000 }])).toEqual([id]);
    const [delivery] = await two.queue.lease({ max: 1, leaseMs: 30_000 });
    expect(Date.now()).toBeGreaterThanOrEqual(notBefore);
    expect(delivery).toMatchObject({ id, attempt: 1 });
    expect(await one.queue.enqueue([{ ...item('4'), key: 'a.b *>', notBefore }])).toEqual([id]);
    await delivery?.ack();
    expect(await one.queue.stats()).toEqual({ due: 0, delayed: 0, leased: 0, dead: 0 });
  });

  it('stores one item when clients enqueue one key under different start times at once', async () => {
    await using server = await natsServer();
    await using one = opened(server);
    await using two = opened(server);
    for (let round = 0; round < 20; round++) {
      const key = `k${round}`;
      const later = Date.now() + 3_600_000;
      const ids = await Promise.all([
        one.queue.enqueue([{ ...item('1'), key, notBefore: later }]),
        two.queue.enqueue([{ ...item('2'), key, notBefore: later + 1 }]),
        one.queue.enqueue([{ ...item('3'), key, notBefore: later + 2 }]),
      ]);
      expect(new Set(ids.flat()).size).toBe(1);
    }
    expect((await one.queue.stats()).delayed).toBe(20);
  });

  it('makes a dead letter of what was delivered deadAfter times, by nack or by leases that ran out', async () => {
    await using server = await natsServer();
    await using one = opened(server, { deadAfter: 2 });
    const [nacked] = await one.queue.enqueue([item('nacked')]);
    for (let i = 0; i < 2; i++) await (await one.queue.lease({ max: 1, leaseMs: 30_000 }))[0]?.nack();
    const [slept] = await one.queue.enqueue([item('slept')]);
    for (let i = 0; i < 2; i++) expect(await one.queue.lease({ max: 1, leaseMs: 100 })).toHaveLength(1);
    const stop = new AbortController();
    const waiting = one.queue.lease({ max: 1, leaseMs: 100, signal: stop.signal });
    await eventually('both are dead', async () => (await one.queue.stats()).dead === 2);
    stop.abort();
    expect(await waiting).toEqual([]);
    const letters = await one.queue.deadLetters({ limit: 10 });
    expect(letters.map(({ id, attempts, reason }) => ({ id, attempts, reason }))).toEqual([
      { id: nacked, attempts: 2, reason: 'delivered 2 times' },
      { id: slept, attempts: 2, reason: 'delivered 2 times' },
    ]);
    expect(await one.queue.stats()).toEqual({ due: 0, delayed: 0, leased: 0, dead: 2 });
  });

  it('keeps a reason whatever it is made of', async () => {
    await using server = await natsServer();
    await using one = opened(server);
    await one.queue.enqueue([item('1')]);
    const reason = 'two\r\nlines, "quotes", \u{1f40b} and half a pair \ud800';
    await (await one.queue.lease({ max: 1, leaseMs: 30_000 }))[0]?.deadLetter(reason);
    expect((await one.queue.deadLetters({ limit: 1 }))[0]?.reason).toBe(reason);
  });

  it('refuses more than maxItems, all of a batch, and still moves delayed items when it is full of them', async () => {
    await using server = await natsServer();
    await using one = opened(server, { maxItems: 3 });
    const notBefore = Date.now() + 500;
    await one.queue.enqueue([
      { ...item('1'), notBefore, key: 'k' },
      { ...item('2'), notBefore },
    ]);
    const tooMany = one.queue.enqueue([item('3'), item('4')]);
    await expect(tooMany).rejects.toMatchObject({ code: 'resource-exhausted', retryable: 'yes', rejected: true });
    await one.queue.enqueue([{ ...item('5'), notBefore }]);
    await expect(one.queue.enqueue([item('6')])).rejects.toMatchObject({ code: 'resource-exhausted' });
    expect(await one.queue.enqueue([{ ...item('7'), key: 'k' }])).toHaveLength(1);
    const texts: string[] = [];
    while (texts.length < 3) {
      for (const delivery of await one.queue.lease({ max: 3, leaseMs: 30_000 })) {
        texts.push(textOf(delivery.body));
        await delivery.ack();
      }
    }
    expect(texts).toEqual(['1', '2', '5']);
    await one.queue.enqueue([item('8')]);
  });

  it('refuses more than maxBytes, and still moves delayed items when it is full of them', async () => {
    await using server = await natsServer();
    await using one = opened(server, { maxBytes: 1_000_000 });
    const notBefore = Date.now() + 500;
    let stored = 0;
    const fill = async () => {
      for (;;) stored += (await one.queue.enqueue([{ body: new Uint8Array(50_000), notBefore }])).length;
    };
    await expect(fill()).rejects.toMatchObject({ code: 'resource-exhausted', retryable: 'yes', rejected: true });
    expect(stored).toBe(19);
    for (let taken = 0; taken < stored; ) {
      for (const delivery of await one.queue.lease({ max: 10, leaseMs: 30_000 })) {
        taken++;
        await delivery.ack();
      }
    }
    expect(await one.queue.stats()).toMatchObject({ due: 0, delayed: 0, leased: 0 });
  });

  it('says unauthenticated when the server refuses the credentials', async () => {
    await using server = await natsServer({ config: 'authorization { user: a, password: b }' });
    await using wrong = opened(server, {}, { connect: { user: 'a', pass: 'c' }, timeoutMs: 1000 });
    await expect(wrong.queue.enqueue([item('1')])).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(wrong.queue.lease({ max: 1, leaseMs: 1000 })).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('a lease that waits outlives a restart of the server', async () => {
    await using server = await natsServer();
    await using one = opened(server);
    const waiting = one.queue.lease({ max: 1, leaseMs: 30_000 });
    await one.queue.stats();
    await server.kill();
    await server.restart();
    const [id] = await one.queue.enqueue([item('1')]);
    expect((await waiting)[0]).toMatchObject({ id, attempt: 1 });
  });

  it.each(['EKQ_q', 'EKQF_q', 'EKQD_q'])('goes on when its stream %s was deleted', async (stream) => {
    await using server = await natsServer();
    // Nobody listens where the stream was: that is seen before the time is over.
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const queue = createNatsQueue({ client, name: 'q' });
    await queue.enqueue([{ body: new Uint8Array([1]) }]);
    const connection = await nats.connect({ servers: server.servers });
    await connection.request(`$JS.API.STREAM.DELETE.${stream}`);
    await connection.close();
    await queue.enqueue([{ body: new Uint8Array([2]) }]);
    const deliveries = await queue.lease({ max: 1, leaseMs: 10_000 });
    expect(deliveries.length).toBe(1);
    await deliveries[0]?.deadLetter('seen');
    expect(await queue.stats()).toMatchObject({ dead: 1 });
  });

  it('what goes to the dead letters holds up nobody: the leases of the others run', async () => {
    await using server = await natsServer();
    const peer = countingPeer();
    await using client = createNatsClient({ nats: peer.module, connect: { servers: server.servers } });
    const queue = createNatsQueue({ client, name: 'q', deadAfter: 1 });
    const [dead, alive] = await queue.enqueue([item('a'), item('b')]);
    const connection = await nats.connect({ servers: server.servers });
    const pull = '$JS.API.CONSUMER.MSG.NEXT.EKQ_q.workers';
    const delivered = await connection.request(pull, '', { noMux: true, timeout: 10_000 });
    await connection.request(delivered.reply ?? '', '-NAK');
    await connection.close();
    peer.loseAnswer(`$EKQD.q.${dead}`);
    const deliveries = await queue.lease({ max: 2, leaseMs: 10_000 });
    expect(deliveries.map(({ id }) => id)).toEqual([alive]);
    expect(peer.published(`$EKQD.q.${dead}`)).toBe(1);
    await eventually('it is a dead letter', async () => (await queue.stats()).leased === 1);
    expect((await queue.deadLetters({ limit: 2 })).map(({ id }) => id)).toEqual([dead]);
  });

  it('an enqueue that is cancelled on its way may have stored some, and says so', async () => {
    await using server = await natsServer();
    await using one = opened(server);
    await one.queue.enqueue([item('first')]);
    server.pause();
    const controller = new AbortController();
    const ended = one.queue.enqueue([item('a'), item('b')], { signal: controller.signal }).catch((error: unknown) => error);
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    expect(await ended).toMatchObject({ code: 'cancelled', retryable: 'unknown' });
    server.resume();
  });
});
