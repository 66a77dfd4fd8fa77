/**
 * The folder of a state store: an epoch, commits under the names of their revisions, and snapshots.
 *
 * Who wins a race for a revision? Who links its file onto that name first: a name that exists cannot be linked again, on any file
 * system, whichever process tries. A commit of several entries takes as many revisions and has the name of its first.
 *
 * Compaction removes old commits in rising order, and so never the newest. Hence the rule that readers and writers rest on: while
 * the commit one has seen last is still there, no later one has been removed; a missing next name then means the head.
 */
import { constants } from 'node:fs';
import { join } from 'node:path';
import { EvenkeelError } from '../../core/errors.js';
import { type Random, randomId } from '../../core/random.js';
import { closeAfter, makeFolder, readFile, syncFolder, systemCode, unlinkIfThere, writeNewFile } from './file-steps.js';
import type { FileSystem, OpenFile } from './file-system.js';
import { type Commit, decodeCommit, decodeSnapshot, encodeCommit, encodeSnapshot, type Snapshot } from './state-format.js';

/** The most bytes of entries that one commit takes. */
export const MAX_COMMIT_BYTES = 4 * 1024 * 1024;
/** With the one entry that may exceed it, and headers. */
const MAX_COMMIT_FILE_BYTES = 2 * MAX_COMMIT_BYTES;
const MAX_SNAPSHOT_FILE_BYTES = 2 ** 31;
const EPOCH_FILE = 'epoch';
const EPOCH = /^[0-9a-f]{32}$/;
const NUMBERED = /^(\d{16})\.(commit|snapshot)$/;
const TEMPORARY = /^\.[0-9a-f]{32}\.tmp$/;
/** Of the file system's clock. A writer holds its temporary file for milliseconds. */
const TEMPORARY_EXPIRES_MS = 3_600_000;

/** What stands in the folder, in rising order. */
export interface StateListing {
  readonly commits: readonly number[];
  readonly snapshots: readonly number[];
}

export class StateFolder {
  readonly path: string;
  readonly #fs: FileSystem;
  readonly #random: Random;
  /** Kept open: each commit syncs it. */
  #folder: OpenFile | undefined;
  /** Of the last commit's temporary name. */
  #removal: Promise<boolean> | undefined;

  constructor(fs: FileSystem, path: string, random: Random) {
    this.#fs = fs;
    this.path = path;
    this.#random = random;
  }

