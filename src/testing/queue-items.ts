/** Items: what is stored, in which order it comes, when it starts, and the life of a queue transport. */
import assert from 'node:assert/strict';
import { type Delivery, MAX_QUEUE_BATCH, MAX_QUEUE_BODY_BYTES, type QueueTransport } from '../core/transport/queue.js';
import {
  assertBytes,
  bytesOf,
  type CaseTable,
  eventually,
  fails,
  patternOf,
  type StoreSession,
  settled,
  textOf,
} from './conformance.js';
import type { QueueTraits } from './queue-harness.js';

type S = StoreSession<QueueTransport>;
export const LONG_LEASE_MS = 60_000;

/** What is due now, without waiting for more. */
export async function takeDue(session: S, queue = session.transport, max = 100, leaseMs = LONG_LEASE_MS): Promise<Delivery[]> {
  const { due } = await queue.stats();
  return due === 0 ? [] : settled(session, 'a lease of what is due', queue.lease({ max, leaseMs }));
}

export async function textsDue(session: S, queue = session.transport): Promise<(string | undefined)[]> {
  return (await takeDue(session, queue)).map(({ body }) => textOf(body));
}

export function queueItems(traits: QueueTraits): CaseTable<S> {
  return {
    'an item is delivered with its id, body, first attempt and a fence': async (session) => {
      const body = Uint8Array.from({ length: 256 }, (_, i) => i);
      const [id] = await session.transport.enqueue([{ body }]);
      const [delivery] = await settled(session, 'lease', session.transport.lease({ max: 1, leaseMs: LONG_LEASE_MS }));
      assert.equal(delivery?.id, id);
      assert.equal(delivery?.attempt, 1);
      assert.ok(Number.isSafeInteger(delivery?.fence));
      assertBytes(delivery?.body ?? new Uint8Array(), body, 'the body');
    },

    'ids rise over batches and clients, and are given in the order of the items': async (session) => {
      const other = await session.another();
      const ids = [
        ...(await session.transport.enqueue([{ body: bytesOf('1') }, { body: bytesOf('2') }])),
        ...(await other.enqueue([{ body: bytesOf('3') }])),
        ...(await session.transport.enqueue([{ body: bytesOf('4') }])),
      ];
      assert.equal(ids.length, 4);
      for (let i = 1; i < ids.length; i++) assert.ok(Number(ids[i]) > Number(ids[i - 1]), ids.join(' '));
      assert.deepEqual(await textsDue(session), ['1', '2', '3', '4']);
    },

    'an empty batch stores nothing': async (session) => {
      assert.deepEqual(await session.transport.enqueue([]), []);
      assert.deepEqual(await session.transport.stats(), { due: 0, delayed: 0, leased: 0, dead: 0 });
    },

    'a lease takes at most max, the oldest first': async (session) => {
      for (let i = 0; i < 5; i++) await session.transport.enqueue([{ body: bytesOf(String(i)) }]);
      const first = await takeDue(session, session.transport, 2);
      assert.deepEqual(
        first.map(({ body }) => textOf(body)),
        ['0', '1'],
      );
      assert.deepEqual(await textsDue(session), ['2', '3', '4']);
    },

    'a thousand items go in one batch and come in one lease': async (session) => {
      const items = Array.from({ length: MAX_QUEUE_BATCH }, (_, i) => ({ body: bytesOf(String(i)) }));
      await session.transport.enqueue(items);
      await fails('invalid-argument', 'one more', () => session.transport.enqueue([...items, { body: bytesOf('x') }]));
      const deliveries = await takeDue(session, session.transport, MAX_QUEUE_BATCH);
      assert.deepEqual(
        deliveries.map(({ body }) => textOf(body)),
        items.map(({ body }) => textOf(body)),
      );
    },

    'an item whose start time has not come is not delivered, and is once it has': async (session) => {
      const { transport, clock } = session;
      await transport.enqueue([
        { body: bytesOf('later'), notBefore: clock.wallTime() + 1000 },
        { body: bytesOf('now') },
        { body: bytesOf('past'), notBefore: clock.wallTime() - 1000 },
      ]);
      assert.deepEqual((await textsDue(session)).sort(), ['now', 'past']);
      assert.equal((await transport.stats()).delayed, 1);
      await session.advance(1000 + traits.marginMs);
      await eventually(session, 'due', async () => (await transport.stats()).due === 1);
      assert.deepEqual(await textsDue(session), ['later']);
    },

    'items come in the order of their start times': async (session) => {
      const start = session.clock.wallTime() + 500;
      await session.transport.enqueue([
        { body: bytesOf('third'), notBefore: start + 200 },
        { body: bytesOf('first'), notBefore: start },
        { body: bytesOf('second'), notBefore: start + 100 },
      ]);
      await session.advance(700 + traits.marginMs);
      await eventually(session, 'all due', async () => (await session.transport.stats()).due === 3);
      assert.deepEqual(await textsDue(session), ['first', 'second', 'third']);
    },

    'a start time is a time of the calendar': traits.wallTime
      ? async (session) => {
          await session.transport.enqueue([{ body: bytesOf('later'), notBefore: session.clock.wallTime() + 3_600_000 }]);
          assert.deepEqual(await textsDue(session), []);
          session.jumpWallTime?.(3_600_000);
          await eventually(session, 'due', async () => (await session.transport.stats()).due === 1);
          assert.deepEqual(await textsDue(session), ['later']);
        }
      : undefined,

    'an item whose key is stored is not stored again': async (session) => {
      const { transport } = session;
      const other = await session.another();
      const [first] = await transport.enqueue([{ body: bytesOf('1'), key: 'k' }]);
      assert.deepEqual(await other.enqueue([{ body: bytesOf('2'), key: 'k' }]), [first]);
      const twins = await transport.enqueue([
        { body: bytesOf('3'), key: 'l' },
        { body: bytesOf('4'), key: 'l' },
        { body: bytesOf('5') },
        { body: bytesOf('6') },
      ]);
      assert.equal(twins[0], twins[1]);
      const deliveries = await takeDue(session);
      assert.deepEqual(
        deliveries.map(({ body }) => textOf(body)),
        ['1', '3', '5', '6'],
      );
      assert.deepEqual(await transport.enqueue([{ body: bytesOf('7'), key: 'k' }]), [first], 'leased is stored');
    },

    'a key is free again once its item is acknowledged': async (session) => {
      const [first] = await session.transport.enqueue([{ body: bytesOf('1'), key: 'k' }]);
      const [delivery] = await takeDue(session);
      await delivery?.ack();
      const [second] = await session.transport.enqueue([{ body: bytesOf('2'), key: 'k' }]);
      assert.ok(Number(second) > Number(first));
      assert.deepEqual(await textsDue(session), ['2']);
    },

    'a body of 256 KiB is taken, and one byte more refuses the whole batch': async (session) => {
      const largest = patternOf(MAX_QUEUE_BODY_BYTES);
      const tooLarge = new Uint8Array(MAX_QUEUE_BODY_BYTES + 1);
      await fails('out-of-range', 'one byte more', () => session.transport.enqueue([{ body: bytesOf('1') }, { body: tooLarge }]));
      assert.equal((await session.transport.stats()).due, 0);
      await session.transport.enqueue([{ body: largest }, { body: new Uint8Array() }]);
      const [delivery, empty] = await takeDue(session);
      assertBytes(delivery?.body ?? new Uint8Array(), largest, 'the body');
      assert.equal(empty?.body.byteLength, 0);
    },

    'a body handed in or out is the caller’s to change': async (session) => {
      const body = bytesOf('kept');
      const stored = session.transport.enqueue([{ body }]);
      body.fill(0);
      await stored;
      const [delivery] = await takeDue(session);
      delivery?.body.fill(0);
      await delivery?.nack();
      const [again] = await settled(session, 'due', session.transport.lease({ max: 1, leaseMs: LONG_LEASE_MS }));
      assert.equal(textOf(again?.body), 'kept');
    },

    'malformed items and options are refused, and nothing is stored': async (session) => {
      const { transport } = session;
      const good = { body: bytesOf('1') };
      const bad: unknown[] = [
        { body: 'text' },
        {},
        { ...good, notBefore: -1 },
        { ...good, notBefore: Number.NaN },
        { ...good, notBefore: '2026-01-01' },
        { ...good, key: '' },
        { ...good, key: 'k'.repeat(513) },
        { ...good, key: 'half \ud800' },
        { ...good, key: 7 },
      ];
      for (const item of bad) {
        await fails('invalid-argument', JSON.stringify(item), () => transport.enqueue([good, item as typeof good]));
      }
      for (const max of [0, MAX_QUEUE_BATCH + 1, 1.5, Number.NaN]) {
        await fails('invalid-argument', `max ${max}`, () => transport.lease({ max, leaseMs: 1000 }));
      }
      for (const leaseMs of [0, 99, 86_400_001, Number.NaN, Number.POSITIVE_INFINITY]) {
        await fails('invalid-argument', `leaseMs ${leaseMs}`, () => transport.lease({ max: 1, leaseMs }));
      }
      await fails('invalid-argument', 'limit', () => transport.deadLetters({ limit: 0 }));
      await fails('cancelled', 'an aborted signal', () => transport.enqueue([good], { signal: AbortSignal.abort() }));
      assert.deepEqual(await transport.stats(), { due: 0, delayed: 0, leased: 0, dead: 0 });
    },

    'statistics tell items by state': async (session) => {
      const { transport } = session;
      const notBefore = session.clock.wallTime() + 3_600_000;
      await transport.enqueue([...'12345'].map((text) => ({ body: bytesOf(text) })));
      await transport.enqueue([{ body: bytesOf('later'), notBefore }]);
      const [first, second] = await takeDue(session, transport, 2);
      await first?.deadLetter('no use');
      assert.deepEqual(await transport.stats(), { due: 3, delayed: 1, leased: 1, dead: 1 });
      await second?.ack();
      assert.deepEqual(await transport.stats(), { due: 3, delayed: 1, leased: 0, dead: 1 });
    },

    'a closed queue refuses everything, and closing twice is closing once': async (session) => {
      const { transport } = session;
      const other = await session.another();
      await transport.enqueue([{ body: bytesOf('1') }, { body: bytesOf('2') }]);
      const [delivery] = await takeDue(session, transport, 1);
      await Promise.all([transport.close(), transport.close()]);
      await transport.close();
      await fails('failed-precondition', 'enqueue', () => transport.enqueue([{ body: bytesOf('3') }]));
      await fails('failed-precondition', 'lease', () => transport.lease({ max: 1, leaseMs: 1000 }));
      await fails('failed-precondition', 'stats', () => transport.stats());
      await fails('failed-precondition', 'deadLetters', () => transport.deadLetters({ limit: 1 }));
      await fails('failed-precondition', 'ack', () => delivery?.ack());
      assert.deepEqual(await textsDue(session, other), ['2']);
    },

    'start times hold over a restart: no item is early, their order stays, and one that passed meanwhile is due': traits.durable
      ? async (session) => {
          const start = session.clock.wallTime();
          await session.transport.enqueue([
            { body: bytesOf('second'), notBefore: start + 4000 },
            { body: bytesOf('first'), notBefore: start + 3900 },
            { body: bytesOf('soon'), notBefore: start + 200 },
          ]);
          const reopened = await session.restart();
          await session.advance(200 + traits.marginMs);
          await eventually(session, 'one is due', async () => (await reopened.stats()).due === 1);
          assert.equal((await reopened.stats()).delayed, 2, 'due before its start time');
          assert.deepEqual(await textsDue(session, reopened), ['soon']);
          await session.advance(4000 + traits.marginMs);
          await eventually(session, 'all are due', async () => (await reopened.stats()).due === 2);
          assert.deepEqual(await textsDue(session, reopened), ['first', 'second']);
        }
      : undefined,

    'a restart keeps items, start times, keys, ids and dead letters': traits.durable
      ? async (session) => {
          const { transport, clock } = session;
          const ids = await transport.enqueue([
            { body: bytesOf('dead') },
            { body: bytesOf('done') },
            { body: bytesOf('now'), key: 'k' },
            { body: bytesOf('later'), notBefore: clock.wallTime() + 5000 },
          ]);
          const [dead, done] = await takeDue(session, transport, 2);
          await dead?.deadLetter('no use');
          await done?.ack();
          const reopened = await session.restart();
          assert.deepEqual(await reopened.enqueue([{ body: bytesOf('twin'), key: 'k' }]), [ids[2]]);
          assert.deepEqual(await textsDue(session, reopened), ['now']);
          assert.equal((await reopened.stats()).delayed, 1);
          const [letter] = await reopened.deadLetters({ limit: 10 });
          assert.equal(letter?.reason, 'no use');
          const [next] = await reopened.enqueue([{ body: bytesOf('next'), notBefore: clock.wallTime() + 3_600_000 }]);
          assert.ok(Number(next) > Math.max(...ids), 'an id was given twice');
          await session.advance(5000 + traits.marginMs);
          await eventually(session, 'due', async () => (await reopened.stats()).due === 1);
          assert.deepEqual(await textsDue(session, reopened), ['later']);
        }
      : undefined,
  };
}
