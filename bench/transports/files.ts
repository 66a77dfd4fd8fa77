/** T1 and T2: what the files transports add to the plain system calls that any durable write is made of. */
import { constants } from 'node:fs';
import { mkdtemp, open, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFileBlobs, createFileState } from 'evenkeel/files';
import { type Claim, type SuiteOptions, wants } from '../support/claim.js';
import { interleaved } from '../support/interleaved.js';
import { median, medianInterval } from '../support/paired.js';

const BLOB_BYTES = 256 * 1024 * 1024;
const BLOB_ROUNDS = 25;
const CHUNK_BYTES = 4 * 1024 * 1024;
const DOCUMENT = Buffer.alloc(300, 'd');
const DOCUMENTS = 100;
const DOCUMENT_ROUNDS = 24;

export async function fileCosts(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'));
  try {
    if (wants(options, 'T1')) onClaim(await largeBlob(folder));
    if (wants(options, 'T2')) onClaim(await smallDocument(folder));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const PAGE_BYTES = 4096;

/** Page-aligned, as O_DIRECT wants it, and touched, so that no side pays for fresh pages. */
function alignedChunk(): Uint8Array {
  // Growable memory is mapped, and so begins at a page.
  const growable = { maxByteLength: CHUNK_BYTES + PAGE_BYTES };
  const memory = new (SharedArrayBuffer as new (bytes: number, options: object) => SharedArrayBuffer)(CHUNK_BYTES, growable);
  const chunk = new Uint8Array(memory, 0, CHUNK_BYTES);
  for (let i = 0; i < chunk.length; i++) chunk[i] = i * 7;
  return chunk;
}

async function largeBlob(folder: string): Promise<Claim> {
  const chunk = alignedChunk();
  const path = join(folder, 'plain');
  const plain = async (flags: number) => {
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | flags);
    for (let at = 0; at < BLOB_BYTES; at += CHUNK_BYTES) await file.write(chunk, 0, CHUNK_BYTES, at);
    await file.datasync();
    await file.close();
  };
  const blobs = createFileBlobs({ folder: join(folder, 'blobs') });
  const ours = async () => {
    const writer = await blobs.writer('large', { bytes: BLOB_BYTES });
    for (let at = 0; at < BLOB_BYTES; ) {
      const buffer = await writer.buffer();
      // The caller fills what it was lent: the plain loop writes the same memory again and again, and has no such step.
      const n = Math.min(buffer.length, BLOB_BYTES - at);
      await writer.write(n);
      at += n;
    }
    await writer.commit();
  };
  const sides = { buffered: () => plain(0), direct: () => plain(constants.O_DIRECT ?? 0), ours };
  const rates = await interleaved(sides, BLOB_ROUNDS, BLOB_BYTES / 1024 / 1024);
  await blobs.close();
  const best = median(rates.buffered) >= median(rates.direct) ? 'buffered' : 'direct';
  const ratio = medianInterval(rates.ours.map((rate, i) => rate / (rates[best][i] as number)));
  return {
    id: 'T1',
    claim: 'files blob of 256 MiB, written, checksummed and committed, against a plain write loop and fdatasync',
    bar: '>= 0.90x',
    measured: ratio.median,
    unit: 'x',
    low: ratio.low,
    high: ratio.high,
    samples: BLOB_ROUNDS,
    holds: ratio.low >= 0.9,
    peers: (['buffered', 'direct'] as const).map((name) => ({
      name: `write loop, ${name === 'direct' ? 'O_DIRECT' : name}`,
      version: `Node ${process.versions.node}`,
      settings: '4 MiB a write from page-aligned memory, then fdatasync; the better of the two is the bar',
      measured: `${median(rates[name]).toFixed(0)} MiB/s; evenkeel ${median(rates.ours).toFixed(0)} MiB/s`,
    })),
  };
}

async function smallDocument(folder: string): Promise<Claim> {
  const target = join(folder, 'document');
  const directory = await open(folder, 'r');
  const plain = async () => {
    for (let i = 0; i < DOCUMENTS; i++) {
      const file = await open(`${target}.tmp`, 'w');
      await file.write(DOCUMENT, 0, DOCUMENT.length, 0);
      await file.datasync();
      await file.close();
      await rename(`${target}.tmp`, target);
      await directory.sync();
    }
  };
  const state = createFileState({ folder: join(folder, 'state') });
  const ours = async () => {
    for (let i = 0; i < DOCUMENTS; i++) await state.put('document', DOCUMENT);
  };
  const rates = await interleaved({ plain, ours }, DOCUMENT_ROUNDS, DOCUMENTS);
  await state.close();
  await directory.close();
  const ratio = medianInterval(rates.ours.map((rate, i) => (rates.plain[i] as number) / rate));
  const ms = (values: readonly number[]) => (1000 / median(values)).toFixed(3);
  return {
    id: 'T2',
    claim: 'time of one small document put into files state, against the same document by the plain calls',
    bar: '<= 1.30x',
    measured: ratio.median,
    unit: 'x',
    low: ratio.low,
    high: ratio.high,
    samples: DOCUMENT_ROUNDS,
    holds: ratio.high <= 1.3,
    peers: [
      {
        name: 'write + fdatasync + rename + fsync of the folder',
        version: `Node ${process.versions.node}`,
        settings: 'fs/promises, one after the other, the folder kept open',
        measured: `${ms(rates.plain)} ms; evenkeel ${ms(rates.ours)} ms`,
      },
    ],
  };
}
