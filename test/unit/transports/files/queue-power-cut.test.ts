/**
 * Random work on a disk that fails now and then, ended by the loss of all that was not synced: contents are torn, new names are
 * gone, removed ones are back.
 */
import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Delivery, QueueTransport, Random } from 'evenkeel/core';
import type { FileSystem, OpenFile } from 'evenkeel/files';
import { seededRandom, type VirtualClock, virtualClock } from 'evenkeel/testing';
import { expect, it } from 'vitest';
import { systemError } from '../../../support/faulty-file-system.js';
import { rounds } from '../../../support/rounds.js';
import { bodyOf, processTable, queueRig, textOf } from './queue-rig.js';

interface LossyDisk extends FileSystem {
  /** From here on nothing works; then whatever was not synced is lost, in part or in whole. */
  cut(): Promise<void>;
}

/** @param faultOneIn - Writes and syncs that fail. */
function lossyDisk(inner: FileSystem, random: Random, faultOneIn: number): LossyDisk {
  const syncedBytes = new Map<string, number>();
  /** As the last sync left them: what was written in their place since then may be lost as well. */
  const synced = new Map<string, Buffer>();
  /** Where a sync failed: what was written before it is lost, and a later sync that succeeds says nothing of it. */
  const lostFrom = new Map<string, number>();
  /** By folder: changes of names since its last sync, each with what undoes it. */
  const undo = new Map<string, (() => void)[]>();
  let isCut = false;
  let pending = 0;
  const step = async <T>(run: () => Promise<T>, mayFail = false): Promise<T> => {
    if (isCut) throw systemError('EIO');
    pending++;
    try {
      const result = await run();
      // Done, and said to have failed.
      if (mayFail && random.int(faultOneIn) === 0) throw systemError(random.int(2) === 0 ? 'EIO' : 'ENOSPC');
      return result;
    } finally {
      pending--;
    }
  };
  const changed = (path: string, revert: () => void) => {
    const folder = dirname(path);
    undo.set(folder, [...(undo.get(folder) ?? []), revert]);
  };
  const wrap = (file: OpenFile, path: string): OpenFile => ({
    read: (target, position) => step(() => file.read(target, position)),
    write: (bytes, position) => step(() => file.write(bytes.subarray(0, 1 + random.int(bytes.byteLength)), position), true),
    datasync: () =>
      step(async () => {
        const { bytes } = await file.facts();
        if (random.int(faultOneIn) === 0) {
          lostFrom.set(path, Math.min(lostFrom.get(path) ?? bytes, syncedBytes.get(path) ?? 0));
          throw systemError('EIO');
        }
        await file.datasync();
        syncedBytes.set(path, bytes);
        if (!lostFrom.has(path)) synced.set(path, readFileSync(path));
      }),
    sync: () =>
      step(async () => {
        if (random.int(faultOneIn) === 0) throw systemError('EIO');
        await file.sync();
        undo.delete(path);
      }),
    facts: () => step(() => file.facts()),
    close: () => file.close(),
  });
  return {
    open: (path, flags) =>
      step(async () => {
        const isNew = !existsSync(path);
        const file = await inner.open(path, flags);
        if (isNew) {
          syncedBytes.set(path, 0);
          synced.delete(path);
          lostFrom.delete(path);
          changed(path, () => rmSync(path, { force: true }));
        } else if (!syncedBytes.has(path)) syncedBytes.set(path, statSync(path).size);
        return wrap(file, path);
      }),
    rename: (from, to) =>
      step(async () => {
        const content = readFileSync(from);
        const before = existsSync(to) ? readFileSync(to) : undefined;
        await inner.rename(from, to);
        syncedBytes.set(to, syncedBytes.get(from) ?? 0);
        synced.set(to, synced.get(from) ?? Buffer.alloc(0));
        changed(to, () => {
          writeFileSync(from, content);
          if (before === undefined) rmSync(to, { force: true });
          else writeFileSync(to, before);
        });
      }),
    link: (from, to) => step(() => inner.link(from, to)),
    unlink: (path) =>
      step(async () => {
        const content = readFileSync(path);
        await inner.unlink(path);
        changed(path, () => {
          if (!existsSync(path)) writeFileSync(path, content);
        });
      }),
    mkdir: (path) => step(() => inner.mkdir(path)),
    rmdir: (path) => step(() => inner.rmdir(path)),
    readdir: (path) => step(() => inner.readdir(path)),
    stat: (path) => step(() => inner.stat(path)),
    exists: (path) => step(() => inner.exists(path)),
    watchFolder: (path, onChange) => inner.watchFolder(path, onChange),
    async cut() {
      isCut = true;
      while (pending > 0) await new Promise((resolve) => setImmediate(resolve));
      for (const [path, before] of synced) if (existsSync(path)) revertInPart(path, before, random);
      for (const [path, kept] of syncedBytes) {
        const good = Math.min(kept, lostFrom.get(path) ?? kept);
        if (!existsSync(path) || statSync(path).size <= good) continue;
        truncateSync(path, Math.max(kept, good + random.int(statSync(path).size - good + 1)));
        const bytes = readFileSync(path);
        if (bytes.byteLength === good || random.int(2) === 0) continue;
        const from = good + random.int(bytes.byteLength - good);
        bytes.fill(random.int(256), from, from + 1 + random.int(bytes.byteLength - from));
        writeFileSync(path, bytes);
      }
      // In any order, as POSIX allows.
      for (const changes of undo.values()) for (const revert of changes.reverse()) if (random.int(2) === 0) revert();
    },
  };
}

