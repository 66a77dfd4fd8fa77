/** Compare-and-set: the one thing that elections, shard maps and manifests rest on. */
import assert from 'node:assert/strict';
import { isEvenkeelError } from '../core/errors.js';
import type { StateTransport } from '../core/transport/state.js';
import { bytesOf, type CaseTable, fails, type StoreSession, settled, textOf } from './conformance.js';

const WRITERS = 8;

export function stateRaces(): CaseTable<StoreSession<StateTransport>> {
  return {
    'a put that expects absence succeeds once': async ({ transport }) => {
      const revision = await transport.put('a', bytesOf('1'), { expect: 'absent' });
      const error = await fails('aborted', 'the second', () => transport.put('a', bytesOf('2'), { expect: 'absent' }));
      assert.equal(error.details?.revision, revision);
      assert.equal(textOf((await transport.get('a'))?.value), '1');
    },

    'a put that expects a revision succeeds at that revision only': async ({ transport }) => {
      const first = await transport.put('a', bytesOf('1'));
      const second = await transport.put('a', bytesOf('2'), { expect: first });
      const error = await fails('aborted', 'an old revision', () => transport.put('a', bytesOf('3'), { expect: first }));
      assert.equal(error.details?.revision, second);
      assert.equal(textOf((await transport.get('a'))?.value), '2');
      await fails('aborted', 'a revision to come', () => transport.put('a', bytesOf('3'), { expect: second + 1 }));
    },

    'a put that expects a revision of an absent key is refused with revision 0': async ({ transport }) => {
      const revision = await transport.put('a', bytesOf('1'));
      await transport.delete('a');
      const error = await fails('aborted', 'deleted', () => transport.put('a', bytesOf('2'), { expect: revision }));
      assert.equal(error.details?.revision, 0);
      assert.equal(await transport.get('a'), undefined);
    },

    'a deleted key counts as absent': async ({ transport }) => {
      await transport.put('a', bytesOf('1'));
      await transport.delete('a');
      assert.ok((await transport.put('a', bytesOf('2'), { expect: 'absent' })) > 0);
    },

    'a delete that expects a revision deletes that revision only': async ({ transport }) => {
      const first = await transport.put('a', bytesOf('1'));
      const second = await transport.put('a', bytesOf('2'));
      const error = await fails('aborted', 'an old revision', () => transport.delete('a', { expect: first }));
      assert.equal(error.details?.revision, second);
      assert.equal(textOf((await transport.get('a'))?.value), '2');
      await transport.delete('a', { expect: second });
      const gone = await fails('aborted', 'absent', () => transport.delete('a', { expect: second }));
      assert.equal(gone.details?.revision, 0);
    },

    'a revision of one key says nothing of another': async ({ transport }) => {
      await transport.put('a', bytesOf('1'));
      const b = await transport.put('b', bytesOf('1'));
      await fails('aborted', 'the revision of b', () => transport.put('a', bytesOf('2'), { expect: b }));
    },

    'an expectation that is neither a revision nor "absent" is refused': async ({ transport }) => {
      await transport.put('a', bytesOf('1'));
      for (const expect of [0, -1, 1.5, Number.NaN, '1', 'present', null]) {
        await fails('invalid-argument', String(expect), () => transport.put('a', bytesOf('2'), { expect: expect as number }));
      }
      assert.equal(textOf((await transport.get('a'))?.value), '1');
    },

    'of many writers that expect absence exactly one wins': async (session) => {
      const clients = [session.transport, await session.another()];
      for (let round = 0; round < 10; round++) {
        const key = `race/${round}`;
        const tries = Array.from({ length: WRITERS }, (_, i) =>
          (clients[i % 2] ?? session.transport).put(key, bytesOf(String(i)), { expect: 'absent' }).then(
            (revision) => ({ writer: i, revision }),
            (error: unknown) => {
              if (!isEvenkeelError(error, 'aborted')) throw error;
              return undefined;
            },
          ),
        );
        const winners = (await settled(session, 'all answered', Promise.all(tries))).filter((won) => won !== undefined);
        assert.equal(winners.length, 1, `${winners.length} winners`);
        const entry = await session.transport.get(key);
        assert.equal(textOf(entry?.value), String(winners[0]?.writer));
        assert.equal(entry?.revision, winners[0]?.revision);
      }
    },

    'a counter that many writers raise by compare-and-set loses nothing': async (session) => {
      const clients = [session.transport, await session.another()];
      const raises = 10;
      const wonRevisions = new Set<number>();
      const raise = async (state: StateTransport) => {
        for (let tries = 0; tries < 1000; tries++) {
          const entry = await state.get('counter');
          const next = bytesOf(String(Number(textOf(entry?.value) ?? 0) + 1));
          try {
            const revision = await state.put('counter', next, { expect: entry?.revision ?? 'absent' });
            assert.ok(!wonRevisions.has(revision), `revision ${revision} was given twice`);
            wonRevisions.add(revision);
            return;
          } catch (error) {
            if (!isEvenkeelError(error, 'aborted')) throw error;
          }
        }
        assert.fail('a writer never wins');
      };
      const writers = Array.from({ length: WRITERS }, async (_, i) => {
        for (let n = 0; n < raises; n++) await raise(clients[i % 2] ?? session.transport);
      });
      await settled(session, 'all writers done', Promise.all(writers), 60_000);
      assert.equal(textOf((await session.transport.get('counter'))?.value), String(WRITERS * raises));
    },
  };
}
