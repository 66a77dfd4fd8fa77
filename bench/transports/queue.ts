/** T3: items that are on the disk when they are acknowledged, in the files queue and in the embedded stores people use for queues. */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFileQueue } from 'evenkeel/files';
import type { Claim, SuiteOptions } from '../support/claim.js';
import { interleaved } from '../support/interleaved.js';
import { median, medianInterval } from '../support/paired.js';
import { versionOf } from '../support/versions.js';

const BODY = Buffer.alloc(250, 'q');
const PRODUCERS = 64;
const ROUNDS = 9;
/** Items of one round; the serial sides write fewer. */
const ITEMS = 4096;
const SERIAL_ITEMS = 200;

export async function queueCosts(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'));
  try {
    options.say(`T3: ${ROUNDS} rounds of ${ITEMS} items, ${PRODUCERS} producers`);
    onClaim(await manyProducers(folder));
    onClaim(await oneProducer(folder));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Each producer has one item on its way: the next follows when the last is acknowledged. */
async function produce(producers: number, items: number, one: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const producer = async () => {
    while (next < items) await one(next++);
  };
  await Promise.all(Array.from({ length: producers }, producer));
}

async function manyProducers(folder: string): Promise<Claim> {
  const { open: openLmdb } = await import('lmdb');
  const { ClassicLevel } = await import('classic-level');
  const queue = createFileQueue({ folder: join(folder, 'queue'), maxItems: 10_000_000, maxBytes: 2 ** 30 });
  const lmdb = openLmdb({ path: join(folder, 'lmdb'), encoding: 'binary', noSync: false });
  const level = new ClassicLevel<string, Buffer>(join(folder, 'level'), { valueEncoding: 'buffer' });
  await level.open();
  let key = 0;
  const name = () => String(key++).padStart(12, '0');
  const sides = {
    evenkeel: () => produce(PRODUCERS, ITEMS, () => queue.enqueue([{ body: BODY }])),
    // A put is acknowledged when it is committed, and durable when `flushed` says so.
    'lmdb, put and flushed': () =>
      produce(PRODUCERS, ITEMS, async () => {
        await lmdb.put(name(), BODY);
        await lmdb.flushed;
      }),
    // What a careful user writes who can wait for others: all that came together in one transaction.
    'lmdb, batches of the producers': async () => {
      for (let at = 0; at < ITEMS; at += PRODUCERS) {
        await lmdb.batch(() => {
          for (let i = 0; i < PRODUCERS; i++) lmdb.put(name(), BODY);
        });
        await lmdb.flushed;
      }
    },
    'classic-level, sync': () => produce(PRODUCERS, ITEMS, () => level.put(name(), BODY, { sync: true })),
  };
  const rates = await interleaved(sides, ROUNDS, ITEMS);
  await Promise.all([queue.close(), lmdb.close(), level.close()]);
  const { evenkeel, ...peers } = rates;
  const fastest = (Object.keys(peers) as (keyof typeof peers)[]).reduce((a, b) => (median(peers[a]) >= median(peers[b]) ? a : b));
  const ratio = medianInterval(evenkeel.map((rate, i) => rate / (peers[fastest][i] as number)));
  return {
    id: 'T3.producers',
    claim: `items a second that ${PRODUCERS} producers enqueue, each on the disk when acknowledged, over the fastest of the peers`,
    bar: '>= 4x',
    measured: ratio.median,
    unit: 'x',
    low: ratio.low,
    high: ratio.high,
    samples: ROUNDS,
    holds: ratio.low >= 4,
    peers: (Object.keys(peers) as (keyof typeof peers)[]).map((peer) => ({
      name: peer,
      version: versionOf(peer.startsWith('lmdb') ? 'lmdb' : 'classic-level'),
      settings: 'same bodies of 250 bytes, same disk, same process',
      measured: `${median(peers[peer]).toFixed(0)}/s; evenkeel ${median(evenkeel).toFixed(0)}/s`,
    })),
  };
}

async function oneProducer(folder: string): Promise<Claim> {
  const queue = createFileQueue({ folder: join(folder, 'serial'), maxItems: 10_000_000 });
  const file = await open(join(folder, 'bare'), 'w');
  let at = 0;
  const sides = {
    evenkeel: () => produce(1, SERIAL_ITEMS, () => queue.enqueue([{ body: BODY }])),
    bare: () =>
      produce(1, SERIAL_ITEMS, async () => {
        await file.write(BODY, 0, BODY.length, at);
        at += BODY.length;
        await file.datasync();
      }),
  };
  const rates = await interleaved(sides, 3 * ROUNDS, SERIAL_ITEMS);
  await Promise.all([queue.close(), file.close()]);
  const ratio = medianInterval(rates.evenkeel.map((rate, i) => (rates.bare[i] as number) / rate));
  return {
    id: 'T3.serial',
    claim: 'time of one item enqueued after the other, each on the disk when acknowledged, over that of a bare append',
    bar: '<= 1.30x',
    measured: ratio.median,
    unit: 'x',
    low: ratio.low,
    high: ratio.high,
    samples: 3 * ROUNDS,
    holds: ratio.high <= 1.3,
    peers: [
      {
        name: 'append + fdatasync',
        version: `Node ${process.versions.node}`,
        settings: 'FileHandle.write and datasync, 250 bytes',
        measured: `${median(rates.bare).toFixed(0)}/s; evenkeel ${median(rates.evenkeel).toFixed(0)}/s`,
      },
    ],
  };
}
