/** A queue on a server that is killed: what was acknowledged stays so, and everything else comes again. */
import * as nats from '@nats-io/transport-node';
import { isEvenkeelError, type QueueItem } from 'evenkeel/core';
import type { NatsModule } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/http-servers.js';
import { natsMissing, natsServer } from '../support/nats-server.js';
import { item, opened, textOf } from '../support/opened-queue.js';
import { rounds } from '../support/rounds.js';

/** Items stored and not done. */
const MOST_AHEAD = 200;

/** The client of NATS, which gives back the first item it is delivered before anybody sees it: the server delivers it twice. */
function givingBackOne(): NatsModule {
  let isGivenBack = false;
  return {
    headers: nats.headers,
    async connect(options) {
      const connection = await nats.connect(options);
      const subscribe = connection.subscribe.bind(connection);
      connection.subscribe = (subject, { callback, ...rest } = {}) =>
        subscribe(subject, {
          ...rest,
          callback(error, message) {
            const isFirst = !isGivenBack && message.reply?.startsWith('$JS.ACK.');
            if (!isFirst) return callback?.(error, message);
            isGivenBack = true;
            void connection.request(message.reply ?? '', '-NAK').then(() => callback?.(error, message));
          },
        });
      return connection;
    },
  };
}

describe.skipIf(natsMissing !== undefined)('queue on a server that is killed', { timeout: 600_000 }, () => {
  it('loses no item when the server is killed at any moment, and its consumers go on', async () => {
    await using server = await natsServer();
    // nats-server 2.9 that is killed all the time has items again, and counts them, that have ended long ago.
    const maxItems = 1_000_000;
    await using producer = opened(server, { maxItems });
    await using consumer = opened(server, { maxItems });
    const stored: string[] = [];
    const done = new Set<string>();
    const fences = new Map<number, number>();
    let isProducing = true;
    const produce = async (name: string) => {
      for (let n = 0; isProducing; n++) {
        // What is stored faster than it is done would take minutes at the end.
        await eventually('there is room', () => !isProducing || stored.length - done.size < MOST_AHEAD, 40_000);
        const text = `${name}${n}`;
        await producer.queue.enqueue([item(text)]);
        stored.push(text);
      }
    };
    const stop = new AbortController();
    const consume = async () => {
      while (!stop.signal.aborted) {
        const deliveries = await consumer.queue.lease({ max: 8, leaseMs: 2000, signal: stop.signal });
        // At once: while the first is acknowledged, a later one may run out and be leased by the other.
        for (const { id, fence } of deliveries) {
          expect(fence).toBeGreaterThan(fences.get(id) ?? 0);
          fences.set(id, fence);
        }
        for (const delivery of deliveries) {
          try {
            await delivery.ack();
            done.add(textOf(delivery.body));
          } catch (error) {
            // The server went away: the item comes again.
            expect(isEvenkeelError(error, 'unavailable') || isEvenkeelError(error, 'aborted')).toBe(true);
          }
        }
      }
    };
    const producers = ['a', 'b'].map(produce);
    const consumers = [consume(), consume()];
    for (let round = 0; round < rounds(3, 200); round++) {
      const before = { stored: stored.length, done: done.size };
      await eventually('work goes on', () => stored.length > before.stored + 20 && done.size > before.done + 20, 40_000);
      await server.kill();
      await server.restart();
    }
    isProducing = false;
    await Promise.all(producers);
    // What was on its way when the server died comes again after 30 s.
    await eventually('all done', () => stored.every((text) => done.has(text)), 60_000);
    stop.abort();
    await Promise.all(consumers);
  });

  it.each(['key', 'room'])(
    'an item that has ended gives up its %s for good, also when the server is killed after that',
    async (what) => {
      await using server = await natsServer();
      await using one = opened(server, what === 'room' ? { maxItems: 25 } : {});
      const batch = Array.from({ length: 20 }, (_, i) => ({ ...item(String(i)), ...(what === 'key' ? { key: `k${i}` } : {}) }));
      const work = async (items: readonly QueueItem[]) => {
        await one.queue.enqueue(items);
        const left = new Set(items.map(({ body }) => textOf(body)));
        while (left.size > 0) {
          for (const delivery of await one.queue.lease({ max: 50, leaseMs: 30_000 })) {
            left.delete(textOf(delivery.body));
            await delivery.ack();
          }
        }
      };
      // An older one that is still held: nats-server 2.9 then has those behind it again.
      await one.queue.enqueue([item('held')]);
      const [held] = await one.queue.lease({ max: 1, leaseMs: 60_000 });
      await work(batch);
      const endedAtMs = Date.now();
      await eventually('the server has written down that they ended', async () => {
        await work([item('more')]);
        return server.writtenAtMs('EKQ_q/obs/workers/o.dat') > endedAtMs;
      });
      await server.kill();
      await server.restart();
      await held?.ack();
      await work(batch);
      expect((await one.queue.stats()).due).toBe(0);
    },
  );

  it('an item that the server delivers twice is leased once, as the later delivery', async () => {
    await using server = await natsServer();
    await using one = opened(server, {}, { nats: givingBackOne() });
    await using two = opened(server);
    // It waits for one, and then takes what else is there.
    const leasing = one.queue.lease({ max: 2, leaseMs: 30_000 });
    const connection = await nats.connect({ servers: server.servers });
    await eventually('it waits', async () => {
      const answer = await connection.request('$JS.API.CONSUMER.INFO.EKQ_q.workers');
      return answer.json<{ num_waiting?: number }>().num_waiting === 1;
    });
    await connection.close();
    const [id] = await two.queue.enqueue([item('1')]);
    const deliveries = await leasing;
    expect(deliveries.map((delivery) => [delivery.id, delivery.attempt])).toEqual([[id, 2]]);
    await deliveries[0]?.ack();
    expect(await two.queue.stats()).toEqual({ due: 0, delayed: 0, leased: 0, dead: 0 });
  });
});