/** Smaller than a sector of any disk, as the files here are. */
const SECTOR_BYTES = 64;

function revertInPart(path: string, before: Buffer, random: Random): void {
  const bytes = readFileSync(path);
  const end = Math.min(before.byteLength, bytes.byteLength);
  const oneIn = 1 + random.int(4);
  for (let at = 0; at < end; at += SECTOR_BYTES) {
    if (random.int(oneIn) === 0) before.copy(bytes, at, at, Math.min(at + SECTOR_BYTES, end));
  }
  writeFileSync(path, bytes);
}

/** What is known of each item, over all lives of the queue. */
class Model {
  readonly stored = new Map<string, { id: number; attempts: number }>();
  /** Asked for, and perhaps done. */
  readonly maybeStored = new Set<string>();
  readonly ended = new Set<string>();
  readonly maybeEnded = new Set<string>();
  readonly ids = new Set<number>();
  maxFence = 0;

  delivered(delivery: Delivery): string {
    const text = textOf(delivery.body);
    expect(this.stored.has(text) || this.maybeStored.has(text), `${text} was never enqueued`).toBe(true);
    expect(this.ended.has(text), `${text} came back after its end`).toBe(false);
    expect(delivery.fence, 'fences rise').toBeGreaterThan(this.maxFence);
    this.maxFence = delivery.fence;
    const known = this.stored.get(text);
    // Of an enqueue that failed and is there all the same.
    if (known === undefined) this.stored.set(text, { id: delivery.id, attempts: delivery.attempt });
    else {
      expect(delivery.id).toBe(known.id);
      known.attempts++;
      expect(delivery.attempt).toBeLessThanOrEqual(known.attempts);
    }
    return text;
  }

  async enqueue(queue: QueueTransport, text: string, key: string | undefined): Promise<void> {
    this.maybeStored.add(text);
    const [id = 0] = await queue.enqueue([{ body: bodyOf(text), key }]);
    expect(this.ids.has(id), `id ${id} was given twice`).toBe(false);
    this.ids.add(id);
    this.stored.set(text, { id, attempts: 0 });
  }

  async end(text: string, done: Promise<void>): Promise<void> {
    this.maybeEnded.add(text);
    await done;
    this.ended.add(text);
  }
}

