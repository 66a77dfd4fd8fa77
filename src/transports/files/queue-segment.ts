/** The segment that is being written: how far it is written, and how far it is known to be on the disk. */
import { writeAll } from './file-steps.js';
import type { OpenFile } from './file-system.js';
import { encodeHeader, encodeMark } from './queue-frames.js';

export class QueueSegment {
  readonly firstLsn: number;
  readonly #file: OpenFile;
  #bytes = 0;
  #lsn: number;
  #syncedLsn: number;
  #endsInMark = true;

  constructor(file: OpenFile, firstLsn: number) {
    this.#file = file;
    this.firstLsn = firstLsn;
    this.#lsn = firstLsn;
    this.#syncedLsn = firstLsn;
  }

  /** Written, synced or not. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of the next frame. */
  get lsn(): number {
    return this.#lsn;
  }

  /** Of the first frame that is not known to be on the disk. */
  get syncedLsn(): number {
    return this.#syncedLsn;
  }

  get isSynced(): boolean {
    return this.#syncedLsn === this.#lsn;
  }

  /** Writes frames behind what is there; without any, no more than the mark which says that all before is synced. */
  async write(frames: readonly Uint8Array[]): Promise<void> {
    const parts: Uint8Array[] = [];
    const marks = this.isSynced && !this.#endsInMark;
    if (this.#bytes === 0) parts.push(encodeHeader('segment', this.firstLsn));
    if (marks) parts.push(encodeMark(this.firstLsn, this.#bytes));
    const bytes = Buffer.concat([...parts, ...frames]);
    await writeAll(this.#file, bytes, this.#bytes);
    this.#bytes += bytes.byteLength;
    this.#lsn += frames.length + (marks ? 1 : 0);
    this.#endsInMark = frames.length === 0;
  }

  /** At most one at a time, and never another after one that failed. */
  async sync(): Promise<void> {
    const lsn = this.#lsn;
    await this.#file.datasync();
    this.#syncedLsn = lsn;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
