/** Leases that wait: what wakes them, and what ends them. */
import assert from 'node:assert/strict';
import type { Delivery, QueueTransport } from '../core/transport/queue.js';
import { bytesOf, type CaseTable, eventually, fails, type StoreSession, settled, textOf } from './conformance.js';
import type { QueueTraits } from './queue-harness.js';
import { LONG_LEASE_MS, takeDue } from './queue-items.js';

type S = StoreSession<QueueTransport>;

export function queueWaiting(traits: QueueTraits): CaseTable<S> {
  const leaseMs = traits.minLeaseMs * 4;
  /** A lease that is known to wait. */
  const waitFor = async (session: S, queue = session.transport, signal?: AbortSignal) => {
    const state: { got: Delivery[] | undefined; error: unknown } = { got: undefined, error: undefined };
    const promise = queue.lease({ max: 10, leaseMs: LONG_LEASE_MS, ...(signal === undefined ? undefined : { signal }) });
    promise.then(
      (got) => {
        state.got = got;
      },
      (error) => {
        state.error = error;
      },
    );
    await session.advance(100);
    assert.equal(state.got, undefined, 'the lease did not wait');
    assert.equal(state.error, undefined);
    return { state, promise };
  };
  const texts = (got: Delivery[] | undefined) => got?.map(({ body }) => textOf(body));

  return {
    'a waiting lease is woken by an enqueue of any client': async (session) => {
      const other = await session.another();
      for (const client of [session.transport, other]) {
        const { promise } = await waitFor(session);
        await client.enqueue([{ body: bytesOf('1') }]);
        const got = await settled(session, 'woken', promise);
        assert.deepEqual(texts(got), ['1']);
        await got[0]?.ack();
      }
    },

    'a waiting lease is woken when a start time comes': async (session) => {
      await session.transport.enqueue([{ body: bytesOf('1'), notBefore: session.clock.wallTime() + 2000 }]);
      const { state, promise } = await waitFor(session);
      await session.advance(1000);
      assert.equal(state.got, undefined, 'woken early');
      assert.deepEqual(texts(await settled(session, 'woken', promise, 1000 + traits.marginMs)), ['1']);
    },

    'a waiting lease is woken when another lease runs out': async (session) => {
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      const [held] = await takeDue(session, session.transport, 1, leaseMs + 200);
      const { promise } = await waitFor(session, await session.another());
      const got = await settled(session, 'woken', promise, leaseMs + 200 + traits.marginMs);
      assert.equal(got[0]?.id, held?.id);
      assert.equal(got[0]?.attempt, 2);
    },

    'a waiting lease is woken by a nack, and by the end of its delay': async (session) => {
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      const [held] = await takeDue(session);
      const first = await waitFor(session);
      await held?.nack();
      const [again] = await settled(session, 'woken by the nack', first.promise);
      assert.equal(again?.attempt, 2);
      const second = await waitFor(session);
      await again?.nack(1000);
      await session.advance(500);
      assert.equal(second.state.got, undefined, 'woken early');
      const [third] = await settled(session, 'woken by the end of the delay', second.promise, 1000 + traits.marginMs);
      assert.equal(third?.attempt, 3);
    },

    'a waiting lease is woken when the calendar jumps past a start time': traits.wallTime
      ? async (session) => {
          await session.transport.enqueue([{ body: bytesOf('1'), notBefore: session.clock.wallTime() + 86_400_000 }]);
          const { promise } = await waitFor(session);
          session.jumpWallTime?.(86_400_000);
          assert.deepEqual(texts(await settled(session, 'woken', promise)), ['1']);
        }
      : undefined,

    'one item wakes one waiting lease': async (session) => {
      const other = await session.another();
      const one = await waitFor(session);
      const two = await waitFor(session, other);
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      await eventually(session, 'one is woken', () => one.state.got !== undefined || two.state.got !== undefined);
      await session.advance(500);
      assert.ok(one.state.got === undefined || two.state.got === undefined, 'both were woken');
      await session.transport.enqueue([{ body: bytesOf('2') }]);
      const got = await settled(session, 'both', Promise.all([one.promise, two.promise]));
      assert.deepEqual(got.flatMap((batch) => texts(batch) ?? []).sort(), ['1', '2']);
    },

    'an aborted signal ends a waiting lease with an empty array, and takes nothing': async (session) => {
      const controller = new AbortController();
      const { promise } = await waitFor(session, session.transport, controller.signal);
      controller.abort();
      assert.deepEqual(await settled(session, 'ended', promise), []);
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      assert.deepEqual(texts(await takeDue(session)), ['1']);
    },

    'a signal aborted before gives an empty array even when something is due': async (session) => {
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      const lease = session.transport.lease({ max: 1, leaseMs, signal: AbortSignal.abort() });
      assert.deepEqual(await settled(session, 'ended', lease), []);
      assert.equal((await session.transport.stats()).due, 1);
    },

    'a signal that aborts after the delivery takes nothing back': async (session) => {
      const controller = new AbortController();
      const { promise } = await waitFor(session, session.transport, controller.signal);
      await session.transport.enqueue([{ body: bytesOf('1') }]);
      const [delivery] = await settled(session, 'woken', promise);
      controller.abort();
      await session.advance(100);
      await delivery?.ack();
      assert.deepEqual(await session.transport.stats(), { due: 0, delayed: 0, leased: 0, dead: 0 });
    },

    'closing ends the waiting leases of that client with failed-precondition': async (session) => {
      const other = await session.another();
      const mine = await waitFor(session);
      const theirs = await waitFor(session, other);
      await session.transport.close();
      await fails('failed-precondition', 'the waiting lease', () => settled(session, 'ended', mine.promise));
      await other.enqueue([{ body: bytesOf('1') }]);
      assert.deepEqual(texts(await settled(session, 'the other is served', theirs.promise)), ['1']);
    },
  };
}
