/**
 * Any schedule of readings: lost, doubled, late, out of order, from before and after a restore of the store. What is held never goes back, in the end it is the
 * newest, and it is never said to be fresher than it is.
 */
import { expect, it } from 'vitest';
import { type Random, seededRandom } from '../../src/core/random.js';
import { HeadOrder } from '../../src/knobs/head-order.js';
import { rounds } from '../support/rounds.js';

const SCHEDULES = rounds(20_000, 1_000_000);
const STEPS = 14;

interface Truth {
  readonly epoch: string;
  readonly revision: number;
  readonly sinceMs: number;
}

interface Delivery {
  readonly index: number;
  readonly askedMs: number;
  readonly atMs: number;
}

/** What the store held, one after the other. A restore goes back to a lower revision, in another epoch. */
function history(random: Random): Truth[] {
  const truths: Truth[] = [{ epoch: 'e0', revision: 1, sinceMs: 0 }];
  let epochs = 0;
  for (let ms = 1; truths.length < STEPS; ms += 1 + random.int(20)) {
    const { epoch, revision } = truths.at(-1) as Truth;
    if (random.next() < 0.15) truths.push({ epoch: `e${++epochs}`, revision: 1 + random.int(revision), sinceMs: ms });
    else truths.push({ epoch, revision: revision + 1 + random.int(3), sinceMs: ms });
  }
  return truths;
}

/** Each read at one moment between its question and its answer; most of them come, some twice, and late ones after newer ones. */
function deliveries(random: Random, truths: readonly Truth[]): Delivery[] {
  const endMs = (truths.at(-1) as Truth).sinceMs;
  const list: Delivery[] = [];
  for (let i = 0; i < STEPS; i++) {
    const askedMs = random.int(endMs + 1);
    const readMs = askedMs + random.int(15);
    const index = truths.findLastIndex(({ sinceMs }) => sinceMs <= readMs);
    if (random.next() < 0.2) continue;
    for (let copies = random.next() < 0.2 ? 2 : 1; copies > 0; copies--)
      list.push({ index, askedMs, atMs: readMs + random.int(60) });
  }
  return list.sort((a, b) => a.atMs - b.atMs);
}

it(`in ${SCHEDULES} schedules nothing is lost, nothing goes back, and no age is too low`, () => {
  const random = seededRandom('schedules of readings 1');
  for (let schedule = 0; schedule < SCHEDULES; schedule++) {
    const truths = history(random);
    const order = new HeadOrder();
    let held = -1;
    let endMs = 0;
    for (const { askedMs, atMs, index } of deliveries(random, truths)) {
      const { epoch, revision } = truths[index] as Truth;
      const news = order.take({ epoch, revision, notBeforeMs: askedMs, notAfterMs: atMs });
      if (news === 'newer') {
        if (index <= held) expect.fail(`schedule ${schedule} went back from ${held} to ${index}`);
        held = index;
      }
      endMs = atMs;
      const superseded = truths[held + 1]?.sinceMs ?? Number.POSITIVE_INFINITY;
      if (held >= 0 && order.ageMs(atMs) < atMs - superseded)
        expect.fail(`schedule ${schedule} says ${order.ageMs(atMs)} ms, and it is ${atMs - superseded}`);
    }
    // The partition heals: one more question is answered.
    const last = truths.at(-1) as Truth;
    const healedMs = Math.max(endMs, last.sinceMs) + 1;
    order.take({ epoch: last.epoch, revision: last.revision, notBeforeMs: healedMs, notAfterMs: healedMs + 5 });
    if (order.epoch !== last.epoch || order.revision !== last.revision)
      expect.fail(`schedule ${schedule} ends at ${order.epoch} ${order.revision}, and not at ${last.epoch} ${last.revision}`);
  }
});
