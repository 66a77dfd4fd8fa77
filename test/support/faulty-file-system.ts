/**
 * A FileSystem between a transport and a disk that fails: any operation at its n-th call, reads and writes cut short, a full disk.
 * It keeps a list of what was asked of it.
 */
import type { FileSystem, OpenFile } from 'evenkeel/files';

export type FileOperation =
  | 'open'
  | 'rename'
  | 'link'
  | 'unlink'
  | 'mkdir'
  | 'rmdir'
  | 'readdir'
  | 'stat'
  | 'read'
  | 'write'
  | 'datasync'
  | 'sync'
  | 'facts'
  | 'close';

export interface FileCall {
  readonly operation: FileOperation;
  readonly path: string;
  /** Of `open`, and of the `open` that the file came from. */
  readonly flags?: number;
  /** Which opened file, counted from 1; of its own operations. */
  readonly file?: number;
  /** Bytes of a write. */
  readonly bytes?: number;
  /** A hook made it fail. */
  isFault?: boolean;
}

/** Sees each call; what it throws, the call fails with. It may take its time. */
export type FileHook = (call: FileCall) => void | Promise<void>;

export interface FaultyFileSystem extends FileSystem {
  /** Before the disk does what was asked: a failure leaves it as it was. */
  before: FileHook;
  /** When the disk has done what was asked: a failure then is a lie. */
  after: FileHook;
  /** One read gives no more bytes. */
  maxReadBytes: number;
  /** One write takes no more bytes. */
  maxWriteBytes: number;
  /** Bytes the disk takes; the write that passes it is cut short, the next is ENOSPC. */
  freeBytes: number;
  readonly calls: FileCall[];
  /** Files opened and not closed. */
  readonly openFiles: number;
}

/** As the system reports it. */
export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: a fault of the test`), { code });
}

/** Fails the n-th call, of one operation or of all; with `andAfter` those after it as well. */
export function failing(nth: number, code: string, only?: FileOperation, andAfter = false): FileHook {
  let seen = 0;
  return ({ operation }) => {
    if (only !== undefined && operation !== only) return;
    seen++;
    if (seen === nth || (andAfter && seen > nth)) throw systemError(code);
  };
}

export function faultyFileSystem(inner: FileSystem): FaultyFileSystem {
  const calls: FileCall[] = [];
  const open = new Set<number>();
  let opened = 0;

  async function hook(run: FileHook, call: FileCall): Promise<void> {
    try {
      await run(call);
    } catch (error) {
      call.isFault = true;
      throw error;
    }
  }

  async function pass<T>(call: FileCall, run: () => Promise<T>): Promise<T> {
    calls.push(call);
    await hook(system.before, call);
    const result = await run();
    await hook(system.after, call);
    return result;
  }

  function wrap(file: OpenFile, path: string, flags: number, number: number): OpenFile {
    /** Of what was written through this file without a gap. */
    let end = 0;
    const of = (operation: FileOperation, bytes?: number): FileCall => ({ operation, path, flags, file: number, bytes });
    return {
      read: (target, position) => pass(of('read'), () => file.read(target.subarray(0, system.maxReadBytes), position)),
      write: (bytes, position) =>
        pass(of('write', bytes.byteLength), async () => {
          if (bytes.byteLength > 0 && position >= end && system.freeBytes === 0) throw systemError('ENOSPC');
          // Bytes in the place of others need no room.
          const there = Math.max(0, end - position);
          const most = Math.min(bytes.byteLength, system.maxWriteBytes, there + system.freeBytes);
          system.freeBytes -= Math.max(0, most - there);
          if (position <= end) end = Math.max(end, position + most);
          return file.write(bytes.subarray(0, most), position);
        }),
      datasync: () => pass(of('datasync'), () => file.datasync()),
      sync: () => pass(of('sync'), () => file.sync()),
      facts: () => pass(of('facts'), () => file.facts()),
      async close() {
        // A close that reports an error has closed all the same.
        open.delete(number);
        try {
          await pass(of('close'), async () => {});
        } finally {
          await file.close();
        }
      },
    };
  }

  const system: FaultyFileSystem = {
    before: () => {},
    after: () => {},
    maxReadBytes: Number.POSITIVE_INFINITY,
    maxWriteBytes: Number.POSITIVE_INFINITY,
    freeBytes: Number.POSITIVE_INFINITY,
    calls,
    get openFiles() {
      return open.size;
    },
    async open(path, flags) {
      let file: OpenFile | undefined;
      try {
        await pass({ operation: 'open', path, flags }, async () => {
          file = await inner.open(path, flags);
        });
      } catch (error) {
        await file?.close();
        throw error;
      }
      const number = ++opened;
      open.add(number);
      return wrap(file as OpenFile, path, flags, number);
    },
    rename: (from, to) => pass({ operation: 'rename', path: from }, () => inner.rename(from, to)),
    link: (from, to) => pass({ operation: 'link', path: from }, () => inner.link(from, to)),
    unlink: (path) => pass({ operation: 'unlink', path }, () => inner.unlink(path)),
    mkdir: (path) => pass({ operation: 'mkdir', path }, () => inner.mkdir(path)),
    rmdir: (path) => pass({ operation: 'rmdir', path }, () => inner.rmdir(path)),
    readdir: (path) => pass({ operation: 'readdir', path }, () => inner.readdir(path)),
    stat: (path) => pass({ operation: 'stat', path }, () => inner.stat(path)),
    exists: (path) => pass({ operation: 'stat', path }, () => inner.exists(path)),
    watchFolder: (path, onChange) => inner.watchFolder(path, onChange),
  };
  return system;
}
