/** A process that writes blobs is killed at any moment: what it said was committed is whole, and nothing else can be seen. */
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BlobTransport } from 'evenkeel/core';
import { seededRandom } from 'evenkeel/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ChildProgram, childProgram, SayingChild } from '../support/child-program.js';
import { durableStore } from '../support/durable-store.js';
import { expectSwept as expectSweptBucket } from '../support/nats-streams.js';
import { rounds } from '../support/rounds.js';
import { type StorePlace, storePlaces } from '../support/store-places.js';

let program: ChildProgram;
const NAMES = ['a', 'b/a', 'b/b', 'c/d/e', 'large'];

/**
 * Writes the names in turn for ever and deletes one now and then; says each commit when it has resolved. Every 4 bytes of a blob
 * are its number, so that a mixture shows. Before the commit of number `stopsAt` it stops, and waits. It ends when its parent
 * does.
 */
const PROGRAM = `
  import { writeSync } from 'node:fs';
  import { seededRandom } from 'evenkeel/testing';
  import { durableStore } from './test/support/durable-store.ts';
  const [first, stopsAt] = [process.argv[3], process.argv[4]].map(Number);
  const names = JSON.parse(process.argv[5]);
  process.stdin.on('end', () => process.exit()).resume();
  const random = seededRandom('child ' + first);
  const blobs = durableStore(process.argv[2]).blobs();
  for (let number = first; ; number++) {
    const name = names[random.int(names.length)];
    if (number < stopsAt && random.int(8) === 0) {
      writeSync(1, JSON.stringify({ name, deletes: true }) + '\\n');
      await blobs.delete(name);
      continue;
    }
    const words = name === 'large' ? 1_000_000 + random.int(500_000) : 1 + random.int(30_000);
    const bytes = new Uint8Array(new Uint32Array(words).fill(number).buffer);
    const writer = await blobs.writer(name);
    for (let at = 0; at < bytes.length; ) {
      const buffer = await writer.buffer();
      const n = Math.min(buffer.length, bytes.length - at, 700_000);
      buffer.set(bytes.subarray(at, at + n));
      await writer.write(n);
      at += n;
    }
    if (number >= stopsAt) {
      writeSync(1, JSON.stringify({ name, deletes: true }) + '\\n');
      break;
    }
    await writer.commit();
    writeSync(1, JSON.stringify({ name, number, bytes: bytes.length }) + '\\n');
  }
`;

beforeAll(async () => {
  program = await childProgram(PROGRAM);
});
afterAll(() => program[Symbol.dispose]());

interface Said {
  readonly name: string;
  /** Of a commit. */
  readonly number?: number;
  readonly bytes?: number;
  /** The delete that follows may have been done or not. */
  readonly deletes?: boolean;
}

/** Waits until a writer has said `lines` lines and a moment more, kills it, and resolves with all that it said. */
async function runAndKill(
  address: string,
  first: number,
  lines: number,
  moreMs: number,
  stopsAt = Number.POSITIVE_INFINITY,
): Promise<Said[]> {
  const child = new SayingChild<Said>(program, [address, String(first), String(stopsAt), JSON.stringify(NAMES)]);
  await child.hasSaid(lines);
  await sleep(moreMs);
  return child.kill();
}

/** The number that a blob is full of, all of it. */
async function numberIn(blobs: BlobTransport, name: string, bytes: number): Promise<number> {
  const content = new Uint8Array(bytes);
  expect(await blobs.readInto(name, 0, content)).toBe(bytes);
  const words = new Uint32Array(content.buffer);
  expect(words.every((word) => word === words[0])).toBe(true);
  return words[0] ?? 0;
}

describe.each(storePlaces)('on $name', ({ isMissing, open }) => {
  it.skipIf(isMissing)('a writer that is killed leaves every blob as it was said to be, or as the next one whole', async () => {
    await using place = await open();
    const seed = 'blob crash 1';
    const random = seededRandom(seed);
    /** What was said last of each name. */
    const known = new Map<string, Said>();
    /** By round: the newest number that was said. */
    const newest: number[] = [];
    for (let round = 1; round <= rounds(6, 200); round++) {
      const first = round * 1_000_000;
      const said = await runAndKill(place.address, first, 1 + random.int(30), random.int(20));
      for (const each of said) known.set(each.name, each);
      newest[round] = said.findLast(({ number }) => number !== undefined)?.number ?? first - 1;
      const blobs = durableStore(place.address).blobs();
      const listed = await blobs.list('', { limit: 1000 });
      for (const { name, bytes } of listed) {
        const about = `${name}, round ${round}, seed ${seed}`;
        expect(NAMES, about).toContain(name);
        const number = await numberIn(blobs, name, bytes);
        const last = known.get(name);
        // One commit of a life, the last, may have been made and not said; a server may make it after that.
        if (number > (newest[Math.floor(number / 1_000_000)] ?? Number.POSITIVE_INFINITY)) {
          known.set(name, { name, number, bytes });
        } else if (last?.deletes !== true) expect({ number, bytes }, about).toEqual({ number: last?.number, bytes: last?.bytes });
      }
      for (const [name, { deletes, bytes }] of known) {
        if (deletes !== true && bytes !== undefined)
          expect(
            listed.map((stat) => stat.name),
            `${name}, seed ${seed}`,
          ).toContain(name);
      }
      await blobs.close();
    }
    await expectSwept(place);
  });

  it.skipIf(isMissing)('a blob half written by a writer that is killed is never seen, and goes with a later writer', async () => {
    await using place = await open();
    await runAndKill(place.address, 1, 1, 0, 1);
    const blobs = durableStore(place.address).blobs();
    expect(await blobs.list('', { limit: 1000 })).toEqual([]);
    await blobs.close();
    if (place.folder !== undefined) expect(await temporaryIn(place.folder)).toHaveLength(1);
    await expectSwept(place);
  });
});

async function temporaryIn(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.tmp'));
}

/** What was half written goes when a writer begins in its folder an hour later, or in its bucket. */
async function expectSwept(place: StorePlace): Promise<void> {
  const { folder } = place;
  if (folder !== undefined) {
    const left = await temporaryIn(folder);
    for (const file of left) await utimes(join(folder, file), 0, 0);
    // A process takes a hundred away, and leaves the rest to the next one.
    for (let swept = 0; swept <= left.length; swept += 100) {
      const next = durableStore(place.address).blobs();
      for (const name of NAMES) await (await next.writer(name)).commit();
      await next.close();
    }
    expect(await temporaryIn(folder)).toEqual([]);
  } else {
    const blobs = durableStore(place.address).blobs();
    for (const name of NAMES) await blobs.delete(name);
    await blobs.close();
    await expectSweptBucket({ servers: place.address }, { c: 0, m: 0, w: 0 });
  }
}
