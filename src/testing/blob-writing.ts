/** Writing blobs: whole or not at all. */
import assert from 'node:assert/strict';
import { fill, readBlob, writeBlob } from './blob-bytes.js';
import type { BlobSession, BlobTraits } from './blob-harness.js';
import { assertBytes, BAD_KEYS, bytesOf, type CaseTable, fails, GOOD_KEYS, patternOf, textOf } from './conformance.js';

export function blobWriting(traits: BlobTraits): CaseTable<BlobSession> {
  return {
    'a committed blob is read back byte for byte': async ({ transport, another }) => {
      const bytes = patternOf(100_000);
      assert.deepEqual(await writeBlob(transport, 'a/b', bytes), { name: 'a/b', bytes: bytes.byteLength });
      assertBytes(await readBlob(transport, 'a/b'), bytes, 'the blob');
      assertBytes(await readBlob(await another(), 'a/b'), bytes, 'the blob by the other client');
    },

    'a blob of no bytes is a blob': async ({ transport }) => {
      const writer = await transport.writer('empty', { bytes: 0 });
      assert.deepEqual(await writer.commit(), { name: 'empty', bytes: 0 });
      assert.deepEqual(await transport.stat('empty'), { name: 'empty', bytes: 0 });
      assert.equal(await transport.readInto('empty', 0, new Uint8Array(8)), 0);
    },

    'a lent buffer is aligned to 8 bytes and not empty': async ({ transport }) => {
      const writer = await transport.writer('a');
      for (let i = 0; i < 3; i++) {
        const buffer = await writer.buffer();
        assert.equal(buffer.byteOffset % 8, 0);
        assert.ok(buffer.byteLength > 0);
        await writer.write(1);
      }
      await writer.abort();
    },

    'a large blob goes through a bounded number of buffers': async ({ transport }) => {
      const bytes = patternOf(traits.largeBytes);
      const writer = await transport.writer('large', { bytes: bytes.byteLength });
      const memory = new Set<string>();
      const owners = new Map<ArrayBufferLike, number>();
      for (let at = 0; at < bytes.byteLength; ) {
        const buffer = await writer.buffer();
        if (!owners.has(buffer.buffer)) owners.set(buffer.buffer, owners.size);
        memory.add(`${owners.get(buffer.buffer)}:${buffer.byteOffset}`);
        const n = Math.min(buffer.byteLength, bytes.byteLength - at);
        buffer.set(bytes.subarray(at, at + n));
        await writer.write(n);
        at += n;
      }
      await writer.commit();
      assert.ok(memory.size <= traits.maxBuffers, `${memory.size} buffers were lent`);
      assertBytes(await readBlob(transport, 'large', 1024 * 1024), bytes, 'the blob');
    },

    'pieces of any size join without a seam': async ({ transport }) => {
      const bytes = patternOf(5000);
      for (const piece of [1, 7, 512, 4096, 4999]) {
        await writeBlob(transport, `piece/${piece}`, bytes.subarray(0, piece === 1 ? 100 : 5000), piece);
        assertBytes(
          await readBlob(transport, `piece/${piece}`),
          bytes.subarray(0, piece === 1 ? 100 : 5000),
          `pieces of ${piece}`,
        );
      }
    },

    'a piece of no bytes adds nothing': async ({ transport }) => {
      const writer = await transport.writer('a');
      await writer.buffer();
      await writer.write(0);
      await fill(writer, bytesOf('x'));
      assert.equal((await writer.commit()).bytes, 1);
    },

    'an unfinished blob is invisible': async ({ transport, another }) => {
      const other = await another();
      const writer = await transport.writer('a', { bytes: 4 });
      await fill(writer, bytesOf('half'));
      for (const client of [transport, other]) {
        assert.equal(await client.stat('a'), undefined);
        assert.deepEqual(await client.list('', { limit: 10 }), []);
        await fails('not-found', 'reading it', () => client.readInto('a', 0, new Uint8Array(4)));
        assert.equal(await client.delete('a'), false);
      }
      await writer.commit();
      assert.equal(textOf(await readBlob(other, 'a')), 'half');
    },

    'commit replaces a blob whole, and until then the old one is read': async ({ transport, another }) => {
      const other = await another();
      await writeBlob(transport, 'a', bytesOf('the old and longer one'));
      const writer = await transport.writer('a');
      await fill(writer, bytesOf('new'));
      assert.equal(textOf(await readBlob(other, 'a')), 'the old and longer one');
      await writer.commit();
      assert.equal(textOf(await readBlob(other, 'a')), 'new');
      assert.deepEqual(await other.stat('a'), { name: 'a', bytes: 3 });
    },

    'one read sees the old blob or the new, never a mixture': async ({ transport, another }) => {
      const other = await another();
      const size = 50_000;
      await writeBlob(transport, 'a', new Uint8Array(size).fill(1));
      const write = async () => {
        for (let round = 2; round < 12; round++) await writeBlob(transport, 'a', new Uint8Array(size).fill(round));
      };
      const read = async () => {
        for (let round = 0; round < 30; round++) {
          const target = new Uint8Array(size);
          assert.equal(await other.readInto('a', 0, target), size);
          assert.ok(
            target.every((byte) => byte === target[0]),
            `a mixture that begins with ${target[0]}`,
          );
        }
      };
      await Promise.all([write(), read()]);
    },

    'of two writers of one name the one that commits last stays': async ({ transport, another }) => {
      const one = await transport.writer('a');
      const two = await (await another()).writer('a');
      await fill(one, bytesOf('one'));
      await fill(two, bytesOf('two!'));
      await two.commit();
      await one.commit();
      assert.equal(textOf(await readBlob(transport, 'a')), 'one');
      assert.equal((await transport.list('', { limit: 10 })).length, 1);
    },

    'writing another number of bytes than announced is data-loss and changes nothing': async ({ transport }) => {
      await writeBlob(transport, 'a', bytesOf('kept'));
      for (const [announced, written] of [
        [3, 'four'],
        [5, 'four'],
        [1, ''],
        [0, 'x'],
      ] as const) {
        const writer = await transport.writer('a', { bytes: announced });
        await fails('data-loss', `${written} for ${announced} bytes`, async () => {
          await fill(writer, bytesOf(written));
          await writer.commit();
        });
        await writer.abort();
      }
      assert.equal(textOf(await readBlob(transport, 'a')), 'kept');
    },

    'abort leaves nothing behind and is idempotent': async ({ transport }) => {
      const writer = await transport.writer('a');
      await fill(writer, bytesOf('never'));
      await writer.abort();
      await writer.abort();
      assert.equal(await transport.stat('a'), undefined);
      assert.deepEqual(await transport.list('', { limit: 10 }), []);
      await fails('failed-precondition', 'buffer', () => writer.buffer());
      await fails('failed-precondition', 'write', () => writer.write(0));
      await fails('failed-precondition', 'commit', () => writer.commit());
    },

    'after commit the writer is spent and abort does nothing': async ({ transport }) => {
      const writer = await transport.writer('a');
      await fill(writer, bytesOf('kept'));
      await writer.commit();
      await writer.abort();
      await fails('failed-precondition', 'buffer', () => writer.buffer());
      await fails('failed-precondition', 'commit', () => writer.commit());
      assert.equal(textOf(await readBlob(transport, 'a')), 'kept');
    },

    'a buffer is lent once and written once': async ({ transport }) => {
      const writer = await transport.writer('a');
      await fails('failed-precondition', 'write before buffer', () => writer.write(0));
      const buffer = await writer.buffer();
      await fails('failed-precondition', 'a second buffer', () => writer.buffer());
      for (const n of [-1, 0.5, Number.NaN, buffer.byteLength + 1]) {
        await fails('invalid-argument', `write(${n})`, () => writer.write(n));
      }
      await writer.write(1);
      await fails('failed-precondition', 'write twice', () => writer.write(1));
      await writer.abort();
    },

    'a signal aborts a writer as abort does, with cancelled': async ({ transport }) => {
      await fails('cancelled', 'aborted before', () => transport.writer('a', { signal: AbortSignal.abort() }));
      const controller = new AbortController();
      const writer = await transport.writer('a', { signal: controller.signal });
      await fill(writer, bytesOf('never'));
      controller.abort();
      await fails('cancelled', 'buffer', () => writer.buffer());
      await fails('cancelled', 'commit', () => writer.commit());
      assert.equal(await transport.stat('a'), undefined);
    },

    'a signal that aborts after commit changes nothing': async ({ transport }) => {
      const controller = new AbortController();
      const writer = await transport.writer('a', { signal: controller.signal });
      await fill(writer, bytesOf('kept'));
      await writer.commit();
      controller.abort();
      assert.equal(textOf(await readBlob(transport, 'a')), 'kept');
    },

    'every name within the rule is taken, and a bad one is refused by every operation': async ({ transport }) => {
      for (const name of GOOD_KEYS) await writeBlob(transport, name, bytesOf(name));
      for (const name of GOOD_KEYS) assert.equal(textOf(await readBlob(transport, name)), name);
      for (const [reason, name] of BAD_KEYS) {
        await fails('invalid-argument', `writer: ${reason}`, () => transport.writer(name));
        await fails('invalid-argument', `readInto: ${reason}`, () => transport.readInto(name, 0, new Uint8Array(1)));
        await fails('invalid-argument', `stat: ${reason}`, () => transport.stat(name));
        await fails('invalid-argument', `delete: ${reason}`, () => transport.delete(name));
      }
    },

    'a name may be the folder of another': async ({ transport }) => {
      await writeBlob(transport, 'a/b', bytesOf('inner'));
      await writeBlob(transport, 'a', bytesOf('outer'));
      await transport.delete('a');
      assert.equal(textOf(await readBlob(transport, 'a/b')), 'inner');
    },

    'a size that is no size is refused': async ({ transport }) => {
      for (const bytes of [-1, 1.5, Number.NaN, '4']) {
        await fails('invalid-argument', String(bytes), () => transport.writer('a', { bytes: bytes as number }));
      }
    },

    'closing aborts writers, refuses further use, and is idempotent': async ({ transport, another }) => {
      const other = await another();
      await writeBlob(transport, 'kept', bytesOf('1'));
      const writer = await transport.writer('a');
      await fill(writer, bytesOf('never'));
      await Promise.all([transport.close(), transport.close()]);
      await transport.close();
      await fails('failed-precondition', 'commit', () => writer.commit());
      await writer.abort();
      await fails('failed-precondition', 'writer', () => transport.writer('b'));
      await fails('failed-precondition', 'readInto', () => transport.readInto('kept', 0, new Uint8Array(1)));
      await fails('failed-precondition', 'stat', () => transport.stat('kept'));
      await fails('failed-precondition', 'list', () => transport.list('', { limit: 1 }));
      await fails('failed-precondition', 'delete', () => transport.delete('kept'));
      assert.deepEqual(await other.list('', { limit: 10 }), [{ name: 'kept', bytes: 1 }]);
    },

    'a restart keeps what was committed and nothing else': traits.durable
      ? async ({ transport, restart }) => {
          await writeBlob(transport, 'kept', patternOf(10_000));
          await fill(await transport.writer('half'), patternOf(10_000));
          const reopened = await restart();
          assertBytes(await readBlob(reopened, 'kept'), patternOf(10_000), 'the blob');
          assert.deepEqual(await reopened.list('', { limit: 10 }), [{ name: 'kept', bytes: 10_000 }]);
        }
      : undefined,
  };
}