/** A life: some steps, several at a time, then the cut. */
async function live(queue: QueueTransport, clock: VirtualClock, random: Random, model: Model, life: string): Promise<void> {
  const held: Delivery[] = [];
  const work: Promise<unknown>[] = [];
  const start = (step: Promise<unknown>) => work.push(step.catch((error) => expect(error.name).toBe('EvenkeelError')));
  for (let i = 0, steps = 5 + random.int(60); i < steps; i++) {
    const text = `${life}-${i}`;
    const delivery = held[random.int(held.length + 1)];
    if (delivery !== undefined) held.splice(held.indexOf(delivery), 1);
    const kind = random.int(8);
    if (kind < 3 || delivery === undefined) {
      start(model.enqueue(queue, `${text} ${'x'.repeat(random.int(600))}`, random.int(2) === 0 ? text : undefined));
    } else if (kind === 3) start(delivery.nack(random.int(3) * 1000));
    else if (kind === 4) start(model.end(textOf(delivery.body), delivery.deadLetter('no use')));
    else start(model.end(textOf(delivery.body), delivery.ack()));
    if (random.int(3) === 0) {
      await Promise.all(work);
      const { due } = await queue.stats().catch(() => ({ due: 0 }));
      const lease = () => queue.lease({ max: 1 + random.int(4), leaseMs: 1000 + random.int(60_000) });
      const deliveries = due === 0 ? [] : await lease().catch(() => []);
      for (const each of deliveries) {
        model.delivered(each);
        held.push(each);
      }
    }
    if (random.int(10) === 0) await clock.advance(random.int(2000));
  }
  if (random.int(2) === 0) await Promise.all(work);
  if (random.int(4) === 0) await queue.close().catch(() => {});
}

/** Everything acknowledged is there, and nothing that was ended. */
async function expectWhole(queue: QueueTransport, clock: VirtualClock, model: Model, about: string): Promise<void> {
  await queue.stats();
  await clock.advance(120_000);
  const { due, delayed, leased } = await queue.stats();
  expect([delayed, leased], about).toEqual([0, 0]);
  const found = new Set<string>();
  while (found.size < due) {
    for (const delivery of await queue.lease({ max: 1000, leaseMs: 1000 })) found.add(model.delivered(delivery));
  }
  for (const { body } of await queue.deadLetters({ limit: 1000 })) {
    const text = textOf(body);
    expect(found.has(text), `${text} is alive and dead, ${about}`).toBe(false);
    found.add(text);
  }
  for (const text of model.stored.keys()) {
    if (!model.maybeEnded.has(text)) expect(found.has(text), `${text} is lost, ${about}`).toBe(true);
  }
  await clock.advance(1000);
}

it('keeps what it acknowledged and forgets what was ended, over faults and power cuts', { timeout: 200_000 }, async () => {
  for (let round = 0; round < rounds(12); round++) {
    const seed = `queue power cut ${round}`;
    const random = seededRandom(seed);
    const rig = queueRig();
    const clock = virtualClock();
    const model = new Model();
    for (let life = 0; life < 12; life++) {
      const about = `life ${life}, seed ${seed}`;
      const disk = lossyDisk(rig.fs, random, [10, 40, 1e9][random.int(3)] ?? 10);
      const options = { clock, segmentBytes: 4096, processes: processTable(life + 1, [life + 1]) };
      // A fault may have hit the opening.
      const broken = rig.open({ ...options, fileSystem: disk });
      await live(broken, clock, random, model, `${round}/${life}`);
      await disk.cut();
      // Who was told of an end, or of an enqueue, after the cut was told by a dead process.
      await broken.close().catch(() => {});
      const healthy = rig.open({ ...options, processes: processTable(100 + life, [100 + life]) });
      await expectWhole(healthy, clock, model, about);
      await healthy.close();
    }
  }
});
