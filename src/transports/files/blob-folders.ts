/**
 * The folders of a store: made when a blob needs them, removed with their last blob, rid of what writers left that died.
 *
 * A folder can vanish between its making and the first file in it, because the last blob in it was deleted elsewhere: then it is
 * made again. From its first file on it cannot, since a folder that is not empty is not removed.
 */
import { constants } from 'node:fs';
import { dirname, sep } from 'node:path';
import type { Random } from '../../core/random.js';
import { makeFolder, syncFolder, systemCode } from './file-steps.js';
import type { FileSystem, OpenFile } from './file-system.js';

/** Of more folders it is forgotten that their names are on the disk: they are synced once more. */
const MAX_KNOWN = 10_000;
const MAX_TRIES = 10;
const TEMPORARY = /^\.[0-9a-f]{16}\.tmp$/;
/** A writer that writes nothing for so long counts as dead. */
const ABANDONED_MS = 60 * 60 * 1000;
/** What is left goes when the next process begins to write in the folder. */
const MAX_SWEPT = 100;

export interface TemporaryFile {
  readonly path: string;
  readonly file: OpenFile;
}

export class BlobFolders {
  readonly #fs: FileSystem;
  readonly #root: string;
  readonly #random: Random;
  /** Folders whose names this transport has seen to be on the disk. */
  readonly #known = new Set<string>();

  constructor(fs: FileSystem, root: string, random: Random) {
    this.#fs = fs;
    this.#root = root;
    this.#random = random;
  }

  /** A new file in `folder`, which is made where it is missing. */
  async createTemporary(folder: string): Promise<TemporaryFile> {
    for (let tries = 1; ; tries++) {
      const path = `${folder}${sep}.${this.#digits()}${this.#digits()}.tmp`;
      const isFirst = !this.#known.has(folder);
      try {
        await this.#make(folder);
        const file = await this.#fs.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
        if (isFirst) await this.#sweep(folder, file);
        return { path, file };
      } catch (error) {
        const code = systemCode(error);
        if (tries === MAX_TRIES || (code !== 'ENOENT' && code !== 'EEXIST')) throw error;
        if (code === 'ENOENT') this.#forget(folder);
      }
    }
  }

  /** The names in `folder` are on the disk, or its own removal is. */
  async sync(folder: string): Promise<void> {
    try {
      await syncFolder(this.#fs, folder);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || folder === this.#root) throw error;
      await this.sync(dirname(folder));
    }
  }

  /** Removes the folder and those above it as far as they are empty. Mere tidiness: what cannot be removed stays. */
  async prune(folder: string): Promise<void> {
    for (let path = folder; path !== this.#root; path = dirname(path)) {
      try {
        await this.#fs.rmdir(path);
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') return;
      }
      this.#known.delete(path);
    }
  }

  /** Syncs the name of every folder on the way once, those too that another process made and may not have come to sync. */
  async #make(folder: string): Promise<void> {
    if (this.#known.has(folder)) return;
    if (folder !== this.#root) await this.#make(dirname(folder));
    await makeFolder(this.#fs, folder);
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.add(folder);
  }

  #forget(folder: string): void {
    for (let path = folder; path !== this.#root; path = dirname(path)) this.#known.delete(path);
    this.#known.delete(this.#root);
  }

  /** Old by the file system's own clock, which dates `file`, new at this moment, too: clocks of machines are not compared. */
  async #sweep(folder: string, file: OpenFile): Promise<void> {
    try {
      const { modifiedMs: nowMs } = await file.facts();
      const entries = await this.#fs.readdir(folder);
      for (const { name } of entries.filter((entry) => TEMPORARY.test(entry.name)).slice(0, MAX_SWEPT)) {
        await this.#removeAbandoned(`${folder}${sep}${name}`, nowMs);
      }
    } catch {
      // Nothing depends on it.
    }
  }

  async #removeAbandoned(path: string, nowMs: number): Promise<void> {
    try {
      const { modifiedMs } = await this.#fs.stat(path);
      if (nowMs - modifiedMs > ABANDONED_MS) await this.#fs.unlink(path);
    } catch {
      // Most likely its writer has just ended.
    }
  }

  #digits(): string {
    return this.#random
      .int(2 ** 32)
      .toString(16)
      .padStart(8, '0');
  }
}
