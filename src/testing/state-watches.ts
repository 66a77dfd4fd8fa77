/** List, then watch: without gap, without repetition, and with a proof of how fresh it is. */
import assert from 'node:assert/strict';
import type { StateEvent, StateTransport } from '../core/transport/state.js';
import { bytesOf, type CaseTable, eventually, type StoreSession, settled, textOf } from './conformance.js';
import type { StateTraits } from './state-harness.js';
import { Replica } from './state-replica.js';

type S = StoreSession<StateTransport>;

export function stateWatches(traits: StateTraits): CaseTable<S> {
  return {
    'a watch lists what is there, says synced once, then shows each change': async (session) => {
      const { transport } = session;
      await transport.put('a/1', bytesOf('one'));
      await transport.put('a/2', bytesOf('two'));
      const replica = new Replica(transport, 'a/');
      await eventually(session, 'synced', () => replica.isSynced);
      assert.deepEqual(replica.toObject(), { 'a/1': 'one', 'a/2': 'two' });
      const put = await transport.put('a/3', bytesOf('three'));
      await eventually(session, 'the put', () => replica.revision >= put);
      const deleted = await transport.delete('a/1');
      await eventually(session, 'the delete', () => replica.revision >= deleted);
      assert.deepEqual(replica.toObject(), { 'a/2': 'two', 'a/3': 'three' });
      const changes = replica.events
        .filter(({ type }) => type !== 'head')
        .map(({ type, entry }) => `${type} ${entry?.key ?? ''}`);
      assert.deepEqual(changes, ['put a/1', 'put a/2', 'synced ', 'put a/3', 'delete a/1']);
      const last = replica.events.find(({ type }) => type === 'delete');
      assert.equal(textOf(last?.entry?.value), 'one', 'a delete carries the last value');
      replica.close();
    },

    'a watch of nothing is synced': async (session) => {
      const replica = new Replica(session.transport, 'none/');
      await eventually(session, 'synced', () => replica.isSynced);
      assert.deepEqual(replica.toObject(), {});
      replica.close();
    },

    'nothing is delivered inside the call to watch': async (session) => {
      await session.transport.put('a', bytesOf('1'));
      let delivered = 0;
      const watch = session.transport.watch('', () => delivered++);
      assert.equal(delivered, 0);
      await eventually(session, 'delivered', () => delivered >= 2);
      watch.close();
    },

    'a prefix is a beginning of characters, not of segments': async (session) => {
      for (const key of ['ab', 'abc', 'ab/c', 'a', 'b', 'AB']) await session.transport.put(key, bytesOf('1'));
      const replica = new Replica(session.transport, 'ab');
      const everything = new Replica(session.transport, '');
      await eventually(session, 'synced', () => replica.isSynced && everything.isSynced);
      const last = await session.transport.put('ab*', bytesOf('1'));
      await session.transport.put('x', bytesOf('1'));
      await eventually(session, 'the change', () => replica.revision >= last && everything.keys.includes('x'));
      assert.deepEqual(replica.keys, ['ab', 'ab*', 'ab/c', 'abc']);
      assert.deepEqual(everything.keys, ['AB', 'a', 'ab', 'ab*', 'ab/c', 'abc', 'b', 'x']);
      replica.close();
      everything.close();
    },

    'every event names the epoch, and it is the same for two clients': async (session) => {
      const one = new Replica(session.transport, '');
      const two = new Replica(await session.another(), '');
      await session.transport.put('a', bytesOf('1'));
      await eventually(session, 'both saw it', () => one.keys.length === 1 && two.keys.length === 1);
      const epochs = new Set([...one.events, ...two.events].map(({ epoch }) => epoch));
      assert.equal(epochs.size, 1);
      assert.equal(typeof [...epochs][0], 'string');
      one.close();
      two.close();
    },

    'a watch begun while others write has neither gaps nor repetitions': async (session) => {
      const other = await session.another();
      const replicas: Replica[] = [];
      const last = new Map<string, string>();
      const write = async (state: StateTransport, name: string) => {
        for (let n = 0; n < 40; n++) {
          const key = `${name}/${n % 5}`;
          if (n % 7 === 6) {
            await state.delete(key);
            last.delete(key);
          } else {
            await state.put(key, bytesOf(String(n)));
            last.set(key, String(n));
          }
          if (name === 'w0' && n % 4 === 0) replicas.push(new Replica(n % 8 === 0 ? state : other, ''));
        }
      };
      await settled(
        session,
        'writers done',
        Promise.all([write(session.transport, 'w0'), write(other, 'w1'), write(other, 'w2')]),
        60_000,
      );
      const end = await session.transport.put('end', bytesOf('end'));
      last.set('end', 'end');
      const expected = Object.fromEntries([...last].sort(([a], [b]) => (a < b ? -1 : 1)));
      for (const replica of replicas) {
        await eventually(session, 'the end is seen', () => replica.revision >= end);
        assert.deepEqual(replica.toObject(), expected);
        replica.close();
      }
    },

    'a watch shows every change of a key, in order': traits.everyChange
      ? async (session) => {
          const replica = new Replica(await session.another(), 'k');
          await eventually(session, 'synced', () => replica.isSynced);
          const writes = Array.from({ length: 50 }, (_, n) => session.transport.put('k', bytesOf(String(n))));
          const revisions = await settled(session, 'written', Promise.all(writes));
          await eventually(session, 'the last', () => replica.revision >= Math.max(...revisions));
          const seen = replica.events.filter(({ type }) => type === 'put').map(({ revision }) => revision);
          assert.deepEqual(
            seen,
            [...revisions].sort((a, b) => a - b),
          );
          replica.close();
        }
      : undefined,

    'while nothing changes, proofs of freshness keep the age low': async (session) => {
      const replica = new Replica(session.transport, '');
      assert.equal(replica.watch.ageMs, Number.POSITIVE_INFINITY, 'before synced');
      await eventually(session, 'synced', () => replica.isSynced);
      const step = traits.headEveryMs / 10;
      for (let passed = 0; passed < 3 * traits.headEveryMs; passed += step) {
        await session.advance(step);
        const { ageMs } = replica.watch;
        assert.ok(ageMs >= 0 && ageMs <= traits.headEveryMs * 1.5, `age ${ageMs}`);
      }
      const heads = replica.events.filter(({ type }) => type === 'head');
      assert.ok(heads.length >= 2, `${heads.length} heads`);
      const put = await session.transport.put('a', bytesOf('1'));
      await eventually(session, 'a head beyond the put', () => (replica.events.findLast(isHead)?.revision ?? 0) >= put);
      replica.close();
    },

    'the age grows with the watcher’s monotonic time between proofs': async (session) => {
      const replica = new Replica(session.transport, '');
      await eventually(session, 'synced', () => replica.isSynced);
      let last = replica.events.length;
      await eventually(session, 'a head', () => replica.events.slice(last).some(isHead), 3 * traits.headEveryMs + 1000);
      last = replica.events.length;
      const before = replica.watch.ageMs;
      const step = traits.headEveryMs / 10;
      await session.advance(step);
      if (replica.events.length === last) assert.ok(replica.watch.ageMs >= before + step * 0.5, 'the age stands still');
      replica.close();
    },

    'a change elsewhere is no event, but raises the revision that a head proves': async (session) => {
      const replica = new Replica(session.transport, 'mine/');
      await eventually(session, 'synced', () => replica.isSynced);
      const elsewhere = await session.transport.put('yours/a', bytesOf('1'));
      await eventually(session, 'a head', () => (replica.events.findLast(isHead)?.revision ?? 0) >= elsewhere);
      assert.deepEqual(replica.toObject(), {});
      replica.close();
    },

    'after Watch.close() nothing is delivered, not even what was on its way': async (session) => {
      const { transport } = session;
      let count = 0;
      const watch = transport.watch('', () => count++);
      await eventually(session, 'synced', () => count > 0);
      const writes = [transport.put('a', bytesOf('1')), transport.put('b', bytesOf('1'))];
      watch.close();
      watch.close();
      const atClose = count;
      await Promise.all(writes);
      await session.advance(2 * traits.headEveryMs);
      assert.equal(count, atClose);
    },

    'a watch closed by its own listener says no more': async (session) => {
      await session.transport.put('a', bytesOf('1'));
      await session.transport.put('b', bytesOf('1'));
      const events: StateEvent[] = [];
      const watch = session.transport.watch('', (event) => {
        events.push(event);
        watch.close();
      });
      await session.advance(2 * traits.headEveryMs);
      assert.equal(events.length, 1);
    },

    'a watch closed before its first event stays silent': async (session) => {
      let count = 0;
      session.transport.watch('', () => count++).close();
      await session.advance(traits.headEveryMs);
      assert.equal(count, 0);
    },

    'a listener that throws neither ends its watch nor disturbs another': async (session) => {
      let thrown = 0;
      const bad = session.transport.watch('', () => {
        thrown++;
        throw new Error('a listener of the conformance suite');
      });
      const good = new Replica(session.transport, '');
      const first = await session.transport.put('a', bytesOf('1'));
      await eventually(session, 'seen', () => good.revision >= first && thrown > 0);
      const before = thrown;
      await session.transport.put('b', bytesOf('1'));
      await eventually(session, 'both', () => good.keys.length === 2 && thrown > before);
      bad.close();
      good.close();
    },

    'a listener may write, and sees what it wrote': async (session) => {
      const seen: string[] = [];
      const watch = session.transport.watch('', ({ type, entry }) => {
        if (type !== 'put' || entry === undefined) return;
        seen.push(entry.key);
        if (seen.length < 4) void session.transport.put(`k${seen.length}`, bytesOf('1'));
      });
      await session.transport.put('k0', bytesOf('1'));
      await eventually(session, 'all four', () => seen.length >= 4);
      assert.deepEqual(seen, ['k0', 'k1', 'k2', 'k3']);
      watch.close();
    },

    'a value delivered is the listener’s to change': async (session) => {
      const values: (string | undefined)[] = [];
      const spoil = ({ entry }: StateEvent) => {
        if (entry === undefined) return;
        values.push(textOf(entry.value));
        entry.value.fill(0);
      };
      const watches = [session.transport.watch('', spoil), session.transport.watch('', spoil)];
      await session.transport.put('a', bytesOf('kept'));
      await eventually(session, 'both saw it', () => values.length >= 2);
      assert.deepEqual(values, ['kept', 'kept']);
      assert.equal(textOf((await session.transport.get('a'))?.value), 'kept');
      for (const watch of watches) watch.close();
    },

    'closing the transport ends its watches': async (session) => {
      const other = await session.another();
      let count = 0;
      session.transport.watch('', () => count++);
      await eventually(session, 'synced', () => count > 0);
      await session.transport.close();
      const atClose = count;
      await other.put('a', bytesOf('1'));
      await session.advance(2 * traits.headEveryMs);
      assert.equal(count, atClose);
    },

    'a watch after a restart lists what was stored, in the same epoch': traits.durable
      ? async (session) => {
          const before = new Replica(session.transport, '');
          const revision = await session.transport.put('a', bytesOf('1'));
          await eventually(session, 'seen', () => before.revision >= revision);
          const after = new Replica(await session.restart(), '');
          await eventually(session, 'synced', () => after.isSynced);
          assert.deepEqual(after.toObject(), { a: '1' });
          assert.equal(after.events[0]?.epoch, before.events[0]?.epoch);
          after.close();
        }
      : undefined,
  };
}

function isHead({ type }: StateEvent): boolean {
  return type === 'head';
}
