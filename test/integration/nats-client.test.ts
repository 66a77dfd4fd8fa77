/** The connection: refused, lost, slow, never there. */
import * as nats from '@nats-io/transport-node';
import { isEvenkeelError } from 'evenkeel/core';
import { createNatsBlobs, createNatsCall, createNatsClient, createNatsQueue, createNatsState } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/http-servers.js';
import { countingPeer } from '../support/nats-counting.js';
import { natsMissing, natsServer } from '../support/nats-server.js';

const SECRET = { user: 'app', pass: 'right' };
const ACCOUNTS = `
authorization {
  users = [
    { user: app, password: right }
    { user: reader, password: right, permissions: { publish: { deny: "$KV.>" } } }
    { user: guest, password: right, permissions: {
        publish: { deny: ["evenkeel.call.forbidden", "$JS.API.CONSUMER.MSG.NEXT.>"] }, subscribe: { deny: "evenkeel.call.mine" } } }
  ]
}`;

/** An operation of each transport. */
const operations = (client: ReturnType<typeof createNatsClient>) => ({
  state: () => createNatsState({ client, bucket: 'b' }).put('a', new Uint8Array(1)),
  blob: () => createNatsBlobs({ client, bucket: 'b' }).stat('a'),
  queue: () => createNatsQueue({ client, name: 'q' }).enqueue([{ body: new Uint8Array(1) }]),
  call: () => createNatsCall({ client }).serve({ address: 'nats://a' }, () => ({ status: 200 })),
});

describe('options of a client', () => {
  it.each([
    ['nats', { nats: {} }],
    ['apiPrefix', { nats, apiPrefix: 'a b' }],
    ['inboxPrefix', { nats, inboxPrefix: '_INBOX.*' }],
    ['requestTimeoutMs', { nats, requestTimeoutMs: 0 }],
    ['timeoutMs', { nats, timeoutMs: Number.NaN }],
  ])('%s out of range is refused by name', (name, options) => {
    expect(() => createNatsClient(options as never)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', message: expect.stringContaining(name) }),
    );
  });

  it('a client that createNatsClient did not make is refused', () => {
    expect(() => createNatsState({ client: {} as never, bucket: 'b' })).toThrow(/createNatsClient/);
  });

  it('a bucket or queue whose name no stream can have is refused', () => {
    const client = createNatsClient({ nats });
    for (const name of ['', 'a.b', 'a b', '..', 'a\0', 'x'.repeat(65)]) {
      expect(() => createNatsState({ client, bucket: name })).toThrow(/bucket/);
      expect(() => createNatsBlobs({ client, bucket: name })).toThrow(/bucket/);
      expect(() => createNatsQueue({ client, name })).toThrow(/name/);
    }
  });
});

describe.skipIf(natsMissing !== undefined)('a client', () => {
  it('without a server is unavailable in its time, for every transport', async () => {
    await using client = createNatsClient({ nats, connect: { servers: 'nats://127.0.0.1:1' }, timeoutMs: 200 });
    for (const [name, operation] of Object.entries(operations(client))) {
      await expect(operation(), name).rejects.toMatchObject({ code: 'unavailable', retryable: 'yes' });
    }
  });

  it('with wrong credentials is unauthenticated, for every transport, and works once they are right', async () => {
    await using server = await natsServer({ config: ACCOUNTS });
    const connect = { servers: server.servers, user: 'app', pass: 'wrong' };
    await using client = createNatsClient({ nats, connect, timeoutMs: 300 });
    for (const [name, operation] of Object.entries(operations(client))) {
      await expect(operation(), name).rejects.toMatchObject({ code: 'unauthenticated' });
    }
    // The options are read at every attempt to connect.
    connect.pass = SECRET.pass;
    await using right = createNatsClient({ nats, connect });
    await createNatsState({ client: right, bucket: 'b' }).put('a', new Uint8Array(1));
  });

  it('that may not publish a subject is told permission-denied', async () => {
    await using server = await natsServer({ config: ACCOUNTS });
    const connect = { servers: server.servers, user: 'reader', pass: 'right' };
    await using client = createNatsClient({ nats, connect });
    const state = createNatsState({ client, bucket: 'b' });
    await expect(state.put('a', new Uint8Array(1))).rejects.toMatchObject({ code: 'permission-denied' });
  });

  it('that may not listen, call or take leases is told permission-denied at once, and goes on with what it may', async () => {
    await using server = await natsServer({ config: ACCOUNTS });
    const connect = { servers: server.servers, user: 'guest', pass: 'right' };
    await using client = createNatsClient({ nats, connect });
    const transport = createNatsCall({ client });
    await expect(transport.serve({ address: 'nats://mine' }, () => ({ status: 200 }))).rejects.toMatchObject({
      code: 'permission-denied',
    });
    const called = new Promise((_resolve, reject) => {
      const sink = { onResponse() {}, onData() {}, onEnd() {}, onError: reject };
      transport.start({ id: 'f', address: 'nats://forbidden' }, { path: '/' }, sink);
    });
    await expect(called).rejects.toMatchObject({ code: 'permission-denied' });
    const queue = createNatsQueue({ client, name: 'q' });
    await queue.enqueue([{ body: new Uint8Array(1) }]);
    await expect(queue.lease({ max: 1, leaseMs: 1000 })).rejects.toMatchObject({ code: 'permission-denied' });
    expect(await createNatsState({ client, bucket: 'b' }).put('a', new Uint8Array(1))).toBe(1);
    const listener = await transport.serve({ address: 'nats://other' }, () => ({ status: 200 }));
    await listener.close();
  });

  it('of a server without JetStream is told so', async () => {
    await using server = await natsServer({ jetstream: false });
    await using client = createNatsClient({ nats, connect: { servers: server.servers }, timeoutMs: 300 });
    const state = createNatsState({ client, bucket: 'b' });
    await expect(state.get('a')).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('JetStream') });
  });

  it('waits for a server that comes later', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    await server.kill();
    const put = createNatsState({ client, bucket: 'b' }).put('a', new Uint8Array(1));
    await server.restart();
    expect(await put).toBe(1);
  });

  it('that is closed fails what is in flight and whatever comes', async () => {
    await using server = await natsServer();
    const client = createNatsClient({ nats, connect: { servers: server.servers } });
    const state = createNatsState({ client, bucket: 'b' });
    await state.put('a', new Uint8Array(1));
    server.pause();
    const get = state.get('a').then(
      () => 'answered',
      (error: unknown) => isEvenkeelError(error) && error.code,
    );
    await client.close();
    await client.close();
    expect(await get).toBe('failed-precondition');
    await expect(state.get('a')).rejects.toMatchObject({ code: 'failed-precondition' });
  });

  it('asks a server that has stopped answering again, and is answered when it goes on', async () => {
    await using server = await natsServer();
    const peer = countingPeer();
    await using client = createNatsClient({ nats: peer.module, connect: { servers: server.servers } });
    const state = createNatsState({ client, bucket: 'b' });
    const first = await state.put('a', Buffer.from('1'));
    server.pause();
    const put = state.put('a', Buffer.from('2'), { expect: first });
    await eventually('it was sent three times', () => peer.published('$KV.b.a') === 4);
    server.resume();
    // Stored once: each time it was the same put.
    expect(await put).toBe(first + 1);
    expect((await state.get('a'))?.revision).toBe(first + 1);
  });
});
