/** A process that works on a queue is killed at any moment: what it was told is true, and no item of its comes back after its end. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Delivery } from 'evenkeel/core';
import { createFileQueue } from 'evenkeel/files';
import { seededRandom, virtualClock } from 'evenkeel/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ChildProgram, childProgram, SayingChild } from '../support/child-program.js';
import { rounds } from '../support/rounds.js';

let program: ChildProgram;
const folders: string[] = [];
const LEASE_MS = 60_000;
const SEGMENT_BYTES = 16 * 1024;

/**
 * Producers and consumers on one queue, for ever. Each says what it is about to do to an item, and what was done once it has
 * resolved. It ends when its parent does.
 */
const PROGRAM = `
  import { writeSync } from 'node:fs';
  import { createFileQueue } from 'evenkeel/files';
  import { seededRandom } from 'evenkeel/testing';
  const [folder, life] = [process.argv[2], process.argv[3]];
  process.stdin.on('end', () => process.exit()).resume();
  const say = (what) => writeSync(1, JSON.stringify(what) + '\\n');
  const queue = createFileQueue({ folder, segmentBytes: ${SEGMENT_BYTES} });
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
afterAll(() => {
  program[Symbol.dispose]();
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-queue-crash-'));
  folders.push(folder);
  return folder;
}

const start = (folder: string, life: number) => new SayingChild<Said>(program, [folder, String(life)]);

it('a worker that is killed loses nothing it acknowledged, and nothing that ended comes back', async () => {
  const folder = newFolder();
  const seed = 'queue crash 1';
  const random = seededRandom(seed);
  const enqueued = new Set<string>();
  const maybeEnqueued = new Set<string>();
  const ended = new Set<string>();
  const maybeEnded = new Set<string>();
  const attempts = new Map<string, number>();
  const ids = new Set<number>();
  const fences = new Map<string, number>();
  /** Of the lives before. */
  let oldFence = 0;
  let kills = 0;
  const leased = (text: string, fence: number, attempt: number, about: string) => {
    expect(enqueued.has(text) || maybeEnqueued.has(text), `${text} ${about}`).toBe(true);
    expect(ended.has(text), `${text} came back, ${about}`).toBe(false);
    expect(fence, `the fence of ${text}, ${about}`).toBeGreaterThan(Math.max(oldFence, fences.get(text) ?? 0));
    fences.set(text, fence);
    attempts.set(text, (attempts.get(text) ?? 0) + 1);
    // A lease may be written in the moment before it is said.
    expect(attempt, `the attempt of ${text}, ${about}`).toBeLessThanOrEqual((attempts.get(text) ?? 0) + kills);
  };
  for (let round = 1; round <= rounds(6, 200); round++) {
    const about = `round ${round}, seed ${seed}`;
    const worker = start(folder, round);
    await worker.hasSaid(1 + random.int(3000));
    await sleep(random.int(10));
    kills++;
    for (const each of await worker.kill()) {
      for (const text of each.enqueues ?? []) maybeEnqueued.add(text);
      for (const text of each.enqueued ?? []) enqueued.add(text);
      for (const id of each.ids ?? []) {
        expect(ids.has(id), `id ${id} was given twice, ${about}`).toBe(false);
        ids.add(id);
      }
      if (each.leased !== undefined) leased(each.leased, each.fence ?? 0, each.attempt ?? 0, about);
      if (each.ends !== undefined) maybeEnded.add(each.ends);
      if (each.ended !== undefined) ended.add(each.ended);
    }
    oldFence = Math.max(oldFence, ...fences.values());
    // Everything is due one lease after the restart.
    const clock = virtualClock({ wallTimeMs: Date.now() });
    const queue = createFileQueue({ folder, segmentBytes: SEGMENT_BYTES, clock });
    await queue.stats();
    await clock.advance(LEASE_MS);
    const { due, delayed, leased: held } = await queue.stats();
    expect([delayed, held], about).toEqual([0, 0]);
    const found = new Set<string>();
    const givenBack: Delivery[] = [];
    const done: Delivery[] = [];
    while (found.size < due) {
      for (const delivery of await queue.lease({ max: 1000, leaseMs: LEASE_MS })) {
        const text = new TextDecoder().decode(delivery.body).split(' ')[0] ?? '';
        leased(text, delivery.fence, delivery.attempt, about);
        expect(found.has(text), `${text} came twice, ${about}`).toBe(false);
        found.add(text);
        if (due > MOST_LEFT) done.push(delivery);
        else if (random.int(4) === 0) givenBack.push(delivery);
      }
    }
    for (const delivery of givenBack) await delivery.nack();
    await Promise.all(
      done.map(async (delivery) => {
        await delivery.ack();
        const text = new TextDecoder().decode(delivery.body).split(' ')[0] ?? '';
        maybeEnded.add(text);
        ended.add(text);
      }),
    );
    for (const text of enqueued) {
      if (!maybeEnded.has(text)) expect(found.has(text), `${text} is lost, ${about}`).toBe(true);
    }
    await queue.close();
    oldFence = Math.max(oldFence, ...fences.values());
  }
  expect(ended.size).toBeGreaterThan(50);
});

it('keeps a second process out while the first lives, and lets it in after its death', async () => {
  const folder = newFolder();
  const worker = start(folder, 1);
  // The first enqueues of its three producers: the folder is open.
  await worker.hasSaid(4);
  const queue = createFileQueue({ folder });
  const error = await queue.stats().catch((failure) => failure);
  expect(error).toEqual(expect.objectContaining({ code: 'failed-precondition' }));
  expect(error.message).toContain(String(worker.process.pid));
  await worker.kill();
  await queue.stats();
  await queue.close();
});