  /** The epoch, made with the folder by whoever comes first. */
  async open(): Promise<string> {
    // Anew each time: the one that was opened before may have been removed.
    await this.close();
    await makeFolder(this.#fs, this.path);
    this.#folder = await this.#fs.open(this.path, constants.O_RDONLY);
    const path = join(this.path, EPOCH_FILE);
    for (let tries = 0; ; tries++) {
      const bytes = await readFile(this.#fs, path, 64);
      const epoch = bytes && Buffer.from(bytes).toString('latin1').trim();
      if (epoch !== undefined && EPOCH.test(epoch)) return epoch;
      const { commits, snapshots } = await this.list();
      if (epoch !== undefined || commits.length > 0 || snapshots.length > 0 || tries > 0) {
        throw new EvenkeelError('data-loss', `${path} is ${epoch === undefined ? 'missing' : 'damaged'}`, { details: { path } });
      }
      await this.#publish(EPOCH_FILE, Buffer.from(`${randomId(this.#random)}\n`));
    }
  }

  async list(): Promise<StateListing> {
    const commits: number[] = [];
    const snapshots: number[] = [];
    for (const { name } of await this.#fs.readdir(this.path)) {
      const [, digits, kind] = NUMBERED.exec(name) ?? [];
      if (digits !== undefined) (kind === 'commit' ? commits : snapshots).push(Number(digits));
    }
    const rising = (a: number, b: number) => a - b;
    return { commits: commits.sort(rising), snapshots: snapshots.sort(rising) };
  }

  /** @throws {EvenkeelError} `data-loss` when it is there and damaged. */
  async readCommit(firstRevision: number): Promise<Commit | undefined> {
    const path = this.#pathOf(firstRevision, 'commit');
    const bytes = await readFile(this.#fs, path, MAX_COMMIT_FILE_BYTES);
    return bytes && decodeCommit(bytes, path);
  }

  hasCommit(firstRevision: number): Promise<boolean> {
    return this.#fs.exists(this.#pathOf(firstRevision, 'commit'));
  }

  /** @throws {EvenkeelError} `data-loss` when it is there and damaged. */
  async readSnapshot(revision: number): Promise<Snapshot | undefined> {
    const path = this.#pathOf(revision, 'snapshot');
    const bytes = await readFile(this.#fs, path, MAX_SNAPSHOT_FILE_BYTES);
    return bytes && decodeSnapshot(bytes, path);
  }

  /**
   * Durable once it resolves with true; false: the revision is somebody else's. `alongside` runs once the commit has its name, while
   * that is synced.
   */
  writeCommit(commit: Commit, alongside: () => Promise<void>): Promise<boolean> {
    return this.#publish(nameOf(commit.firstRevision, 'commit'), encodeCommit(commit), alongside);
  }

  /** Takes back a commit that this process linked, and that nobody can have read. */
  async withdraw(firstRevision: number): Promise<void> {
    await unlinkIfThere(this.#fs, this.#pathOf(firstRevision, 'commit'));
  }

  /**
   * Writes a snapshot and removes what the one before it makes superfluous: two snapshots stay, and every commit since the older, so
   * that a damaged snapshot costs nothing and a slow reader finds its way. Reads nothing, so it may be cut off anywhere.
   */
  async compact(snapshot: Snapshot): Promise<void> {
    await this.#publish(nameOf(snapshot.revision, 'snapshot'), encodeSnapshot(snapshot));
    const { commits, snapshots } = await this.list();
    const oldest = snapshots.at(-2);
    if (oldest === undefined) return;
    for (const revision of snapshots) {
      if (revision < oldest) await unlinkIfThere(this.#fs, this.#pathOf(revision, 'snapshot'));
    }
    // The last revision of a commit is the one before the next commit's first. The newest is left alone.
    for (let i = 0; i + 1 < commits.length; i++) {
      if ((commits[i + 1] as number) - 1 > oldest) break;
      await unlinkIfThere(this.#fs, this.#pathOf(commits[i] as number, 'commit'));
    }
    await this.#removeTemporary(nameOf(snapshot.revision, 'snapshot'));
  }

  async close(): Promise<void> {
    await this.#removal;
    const folder = this.#folder;
    this.#folder = undefined;
    await folder?.close();
  }

  /** Written, synced, linked onto `name`, the name synced. False: the name was taken. */
  async #publish(name: string, bytes: Uint8Array, alongside?: () => Promise<void>): Promise<boolean> {
    await this.#removal;
    const temporary = join(this.path, `.${randomId(this.#random)}.tmp`);
    const file = await writeNewFile(this.#fs, temporary, bytes);
    const removed = () => unlinkIfThere(this.#fs, temporary).catch(() => false);
    try {
      await this.#fs.link(temporary, join(this.path, name));
    } catch (error) {
      await Promise.all([closeAfter(file, false), removed()]);
      if (systemCode(error) !== 'EEXIST') throw error;
      return false;
    }
    // The second name is in nobody's way, and to remove it would mean to wait for the journal once more: the next commit does.
    this.#removal = removed();
    // All of them to their end, whichever fails: nothing may run on after the turn.
    const rest = await Promise.allSettled([this.#sync(), file.close(), alongside?.()]);
    for (const step of rest) if (step.status === 'rejected') throw step.reason;
    return true;
  }

  async #sync(): Promise<void> {
    if (this.#folder === undefined) return syncFolder(this.#fs, this.path);
    try {
      await this.#folder.sync();
    } catch (error) {
      // A second sync of this one could succeed and mean nothing.
      await this.close().catch(() => {});
      throw error;
    }
  }

  /** Left by processes that were killed. `fresh`: a file just written, by whose time the others are old. */
  async #removeTemporary(fresh: string): Promise<void> {
    const { modifiedMs: now } = await this.#fs.stat(join(this.path, fresh));
    for (const { name } of await this.#fs.readdir(this.path)) {
      if (!TEMPORARY.test(name)) continue;
      const path = join(this.path, name);
      const facts = await this.#fs.stat(path).catch(() => undefined);
      if (facts !== undefined && now - facts.modifiedMs > TEMPORARY_EXPIRES_MS)
        await unlinkIfThere(this.#fs, path).catch(() => {});
    }
  }

  #pathOf(revision: number, kind: 'commit' | 'snapshot'): string {
    return join(this.path, nameOf(revision, kind));
  }
}

function nameOf(revision: number, kind: 'commit' | 'snapshot'): string {
  return `${String(revision).padStart(16, '0')}.${kind}`;
}
