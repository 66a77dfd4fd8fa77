/** Reading, listing and deleting blobs. */
import assert from 'node:assert/strict';
import { readBlob, writeBlob } from './blob-bytes.js';
import type { BlobSession, BlobTraits } from './blob-harness.js';
import { assertBytes, bytesOf, type CaseTable, fails, patternOf } from './conformance.js';

/** Their order by bytes, which is not JavaScript's: U+FFFD comes before U+1F40B, its surrogates do not. */
const IN_BYTE_ORDER = ['A', 'B', 'a', 'a-', 'a/b', 'a/b/c', 'a0', 'aa', 'b', 'é', '\ufffd', '\u{1f40b}'];

export function blobReading(traits: BlobTraits): CaseTable<BlobSession> {
  return {
    'a range is read from where it is asked, short only at the end': async ({ transport }) => {
      const bytes = patternOf(300_000);
      await writeBlob(transport, 'a', bytes);
      for (const [offset, length] of [
        [0, 1],
        [0, 300_000],
        [1, 299_999],
        [65_535, 2],
        [262_143, 3],
        [299_999, 1],
        [150_000, 100_000],
      ] as const) {
        const target = new Uint8Array(length);
        assert.equal(await transport.readInto('a', offset, target), length);
        assertBytes(target, bytes.subarray(offset, offset + length), `${length} bytes at ${offset}`);
      }
      const long = new Uint8Array(1000).fill(0xee);
      assert.equal(await transport.readInto('a', 299_990, long), 10);
      assertBytes(long.subarray(0, 10), bytes.subarray(299_990), 'the end');
      assert.ok(
        long.subarray(10).every((byte) => byte === 0xee),
        'bytes past the end of the blob were touched',
      );
    },

    'a read fills its target and nothing around it': async ({ transport }) => {
      await writeBlob(transport, 'a', patternOf(100, 1));
      const around = new Uint8Array(30).fill(0xee);
      assert.equal(await transport.readInto('a', 5, around.subarray(10, 20)), 10);
      assertBytes(around.subarray(10, 20), patternOf(100, 1).subarray(5, 15), 'the target');
      assert.ok([...around.subarray(0, 10), ...around.subarray(20)].every((byte) => byte === 0xee));
    },

    'a read at the end gives nothing and past the end is out-of-range': async ({ transport }) => {
      await writeBlob(transport, 'a', patternOf(10));
      assert.equal(await transport.readInto('a', 10, new Uint8Array(4)), 0);
      assert.equal(await transport.readInto('a', 3, new Uint8Array()), 0);
      await fails('out-of-range', 'past the end', () => transport.readInto('a', 11, new Uint8Array(4)));
    },

    'an offset or a target that is none is refused': async ({ transport }) => {
      await writeBlob(transport, 'a', patternOf(10));
      for (const offset of [-1, 0.5, Number.NaN, '0']) {
        await fails('invalid-argument', String(offset), () => transport.readInto('a', offset as number, new Uint8Array(1)));
      }
      const target: unknown = [0, 0];
      await fails('invalid-argument', 'the target', () => transport.readInto('a', 0, target as Uint8Array));
    },

    'a blob that does not exist is not-found to read, undefined to stat, false to delete': async ({ transport }) => {
      await fails('not-found', 'readInto', () => transport.readInto('a', 0, new Uint8Array(1)));
      assert.equal(await transport.stat('a'), undefined);
      assert.equal(await transport.delete('a'), false);
    },

    'a deleted blob is gone for every client': async ({ transport, another }) => {
      const other = await another();
      await writeBlob(transport, 'a', patternOf(10));
      assert.equal(await other.delete('a'), true);
      assert.equal(await transport.delete('a'), false);
      assert.equal(await transport.stat('a'), undefined);
      assert.deepEqual(await transport.list('', { limit: 10 }), []);
      await fails('not-found', 'readInto', () => transport.readInto('a', 0, new Uint8Array(1)));
    },

    'an aborted signal cancels a read': async ({ transport }) => {
      await writeBlob(transport, 'a', patternOf(10));
      await fails('cancelled', 'readInto', () => transport.readInto('a', 0, new Uint8Array(1), { signal: AbortSignal.abort() }));
    },

    'a list is in byte order and carries sizes': async ({ transport }) => {
      for (const name of [...IN_BYTE_ORDER].reverse()) await writeBlob(transport, name, bytesOf(name));
      const found = await transport.list('', { limit: 1000 });
      assert.deepEqual(
        found,
        IN_BYTE_ORDER.map((name) => ({ name, bytes: bytesOf(name).byteLength })),
      );
    },

    'a list of a prefix has what begins with its characters': async ({ transport }) => {
      for (const name of IN_BYTE_ORDER) await writeBlob(transport, name, bytesOf('1'));
      const names = async (prefix: string) => (await transport.list(prefix, { limit: 1000 })).map(({ name }) => name);
      assert.deepEqual(await names('a'), ['a', 'a-', 'a/b', 'a/b/c', 'a0', 'aa']);
      assert.deepEqual(await names('a/'), ['a/b', 'a/b/c']);
      assert.deepEqual(await names('none'), []);
    },

    'pages of any size join to the whole list': async ({ transport }) => {
      for (const name of IN_BYTE_ORDER) await writeBlob(transport, name, bytesOf('1'));
      for (const limit of [1, 2, 5, IN_BYTE_ORDER.length, 1000]) {
        const names: string[] = [];
        for (let after: string | undefined; ; after = names.at(-1)) {
          const page = await transport.list('', { limit, ...(after === undefined ? undefined : { after }) });
          assert.ok(page.length <= limit);
          names.push(...page.map(({ name }) => name));
          assert.ok(names.length <= IN_BYTE_ORDER.length, `pages of ${limit} repeat: ${names.join(' ')}`);
          if (page.length < limit) break;
        }
        assert.deepEqual(names, IN_BYTE_ORDER, `pages of ${limit}`);
      }
    },

    'a page begins after a name that need not exist': async ({ transport }) => {
      for (const name of ['a', 'c', 'e']) await writeBlob(transport, name, bytesOf('1'));
      const names = async (after: string) => (await transport.list('', { after, limit: 10 })).map(({ name }) => name);
      assert.deepEqual(await names('b'), ['c', 'e']);
      assert.deepEqual(await names('c'), ['e']);
      assert.deepEqual(await names('e'), []);
    },

    'a limit outside 1 to 1000 is refused': async ({ transport }) => {
      for (const limit of [0, 1001, 1.5, Number.NaN, undefined]) {
        await fails('invalid-argument', String(limit), () => transport.list('', { limit: limit as number }));
      }
      await fails('invalid-argument', 'the prefix', () => transport.list('/', { limit: 1 }));
    },

    'bytes damaged in the store are data-loss to read': traits.checksums
      ? async (session) => {
          await writeBlob(session.transport, 'a', patternOf(100_000));
          await session.corrupt?.('a');
          await fails('data-loss', 'reading it', () => readBlob(session.transport, 'a'));
        }
      : undefined,
  };
}
