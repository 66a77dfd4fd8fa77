/** Whatever befalls a blob's file, nobody is given bytes that were not written, nor a size that is not the blob's. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../../src/core/random.js';
import type { BlobTransport } from '../../../../src/core/transport/blob.js';
import { readBlob, writeBlob } from '../../../../src/testing/blob-bytes.js';
import { patternOf } from '../../../../src/testing/conformance.js';
import { createFileBlobs } from '../../../../src/transports/files/blob.js';
import { BLOCK_BYTES, footerBytes } from '../../../../src/transports/files/blob-format.js';
import { rounds } from '../../../support/rounds.js';

const BYTES = 3 * BLOCK_BYTES + 1000;
const whole = patternOf(BYTES, 3);

let folder: string;
let path: string;
let blobs: BlobTransport;
let file: Uint8Array;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evenkeel-blob-'));
  path = join(folder, 'a.blob');
  blobs = createFileBlobs({ folder });
  await writeBlob(blobs, 'a', whole);
  await writeBlob(blobs, 'b', patternOf(10));
  file = new Uint8Array(await readFile(path));
  expect(file.byteLength).toBe(BYTES + footerBytes(BYTES));
});
afterAll(async () => {
  await blobs.close();
  await rm(folder, { recursive: true });
});

/** What a caller is told who asks for everything. */
async function expectDataLoss(content: Uint8Array, what: string): Promise<void> {
  await writeFile(path, content);
  await expect(readBlob(blobs, 'a'), what).rejects.toMatchObject({
    code: 'data-loss',
    message: expect.stringContaining('blob a '),
    details: { name: 'a', offset: expect.any(Number) },
  });
  const stat = await blobs.stat('a').catch((error) => error.code);
  expect([BYTES, 'data-loss'], what).toContain(stat?.bytes ?? stat);
  const [first, second] = await blobs.list('', { limit: 2 });
  if (stat === 'data-loss') expect([first?.name, second], what).toEqual(['b', undefined]);
  else expect([first?.bytes, second?.name], what).toEqual([BYTES, 'b']);
}

describe('a damaged file', () => {
  it('with one bit turned over anywhere is data-loss', async () => {
    const seed = 'bits 1';
    const random = seededRandom(seed);
    const positions = Array.from({ length: rounds(60) }, () => random.int(BYTES));
    for (const edge of [0, BLOCK_BYTES - 1, BLOCK_BYTES, BYTES - 1]) positions.push(edge);
    for (let at = BYTES; at < file.byteLength; at++) positions.push(at);
    for (const at of positions) {
      const damaged = file.slice();
      const bit = random.int(8);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
      await expectDataLoss(damaged, `bit ${bit} of byte ${at}, seed ${seed}`);
    }
  });

  it('cut short or grown anywhere is data-loss', async () => {
    const edges = [0, 1, 27, 28, 29, 1000, BLOCK_BYTES, BLOCK_BYTES + 4 + 28, BYTES, BYTES + 1, file.byteLength - 1];
    for (const size of edges) await expectDataLoss(file.slice(0, size), `cut to ${size} bytes`);
    for (const more of [1, 28, BLOCK_BYTES]) {
      await expectDataLoss(Buffer.concat([file, new Uint8Array(more)]), `with ${more} bytes more`);
      await expectDataLoss(Buffer.concat([file, file.subarray(-more)]), `with its last ${more} bytes again`);
    }
  });

  it('of zeros, of another kind, or with blocks in each other’s place is data-loss', async () => {
    await expectDataLoss(new Uint8Array(file.byteLength), 'zeros');
    await expectDataLoss(Buffer.from('{"not":"a blob"}'.repeat(100)), 'another kind');
    const swapped = file.slice();
    swapped.set(file.subarray(0, BLOCK_BYTES), BLOCK_BYTES);
    swapped.set(file.subarray(BLOCK_BYTES, 2 * BLOCK_BYTES), 0);
    await expectDataLoss(swapped, 'swapped blocks');
  });

  it('still gives the blocks that are whole, and tells the offset of the one that is not', async () => {
    const damaged = file.slice();
    damaged[BLOCK_BYTES + 5] = ~(damaged[BLOCK_BYTES + 5] ?? 0);
    await writeFile(path, damaged);
    const target = new Uint8Array(BLOCK_BYTES);
    expect(await blobs.readInto('a', 2 * BLOCK_BYTES, target)).toBe(BLOCK_BYTES);
    expect(target).toEqual(whole.subarray(2 * BLOCK_BYTES, 3 * BLOCK_BYTES));
    for (const offset of [1, BLOCK_BYTES, 2 * BLOCK_BYTES - 1]) {
      await expect(blobs.readInto('a', offset, target)).rejects.toMatchObject({
        code: 'data-loss',
        details: { offset: BLOCK_BYTES },
      });
    }
  });

  it('can be deleted, and replaced', async () => {
    await writeFile(path, file.slice(0, 100));
    expect(await blobs.delete('a')).toBe(true);
    await writeFile(path, file.slice(0, 100));
    await writeBlob(blobs, 'a', whole);
    expect(Buffer.compare(await readBlob(blobs, 'a'), whole)).toBe(0);
  });

  it('takes no room in a page: those after it fill it', async () => {
    await writeFile(path, file.slice(0, 100));
    await writeFile(join(folder, 'c.blob'), file);
    expect((await blobs.list('', { limit: 2 })).map(({ name }) => name)).toEqual(['b', 'c']);
  });
});

describe('a blob whose checksums are more than the end that is read first', () => {
  it('is read and proved by the entries of the blocks asked for', async () => {
    const bytes = 70 * 1024 * 1024 + 3;
    const large = patternOf(bytes, 5);
    await writeBlob(blobs, 'large', large);
    const largePath = join(folder, 'large.blob');
    const target = new Uint8Array(200_000);
    const expectRange = async (offset: number) => {
      const count = await blobs.readInto('large', offset, target);
      expect(count).toBe(Math.min(target.byteLength, bytes - offset));
      expect(Buffer.compare(target.subarray(0, count), large.subarray(offset, offset + count))).toBe(0);
    };
    for (const offset of [0, 12_345, 7 * 1024 * 1024, bytes - 200_000, bytes - 1]) await expectRange(offset);
    const stored = await readFile(largePath);
    stored[bytes + 4] = (stored[bytes + 4] ?? 0) ^ 1;
    await writeFile(largePath, stored);
    await expect(blobs.readInto('large', 0, target)).rejects.toMatchObject({
      code: 'data-loss',
      details: { offset: BLOCK_BYTES },
    });
    await expectRange(2 * BLOCK_BYTES);
    await blobs.delete('large');
  });
});
