/**
 * The operations on files that these transports use, as a value that is passed in: tests and the simulator put short writes, full
 * disks and crashes here. Each rejects with the system's own error, untranslated: what it means is for the caller to say.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, rmdir, stat, unlink } from 'node:fs/promises';

export interface FileSystem {
  /** @param flags - As of open(2), from `fs.constants`. */
  open(path: string, flags: number): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  /** A second name; fails with EEXIST where that name exists. */
  link(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** One folder; EEXIST where it exists. */
  mkdir(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  readdir(path: string): Promise<FolderEntry[]>;
  stat(path: string): Promise<FileFacts>;
  /** Asked again and again, of a name that the system has in memory. */
  exists(path: string): Promise<boolean>;
  /** Says that something in the folder may have changed. Hints only. Never throws: where there are no watches it stays silent. */
  watchFolder(path: string, onChange: () => void): Disposable;
}

export interface OpenFile {
  /** Bytes read from `position`; 0 at the end. May be fewer than asked. */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Bytes written at `position`. May be fewer than given, without an error: a full disk says so at the next one. */
  write(bytes: Uint8Array, position: number): Promise<number>;
  /** Contents and size are on the disk. After a failure nothing is known of them, and a second try may lie: write a new file. */
  datasync(): Promise<void>;
  /** The same with all that belongs to it; for folders. */
  sync(): Promise<void>;
  facts(): Promise<FileFacts>;
  close(): Promise<void>;
}

export interface FileFacts {
  readonly bytes: number;
  /** Milliseconds since 1970, by the file system's clock. */
  readonly modifiedMs: number;
}

export interface FolderEntry {
  readonly name: string;
  readonly isFolder: boolean;
}

/** The machine's. */
export function liveFileSystem(): FileSystem {
  return LIVE;
}

const LIVE: FileSystem = {
  async open(path, flags) {
    return new LiveFile(await open(path, flags, 0o644));
  },
  rename,
  link,
  unlink,
  async mkdir(path) {
    await mkdir(path);
  },
  rmdir,
  async readdir(path) {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
  },
  async stat(path) {
    const { size, mtimeMs } = await stat(path);
    return { bytes: size, modifiedMs: mtimeMs };
  },
  async exists(path) {
    // In this thread: waking another beside the one that syncs costs ten times the answer.
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  },
  watchFolder(path, onChange) {
    let watcher: FSWatcher | undefined;
    try {
      watcher = watch(path, { persistent: false }, () => onChange());
      watcher.on('error', () => watcher?.close());
    } catch {
      // No watches left, or none on this file system: whoever asks polls as well.
    }
    return { [Symbol.dispose]: () => watcher?.close() };
  },
};

class LiveFile implements OpenFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.read(target, 0, target.byteLength, position)).bytesRead;
  }

  async write(bytes: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.write(bytes, 0, bytes.byteLength, position)).bytesWritten;
  }

  datasync(): Promise<void> {
    return this.#handle.datasync();
  }

  sync(): Promise<void> {
    return this.#handle.sync();
  }

  async facts(): Promise<FileFacts> {
    const { size, mtimeMs } = await this.#handle.stat();
    return { bytes: size, modifiedMs: mtimeMs };
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
