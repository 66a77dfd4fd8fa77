/** A process that works on a queue is killed at any moment: what it was told is true, and no item of its comes back after its end. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Delivery } from 'evenkeel/core';
import { seededRandom, virtualClock } from 'evenkeel/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ChildProgram, childProgram, SayingChild } from '../support/child-program.js';
import { durableStore } from '../support/durable-store.js';
import { natsMissing } from '../support/nats-server.js';
import { itemsIn } from '../support/nats-streams.js';
import { textOf } from '../support/opened-queue.js';
import { rounds } from '../support/rounds.js';
import { filesPlace, natsPlace } from '../support/store-places.js';

let program: ChildProgram;
const LEASE_MS = 60_000;
const SEGMENT_BYTES = 16 * 1024;

/**
 * Producers and consumers on one queue, for ever. Each says what it is about to do to an item, and what was done once it has
 * resolved. It ends when its parent does.
 */
const PROGRAM = `
  import { writeSync } from 'node:fs';
  import { seededRandom } from 'evenkeel/testing';
  import { durableStore } from './test/support/durable-store.ts';
  const [address, life] = [process.argv[2], process.argv[3]];
  process.stdin.on('end', () => process.exit()).resume();
  const say = (what) => writeSync(1, JSON.stringify(what) + '\\n');
  const queue = durableStore(address).queue({ segmentBytes: ${SEGMENT_BYTES} });
  const textOf = (body) => new TextDecoder().decode(body).split(' ')[0];
  async function produce(name) {
    const random = seededRandom(life + name);
    for (let i = 0; ; i++) {
      const texts = Array.from({ length: 1 + random.int(3) }, (_, k) => [life, name, i, k].join('-'));
      say({ enqueues: texts });
      const padding = ' ' + 'x'.repeat(random.int(400));
      const ids = await queue.enqueue(texts.map((text) => ({ body: new TextEncoder().encode(text + padding) })));
      say({ enqueued: texts, ids });
    }
  }
  async function consume(name) {
    const random = seededRandom(life + name);
    for (;;) {
      const deliveries = await queue.lease({ max: 1 + random.int(4), leaseMs: ${LEASE_MS} });
      for (const { body, fence, attempt } of deliveries) say({ leased: textOf(body), fence, attempt });
      for (const delivery of deliveries) {
        const text = textOf(delivery.body);
        const kind = random.int(10);
        if (kind === 0) await delivery.nack(random.int(2) * 5);
        else if (kind > 1) {
          say({ ends: text });
          await (kind === 2 ? delivery.deadLetter('no use') : delivery.ack());
          say({ ended: text });
        }
      }
    }
  }
  for (const name of ['p1', 'p2', 'p3']) produce(name);
  for (const name of ['c1', 'c2', 'c3', 'c4']) consume(name);
`;

/** Workers enqueue faster than they end: with more than that left, the check after a life ends all, so that lives stay short. */
const MOST_LEFT = 5000;

interface Said {
  readonly enqueues?: readonly string[];
  readonly enqueued?: readonly string[];
  readonly ids?: readonly number[];
  readonly leased?: string;
  readonly fence?: number;
  readonly attempt?: number;
  readonly ends?: string;
  readonly ended?: string;
}

beforeAll(async () => {
  program = await childProgram(PROGRAM);
});
afterAll(() => program[Symbol.dispose]());

const start = (address: string, life: number) => new SayingChild<Said>(program, [address, String(life)]);

/** What workers said, and what must be true after that. */
class Ledger {
  readonly enqueued = new Set<string>();
  readonly ended = new Set<string>();
  readonly maybeEnded = new Set<string>();
  readonly #maybeEnqueued = new Set<string>();
  readonly #ids = new Set<number>();
  readonly #fences = new Map<string, number>();
  readonly #attempts = new Map<string, number>();
  /** Of the lives before. */
  #oldFence = 0;
  #kills = 0;

