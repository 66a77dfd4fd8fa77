/** Processes that write documents are killed at any moment: what they were told was committed stays, in the order of its revisions. */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from 'evenkeel/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ChildProgram, childProgram, SayingChild } from '../support/child-program.js';
import { durableStore } from '../support/durable-store.js';
import { rounds } from '../support/rounds.js';
import { storePlaces } from '../support/store-places.js';

/**
 * Raises a shared counter by compare-and-set for ever, and writes a document of its own; says each with its revision once it is
 * committed.
 */
const PROGRAM = `
  import { writeSync } from 'node:fs';
  import { isEvenkeelError } from 'evenkeel/core';
  import { durableStore } from './test/support/durable-store.ts';
  const [address, own] = process.argv.slice(2);
  process.stdin.on('end', () => process.exit()).resume();
  const state = durableStore(address).state();
  const say = (value) => writeSync(1, JSON.stringify(value) + '\\n');
  for (let n = 1; ; n++) {
    const entry = await state.get('counter');
    const value = Number(new TextDecoder().decode(entry?.value ?? new Uint8Array()) || 0) + 1;
    try {
      const put = state.put('counter', new TextEncoder().encode(String(value)), { expect: entry?.revision ?? 'absent' });
      const [revision] = await Promise.all([put, state.put(own, new TextEncoder().encode(String(n)))]);
      say({ value, revision, own, n });
    } catch (error) {
      if (!isEvenkeelError(error, 'aborted')) throw error;
    }
  }
`;

interface Said {
  readonly value: number;
  readonly revision: number;
  readonly own: string;
  readonly n: number;
}

let program: ChildProgram;

beforeAll(async () => {
  program = await childProgram(PROGRAM);
});
afterAll(() => program[Symbol.dispose]());

describe.each(storePlaces)('on $name', ({ isMissing, open }) => {
  it.skipIf(isMissing)(
    'loses nothing that two processes were told, gives no revision twice, and shows nothing half written',
    async () => {
      await using place = await open();
      const seed = 'state crash 1';
      const random = seededRandom(seed);
      const told = new Map<number, number>();
      let highest = 0;
      for (let round = 1; round <= rounds(6, 200); round++) {
        const about = `round ${round}, seed ${seed}`;
        const children = ['a', 'b'].map((name) => new SayingChild<Said>(program, [place.address, `${name}${round}`]));
        await Promise.all(children.map((child) => child.hasSaid(1 + random.int(20))));
        await sleep(random.int(20));
        const said = (await Promise.all(children.map((child) => child.kill()))).flat();
        for (const { value, revision } of said) {
          expect(told.has(value), `${value} was won twice, ${about}`).toBe(false);
          told.set(value, revision);
        }
        const state = durableStore(place.address).state();
        const counter = await state.get('counter');
        const value = Number(Buffer.from(counter?.value ?? []).toString());
        const last = Math.max(...said.map((each) => each.value));
        // One commit of each process may have been made and not said.
        expect(value, about).toBeGreaterThanOrEqual(last);
        expect(value, about).toBeLessThanOrEqual(last + 2);
        expect(counter?.revision, about).toBeGreaterThanOrEqual(told.get(last) ?? 0);
        for (const name of ['a', 'b']) {
          const own = await state.get(`${name}${round}`);
          const lastOwn = said.findLast((each) => each.own === `${name}${round}`)?.n ?? 0;
          expect(Number(Buffer.from(own?.value ?? []).toString()), about).toBeGreaterThanOrEqual(lastOwn);
        }
        const put = await state.put('after', new Uint8Array(1));
        expect(put, about).toBeGreaterThan(Math.max(highest, ...said.map(({ revision }) => revision)));
        highest = put;
        await state.close();
      }
      // Values rose with their revisions: the history has one order.
      const byValue = [...told].sort(([a], [b]) => a - b).map(([, revision]) => revision);
      expect(byValue).toEqual([...byValue].sort((a, b) => a - b));
      const files = place.folder === undefined ? [] : readdirSync(place.folder);
      const strange = files.filter((name) => !/^(epoch|\d{16}\.(commit|snapshot)|\.[0-9a-f]{32}\.tmp)$/.test(name));
      expect(strange).toEqual([]);
    },
  );
});
