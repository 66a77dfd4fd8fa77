/** The machine's files, and when nobody is waiting for them: so that virtual time moves only between two operations on a disk. */
import type { FileSystem, OpenFile } from 'evenkeel/files';
import { liveFileSystem } from 'evenkeel/files';

export interface IdleFileSystem extends FileSystem {
  /** Resolves when no operation is under way, and none follows from what has ended. */
  idle(): Promise<void>;
}

export function idleFileSystem(inner: FileSystem = liveFileSystem()): IdleFileSystem {
  let pending = 0;
  const counted = <A extends unknown[], R>(operation: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      pending++;
      try {
        return await operation(...args);
      } finally {
        pending--;
      }
    };
  };
  const countedFile = (file: OpenFile): OpenFile => ({
    read: counted((target: Uint8Array, position: number) => file.read(target, position)),
    write: counted((bytes: Uint8Array, position: number) => file.write(bytes, position)),
    datasync: counted(() => file.datasync()),
    sync: counted(() => file.sync()),
    facts: counted(() => file.facts()),
    close: counted(() => file.close()),
  });
  return {
    open: counted(async (path: string, flags: number) => countedFile(await inner.open(path, flags))),
    rename: counted((from: string, to: string) => inner.rename(from, to)),
    link: counted((from: string, to: string) => inner.link(from, to)),
    unlink: counted((path: string) => inner.unlink(path)),
    mkdir: counted((path: string) => inner.mkdir(path)),
    rmdir: counted((path: string) => inner.rmdir(path)),
    readdir: counted((path: string) => inner.readdir(path)),
    stat: counted((path: string) => inner.stat(path)),
    exists: counted((path: string) => inner.exists(path)),
    watchFolder: (path, onChange) => inner.watchFolder(path, onChange),
    async idle() {
      for (let quiet = 0; quiet < 2; quiet = pending === 0 ? quiet + 1 : 0) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}
