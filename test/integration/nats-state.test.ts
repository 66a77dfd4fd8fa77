/** State on a server that dies: what was acknowledged is there, watches go on, and the age says how much a watch knows. */

import { Kvm } from '@nats-io/kv';
import * as nats from '@nats-io/transport-node';
import { type Clock, isEvenkeelError, type StateEvent, type StateTransport } from 'evenkeel/core';
import { createNatsClient, createNatsState, type NatsClient } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/http-servers.js';
import { movedClock } from '../support/moved-clock.js';
import { countingPeer } from '../support/nats-counting.js';
import { type NatsServer, natsMissing, natsServer } from '../support/nats-server.js';
import { rounds } from '../support/rounds.js';

interface Opened extends AsyncDisposable {
  readonly client: NatsClient;
  readonly state: StateTransport;
}

function opened(server: NatsServer, options: { clock?: Clock } = {}): Opened {
  const client = createNatsClient({ nats, connect: { servers: server.servers }, timeoutMs: 20_000, ...options });
  const state = createNatsState({ client, bucket: 'b' });
  return {
    client,
    state,
    async [Symbol.asyncDispose]() {
      await state.close();
      await client.close();
    },
  };
}

const text = (value: Uint8Array | undefined) => (value === undefined ? undefined : Buffer.from(value).toString());

