/**
 * The segment that is being written: how far it is written, and how far it is known to be on the disk.
 *
 * Why zeros behind the frames? A sync of bytes that made the file longer waits for the file system's journal as well. Frames in the
 * place of zeros that an earlier sync brought to the disk change nothing but contents, and their sync takes half the time. A reader
 * takes zeros for the end of the log. Nothing depends on them: where they find no room, frames go on without.
 */
import { writeAll } from './file-steps.js';
import type { OpenFile } from './file-system.js';
import { encodeHeader, encodeMark } from './queue-frames.js';

/** Zeros written at a time: from 64 KiB to 4 MiB all are equally fast. */
const MAX_PADDING_BYTES = 256 * 1024;

export class QueueSegment {
  readonly firstLsn: number;
  readonly #file: OpenFile;
  readonly #maxBytes: number;
  #bytes = 0;
  /** Frames up to here find zeros in their place. */
  #paddedBytes = 0;
  #mayPad = true;
  #lsn: number;
  #syncedLsn: number;
  #endsInMark = true;

  /** @param maxBytes - The next segment begins there. */
  constructor(file: OpenFile, firstLsn: number, maxBytes: number) {
    this.#file = file;
    this.firstLsn = firstLsn;
    this.#maxBytes = maxBytes;
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
    if (this.#mayPad && this.#bytes > this.#paddedBytes && !this.#endsInMark) await this.#pad();
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

  /** As many zeros as there are frames, so that a small log stays small. Behind the frames of the same group: those come first. */
  async #pad(): Promise<void> {
    this.#paddedBytes = this.#bytes;
    const bytes = Math.min(this.#bytes, MAX_PADDING_BYTES, this.#maxBytes - this.#bytes);
    if (bytes <= 0) return;
    try {
      this.#paddedBytes += await this.#file.write(Buffer.alloc(bytes), this.#bytes);
    } catch {
      // A full disk, say. Whether frames still find room is for their own writes to find out.
      this.#mayPad = false;
    }
  }
}
