/** A queue on NATS behind a network that fails: what was acknowledged is so, and whoever waits is told in time. */
import { type Delivery, isEvenkeelError } from 'evenkeel/core';
import { createNatsQueue, createNatsState } from 'evenkeel/nats';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/http-servers.js';
import { behindProxy, NETWORK_FAULTS } from '../support/nats-behind-proxy.js';
import { natsMissing } from '../support/nats-server.js';
import { itemsIn } from '../support/nats-streams.js';
import { item, textOf } from '../support/opened-queue.js';
import { rounds } from '../support/rounds.js';

/** What a machine that is busy with other tests may add. */
const SLACK_MS = 1500;

/** Resolves with the code of an error that an operation may end with, or undefined; its time is at most `withinMs`. */
async function endOf(what: string, withinMs: number, operation: () => Promise<unknown>): Promise<string | undefined> {
  const startedMs = performance.now();
  const error = await operation().then(
    () => undefined,
    (failure: unknown) => failure,
  );
  expect(performance.now() - startedMs, `${what} took too long`).toBeLessThan(withinMs + SLACK_MS);
  if (error === undefined) return undefined;
  expect(isEvenkeelError(error) ? error.code : String(error), what).toMatch(/^(unavailable|aborted)$/);
  return (error as { code: string }).code;
}

describe.skipIf(natsMissing !== undefined).each(NETWORK_FAULTS)('%s', { timeout: 600_000, concurrent: true }, (_name, begin) => {
  it('costs no item that was acknowledged, and brings none back that has ended', () =>
    behindProxy(1000, async ({ server, proxy, client, direct }) => {
      const queue = createNatsQueue({ client, name: 'q' });
      const near = createNatsQueue({ client: direct, name: 'q' });
      const stored = new Set<string>();
      const ended = new Set<string>();
      const maybeEnded = new Set<string>();
      let turns = 0;
      const stop = new AbortController();
      const produce = async (name: string) => {
        for (let n = 0; !stop.signal.aborted; n++) {
          const text = `${name}${n}`;
          if ((await endOf('an enqueue', 1000, () => queue.enqueue([item(text)]))) === undefined) stored.add(text);
          turns++;
        }
      };
      const consume = async () => {
        while (!stop.signal.aborted) {
          let deliveries: Delivery[] = [];
          await endOf('a lease', 40_000, async () => {
            deliveries = await queue.lease({ max: 4, leaseMs: 60_000, signal: stop.signal });
          });
          for (const delivery of deliveries) {
            const text = textOf(delivery.body);
            expect(ended.has(text), `${text} came back`).toBe(false);
            maybeEnded.add(text);
            if ((await endOf('an ack', 1000, () => delivery.ack())) === undefined) ended.add(text);
            turns++;
          }
        }
      };
      const work = [produce('a'), produce('b'), consume(), consume()];
      const goesOn = async (what: string) => {
        const before = { stored: stored.size, ended: ended.size };
        await eventually(what, () => stored.size > before.stored + 5 && ended.size > before.ended + 5, 40_000);
      };
      await goesOn('work goes on');
      for (let round = 0; round < rounds(2, 10); round++) {
        const before = turns;
        begin(proxy);
        await eventually('operations end, done or not', () => turns > before + 4, 10_000);
        proxy.heal();
        await goesOn('work goes on when it is over');
      }
      stop.abort();
      await Promise.all(work);
      // What was given up may still be on its way through the network: what is there is looked at when it stands still.
      let left: string[] = [];
      let there = 0;
      await eventually('what was given up has landed', async () => {
        left = await itemsIn(server);
        const { due, leased } = await near.stats();
        there = due + leased;
        return String(await itemsIn(server)) === String(left);
      });
      for (const text of stored) expect(maybeEnded.has(text) || left.includes(text), `${text} is lost`).toBe(true);
      for (const text of left) expect(ended.has(text), `${text} is there again`).toBe(false);
      // And the rest is to be had.
      expect(there).toBe(left.length);
      for (const each of [queue, near]) await each.close();
    }));

  it('ends every operation in its time, done or with a code', () =>
    behindProxy(800, async ({ proxy, client }) => {
      const queue = createNatsQueue({ client, name: 'q' });
      const state = createNatsState({ client, bucket: 'b' });
      await queue.enqueue([item('1'), item('2'), item('3')]);
      const [first, second, third] = await queue.lease({ max: 3, leaseMs: 60_000 });
      await state.put('a', Buffer.from('1'));
      begin(proxy);
      const stop = new AbortController();
      const leasing = queue.lease({ max: 1, leaseMs: 1000, signal: stop.signal });
      await Promise.all([
        endOf('an enqueue', 800, () => queue.enqueue([item('4')])),
        // Four requests, one after the other.
        endOf('an enqueue with a key', 4 * 800, () => queue.enqueue([{ ...item('5'), key: 'k' }])),
        endOf('an ack', 800, async () => first?.ack()),
        endOf('a nack', 800, async () => second?.nack()),
        endOf('an extension', 800, async () => third?.extend(5000)),
        endOf('a get', 800, () => state.get('a')),
        endOf('a put', 800, () => state.put('b', Buffer.from('1'))),
        endOf('a delete', 2 * 800, () => state.delete('a')),
      ]);
      stop.abort();
      expect(await endOf('a lease that is given up', 0, () => leasing)).toBe(undefined);
      proxy.heal();
      await eventually('it works again', async () => {
        const code = await endOf('an enqueue', 800, () => queue.enqueue([item('6')]));
        return code === undefined;
      });
      for (const each of [queue, state]) await each.close();
    }));
});
