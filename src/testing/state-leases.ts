/** Leases: a value is gone when nobody has put it again for as long as its lease says, by the clock of whoever looks. */
import assert from 'node:assert/strict';
import type { StateEvent, StateTransport } from '../core/transport/state.js';
import { bytesOf, type CaseTable, eventually, fails, type StoreSession, textOf } from './conformance.js';
import type { StateTraits } from './state-harness.js';

type S = StoreSession<StateTransport>;

/** Long enough for an engine to come back up within a quarter of it. */
const RESTART_MS = 3000;

export function stateLeases(traits: StateTraits): CaseTable<S> {
  const leaseMs = traits.minLeaseMs * 4;
  const margin = traits.leaseMarginMs;
  /** Short of the lease by a quarter: enough for a real clock on a busy machine. */
  const withinLease = (session: S) => session.advance(leaseMs * 0.75);
  const pastLease = (session: S) => session.advance(leaseMs + margin);

  return {
    'a leased value is there while its lease runs, and says so': async (session) => {
      await session.transport.put('a', bytesOf('1'), { leaseMs });
      await withinLease(session);
      const entry = await session.transport.get('a');
      assert.equal(textOf(entry?.value), '1');
      assert.equal(entry?.leaseMs, leaseMs);
    },

    'a leased value is absent once its lease has run out, for every client': async (session) => {
      const other = await session.another();
      await session.transport.put('a', bytesOf('1'), { leaseMs });
      await pastLease(session);
      await eventually(session, 'absent', async () => (await session.transport.get('a')) === undefined);
      await eventually(session, 'absent for the other', async () => (await other.get('a')) === undefined);
    },

    'putting the value again renews its lease': async (session) => {
      let revision = await session.transport.put('a', bytesOf('0'), { leaseMs });
      for (let i = 1; i <= 4; i++) {
        await session.advance(leaseMs / 2);
        revision = await session.transport.put('a', bytesOf(String(i)), { expect: revision, leaseMs });
      }
      await session.advance(leaseMs / 2);
      assert.equal(textOf((await session.transport.get('a'))?.value), '4');
    },

    'a put without a lease makes the value permanent': async (session) => {
      await session.transport.put('a', bytesOf('1'), { leaseMs });
      await session.transport.put('a', bytesOf('2'));
      await pastLease(session);
      const entry = await session.transport.get('a');
      assert.equal(textOf(entry?.value), '2');
      assert.equal(entry?.leaseMs, undefined);
    },

    'an expired key is taken by a put that expects absence': async (session) => {
      const other = await session.another();
      const revision = await session.transport.put('leader', bytesOf('a'), { leaseMs });
      await fails('aborted', 'while it is held', () => other.put('leader', bytesOf('b'), { expect: 'absent', leaseMs }));
      await pastLease(session);
      await eventually(session, 'absent', async () => (await other.get('leader')) === undefined);
      const taken = await other.put('leader', bytesOf('b'), { expect: 'absent', leaseMs });
      assert.ok(taken > revision);
      await fails('aborted', 'the old holder', () =>
        session.transport.put('leader', bytesOf('a'), { expect: revision, leaseMs }),
      );
    },

    'a put that expects the revision of an expired key is refused': async (session) => {
      const revision = await session.transport.put('a', bytesOf('1'), { leaseMs });
      await pastLease(session);
      await eventually(session, 'absent', async () => (await session.transport.get('a')) === undefined);
      const error = await fails('aborted', 'expired', () =>
        session.transport.put('a', bytesOf('2'), { expect: revision, leaseMs }),
      );
      assert.equal(error.details?.revision, 0);
    },

    'a watch sees an expiry once, with the last value and a higher revision, and not before the lease ran out': async (
      session,
    ) => {
      const events: { event: StateEvent; atMs: number }[] = [];
      const watch = (await session.another()).watch('', (event) => events.push({ event, atMs: session.clock.now() }));
      const seen = (type: StateEvent['type']) => events.filter(({ event }) => event.type === type);
      await eventually(session, 'synced', () => seen('synced').length === 1);
      const putAt = session.clock.now();
      const revision = await session.transport.put('a', bytesOf('1'), { leaseMs });
      await eventually(session, 'expired', () => seen('expired').length > 0, leaseMs + margin + 10_000);
      const expired = seen('expired')[0];
      assert.ok((expired?.atMs ?? 0) >= putAt + leaseMs, `expired after ${(expired?.atMs ?? 0) - putAt} of ${leaseMs} ms`);
      assert.equal(expired?.event.entry?.key, 'a');
      assert.equal(textOf(expired?.event.entry?.value), '1');
      assert.ok((expired?.event.revision ?? 0) > revision);
      await pastLease(session);
      assert.equal(seen('expired').length, 1);
      assert.equal(seen('delete').length, 0);
      watch.close();
    },

    'a renewal of which a watch learns keeps it from seeing an expiry': async (session) => {
      const types: string[] = [];
      const watch = session.transport.watch('', ({ type }) => types.push(type));
      for (let i = 0; i < 6; i++) {
        await session.transport.put('a', bytesOf(String(i)), { leaseMs });
        await session.advance(leaseMs / 2);
      }
      assert.ok(types.includes('put'));
      assert.ok(!types.includes('expired'), types.join(' '));
      watch.close();
    },

    'a jump of the calendar neither ends nor prolongs a lease': traits.wallTime
      ? async (session) => {
          await session.transport.put('a', bytesOf('1'), { leaseMs });
          session.jumpWallTime?.(leaseMs * 100);
          await withinLease(session);
          assert.equal(textOf((await session.transport.get('a'))?.value), '1', 'a jump ahead ended the lease');
          session.jumpWallTime?.(-leaseMs * 200);
          await pastLease(session);
          await eventually(session, 'absent', async () => (await session.transport.get('a')) === undefined, 2 * leaseMs + margin);
        }
      : undefined,

    'leases run out in their own time, not in the order of their puts': async (session) => {
      await session.transport.put('long', bytesOf('1'), { leaseMs: leaseMs * 20 });
      await session.transport.put('short', bytesOf('1'), { leaseMs });
      await pastLease(session);
      await eventually(session, 'the short one is absent', async () => (await session.transport.get('short')) === undefined);
      assert.equal(textOf((await session.transport.get('long'))?.value), '1');
    },

    'deleting a leased key leaves no expiry behind': async (session) => {
      const types: string[] = [];
      const watch = session.transport.watch('', ({ type }) => types.push(type));
      await session.transport.put('a', bytesOf('1'), { leaseMs });
      await session.transport.delete('a');
      await session.transport.put('a', bytesOf('2'));
      await pastLease(session);
      assert.equal(textOf((await session.transport.get('a'))?.value), '2');
      assert.ok(!types.includes('expired'), types.join(' '));
      watch.close();
    },

    'a lease shorter than 100 ms or longer than a day is refused': async ({ transport }) => {
      for (const bad of [0, -1, 99, 86_400_001, Number.NaN, Number.POSITIVE_INFINITY, '1000']) {
        await fails('invalid-argument', String(bad), () => transport.put('a', bytesOf('1'), { leaseMs: bad as number }));
      }
      assert.equal(await transport.get('a'), undefined);
    },

    'leases run on over a restart: none ends early, each ends, and a value put again is kept': traits.durable
      ? async (session) => {
          const ms = Math.max(leaseMs, RESTART_MS);
          await session.transport.put('a', bytesOf('1'), { leaseMs: ms });
          const held = await session.transport.put('b', bytesOf('1'), { leaseMs: ms });
          await session.transport.put('c', bytesOf('1'));
          await session.advance(ms / 4);
          const reopened = await session.restart();
          await session.advance(ms / 4);
          const entry = await reopened.get('a');
          assert.equal(textOf(entry?.value), '1', 'the restart ended the lease');
          assert.equal(entry?.leaseMs, ms);
          await reopened.put('b', bytesOf('2'), { expect: held });
          // An engine that counts from what it sees may count the whole lease again, and no more.
          await session.advance(ms + margin);
          await eventually(session, 'absent', async () => (await reopened.get('a')) === undefined);
          assert.equal(textOf((await reopened.get('b'))?.value), '2');
          assert.equal(textOf((await reopened.get('c'))?.value), '1');
        }
      : undefined,

    'a lease that was renewed after a restart runs from there': traits.durable
      ? async (session) => {
          const ms = Math.max(leaseMs, RESTART_MS);
          const first = await session.transport.put('a', bytesOf('1'), { leaseMs: ms });
          const reopened = await session.restart();
          await session.advance(ms / 2);
          assert.ok((await reopened.put('a', bytesOf('2'), { expect: first, leaseMs: ms })) > first);
          await session.advance(ms * 0.75);
          assert.equal(textOf((await reopened.get('a'))?.value), '2', 'the old lease ended the new value');
          await session.advance(ms * 0.25 + margin);
          await eventually(session, 'absent', async () => (await reopened.get('a')) === undefined);
        }
      : undefined,
  };
}
