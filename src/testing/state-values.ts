/** Values, keys, and the life of a state transport. */
import assert from 'node:assert/strict';
import { MAX_STATE_BYTES, type StateTransport } from '../core/transport/state.js';
import {
  assertBytes,
  BAD_KEYS,
  bytesOf,
  type CaseTable,
  eventually,
  fails,
  GOOD_KEYS,
  patternOf,
  type StoreSession,
  textOf,
} from './conformance.js';
import type { StateTraits } from './state-harness.js';

export function stateValues(traits: StateTraits): CaseTable<StoreSession<StateTransport>> {
  return {
    'a key that was never written is absent': async ({ transport }) => {
      assert.equal(await transport.get('a'), undefined);
      assert.equal(await transport.delete('a'), 0);
    },

    'a value is read back byte for byte, with its revision and without a lease': async ({ transport }) => {
      const value = Uint8Array.from({ length: 256 }, (_, i) => i);
      const revision = await transport.put('a/b', value);
      assert.ok(Number.isSafeInteger(revision) && revision > 0, `revision ${revision}`);
      const entry = await transport.get('a/b');
      assert.equal(entry?.key, 'a/b');
      assert.equal(entry?.revision, revision);
      assert.equal(entry?.leaseMs, undefined);
      assertBytes(entry?.value ?? new Uint8Array(), value, 'the value');
    },

    'an empty value is a value': async ({ transport }) => {
      await transport.put('a', new Uint8Array());
      assert.equal((await transport.get('a'))?.value.byteLength, 0);
    },

    'revisions rise over all keys, deletes included': async ({ transport }) => {
      const revisions = [
        await transport.put('a', bytesOf('1')),
        await transport.put('b', bytesOf('1')),
        await transport.put('a', bytesOf('1')),
        await transport.delete('b'),
        await transport.put('b', bytesOf('2')),
      ];
      for (let i = 1; i < revisions.length; i++) assert.ok(Number(revisions[i]) > Number(revisions[i - 1]), revisions.join(' '));
    },

    'a deleted key is absent, and a second delete does nothing': async ({ transport }) => {
      const put = await transport.put('a', bytesOf('1'));
      assert.ok((await transport.delete('a')) > put);
      assert.equal(await transport.get('a'), undefined);
      assert.equal(await transport.delete('a'), 0);
    },

    'two clients see the same store': async ({ transport, another }) => {
      const other = await another();
      const first = await transport.put('a', bytesOf('1'));
      assert.equal((await other.get('a'))?.revision, first);
      assert.ok((await other.put('a', bytesOf('2'))) > first);
      assert.equal(textOf((await transport.get('a'))?.value), '2');
      await transport.delete('a');
      assert.equal(await other.get('a'), undefined);
    },

    'a value handed in or out is the caller’s to change': async ({ transport }) => {
      const value = bytesOf('kept');
      const written = transport.put('a', value);
      value.fill(0);
      await written;
      const read = await transport.get('a');
      read?.value.fill(0);
      assert.equal(textOf((await transport.get('a'))?.value), 'kept');
    },

    'a value may be a view into a larger buffer': async ({ transport }) => {
      const buffer = patternOf(100);
      await transport.put('a', buffer.subarray(10, 20));
      assertBytes((await transport.get('a'))?.value ?? new Uint8Array(), buffer.slice(10, 20), 'the value');
    },

    'a value of 256 KiB is taken and one byte more is out-of-range': async ({ transport }) => {
      const largest = patternOf(MAX_STATE_BYTES);
      await transport.put('a', largest);
      assertBytes((await transport.get('a'))?.value ?? new Uint8Array(), largest, 'the value');
      await fails('out-of-range', 'one byte more', () => transport.put('a', new Uint8Array(MAX_STATE_BYTES + 1)));
      assertBytes((await transport.get('a'))?.value ?? new Uint8Array(), largest, 'the value after the refusal');
    },

    'what is not bytes is refused': async ({ transport }) => {
      for (const value of ['text', undefined, null, 7, [1, 2], new ArrayBuffer(4)]) {
        await fails('invalid-argument', String(value), () => transport.put('a', value as unknown as Uint8Array));
      }
    },

    'every key within the rule is taken, and keeps to itself': async ({ transport }) => {
      for (const key of GOOD_KEYS) await transport.put(key, bytesOf(key), { expect: 'absent' });
      for (const key of GOOD_KEYS) assert.equal(textOf((await transport.get(key))?.value), key);
      for (const key of GOOD_KEYS) assert.ok((await transport.delete(key)) > 0, key);
    },

    'a key may be the folder of another': async ({ transport }) => {
      await transport.put('a', bytesOf('outer'));
      await transport.put('a/b', bytesOf('inner'));
      assert.equal(textOf((await transport.get('a'))?.value), 'outer');
      await transport.delete('a');
      assert.equal(textOf((await transport.get('a/b'))?.value), 'inner');
    },

    'a bad key is refused by every operation': async ({ transport }) => {
      for (const [reason, key] of BAD_KEYS) {
        await fails('invalid-argument', `get: ${reason}`, () => transport.get(key));
        await fails('invalid-argument', `put: ${reason}`, () => transport.put(key, bytesOf('1')));
        await fails('invalid-argument', `delete: ${reason}`, () => transport.delete(key));
      }
      for (const key of [undefined, null, 7, {}]) {
        await fails('invalid-argument', String(key), () => transport.get(key as string));
      }
    },

    'a prefix that no key can begin with is refused': async ({ transport }) => {
      for (const prefix of ['/', 'a//', '../', 'a/./', 'a\0', 'p'.repeat(513)]) {
        await fails('invalid-argument', JSON.stringify(prefix), () => transport.watch(prefix, () => {}));
      }
    },

    'an aborted signal cancels an operation before it acts': async ({ transport }) => {
      const signal = AbortSignal.abort();
      await fails('cancelled', 'get', () => transport.get('a', { signal }));
      await fails('cancelled', 'put', () => transport.put('a', bytesOf('1'), { signal }));
      assert.equal(await transport.get('a'), undefined);
      await transport.put('a', bytesOf('1'));
      await fails('cancelled', 'delete', () => transport.delete('a', { signal }));
      assert.equal(textOf((await transport.get('a'))?.value), '1');
    },

    'a closed transport refuses every operation, and closing twice is closing once': async ({ transport }) => {
      await Promise.all([transport.close(), transport.close()]);
      await transport.close();
      await fails('failed-precondition', 'get', () => transport.get('a'));
      await fails('failed-precondition', 'put', () => transport.put('a', bytesOf('1')));
      await fails('failed-precondition', 'delete', () => transport.delete('a'));
      await fails('failed-precondition', 'watch', () => transport.watch('', () => {}));
    },

    'closing one client leaves the other at work': async ({ transport, another }) => {
      const other = await another();
      await transport.close();
      await other.put('a', bytesOf('1'));
      assert.equal(textOf((await other.get('a'))?.value), '1');
    },

    'a restart keeps values and goes on with the revisions': traits.durable
      ? async ({ transport, restart }) => {
          const kept = await transport.put('a', bytesOf('1'));
          await transport.put('gone', bytesOf('1'));
          const last = await transport.delete('gone');
          const reopened = await restart();
          const entry = await reopened.get('a');
          assert.equal(textOf(entry?.value), '1');
          assert.equal(entry?.revision, kept);
          assert.equal(await reopened.get('gone'), undefined);
          assert.ok((await reopened.put('b', bytesOf('2'))) > last, 'a revision was given twice');
          await fails('aborted', 'another revision', () => reopened.put('a', bytesOf('3'), { expect: kept + 1 }));
          await reopened.put('a', bytesOf('3'), { expect: kept });
        }
      : undefined,

    'a watch after a restart lists what is stored, at the revisions it had': traits.durable
      ? async (session) => {
          const { transport, restart } = session;
          const a = await transport.put('a', bytesOf('1'));
          const b = await transport.put('b', bytesOf('2'));
          await transport.put('gone', bytesOf('3'));
          await transport.delete('gone');
          const reopened = await restart();
          const listed: unknown[] = [];
          let isSynced = false;
          const watch = reopened.watch('', ({ type, entry, revision }) => {
            if (type === 'synced') isSynced = true;
            if (!isSynced) listed.push([type, entry?.key, textOf(entry?.value), revision]);
          });
          await eventually(session, 'synced', () => isSynced);
          watch.close();
          assert.deepEqual(listed, [
            ['put', 'a', '1', a],
            ['put', 'b', '2', b],
          ]);
        }
      : undefined,
  };
}
