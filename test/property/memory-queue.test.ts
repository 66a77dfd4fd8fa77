import assert from 'node:assert/strict';
import { type Delivery, isEvenkeelError } from 'evenkeel/core';
import { createMemoryQueue, memoryQueueStore } from 'evenkeel/memory';
import { virtualClock } from 'evenkeel/testing';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { rounds } from '../support/rounds.js';

const pick = fc.nat(20);
const client = fc.constantFrom(0, 1);
const step = fc.oneof(
  fc.record({ do: fc.constant('enqueue' as const), client, delayMs: fc.integer({ min: 0, max: 3000 }), keyed: fc.boolean() }),
  fc.record({
    do: fc.constant('lease' as const),
    client,
    max: fc.integer({ min: 1, max: 5 }),
    leaseMs: fc.integer({ min: 100, max: 3000 }),
  }),
  fc.record({ do: fc.constant('ack' as const), pick }),
  fc.record({ do: fc.constant('nack' as const), pick, delayMs: fc.integer({ min: 0, max: 2000 }) }),
  fc.record({ do: fc.constant('extend' as const), pick, ms: fc.integer({ min: 100, max: 3000 }) }),
  fc.record({ do: fc.constant('bury' as const), pick }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 1500 }) }),
  fc.record({ do: fc.constant('restart' as const), client }),
);

/** What the model knows of an item. */
interface Item {
  visibleAt: number;
  /** Of its newest delivery, until it is given up. */
  fence: number | undefined;
  attempts: number;
}

describe('memory queue', () => {
  it('delivers each item until it is acknowledged, to one holder at a time, and loses nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const clock = virtualClock();
        const store = memoryQueueStore();
        const clients = [createMemoryQueue({ clock, store }), createMemoryQueue({ clock, store })];
        const at = (index: number) => clients[index] ?? assert.fail('no such client');
        const items = new Map<number, Item>();
        const deliveries: { delivery: Delivery; owner: object }[] = [];
        let buried = 0;
        let keys = 0;
        const due = () => [...items].filter(([, item]) => item.visibleAt <= clock.now());
        const take = async (index: number, max: number, leaseMs: number) => {
          const expected = Math.min(max, due().length);
          if (expected === 0) return [];
          const batch = await at(index).lease({ max, leaseMs });
          assert.equal(batch.length, expected);
          for (const delivery of batch) {
            const item = items.get(delivery.id) ?? assert.fail(`item ${delivery.id} came back after its end`);
            assert.ok(item.visibleAt <= clock.now(), `item ${delivery.id} is held by two`);
            assert.equal(delivery.attempt, ++item.attempts);
            assert.ok(delivery.fence > (item.fence ?? 0));
            item.fence = delivery.fence;
            item.visibleAt = clock.now() + leaseMs;
            deliveries.push({ delivery, owner: at(index) });
          }
          return batch;
        };
        /** Runs one of the four operations and says whether the model agrees that it may. */
        const settle = async (chosen: number, act: (delivery: Delivery, item: Item) => Promise<void>) => {
          const found = deliveries[chosen % Math.max(1, deliveries.length)];
          if (found === undefined) return;
          const { delivery, owner } = found;
          const item = items.get(delivery.id);
          const isOpen = clients.some((each) => each === owner);
          const isHeld = item?.fence === delivery.fence && item.visibleAt > clock.now() && !given.has(delivery);
          try {
            await act(delivery, item ?? { visibleAt: 0, fence: 0, attempts: 0 });
            assert.ok((isHeld && isOpen) || acked.has(delivery), 'a stale holder was obeyed');
          } catch (error) {
            if (isEvenkeelError(error, 'aborted')) assert.ok(!isHeld, 'the holder was refused');
            else if (isEvenkeelError(error, 'failed-precondition')) assert.ok(!isOpen);
            else throw error;
          }
        };
        const given = new Set<Delivery>();
        const acked = new Set<Delivery>();
        for (const current of steps) {
          if (current.do === 'advance') await clock.advance(current.ms);
          else if (current.do === 'restart') {
            await at(current.client).close();
            clients[current.client] = createMemoryQueue({ clock, store });
          } else if (current.do === 'enqueue') {
            const item = { body: Uint8Array.of(1), ...(current.keyed ? { key: `k${keys++}` } : undefined) };
            const notBefore = clock.wallTime() + current.delayMs;
            const [id = 0, twin] = await at(current.client).enqueue([{ ...item, notBefore }, ...(current.keyed ? [item] : [])]);
            if (current.keyed) assert.equal(twin, id);
            items.set(id, { visibleAt: clock.now() + current.delayMs, fence: undefined, attempts: 0 });
          } else if (current.do === 'lease') {
            await take(current.client, current.max, current.leaseMs);
          } else if (current.do === 'ack') {
            await settle(current.pick, async (delivery) => {
              await delivery.ack();
              acked.add(delivery);
              items.delete(delivery.id);
            });
          } else if (current.do === 'nack') {
            await settle(current.pick, async (delivery, item) => {
              await delivery.nack(current.delayMs);
              given.add(delivery);
              item.visibleAt = clock.now() + current.delayMs;
            });
          } else if (current.do === 'extend') {
            await settle(current.pick, async (delivery, item) => {
              await delivery.extend(current.ms);
              item.visibleAt = clock.now() + current.ms;
            });
          } else {
            await settle(current.pick, async (delivery) => {
              await delivery.deadLetter('why not');
              given.add(delivery);
              items.delete(delivery.id);
              buried++;
            });
          }
          const { dead, ...stored } = await at(0).stats();
          assert.equal(dead, buried);
          assert.equal(stored.due + stored.delayed + stored.leased, items.size, 'something was lost');
        }
        await clock.advance(10_000);
        while (items.size > 0) {
          for (const delivery of await take(1, 100, 1000)) {
            await delivery.ack();
            items.delete(delivery.id);
          }
        }
        assert.deepEqual(await at(0).stats(), { due: 0, delayed: 0, leased: 0, dead: buried });
        await Promise.all(clients.map((each) => each.close()));
        assert.equal(clock.pending, 0);
      }),
      { numRuns: rounds(150) },
    );
  });
});