  /** All that one life said. */
  hear(said: readonly Said[], about: string): void {
    this.#kills++;
    for (const each of said) {
      for (const text of each.enqueues ?? []) this.#maybeEnqueued.add(text);
      for (const text of each.enqueued ?? []) this.enqueued.add(text);
      for (const id of each.ids ?? []) {
        expect(this.#ids.has(id), `id ${id} was given twice, ${about}`).toBe(false);
        this.#ids.add(id);
      }
      if (each.leased !== undefined) this.leased(each.leased, each.fence ?? 0, about);
      if (each.ends !== undefined) this.maybeEnded.add(each.ends);
      if (each.ended !== undefined) this.ended.add(each.ended);
    }
    this.endLife();
  }

  leased(text: string, fence: number, about: string): void {
    expect(this.enqueued.has(text) || this.#maybeEnqueued.has(text), `${text} ${about}`).toBe(true);
    expect(this.ended.has(text), `${text} came back, ${about}`).toBe(false);
    expect(fence, `the fence of ${text}, ${about}`).toBeGreaterThan(Math.max(this.#oldFence, this.#fences.get(text) ?? 0));
    this.#fences.set(text, fence);
    this.#attempts.set(text, (this.#attempts.get(text) ?? 0) + 1);
  }

  /** As many as were seen; a lease may be written in the moment before it is said, once a life. */
  mostAttempts(text: string): number {
    return (this.#attempts.get(text) ?? 0) + this.#kills;
  }

  /** Whoever leases from here on has higher fences. */
  endLife(): void {
    this.#oldFence = Math.max(this.#oldFence, ...this.#fences.values());
  }

  async end(delivery: Delivery): Promise<void> {
    const text = nameOf(delivery);
    this.maybeEnded.add(text);
    await delivery.ack();
    this.ended.add(text);
  }

  /** @param found - What is still in the queue. */
  check(found: ReadonlySet<string>, about: string): void {
    for (const text of this.enqueued) {
      if (!this.maybeEnded.has(text)) expect(found.has(text), `${text} is lost, ${about}`).toBe(true);
    }
    for (const text of found) expect(this.ended.has(text), `${text} is there again, ${about}`).toBe(false);
  }
}

const nameOf = ({ body }: { body: Uint8Array }) => textOf(body).split(' ')[0] ?? '';

it('a worker on files that is killed loses nothing it acknowledged, and nothing that ended comes back', async () => {
  await using place = await filesPlace();
  const seed = 'queue crash 1';
  const random = seededRandom(seed);
  const ledger = new Ledger();
  for (let round = 1; round <= rounds(6, 200); round++) {
    const about = `round ${round}, seed ${seed}`;
    const worker = start(place.address, round);
    await worker.hasSaid(1 + random.int(3000));
    await sleep(random.int(10));
    ledger.hear(await worker.kill(), about);
    // Everything is due one lease after the restart.
    const clock = virtualClock({ wallTimeMs: Date.now() });
    const queue = durableStore(place.address, clock).queue({ segmentBytes: SEGMENT_BYTES });
    await queue.stats();
    await clock.advance(LEASE_MS);
    const { due, delayed, leased: held } = await queue.stats();
    expect([delayed, held], about).toEqual([0, 0]);
    const found = new Set<string>();
    const givenBack: Delivery[] = [];
    const done: Delivery[] = [];
    while (found.size < due) {
      for (const delivery of await queue.lease({ max: 1000, leaseMs: LEASE_MS })) {
        const text = nameOf(delivery);
        ledger.leased(text, delivery.fence, about);
        expect(delivery.attempt, `the attempt of ${text}, ${about}`).toBeLessThanOrEqual(ledger.mostAttempts(text));
        expect(found.has(text), `${text} came twice, ${about}`).toBe(false);
        found.add(text);
        if (due > MOST_LEFT) done.push(delivery);
        else if (random.int(4) === 0) givenBack.push(delivery);
      }
    }
    for (const delivery of givenBack) await delivery.nack();
    ledger.check(found, about);
    await Promise.all(done.map((delivery) => ledger.end(delivery)));
    await queue.close();
    ledger.endLife();
  }
  expect(ledger.ended.size).toBeGreaterThan(50);
});

it.skipIf(natsMissing !== undefined)(
  'a worker on nats that is killed loses nothing it acknowledged, and nothing that ended comes back',
  async () => {
    await using place = await natsPlace();
    const seed = 'queue crash 2';
    const random = seededRandom(seed);
    const ledger = new Ledger();
    const queue = durableStore(place.address).queue();
    for (let round = 1; round <= rounds(6, 200); round++) {
      const about = `round ${round}, seed ${seed}`;
      const worker = start(place.address, round);
      await worker.hasSaid(1 + random.int(3000));
      await sleep(random.int(10));
      ledger.hear(await worker.kill(), about);
      // What nobody was given; what the dead had stays theirs for the rest of their leases.
      while ((await queue.stats()).due > 0) {
        const deliveries = await queue.lease({ max: 1000, leaseMs: LEASE_MS });
        for (const delivery of deliveries) ledger.leased(nameOf(delivery), delivery.fence, about);
        await Promise.all(deliveries.map((delivery) => ledger.end(delivery)));
      }
      ledger.endLife();
    }
    const left = (await itemsIn({ servers: place.address })).map((body) => nameOf({ body: Buffer.from(body) }));
    ledger.check(new Set(left), `seed ${seed}`);
    expect((await queue.stats()).leased).toBe(left.length);
    expect(ledger.ended.size).toBeGreaterThan(50);
    await queue.close();
  },
);

it('files keep a second process out while the first lives, and lets it in after its death', async () => {
  await using place = await filesPlace();
  const worker = start(place.address, 1);
  // The first enqueues of its three producers: the folder is open.
  await worker.hasSaid(4);
  const queue = durableStore(place.address).queue();
  const error = await queue.stats().catch((failure) => failure);
  expect(error).toEqual(expect.objectContaining({ code: 'failed-precondition' }));
  expect(error.message).toContain(String(worker.process.pid));
  await worker.kill();
  await queue.stats();
  await queue.close();
});
