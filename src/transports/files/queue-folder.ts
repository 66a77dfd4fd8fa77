/**
 * The folder of a queue: segments of the log and snapshots, each named by a log sequence number (LSN), the count of frames.
 *
 * How long is a segment? From its name up to the name of the next: what stands behind that, be it torn by a crash, rejected with a
 * failed sync or zeros for frames that never came, is no part of the log. So a log is cut by beginning the next segment, and no file is ever written to again.
 */
import { constants } from 'node:fs';
import { join } from 'node:path';
import { EvenkeelError } from '../../core/errors.js';
import { type Random, randomId } from '../../core/random.js';
import { closeAfter, makeFolder, readFile, syncFolder, unlinkIfThere, writeNewFile } from './file-steps.js';
import type { FileSystem, OpenFile } from './file-system.js';
import type { QueueFileKind } from './queue-frames.js';

const NUMBERED = /^(\d{16})\.(log|snapshot)$/;
const TEMPORARY = /^\.[0-9a-f]{32}\.tmp$/;
const ENDINGS = { segment: 'log', snapshot: 'snapshot' } as const;
const MAX_FILE_BYTES = 2 ** 31 - 1;

/** What stands in the folder, in rising order. */
export interface QueueListing {
  readonly segments: readonly number[];
  readonly snapshots: readonly number[];
}

export class QueueFolder {
  readonly path: string;
  readonly fs: FileSystem;
  readonly #random: Random;

  constructor(fs: FileSystem, path: string, random: Random) {
    this.fs = fs;
    this.path = path;
    this.#random = random;
  }

  make(): Promise<void> {
    return makeFolder(this.fs, this.path);
  }

  async list(): Promise<QueueListing> {
    const segments: number[] = [];
    const snapshots: number[] = [];
    for (const { name } of await this.fs.readdir(this.path)) {
      const [, digits, ending] = NUMBERED.exec(name) ?? [];
      if (digits !== undefined) (ending === 'log' ? segments : snapshots).push(Number(digits));
    }
    const rising = (a: number, b: number) => a - b;
    return { segments: segments.sort(rising), snapshots: snapshots.sort(rising) };
  }

  pathOf(kind: QueueFileKind, lsn: number): string {
    return join(this.path, `${String(lsn).padStart(16, '0')}.${ENDINGS[kind]}`);
  }

  async read(kind: QueueFileKind, lsn: number): Promise<Buffer> {
    const path = this.pathOf(kind, lsn);
    const bytes = await readFile(this.fs, path, MAX_FILE_BYTES);
    if (bytes === undefined) throw new EvenkeelError('data-loss', `${path} is missing`, { details: { path } });
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /**
   * The segment with these bytes, on the disk. As another file: whether an earlier sync of the one that is there has failed, and lost
   * what still reads well, is not known.
   */
  async rewriteSegment(lsn: number, bytes: Uint8Array): Promise<void> {
    const temporary = this.#temporaryPath();
    const file = await writeNewFile(this.fs, temporary, bytes);
    await file.close();
    await this.fs.rename(temporary, this.pathOf('segment', lsn));
    await syncFolder(this.fs, this.path);
  }

  /**
   * A new, empty segment, its name synced. Fails with EEXIST when it is there.
   * @param replaces - One of that name is there and no part of the log; it goes first.
   */
  async createSegment(lsn: number, replaces: boolean): Promise<OpenFile> {
    const path = this.pathOf('segment', lsn);
    if (replaces) await unlinkIfThere(this.fs, path);
    const file = await this.fs.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
    let isThere = false;
    try {
      await syncFolder(this.fs, this.path);
      isThere = true;
    } finally {
      if (!isThere) await closeAfter(file, false);
    }
    return file;
  }

  async createTemporary(): Promise<{ file: OpenFile; path: string }> {
    const path = this.#temporaryPath();
    return { path, file: await this.fs.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL) };
  }

  /** Gives a whole and synced file its name. */
  async publishSnapshot(temporary: string, lsn: number): Promise<void> {
    await this.fs.rename(temporary, this.pathOf('snapshot', lsn));
    await syncFolder(this.fs, this.path);
  }

  /** Removes what a snapshot makes superfluous. May be cut off anywhere: the next one goes on. */
  async removeBefore(lsn: number): Promise<void> {
    const { segments, snapshots } = await this.list();
    for (const each of snapshots) if (each < lsn) await unlinkIfThere(this.fs, this.pathOf('snapshot', each));
    for (const each of segments) if (each < lsn) await unlinkIfThere(this.fs, this.pathOf('segment', each));
  }

  /** Left by processes that were killed. */
  async removeTemporary(): Promise<void> {
    for (const { name } of await this.fs.readdir(this.path)) {
      if (TEMPORARY.test(name)) await unlinkIfThere(this.fs, join(this.path, name));
    }
  }
  #temporaryPath(): string {
    return join(this.path, `.${randomId(this.#random)}.tmp`);
  }
}
