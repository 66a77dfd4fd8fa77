/** State and blobs on NATS behind a network that fails: what was asked for is done once, or told. */
import type { BlobTransport, StateTransport } from 'evenkeel/core';
import { createNatsBlobs, createNatsState } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/http-servers.js';
import { behindProxy, NETWORK_FAULTS, type ProxiedServer } from '../support/nats-behind-proxy.js';
import { natsMissing } from '../support/nats-server.js';

interface Place extends ProxiedServer {
  readonly state: StateTransport;
  readonly blobs: BlobTransport;
  /** Around the proxy. */
  readonly near: StateTransport;
}

async function withStores(test: (place: Place) => Promise<void>): Promise<void> {
  await behindProxy(15_000, async (place) => {
    const state = createNatsState({ client: place.client, bucket: 'b' });
    const blobs = createNatsBlobs({ client: place.client, bucket: 'b' });
    const near = createNatsState({ client: place.direct, bucket: 'b' });
    try {
      await state.put('a', Buffer.from('0'));
      await write(blobs, 'a', 1);
      await test({ ...place, state, blobs, near });
    } finally {
      for (const each of [state, near, blobs]) await each.close();
    }
  });
}

async function write(blobs: BlobTransport, name: string, fill: number): Promise<void> {
  const writer = await blobs.writer(name);
  const buffer = await writer.buffer();
  await writer.write(buffer.fill(fill).byteLength);
  await writer.commit();
}

describe.skipIf(natsMissing !== undefined).each(NETWORK_FAULTS)('%s', { timeout: 60_000 }, (_name, begin) => {
  it('puts each value once, in its order, and stores the blob, when it is over', () =>
    withStores(async ({ proxy, peer, client, state, blobs, near }) => {
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
    withStores(async ({ proxy, state, near }) => {
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
