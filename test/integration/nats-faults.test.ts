/** State and blobs on NATS behind a network that fails: what was asked for is done once, or told. */
import * as nats from '@nats-io/transport-node';
import type { BlobTransport, StateTransport } from 'evenkeel/core';
import { createNatsBlobs, createNatsClient, createNatsState, type NatsClient } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { type FaultProxy, faultProxy } from '../support/fault-proxy.js';
import { eventually } from '../support/http-servers.js';
import { type CountingPeer, countingPeer } from '../support/nats-counting.js';
import { natsMissing, natsServer } from '../support/nats-server.js';

interface Place {
  readonly proxy: FaultProxy;
  readonly peer: CountingPeer;
  readonly client: NatsClient;
  /** Through the proxy. */
  readonly state: StateTransport;
  readonly blobs: BlobTransport;
  /** Around it. */
  readonly near: StateTransport;
}

async function behindProxy(test: (place: Place) => Promise<void>): Promise<void> {
  await using server = await natsServer();
  const proxy = await faultProxy(server.port);
  const peer = countingPeer();
  await using client = createNatsClient({
    nats: peer.module,
    connect: { servers: `nats://127.0.0.1:${proxy.port}` },
    timeoutMs: 15_000,
  });
  await using direct = createNatsClient({ nats, connect: { servers: server.servers } });
  const state = createNatsState({ client, bucket: 'b' });
  const blobs = createNatsBlobs({ client, bucket: 'b' });
  const near = createNatsState({ client: direct, bucket: 'b' });
  try {
    await state.put('a', Buffer.from('0'));
    await write(blobs, 'a', 1);
    await test({ proxy, peer, client, state, blobs, near });
  } finally {
    for (const each of [state, near, blobs]) await each.close();
    proxy.heal();
    await proxy.close();
  }
}

async function write(blobs: BlobTransport, name: string, fill: number): Promise<void> {
  const writer = await blobs.writer(name);
  const buffer = await writer.buffer();
  await writer.write(buffer.fill(fill).byteLength);
  await writer.commit();
}

const FAULTS: [string, (proxy: FaultProxy) => void | Promise<void>][] = [
  ['a delay of 100 ms', (proxy) => proxy.delay(100)],
  ['bytes that vanish', (proxy) => proxy.drop()],
  ['a cut', (proxy) => proxy.cut()],
  ['a connection that is half open', (proxy) => proxy.halfOpen()],
  ['bytes that come twice', (proxy) => proxy.duplicate()],
];

describe.skipIf(natsMissing !== undefined).each(FAULTS)('%s', { timeout: 60_000 }, (_name, begin) => {
  it('puts each value once, in its order, and stores the blob, when it is over', () =>
    behindProxy(async ({ proxy, peer, client, state, blobs, near }) => {
      const before = await near.get('a');
      await begin(proxy);
      const put = state.put('a', Buffer.from('1'), { expect: before?.revision ?? 0 });
      const stored = write(blobs, 'b', 2);
      // Done in spite of it, or tried again and again in vain, or without a connection to try on.
      const done = Promise.allSettled([put, stored]).then(() => true);
      const tried = eventually('three tries', () => peer.published('$KV.b.a') >= 4 || !client.isConnected).then(() => false);
      await Promise.race([done, tried]);
      proxy.heal();
      const revision = await put;
      await stored;
      // One put of ours came between the two, however often it was sent.
      expect(await near.put('a', Buffer.from('2'), { expect: revision })).toBe(revision + 1);
      const target = new Uint8Array(8);
      expect(await blobs.readInto('b', 0, target)).toBe(8);
      expect([...target]).toEqual(Array(8).fill(2));
    }));

  it('leaves a watch with what was put meanwhile, when it is over', () =>
    behindProxy(async ({ proxy, state, near }) => {
      let last = '';
      const watch = state.watch('', ({ entry }) => {
        if (entry !== undefined) last = Buffer.from(entry.value).toString();
      });
      await eventually('synced', () => watch.ageMs < 1000);
      await begin(proxy);
      await near.put('a', Buffer.from('meanwhile'));
      await eventually(
        'it came through, or the watch knows that it may be behind',
        () => last === 'meanwhile' || watch.ageMs > 1500,
      );
      proxy.heal();
      await eventually('it has it', () => last === 'meanwhile', 20_000);
      await eventually('fresh', () => watch.ageMs < 1500, 20_000);
      watch.close();
    }));
});
