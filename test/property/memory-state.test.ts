import assert from 'node:assert/strict';
import { isEvenkeelError, type StateEvent } from 'evenkeel/core';
import { createMemoryState, memoryStateStore } from 'evenkeel/memory';
import { seededRandom, virtualClock } from 'evenkeel/testing';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { rounds } from '../support/rounds.js';

const key = fc.constantFrom('a', 'b', 'a/x', 'a/y');
const client = fc.constantFrom(0, 1);
/** `stale` picks an old revision, so that compare-and-set fails now and then. */
const expectation = fc.constantFrom('any', 'absent', 'current', 'stale');
const lease = fc.option(fc.integer({ min: 100, max: 3000 }), { nil: undefined });
const step = fc.oneof(
  fc.record({ do: fc.constant('put' as const), client, key, expect: expectation, leaseMs: lease }),
  fc.record({ do: fc.constant('delete' as const), client, key, expect: expectation }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 2000 }) }),
  fc.record({ do: fc.constant('jump' as const), ms: fc.integer({ min: -1e9, max: 1e9 }) }),
  fc.record({ do: fc.constant('restart' as const), client }),
  fc.record({ do: fc.constant('clear' as const) }),
);

interface Held {
  readonly value: number;
  readonly revision: number;
  readonly until: number;
}

describe('memory state', () => {
  it('agrees with a map of revisions and deadlines, and every watch ends as a copy of it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = virtualClock();
        const store = memoryStateStore({ random: seededRandom(1) });
        const clients = [createMemoryState({ clock, store }), createMemoryState({ clock, store })];
        const at = (index: number) => clients[index] ?? assert.fail('no such client');
        const model = new Map<string, Held>();
        const alive = (name: string) => {
          const held = model.get(name);
          return held !== undefined && held.until > clock.now() ? held : undefined;
        };
        const copy = new Map<string, string>();
        let order = 0;
        const observer = createMemoryState({ clock, store });
        observer.watch('', ({ type, entry, revision }: StateEvent) => {
          if (type === 'reset') {
            copy.clear();
            order = 0;
          }
          if (entry === undefined) return;
          assert.ok(revision > order);
          order = revision;
          if (type === 'put') copy.set(entry.key, entry.value.join());
          else copy.delete(entry.key);
        });
        let highest = 0;
        for (const [index, current] of steps.entries()) {
          if (current.do === 'advance') await clock.advance(current.ms);
          else if (current.do === 'jump') clock.jumpWallTime(current.ms);
          else if (current.do === 'restart') {
            await at(current.client).close();
            clients[current.client] = createMemoryState({ clock, store });
          } else if (current.do === 'clear') {
            store.clear();
            model.clear();
            highest = 0;
          } else {
            const held = alive(current.key);
            const present = held?.revision ?? 0;
            const expect = {
              any: undefined,
              absent: 'absent' as const,
              current: present === 0 ? undefined : present,
              stale: highest + 7,
            }[current.expect];
            const holds = expect === undefined || (expect === 'absent' ? present === 0 : expect === present);
            try {
              if (current.do === 'put') {
                const { leaseMs } = current;
                const revision = await at(current.client).put(current.key, Uint8Array.of(index), { expect, leaseMs });
                assert.ok(holds, 'a put went through against its expectation');
                assert.ok(revision > highest, 'a revision did not rise');
                highest = revision;
                const until = leaseMs === undefined ? Number.POSITIVE_INFINITY : clock.now() + leaseMs;
                model.set(current.key, { value: index, revision, until });
              } else if (expect !== 'absent') {
                const revision = await at(current.client).delete(current.key, { expect });
                assert.ok(holds, 'a delete went through against its expectation');
                assert.equal(revision > 0, present > 0);
                highest = Math.max(highest, revision);
                model.delete(current.key);
              }
            } catch (error) {
              if (!isEvenkeelError(error, 'aborted')) throw error;
              assert.ok(!holds, 'an expectation that holds was refused');
              assert.equal(error.details?.revision, present);
            }
          }
        }
        await clock.settle();
        const expected = new Map<string, string>();
        for (const [name] of model) {
          const held = alive(name);
          const entry = await at(0).get(name);
          assert.equal(entry?.revision, held?.revision, name);
          if (held !== undefined) expected.set(name, String(held.value & 255));
        }
        await clock.settle();
        assert.deepEqual([...copy].sort(), [...expected].sort());
        await Promise.all([...clients, observer].map((each) => each.close()));
        assert.equal(clock.pending, 0);
      }),
      { numRuns: rounds(150) },
    );
  });
});
