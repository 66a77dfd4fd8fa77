/**
 * Group commit: one write and one sync on their way at a time; what comes meanwhile is the next group.
 *
 * What becomes of a group that fails? Its operations are told so, and its segment is never written or synced again: after a failed
 * sync nobody knows what of it is on the disk. The next group begins a new segment, named by the last frame that was synced, and so
 * cuts off whatever of the failed group was written. Only a crash before that next group can bring it back.
 */
import { EvenkeelError } from '../../core/errors.js';
import { fileError } from '../../core/internal/file-error.js';
import { systemCode } from './file-steps.js';
import type { QueueFolder } from './queue-folder.js';
import { lostOwnership, type QueueOwner } from './queue-owner.js';
import { QueueSegment } from './queue-segment.js';

export interface LogEntry {
  readonly frame: Uint8Array;
  /** Waits for the disk. A group without any such entry is written and not synced: it outlives the process, not the machine. */
  readonly isDurable: boolean;
  done(): void;
  failed(error: EvenkeelError): void;
}

export interface LogStart {
  /** Of the first frame that will be written. */
  readonly lsn: number;
  /** A segment of that name is there, without a frame that counts. */
  readonly replaces: boolean;
  readonly size: LogSize;
}

/** Of the files that a start would read. */
export interface LogSize {
  readonly bytes: number;
  readonly files: number;
}

/** Told between two groups. */
export interface LogObserver {
  /** Whether the segment is to end here. */
  wantsCut(): boolean;
  /** All frames before `lsn`, and none behind, are synced and have been reported with `done`. */
  cut(lsn: number): void;
}

/** Bytes of frames after which a group is full. */
const MAX_GROUP_BYTES = 8 * 1024 * 1024;

export class QueueLog {
  readonly #folder: QueueFolder;
  readonly #owner: QueueOwner;
  readonly #segmentBytes: number;
  readonly #observer: LogObserver;
  #segment: QueueSegment | undefined;
  /** Of the next segment, while there is none. */
  #lsn: number;
  /** The newest segment; without a synced frame it may be replaced by one of the same name. */
  #newest: number | undefined;
  /** Of the files apart from the segment that is being written. */
  #bytes: number;
  #files: number;
  #waiting: LogEntry[] = [];
  #turns: Promise<void> | undefined;
  #failure: EvenkeelError | undefined;

  constructor(folder: QueueFolder, owner: QueueOwner, segmentBytes: number, start: LogStart, observer: LogObserver) {
    this.#folder = folder;
    this.#owner = owner;
    this.#segmentBytes = segmentBytes;
    this.#observer = observer;
    this.#lsn = start.lsn;
    this.#newest = start.replaces ? start.lsn : undefined;
    this.#bytes = start.size.bytes;
    this.#files = start.size.files;
  }

  get size(): LogSize {
    const segment = this.#segment;
    return { bytes: this.#bytes + (segment?.bytes ?? 0), files: this.#files + (segment === undefined ? 0 : 1) };
  }

  /** After `before` was compacted into `after`. */
  resize(before: LogSize, after: LogSize): void {
    this.#bytes += after.bytes - before.bytes;
    this.#files += after.files - before.files;
  }

  /** Another process has the folder: nothing is written any more. */
  get failure(): EvenkeelError | undefined {
    return this.#failure;
  }

  append(entry: LogEntry): void {
    this.#waiting.push(entry);
    this.#turns ??= this.#run();
  }

  /** Writes what waits. What a failure leaves unsaid here was promised to nobody. */
  async close(): Promise<void> {
    await this.#turns;
    const segment = this.#segment;
    this.#segment = undefined;
    if (segment === undefined) return;
    try {
      if (!segment.isSynced) await segment.sync();
      await segment.write([]);
    } catch {
      // Leases that nobody will miss, and a mark.
    }
    await segment.close().catch(() => {});
  }

  async #run(): Promise<void> {
    for (;;) {
      await afterMicrotasks();
      if (this.#waiting.length === 0) break;
      await this.#commit(this.#takeGroup());
      if (this.#failure === undefined && this.#observer.wantsCut()) {
        await this.#endSegment();
        this.#observer.cut(this.#lsn);
      }
    }
    this.#turns = undefined;
  }

  #takeGroup(): LogEntry[] {
    let bytes = 0;
    const next = this.#waiting.findIndex(({ frame }, i) => {
      bytes += frame.byteLength;
      return i > 0 && bytes > MAX_GROUP_BYTES;
    });
    const group = next === -1 ? this.#waiting : this.#waiting.slice(0, next);
    this.#waiting = next === -1 ? [] : this.#waiting.slice(next);
    return group;
  }

  async #commit(group: readonly LogEntry[]): Promise<void> {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      const segment = await this.#writable();
      await segment.write(group.map(({ frame }) => frame));
      if (group.some(({ isDurable }) => isDurable)) await this.#sync(segment);
    } catch (cause) {
      await this.#abandon();
      const error = this.#failure ?? writeError(this.#folder.path, cause);
      for (const entry of group) entry.failed(error);
      return;
    }
    for (const entry of group) entry.done();
  }

  /**
   * Still ours after the write means: whoever takes the folder from us later will read that write. So the two need not wait for each
   * other.
   */
  async #sync(segment: QueueSegment): Promise<void> {
    const [synced, owned] = await Promise.allSettled([segment.sync(), this.#checkOwner()]);
    for (const each of [owned, synced]) if (each.status === 'rejected') throw each.reason;
  }

  async #checkOwner(): Promise<void> {
    try {
      await this.#owner.check();
    } catch (error) {
      if (error instanceof EvenkeelError) this.#failure = error;
      throw error;
    }
  }

  async #writable(): Promise<QueueSegment> {
    if (this.#segment !== undefined && this.#segment.bytes >= this.#segmentBytes) await this.#endSegment();
    if (this.#segment !== undefined) return this.#segment;
    await this.#checkOwner();
    const lsn = this.#lsn;
    try {
      const replaces = this.#newest === lsn;
      this.#newest = lsn;
      this.#segment = new QueueSegment(await this.#folder.createSegment(lsn, replaces), lsn, this.#segmentBytes);
    } catch (error) {
      // Nothing of ours has that name.
      if (systemCode(error) === 'EEXIST') this.#failure = lostOwnership(this.#folder.pathOf('segment', lsn));
      throw error;
    }
    return this.#segment;
  }

  /** The next group begins a new segment; this one is complete, or cut where it was synced last. */
  async #endSegment(): Promise<void> {
    const segment = this.#segment;
    if (segment === undefined) return;
    try {
      if (!segment.isSynced) await segment.sync();
      await segment.close();
    } catch {
      // What was not synced was promised to nobody.
    }
    this.#leave(segment);
  }

  async #abandon(): Promise<void> {
    const segment = this.#segment;
    if (segment === undefined) return;
    this.#leave(segment);
    await segment.close().catch(() => {});
  }

  #leave(segment: QueueSegment): void {
    this.#segment = undefined;
    this.#lsn = segment.syncedLsn;
    // Without a frame that counts it will be replaced.
    if (this.#lsn === segment.firstLsn) return;
    this.#bytes += segment.bytes;
    this.#files++;
  }
}

/** Before the failure came the frames may have been written, and a crash may bring them back. */
function writeError(path: string, cause: unknown): EvenkeelError {
  const { code, message, details, rejected } = fileError('write to', path, cause);
  return new EvenkeelError(code, message, { retryable: 'unknown', rejected, details, cause });
}

/** All who were told of the last group have had their turn: what they ask for next shares a group. */
function afterMicrotasks(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
