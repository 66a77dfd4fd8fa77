/**
 * When a log is written anew: when less than half of it speaks of items that are still there, or when restarts and failures have left
 * it in many small files. The queue goes on meanwhile; a compaction that fails costs nothing but disk space, and is tried again later.
 */
import type { QueueFolder } from './queue-folder.js';
import type { LogObserver, LogSize } from './queue-log.js';
import type { QueueOwner } from './queue-owner.js';
import { type SnapshotContent, writeSnapshot } from './queue-snapshot.js';

export interface CompactedLog {
  readonly size: LogSize;
  resize(before: LogSize, after: LogSize): void;
}

export interface CompactedQueue {
  readonly liveBytes: number;
  contentAt(lsn: number): SnapshotContent;
}

/** Segments a log may have, whatever is in them. */
const MIN_SEGMENTS = 4;
/** Files beyond those that a log of its size needs. */
const MAX_SPARE_FILES = 64;

export class QueueCompaction implements LogObserver {
  readonly #folder: QueueFolder;
  readonly #owner: QueueOwner;
  readonly #segmentBytes: number;
  #log: CompactedLog | undefined;
  #queue: CompactedQueue | undefined;
  #running: Promise<void> | undefined;
  /** After a failure: not before the log has this size. */
  #againAt: LogSize = { bytes: 0, files: 0 };

  constructor(folder: QueueFolder, owner: QueueOwner, segmentBytes: number) {
    this.#folder = folder;
    this.#owner = owner;
    this.#segmentBytes = segmentBytes;
  }

  begin(log: CompactedLog, queue: CompactedQueue): void {
    this.#log = log;
    this.#queue = queue;
  }

  wantsCut(): boolean {
    if (this.#log === undefined || this.#queue === undefined || this.#running !== undefined) return false;
    const { bytes, files } = this.#log.size;
    if (bytes < this.#againAt.bytes && files < this.#againAt.files) return false;
    if (files > MAX_SPARE_FILES + (2 * bytes) / this.#segmentBytes) return true;
    return bytes > MIN_SEGMENTS * this.#segmentBytes && this.#queue.liveBytes < bytes / 2;
  }

  cut(lsn: number): void {
    if (this.#queue === undefined) return;
    this.#running = this.#compact(this.#queue.contentAt(lsn)).finally(() => {
      this.#running = undefined;
    });
  }

  /** Waits for what is under way: in a process that never runs for long it would otherwise never come to an end. */
  async end(): Promise<void> {
    await this.#running;
  }

  async #compact(content: SnapshotContent): Promise<void> {
    const log = this.#log as CompactedLog;
    const before = log.size;
    try {
      const bytes = await writeSnapshot(this.#folder, content, () => this.#owner.check());
      log.resize(before, { bytes, files: 1 });
      await this.#folder.removeBefore(content.lsn);
    } catch {
      // A full disk, say. Everything is still where it was.
      const { bytes, files } = log.size;
      this.#againAt = { bytes: bytes + this.#segmentBytes, files: files + MAX_SPARE_FILES };
    }
  }
}
