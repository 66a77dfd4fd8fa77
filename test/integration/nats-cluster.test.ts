/** Three servers: what one client was told, every other client sees, whichever server it asks; and one of them may die. */
import * as nats from '@nats-io/transport-node';
import { isEvenkeelError, type StateTransport } from 'evenkeel/core';
import { createNatsBlobs, createNatsClient, createNatsQueue, createNatsState } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/http-servers.js';
import { type NatsServer, natsCluster, natsMissing } from '../support/nats-server.js';

/** A connection that stays with its server. */
function clientOf(server: NatsServer) {
  const connect = { servers: server.servers, ignoreClusterUpdates: true };
  return createNatsClient({ nats, connect, timeoutMs: 20_000 });
}

async function hasLeader(state: StateTransport): Promise<boolean> {
  try {
    await state.get('a');
    return true;
  } catch (error) {
    if (isEvenkeelError(error)) return false;
    throw error;
  }
}

describe.skipIf(natsMissing !== undefined)('a cluster of three', { timeout: 600_000 }, () => {
  it('shows what was put to whoever asks which server, and goes on when one is killed', async () => {
    const servers = await natsCluster();
    const clients = servers.map(clientOf);
    const states = clients.map((client) => createNatsState({ client, bucket: 'b', replicas: 3 }));
    const [first, second, third] = states as [StateTransport, StateTransport, StateTransport];
    try {
      await eventually('they have a leader', () => hasLeader(first), 60_000);
      for (let i = 0; i < 300; i++) {
        const revision = await first.put('a', Buffer.from(String(i)));
        const seen = await Promise.all([second.get('a'), third.get('a')]);
        expect(seen.map((entry) => entry?.revision)).toEqual([revision, revision]);
      }
      let last: string | undefined;
      const watch = third.watch('', ({ type, entry }) => {
        if (type === 'put') last = Buffer.from(entry?.value ?? []).toString();
      });
      await eventually('it is proven', () => watch.ageMs < 1500, 20_000);
      await servers[0]?.kill();
      await second.put('a', Buffer.from('after'));
      await eventually('it has come', () => last === 'after', 30_000);
      await eventually('it is proven again', () => watch.ageMs < 1500, 30_000);
      watch.close();
    } finally {
      for (const state of states) await state.close();
      for (const client of clients) await client.close();
      for (const server of servers) await server[Symbol.asyncDispose]();
    }
  });

  it('stores blobs and items where one of them may die', async () => {
    const servers = await natsCluster();
    const clients = servers.map(clientOf);
    try {
      const [one, other] = clients.slice(1) as [ReturnType<typeof clientOf>, ReturnType<typeof clientOf>];
      const blobs = createNatsBlobs({ client: one, bucket: 'b', replicas: 3 });
      const queue = createNatsQueue({ client: one, name: 'q', replicas: 3 });
      await eventually('they have a leader', () => hasLeader(createNatsState({ client: one, bucket: 's', replicas: 3 })), 60_000);
      const writer = await blobs.writer('a');
      const buffer = await writer.buffer();
      await writer.write(buffer.fill(7).byteLength);
      await writer.commit();
      const [id] = await queue.enqueue([{ body: Buffer.from('item') }]);
      await servers[0]?.kill();
      const target = new Uint8Array(buffer.byteLength + 1);
      const far = createNatsBlobs({ client: other, bucket: 'b' });
      await eventually('the blob is read', () => isRead(far.readInto('a', 0, target), buffer.byteLength), 30_000);
      expect(Buffer.compare(target.subarray(0, buffer.byteLength), buffer)).toBe(0);
      const items = createNatsQueue({ client: other, name: 'q' });
      const [leased] = await items.lease({ max: 1, leaseMs: 10_000 });
      expect(leased?.id).toBe(id);
      await leased?.ack();
      for (const opened of [blobs, far, queue, items]) await opened.close();
    } finally {
      for (const client of clients) await client.close();
      for (const server of servers) await server[Symbol.asyncDispose]();
    }
  });
});

/** Until a new leader is chosen nobody answers. */
async function isRead(reading: Promise<number>, bytes: number): Promise<boolean> {
  try {
    return (await reading) === bytes;
  } catch (error) {
    if (isEvenkeelError(error, 'unavailable')) return false;
    throw error;
  }
}