describe.skipIf(natsMissing !== undefined)('state on nats', { timeout: 60_000 }, () => {
  it('loses no acknowledged put when the server is killed at any moment, and every watch comes to the same end', async () => {
    await using server = await natsServer();
    await using writer = opened(server);
    await using reader = opened(server);
    const seen = new Map<string, number>();
    const watch = reader.state.watch('', ({ type, entry }) => {
      if (type === 'reset') seen.clear();
      if (type === 'put' && entry !== undefined) seen.set(entry.key, Number(text(entry.value)));
    });
    const acknowledged = new Map<string, number>();
    let isRunning = true;
    const write = async (key: string) => {
      let revision: number | undefined;
      for (let n = 1; isRunning; n++) {
        // Each put expects the one before it: one that landed twice, or was lost, would show.
        revision = await writer.state.put(key, Buffer.from(String(n)), { expect: revision ?? 'absent' });
        acknowledged.set(key, n);
      }
    };
    const writers = ['a', 'b', 'c', 'd'].map(write);
    for (let round = 0; round < rounds(3, 200); round++) {
      const before = acknowledged.get('a') ?? 0;
      await eventually('writes go on', () => (acknowledged.get('a') ?? 0) > before + 5);
      await server.kill();
      await server.restart();
    }
    isRunning = false;
    await Promise.all(writers);
    for (const [key, n] of acknowledged) expect(text((await reader.state.get(key))?.value)).toBe(String(n));
    await eventually('the watch has all', () => [...acknowledged].every(([key, n]) => seen.get(key) === n));
    watch.close();
  });

  it('a watch resumes after a restart, with a delete that happened while it was away and without a list', async () => {
    await using server = await natsServer();
    await using writer = opened(server);
    await writer.state.put('gone', Buffer.from('1'));
    await writer.state.put('stays', Buffer.from('1'));
    await using reader = opened(server);
    const events: StateEvent[] = [];
    const watch = reader.state.watch('', (event) => events.push(event));
    await eventually('synced', () => events.some(({ type }) => type === 'synced'));
    await server.kill();
    await server.restart();
    await writer.state.delete('gone');
    await writer.state.put('new', Buffer.from('1'));
    await eventually('both', () => events.some(({ entry }) => entry?.key === 'new'));
    const told = events.filter(({ type }) => type !== 'head').map(({ type, entry }) => `${type} ${entry?.key ?? ''}`);
    expect(told).toEqual(['put gone', 'put stays', 'synced ', 'delete gone', 'put new']);
    watch.close();
  });

  it('the age grows from the moment the server dies, past 2 s within 3 s, and falls when it is back', async () => {
    await using server = await natsServer();
    await using reader = opened(server);
    let isSynced = false;
    const watch = reader.state.watch('', ({ type }) => {
      isSynced ||= type === 'synced';
    });
    await eventually('synced', () => isSynced);
    const killedAt = performance.now();
    await server.kill();
    await eventually('stale', () => watch.ageMs > 2000);
    expect(performance.now() - killedAt).toBeLessThan(3000);
    await server.restart();
    await eventually('fresh', () => watch.ageMs < 1500);
    watch.close();
  });

  it('a server that has stopped without closing anything is stale, too', async () => {
    await using server = await natsServer();
    await using reader = opened(server);
    let isSynced = false;
    const watch = reader.state.watch('', ({ type }) => {
      isSynced ||= type === 'synced';
    });
    await eventually('synced', () => isSynced);
    server.pause();
    await eventually('stale', () => watch.ageMs > 2500);
    server.resume();
    await eventually('fresh', () => watch.ageMs < 1500);
    watch.close();
  });

  it('a bucket that was deleted and made again is another epoch, announced by a reset', async () => {
    await using server = await natsServer();
    await using reader = opened(server);
    const first = await reader.state.put('a', Buffer.from('1'));
    const events: StateEvent[] = [];
    const watch = reader.state.watch('', (event) => events.push(event));
    await eventually('synced', () => events.some(({ type }) => type === 'synced'));
    const connection = await nats.connect({ servers: server.servers });
    await connection.request('$JS.API.STREAM.DELETE.KV_b');
    await connection.close();
    await eventually('a new list', () => events.some(({ type }) => type === 'reset'), 20_000);
    await eventually('synced again', () => events.filter(({ type }) => type === 'synced').length === 2);
    expect(new Set(events.map(({ epoch }) => epoch)).size).toBe(2);
    expect(await reader.state.get('a')).toBe(undefined);
    expect(await reader.state.put('a', Buffer.from('2'))).toBe(first);
    watch.close();
  });

  it('a lease ends once for all watches, and its holder cannot renew it afterwards', async () => {
    await using server = await natsServer();
    const observers = Array.from({ length: 5 }, () => opened(server));
    const expired: number[][] = observers.map(() => []);
    observers.forEach(({ state }, i) => {
      state.watch('', ({ type, revision }) => type === 'expired' && expired[i]?.push(revision));
    });
    await using holder = opened(server);
    const revision = await holder.state.put('leader', Buffer.from('x'), { leaseMs: 300 });
    await eventually('all saw it', () => expired.every((revisions) => revisions.length === 1));
    expect(new Set(expired.flat()).size).toBe(1);
    await expect(holder.state.put('leader', Buffer.from('x'), { expect: revision, leaseMs: 300 })).rejects.toMatchObject({
      code: 'aborted',
    });
    for (const observer of observers) await observer[Symbol.asyncDispose]();
  });

  it('a full bucket refuses with resource-exhausted and keeps what it has', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const state = createNatsState({ client, bucket: 'small', maxBytes: 100_000 });
    await state.put('kept', Buffer.from('1'));
    const refused = await state.put('large', new Uint8Array(200_000)).catch((error: unknown) => error);
    expect(isEvenkeelError(refused, 'resource-exhausted')).toBe(true);
    expect(text((await state.get('kept'))?.value)).toBe('1');
    const connection = await nats.connect({ servers: server.servers });
    const answer = await connection.request('$JS.API.STREAM.INFO.KV_small');
    const free = 100_000 - answer.json<{ state: { bytes: number } }>().state.bytes;
    const other = '$KV.small.other';
    await connection.request(other, new Uint8Array(free - other.length - 40));
    await connection.close();
    await expect(state.put('next', Buffer.from('2'))).rejects.toMatchObject({ code: 'resource-exhausted' });
    await state.delete('other');
    expect(text((await state.get('kept'))?.value)).toBe('1');
    expect(await state.put('next', Buffer.from('2'))).toBeGreaterThan(1);
  });

  it('what the kv package writes is read, and what is put is read by it', async () => {
    await using server = await natsServer();
    const connection = await nats.connect({ servers: server.servers });
    const kv = await new Kvm(connection).create('b');
    await kv.put('theirs', 'by kv');
    await using both = opened(server);
    expect(text((await both.state.get('theirs'))?.value)).toBe('by kv');
    await both.state.put('config/ours', Buffer.from('by evenkeel'));
    expect((await kv.get('config/ours'))?.string()).toBe('by evenkeel');
    await kv.delete('theirs');
    expect(await both.state.get('theirs')).toBe(undefined);
    await connection.close();
  });

  it('the revision of a delete is none that a put can expect, in any process', async () => {
    await using server = await natsServer();
    await using one = opened(server);
    await using other = opened(server);
    await one.state.put('a', Buffer.from('1'));
    const deleted = await one.state.delete('a');
    for (const { state } of [one, other]) {
      const error = await state.put('a', Buffer.from('2'), { expect: deleted }).catch((failure: unknown) => failure);
      expect(error).toMatchObject({ code: 'aborted', details: { revision: 0 } });
    }
  });

  it.each([false, true])(
    'a put whose answer was lost with the server is told as what it is; overwritten meanwhile: %s',
    async (isOverwritten) => {
      await using server = await natsServer();
      const peer = countingPeer();
      await using client = createNatsClient({
        nats: peer.module,
        connect: { servers: server.servers },
        requestTimeoutMs: 20_000,
        timeoutMs: 20_000,
      });
      await using other = opened(server);
      const state = createNatsState({ client, bucket: 'b' });
      const first = await state.put('a', Buffer.from('1'));
      peer.loseAnswer('$KV.b.a');
      const put = state.put('a', Buffer.from('2'), { expect: first });
      await eventually('it landed', async () => text((await other.state.get('a'))?.value) === '2');
      if (isOverwritten) await other.state.put('a', Buffer.from('3'));
      const ended = put.catch((error: unknown) => error);
      await server.kill();
      await server.restart();
      if (isOverwritten) expect(await ended).toMatchObject({ code: 'unavailable', retryable: 'unknown' });
      else expect(await ended).toBe(first + 1);
    },
  );

  it('a bucket that others made without direct reads is read', async () => {
    await using server = await natsServer();
    const connection = await nats.connect({ servers: server.servers });
    const config = { name: 'KV_b', subjects: ['$KV.b.>'], max_msgs_per_subject: 1, allow_rollup_hdrs: true, allow_direct: false };
    await connection.request('$JS.API.STREAM.CREATE.KV_b', JSON.stringify(config));
    await connection.close();
    await using one = opened(server);
    await one.state.put('a', Buffer.from('1'), { leaseMs: 60_000 });
    expect(await one.state.get('a')).toMatchObject({ key: 'a', revision: 1, leaseMs: 60_000, value: new Uint8Array([0x31]) });
  });

  it('a bucket that was deleted is made again at the next use, and a lease of the old one ends nothing in the new', async () => {
    await using server = await natsServer();
    const clock = movedClock();
    await using one = opened(server, { clock });
    await using other = opened(server, { clock });
    await other.state.put('a', Buffer.from('leased'), { leaseMs: 60_000 });
    expect(await one.state.get('a')).toMatchObject({ revision: 1, leaseMs: 60_000 });
    const connection = await nats.connect({ servers: server.servers });
    await connection.request('$JS.API.STREAM.DELETE.KV_b');
    await connection.close();
    expect(await other.state.get('a')).toBe(undefined);
    expect(await other.state.put('a', Buffer.from('kept'))).toBe(1);
    clock.aheadMs += 61_000;
    expect(text((await one.state.get('a'))?.value)).toBe('kept');
  });

  it('a put into a bucket that was deleted makes it again, at once', async () => {
    await using server = await natsServer();
    await using client = createNatsClient({ nats, connect: { servers: server.servers } });
    const state = createNatsState({ client, bucket: 'b' });
    await state.put('a', Buffer.from('1'));
    const connection = await nats.connect({ servers: server.servers });
    await connection.request('$JS.API.STREAM.DELETE.KV_b');
    await connection.close();
    expect(await state.put('a', Buffer.from('2'), { expect: 'absent' })).toBe(1);
    expect(text((await state.get('a'))?.value)).toBe('2');
  });

  it('a watch whose consumer is gone, though the connection is not, follows by another', async () => {
    await using server = await natsServer();
    await using reader = opened(server);
    const events: StateEvent[] = [];
    const watch = reader.state.watch('', (event) => events.push(event));
    await eventually('synced', () => events.some(({ type }) => type === 'synced'));
    const connection = await nats.connect({ servers: server.servers });
    const names = (await connection.request('$JS.API.CONSUMER.NAMES.KV_b')).json<{ consumers: string[] }>().consumers;
    for (const name of names) await connection.request(`$JS.API.CONSUMER.DELETE.KV_b.${name}`);
    await connection.close();
    await reader.state.put('a', Buffer.from('1'));
    await eventually('it has it', () => events.some(({ entry }) => entry?.key === 'a'), 20_000);
    expect([names.length, events.filter(({ type }) => type === 'reset').length]).toEqual([1, 0]);
    watch.close();
  });

  it('a put whose answer was lost, and which was refused when it was repeated, may have landed', async () => {
    await using server = await natsServer();
    const peer = countingPeer();
    await using client = createNatsClient({ nats: peer.module, connect: { servers: server.servers } });
    const state = createNatsState({ client, bucket: 'b' });
    await state.put('a', Buffer.from('1'));
    peer.loseAnswer('$KV.b.a', { error: { code: 503, err_code: 10023, description: 'insufficient resources' } });
    await expect(state.put('a', Buffer.from('2'))).rejects.toMatchObject({ retryable: 'unknown', rejected: false });
    expect(text((await state.get('a'))?.value)).toBe('2');
  });
});
