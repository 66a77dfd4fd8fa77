/**
 * A queue's folder as clients of one process share it: opened when the first of them uses it, given back when the last has closed. A
 * client that comes later opens it anew, which is a restart.
 */
import type { Clock } from '../../core/clock.js';
import { fileError } from '../../core/internal/file-error.js';
import { type Random, randomId } from '../../core/random.js';
import type { FileSystem } from './file-system.js';
import { QueueCompaction } from './queue-compaction.js';
import { QueueFolder } from './queue-folder.js';
import type { QueueBounds } from './queue-items.js';
import { QueueLog } from './queue-log.js';
import { OpenQueue } from './queue-opened.js';
import { QueueOwner } from './queue-owner.js';
import type { ProcessTable } from './queue-process.js';
import { replay } from './queue-replay.js';

export interface QueueStoreParts {
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly fileSystem: FileSystem;
  readonly processes: ProcessTable;
  readonly bounds: QueueBounds;
  readonly segmentBytes: number;
}

/** Of `maxBytes`, for dead letters. */
const DEAD_SHARE = 1 / 4;

export class SharedQueue {
  readonly folder: string;
  readonly #parts: QueueStoreParts;
  readonly #token: string;
  #clients = 0;
  #opened: Promise<OpenQueue> | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: QueueStoreParts) {
    this.folder = parts.path;
    this.#parts = parts;
    this.#token = randomId(parts.random);
  }

  attach(): void {
    this.#clients++;
  }

  /** After a failure the next one who asks tries again. */
  open(): Promise<OpenQueue> {
    if (this.#opened === undefined) {
      const opened = this.#open();
      this.#opened = opened;
      opened.catch(() => {
        if (this.#opened === opened) this.#opened = undefined;
      });
    }
    return this.#opened;
  }

  async release(): Promise<void> {
    this.#clients--;
    if (this.#clients > 0 || this.#opened === undefined) return;
    const opened = this.#opened;
    this.#opened = undefined;
    this.#closing = opened.then(
      (queue) => queue.close(),
      () => {},
    );
    try {
      await this.#closing;
    } catch (cause) {
      throw fileError('close', this.folder, cause);
    }
  }

  async #open(): Promise<OpenQueue> {
    await this.#closing?.catch(() => {});
    const { path, clock, random, fileSystem, processes, bounds, segmentBytes } = this.#parts;
    const folder = new QueueFolder(fileSystem, path, random);
    let owner: QueueOwner | undefined;
    try {
      await folder.make();
      owner = await QueueOwner.take(fileSystem, path, { processes, token: this.#token }, random);
      const deadBounds = { maxLetters: bounds.maxItems, maxBytes: bounds.maxBytes * DEAD_SHARE };
      const { image, start, firstLsn, tail } = await replay(folder, deadBounds);
      if (tail !== undefined) await folder.rewriteSegment(tail.lsn, tail.bytes);
      await folder.removeBefore(firstLsn);
      await folder.removeTemporary();
      const compaction = new QueueCompaction(folder, owner, segmentBytes);
      const log = new QueueLog(folder, owner, segmentBytes, start, compaction);
      const queue = new OpenQueue(clock, bounds, image, log, () => end(compaction, owner));
      compaction.begin(log, queue);
      return queue;
    } catch (cause) {
      await owner?.release().catch(() => {});
      throw fileError('open', path, cause);
    }
  }
}

async function end(compaction: QueueCompaction, owner: QueueOwner | undefined): Promise<void> {
  await compaction.end();
  await owner?.release();
}
