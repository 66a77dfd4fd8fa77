/** T5: CPU of this process for the same work, by a transport and by the client that is below it. */
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import * as nats from '@nats-io/transport-node';
import type { CallSink, CallTransport, Endpoint } from 'evenkeel/core';
import { createNatsCall, createNatsClient, createNatsQueue, createNatsState, type NatsClient } from 'evenkeel/nats';
import type { NatsServer } from '../../../test/support/nats-server.js';
import { startChild } from '../../support/child.js';
import type { Claim } from '../../support/claim.js';
import { pairedRatio, type Side } from '../../support/paired.js';
import { versionOf } from '../../support/versions.js';

const IN_FLIGHT = 16;
const BAR = 1.2;
const BODY = Buffer.alloc(250, 'x');

interface Work {
  readonly id: string;
  readonly what: string;
  readonly settings: string;
  readonly ours: Side;
  readonly bare: Side;
}

export async function costs(server: NatsServer, onClaim: (claim: Claim) => void): Promise<void> {
  const connection = await nats.connect({ servers: server.servers });
  const client = createNatsClient({ nats, connect: { servers: server.servers } });
  await using echo = await startChild<{ address: string; subject: string }>(new URL('./cost-echo.mjs', import.meta.url), [
    server.servers,
  ]);
  try {
    const works = [
      () => callWork(client, connection, echo.hello),
      () => stateWork(client, connection),
      () => queueWork(client, connection),
    ];
    for (const make of works) {
      const { id, what, settings, ours, bare } = await make();
      const ratio = await pairedRatio(ours, bare, { pairs: 40, warmUps: 8 });
      onClaim({
        id,
        claim: `CPU of ${what}, over the bare client`,
        bar: `<= ${BAR.toFixed(2)}x`,
        measured: ratio.median,
        unit: 'x',
        low: ratio.low,
        high: ratio.high,
        samples: ratio.pairs,
        holds: ratio.high <= BAR,
        peers: [
          {
            name: bare.name,
            version: versionOf('@nats-io/transport-node'),
            settings,
            measured: `${ratio.bMicros.toFixed(0)} us a block; evenkeel ${ratio.aMicros.toFixed(0)} us`,
          },
        ],
      });
    }
  } finally {
    await client.close();
    await connection.close();
  }
}

async function together(count: number, one: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}

async function callWork(
  client: NatsClient,
  connection: nats.NatsConnection,
  echo: { address: string; subject: string },
): Promise<Work> {
  const transport = createNatsCall({ client });
  const to: Endpoint = { id: 'echo', address: echo.address };
  const calls = 500;
  return {
    id: 'T5.call',
    what: `a unary call of ${BODY.length} bytes, ${IN_FLIGHT} in flight`,
    settings: 'connection.request on the same server, 250 bytes each way, default options',
    ours: { name: 'evenkeel', run: () => together(calls, () => called(transport, to)) },
    bare: { name: 'request', run: () => together(calls, () => connection.request(echo.subject, BODY, { timeout: 5000 })) },
  };
}

function called(transport: CallTransport, to: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    const sink: CallSink = { onResponse() {}, onData() {}, onEnd: () => resolve(), onError: reject };
    transport.start(to, { path: '/echo', method: 'POST', body: BODY }, sink);
  });
}

async function stateWork(client: NatsClient, connection: nats.NatsConnection): Promise<Work> {
  const state = createNatsState({ client, bucket: 'cost' });
  const kv = await new Kvm(jetstream(connection)).create('bare');
  const revisions = { ours: new Map<string, number>(), bare: new Map<string, number>() };
  const rounds = 200;
  // A key has one writer at a time, as a lease or a document with compare-and-set has.
  const each = (one: (key: string) => Promise<unknown>) => {
    let turn = 0;
    return Promise.all(
      Array.from({ length: IN_FLIGHT }, async (_, worker) => {
        while (turn++ < rounds) await one(`document/${worker}`);
      }),
    ).then(() => {});
  };
  return {
    id: 'T5.state',
    what: `a get and a compare-and-set put of ${BODY.length} bytes, ${IN_FLIGHT} in flight`,
    settings: 'kv get and update of @nats-io/kv, default bucket',
    ours: {
      name: 'evenkeel',
      run: () =>
        each(async (key) => {
          const expect = revisions.ours.get(key);
          revisions.ours.set(key, await state.put(key, BODY, expect === undefined ? {} : { expect }));
          await state.get(key);
        }),
    },
    bare: {
      name: 'kv put and get',
      run: () =>
        each(async (key) => {
          const expect = revisions.bare.get(key);
          revisions.bare.set(key, await (expect === undefined ? kv.put(key, BODY) : kv.update(key, BODY, expect)));
          await kv.get(key);
        }),
    },
  };
}

async function queueWork(client: NatsClient, connection: nats.NatsConnection): Promise<Work> {
  const queue = createNatsQueue({ client, name: 'cost' });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: 'BARE', subjects: ['bare.items'], retention: 'workqueue' });
  await manager.consumers.add('BARE', { durable_name: 'workers', ack_policy: 'explicit', max_ack_pending: -1 });
  const js = jetstream(connection);
  const consumer = await js.consumers.get('BARE', 'workers');
  const items = 256;
  const batch = 64;
  return {
    id: 'T5.queue',
    what: `an item of ${BODY.length} bytes enqueued, delivered in batches of ${batch} and acknowledged for certain`,
    settings: 'publish, fetch({ max_messages: 64 }) and ackAck of @nats-io/jetstream on a work queue',
    ours: {
      name: 'evenkeel',
      async run() {
        await together(items, () => queue.enqueue([{ body: BODY }]));
        for (let done = 0; done < items; ) {
          const deliveries = await queue.lease({ max: batch, leaseMs: 30_000 });
          await Promise.all(deliveries.map((delivery) => delivery.ack()));
          done += deliveries.length;
        }
      },
    },
    bare: {
      name: 'publish, fetch, ackAck',
      async run() {
        await together(items, () => js.publish('bare.items', BODY));
        for (let done = 0; done < items; ) {
          const acks: Promise<boolean>[] = [];
          for await (const message of await consumer.fetch({ max_messages: batch, expires: 5000 })) acks.push(message.ackAck());
          await Promise.all(acks);
          done += acks.length;
        }
      },
    },
  };
}
