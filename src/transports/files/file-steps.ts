/**
 * The steps of which every durable change is made: read a whole file, write all bytes, make a folder and its name last.
 *
 * When is a new name durable? When the folder that holds it was synced after the name was made; a new folder needs the same of its
 * own parent. The bytes behind the name come first, or a crash could leave the name of a file without its contents.
 * @see Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014
 */
import { constants } from 'node:fs';
import { dirname } from 'node:path';
import { EvenkeelError } from '../../core/errors.js';
import type { FileSystem, OpenFile } from './file-system.js';

/** The system's code of an error: `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

/** Writes all of `bytes` at `position`. A write that was cut short goes on where it stopped, so that the reason comes to light. */
export async function writeAll(file: OpenFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.byteLength; ) {
    const written = await file.write(at === 0 ? bytes : bytes.subarray(at), position + at);
    if (written === 0) throw new EvenkeelError('internal', 'the file system takes no more bytes and does not say why');
    at += written;
  }
}

/** Fills `target` from `position`; resolves with the bytes read, fewer only at the end of the file. */
export async function readAll(file: OpenFile, target: Uint8Array, position: number): Promise<number> {
  let at = 0;
  while (at < target.byteLength) {
    const count = await file.read(at === 0 ? target : target.subarray(at), position + at);
    if (count === 0) break;
    at += count;
  }
  return at;
}

/** For reading; undefined where there is none. */
export async function openIfThere(fs: FileSystem, path: string): Promise<OpenFile | undefined> {
  try {
    return await fs.open(path, constants.O_RDONLY);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The whole file, or undefined where there is none. A file above `maxBytes` is `data-loss`: nothing of ours is that large. */
export async function readFile(fs: FileSystem, path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  const file = await openIfThere(fs, path);
  if (file === undefined) return undefined;
  try {
    const { bytes } = await file.facts();
    if (bytes > maxBytes) {
      throw new EvenkeelError('data-loss', `${path} has ${bytes} bytes, more than this store writes`, { details: { path } });
    }
    const content = new Uint8Array(bytes);
    return content.subarray(0, await readAll(file, content, 0));
  } finally {
    await file.close();
  }
}

/**
 * Writes `bytes` into a new file and syncs it. It appears under its real name only by `link` or `rename`, which is the caller's
 * step, as are `syncFolder` after it and the closing of the file. On any failure the file is gone, and it is never synced a second time.
 */
export async function writeNewFile(fs: FileSystem, path: string, bytes: Uint8Array): Promise<OpenFile> {
  const file = await fs.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  try {
    await writeAll(file, bytes, 0);
    await file.datasync();
    return file;
  } catch (error) {
    await closeAfter(file, false);
    await unlinkIfThere(fs, path).catch(() => {});
    throw error;
  }
}

/** Closes; what close itself reports counts only when nothing worse has happened. */
export async function closeAfter(file: OpenFile, wasGood: boolean): Promise<void> {
  try {
    await file.close();
  } catch (error) {
    if (wasGood) throw error;
  }
}

/** False where there was none. */
export async function unlinkIfThere(fs: FileSystem, path: string): Promise<boolean> {
  try {
    await fs.unlink(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** The names in `path` are on the disk. */
export async function syncFolder(fs: FileSystem, path: string): Promise<void> {
  const folder = await fs.open(path, constants.O_RDONLY);
  let isSynced = false;
  try {
    await folder.sync();
    isSynced = true;
  } finally {
    await closeAfter(folder, isSynced);
  }
}

/** Makes the folder and those above it. Its name is synced even where it was there: whoever made it may not have come to that. */
export async function makeFolder(fs: FileSystem, path: string): Promise<void> {
  const isNew = await makeIfMissing(fs, path, true);
  try {
    await syncFolder(fs, dirname(path));
  } catch (error) {
    const code = systemCode(error);
    // It stands in a folder that we must not read: its name is the business of whoever made it.
    if (!isNew && (code === 'EACCES' || code === 'EPERM')) return;
    // The next attempt would take it for somebody else's.
    if (isNew) await fs.rmdir(path).catch(() => {});
    throw error;
  }
}

/** False where it was there. A file of that name is found out by whoever opens something below it. */
async function makeIfMissing(fs: FileSystem, path: string, mayMakeParent: boolean): Promise<boolean> {
  try {
    await fs.mkdir(path);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EEXIST') return false;
    // Once: below a link that leads nowhere there is never a parent.
    if (code !== 'ENOENT' || !mayMakeParent || dirname(path) === path) throw error;
  }
  await makeFolder(fs, dirname(path));
  return makeIfMissing(fs, path, false);
}
