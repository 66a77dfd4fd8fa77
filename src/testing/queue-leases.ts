/** Who holds an item, and for how long: redelivery, fences, dead letters. */
import assert from 'node:assert/strict';
import type { Delivery, QueueTransport } from '../core/transport/queue.js';
import { bytesOf, type CaseTable, eventually, fails, type StoreSession, settled, textOf } from './conformance.js';
import type { QueueTraits } from './queue-harness.js';
import { LONG_LEASE_MS, takeDue } from './queue-items.js';

type S = StoreSession<QueueTransport>;

/** Long enough for an engine to come back up within a quarter of it. */
const RESTART_MS = 3000;
/** A lease that waits for so long was not served; short of the quarter of a lease that a look has. */
const LOOK_MS = 50;

export function queueLeases(traits: QueueTraits): CaseTable<S> {
  const leaseMs = traits.minLeaseMs * 4;
  const one = async (session: S, queue = session.transport, ms = leaseMs): Promise<Delivery> => {
    const [delivery] = await settled(session, 'a delivery', queue.lease({ max: 1, leaseMs: ms }));
    assert.ok(delivery !== undefined, 'a lease without a delivery');
    return delivery;
  };
  const tellsWaiting = traits.tellsWaiting ?? true;
  const expire = async (session: S) => {
    await session.advance(leaseMs + traits.marginMs);
    await becomesDue(session);
  };
  /** By now it is; where statistics cannot tell, the next lease shows it: that one must not have to wait. */
  const becomesDue = async (session: S, queue = session.transport) => {
    if (tellsWaiting) await eventually(session, 'due', async () => (await queue.stats()).due === 1);
  };
  /** A single item, for which a nack delay runs. */
  const assertDelayed = async (queue: QueueTransport, message?: string) => {
    const expected = tellsWaiting ? { due: 0, delayed: 1, leased: 0, dead: 0 } : { due: 0, delayed: 0, leased: 1, dead: 0 };
    assert.deepEqual(await queue.stats(), expected, message);
  };
  /** By statistics, or by a lease that is given up when it was not served at once. */
  const assertNotDue = async (session: S, message: string, queue = session.transport) => {
    assert.equal((await queue.stats()).due, 0, message);
    if (tellsWaiting) return;
    const controller = new AbortController();
    const lease = queue.lease({ max: 1, leaseMs: LONG_LEASE_MS, signal: controller.signal });
    await session.advance(LOOK_MS);
    controller.abort();
    assert.deepEqual(await settled(session, 'the look', lease), [], message);
  };

  return {
    'an acknowledged item is gone, and a second ack is the same ack': async (session) => {
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      const delivery = await one(session);
      await delivery.ack();
      await delivery.ack();
      assert.deepEqual(await session.transport.stats(), { due: 0, delayed: 0, leased: 0, dead: 0 });
      await session.advance(leaseMs + traits.marginMs);
      await delivery.ack();
      assert.deepEqual(await session.transport.stats(), { due: 0, delayed: 0, leased: 0, dead: 0 });
    },

    'an item is not delivered again while it is leased': async (session) => {
      const other = await session.another();
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      const delivery = await one(session, session.transport, leaseMs * 3);
      await session.advance(leaseMs * 2);
      assert.equal((await other.stats()).leased, 1);
      await assertNotDue(session, 'due while it is leased', other);
      await delivery.ack();
    },

    'an item whose lease ran out is delivered again, with a higher attempt and fence': async (session) => {
      const other = await session.another();
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      let last = await one(session);
      for (let attempt = 2; attempt <= 4; attempt++) {
        await expire(session);
        const next = await one(session, attempt % 2 === 0 ? other : session.transport);
        assert.equal(next.id, last.id);
        assert.equal(textOf(next.body), '1');
        assert.equal(next.attempt, attempt);
        assert.ok(next.fence > last.fence, `fence ${next.fence} after ${last.fence}`);
        last = next;
      }
    },

    'whoever lost the lease cannot end, prolong or bury the item of the new holder': async (session) => {
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      const stale = await one(session);
      await expire(session);
      const current = await one(session, await session.another(), LONG_LEASE_MS);
      await fails('aborted', 'ack', () => stale.ack());
      await fails('aborted', 'nack', () => stale.nack());
      await fails('aborted', 'extend', () => stale.extend(LONG_LEASE_MS));
      await fails('aborted', 'deadLetter', () => stale.deadLetter('mine'));
      assert.deepEqual(await session.transport.stats(), { due: 0, delayed: 0, leased: 1, dead: 0 });
      await current.ack();
      await fails('aborted', 'ack after the end', () => stale.ack());
      assert.deepEqual(await session.transport.stats(), { due: 0, delayed: 0, leased: 0, dead: 0 });
    },

    'an extended lease lasts from the moment of extending': async (session) => {
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      const delivery = await one(session);
      for (let i = 0; i < 4; i++) {
        await session.advance(leaseMs / 2);
        await delivery.extend(leaseMs);
      }
      await session.advance(leaseMs / 2);
      assert.equal((await session.transport.stats()).leased, 1);
      await assertNotDue(session, 'due before its lease ran out');
      await expire(session);
      assert.equal((await one(session)).attempt, 2);
    },

    'extending may shorten a lease': async (session) => {
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      const delivery = await one(session, session.transport, LONG_LEASE_MS);
      await delivery.extend(leaseMs);
      await expire(session);
      assert.equal((await one(session)).id, delivery.id);
    },

    'a nacked item is due at once, or after its delay and not before': async (session) => {
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      await (await one(session, session.transport, LONG_LEASE_MS)).nack();
      const again = await one(session, session.transport, LONG_LEASE_MS);
      assert.equal(again.attempt, 2);
      await again.nack(2000);
      await assertDelayed(session.transport);
      await session.advance(1000);
      await assertNotDue(session, 'due before its delay was over');
      await session.advance(1000 + traits.marginMs);
      await becomesDue(session);
      assert.equal((await one(session)).attempt, 3);
    },

    'a delivery that was nacked or buried is no longer ours': async (session) => {
      await session.transport.enqueue([{ body: bytesOf('1') }, { body: bytesOf('2') }]);
      const [first, second] = await takeDue(session);
      await first?.nack(3_600_000);
      await second?.deadLetter('no use');
      for (const delivery of [first, second]) {
        await fails('aborted', 'ack', () => delivery?.ack());
        await fails('aborted', 'nack', () => delivery?.nack());
        await fails('aborted', 'extend', () => delivery?.extend(1000));
        await fails('aborted', 'deadLetter', () => delivery?.deadLetter('again'));
      }
      const hidden = tellsWaiting ? { delayed: 1, leased: 0 } : { delayed: 0, leased: 1 };
      assert.deepEqual(await session.transport.stats(), { due: 0, ...hidden, dead: 1 });
    },

    'delays and durations out of range are refused and the lease stays': async (session) => {
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      const delivery = await one(session, session.transport, LONG_LEASE_MS);
      for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
        await fails('invalid-argument', `nack(${bad})`, () => delivery.nack(bad));
        await fails('invalid-argument', `extend(${bad})`, () => delivery.extend(bad));
      }
      await fails('invalid-argument', 'extend(99)', () => delivery.extend(99));
      await fails('invalid-argument', 'deadLetter()', () => delivery.deadLetter(undefined as unknown as string));
      await delivery.ack();
    },

    'a dead letter is out of the queue, kept with its reason, oldest first, and frees its key': async (session) => {
      const { transport } = session;
      const ids = await transport.enqueue([{ body: bytesOf('1'), key: 'k' }, { body: bytesOf('2') }]);
      const [first, second] = await takeDue(session);
      await second?.deadLetter('second');
      await first?.deadLetter('first');
      const letters = await transport.deadLetters({ limit: 10 });
      assert.deepEqual(
        letters.map(({ id, body, attempts, reason }) => [id, textOf(body), attempts, reason]),
        [
          [ids[1], '2', 1, 'second'],
          [ids[0], '1', 1, 'first'],
        ],
      );
      assert.equal((await transport.deadLetters({ limit: 1 })).length, 1);
      const [fresh] = await transport.enqueue([{ body: bytesOf('3'), key: 'k' }]);
      assert.ok(Number(fresh) > Math.max(...ids));
    },

    'a jump of the calendar neither ends nor prolongs a lease': traits.wallTime
      ? async (session) => {
          await session.transport.enqueue([{ body: bytesOf('1') }]);
          const delivery = await one(session);
          session.jumpWallTime?.(leaseMs * 100);
          await session.advance(leaseMs / 2);
          await delivery.extend(leaseMs);
          session.jumpWallTime?.(-leaseMs * 200);
          await expire(session);
        }
      : undefined,

    'many consumers share the items: each is held by one at a time and none is lost': async (session) => {
      const clients = [session.transport, await session.another(), await session.another()];
      const count = 60;
      await session.transport.enqueue(Array.from({ length: count }, (_, i) => ({ body: bytesOf(String(i)) })));
      const holders = new Map<number, number>();
      const acked = new Set<number>();
      const controller = new AbortController();
      const work = async (queue: QueueTransport, consumer: number) => {
        while (acked.size < count) {
          const batch = await queue.lease({ max: 4, leaseMs: LONG_LEASE_MS, signal: controller.signal });
          for (const delivery of batch) {
            assert.equal(holders.get(delivery.id), undefined, `item ${delivery.id} is held twice`);
            holders.set(delivery.id, consumer);
          }
          for (const delivery of batch) {
            await session.clock.sleep(1 + (delivery.id % 5));
            holders.delete(delivery.id);
            if (delivery.attempt === 1 && delivery.id % 7 === 0) {
              await delivery.nack(10);
            } else {
              await delivery.ack();
              assert.ok(!acked.has(delivery.id), `item ${delivery.id} was acknowledged twice`);
              acked.add(delivery.id);
            }
          }
          if (acked.size === count) controller.abort();
        }
      };
      const consumers = Array.from({ length: 6 }, (_, i) => work(clients[i % clients.length] ?? session.transport, i));
      await settled(session, 'all acknowledged', Promise.all(consumers), 60_000);
      assert.deepEqual(await session.transport.stats(), { due: 0, delayed: 0, leased: 0, dead: 0 });
    },

    'a restart gives a leased item to the next holder once its lease ran out, with a higher fence': traits.durable
      ? async (session) => {
          await session.transport.enqueue([{ body: bytesOf('1') }]);
          const before = await one(session, session.transport, RESTART_MS);
          await session.advance(RESTART_MS / 4);
          const reopened = await session.restart();
          await session.advance(RESTART_MS / 4);
          assert.deepEqual(await reopened.stats(), { due: 0, delayed: 0, leased: 1, dead: 0 }, 'due before its lease ran out');
          await assertNotDue(session, 'due before its lease ran out', reopened);
          await session.advance(RESTART_MS + traits.marginMs);
          await becomesDue(session, reopened);
          const after = await one(session, reopened);
          assert.equal(after.id, before.id);
          assert.equal(after.attempt, 2);
          assert.ok(after.fence > before.fence);
          await after.ack();
        }
      : undefined,

    'a nack delay survives a restart': traits.durable
      ? async (session) => {
          await session.transport.enqueue([{ body: bytesOf('1') }]);
          await (await one(session)).nack(RESTART_MS);
          await session.advance(RESTART_MS / 4);
          const reopened = await session.restart();
          await session.advance(RESTART_MS / 4);
          await assertDelayed(reopened, 'due before its delay was over');
          await assertNotDue(session, 'due before its delay was over', reopened);
          await session.advance(RESTART_MS / 2 + traits.marginMs);
          await becomesDue(session, reopened);
          const again = await one(session, reopened);
          assert.equal(again.attempt, 2);
          assert.equal(textOf(again.body), '1');
        }
      : undefined,

    'a restart keeps attempts and fences rising, however often it comes': traits.durable
      ? async (session) => {
          const [id] = await session.transport.enqueue([{ body: bytesOf('1') }]);
          let queue = session.transport;
          let fence = Number.NEGATIVE_INFINITY;
          for (let attempt = 1; attempt <= 3; attempt++) {
            const delivery = await one(session, queue);
            assert.deepEqual([delivery.id, delivery.attempt], [id, attempt]);
            assert.ok(delivery.fence > fence, `fence ${delivery.fence} after ${fence}`);
            fence = delivery.fence;
            await delivery.nack();
            queue = await session.restart();
          }
        }
      : undefined,

    'an extended lease lasts over a restart': traits.durable
      ? async (session) => {
          await session.transport.enqueue([{ body: bytesOf('1') }]);
          await (await one(session)).extend(LONG_LEASE_MS);
          const reopened = await session.restart();
          await session.advance(leaseMs * 2 + traits.marginMs);
          assert.deepEqual(await reopened.stats(), { due: 0, delayed: 0, leased: 1, dead: 0 });
          await assertNotDue(session, 'due before its lease ran out', reopened);
        }
      : undefined,
  };
}
