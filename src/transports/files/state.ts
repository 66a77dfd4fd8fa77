/**
 * StateTransport in a folder of this machine, for any number of its processes.
 *
 * When is a put visible, and when durable? Both at once, when its commit has its name in the folder: `put` resolves after the name is
 * synced. A process that reads in the few tenths of a millisecond between may see what a power cut then takes back; nothing that was
 * acknowledged is lost.
 */
import { resolve } from 'node:path';
import { type Clock, liveClock } from '../../core/clock.js';
import { checkInteger, invalidArgument } from '../../core/errors.js';
import { checkExpect, checkPut, checkUse, checkWatch } from '../../core/internal/state-arguments.js';
import { StateWatch, toEntry } from '../../core/internal/state-watch.js';
import { liveRandom, type Random } from '../../core/random.js';
import type { PutOptions, StateEntry, StateEvent, StateTransport, Watch } from '../../core/transport/state.js';
import { type FileSystem, liveFileSystem } from './file-system.js';
import { StateFolder } from './state-folder.js';
import { FileStateStore } from './state-store.js';
import { StateWrite } from './state-writes.js';

export interface FileStateOptions {
  /** The store's own folder, made at the first use. On a file system of this machine that has hard links. */
  folder: string;
  /** Documents held; a put of one more is refused with `resource-exhausted`. Default 100,000. */
  maxKeys?: number;
  /** Bytes of keys and values held, all of them in memory too. Default 256 MiB. */
  maxBytes?: number;
  /** Default: the process's clock. */
  clock?: Clock;
  /** Names epochs and temporary files. Default: seeded by the operating system. */
  random?: Random;
  /** Default: the machine's. */
  fileSystem?: FileSystem;
}

export const DEFAULT_MAX_STATE_KEYS = 100_000;
export const DEFAULT_MAX_STORE_BYTES = 256 * 1024 * 1024;

/**
 * Small keyed documents in a folder: the embedded default, without a server, for services of one machine.
 *
 * A put costs two flushes of the disk, and puts that come while one is on its way share the next. A get costs two look-ups in the
 * folder. A second process sees a change within 60 ms (mostly in one or two, where the system tells of changes); a watch looks at
 * the folder 20 times a second. Not for folders shared over a network, and not for values that change a thousand times a second.
 *
 * A folder restored from a backup gives revisions again that it gave before: restart every process that used it, and trust no revision
 * that was kept elsewhere.
 *
 * @example
 * ```ts nocheck
 * import { createFileState } from 'evenkeel/files';
 *
 * const state = createFileState({ folder: '/var/lib/app/state' });
 * await state.put('config/search', new TextEncoder().encode('{"v":1}'), { expect: 'absent' });
 * ```
 * @throws {EvenkeelError} `invalid-argument` naming the option. Operations: `permission-denied`, `resource-exhausted` (a full disk),
 *   `data-loss` (a damaged file, which is named), `internal` with the system's error as cause.
 */
export function createFileState(options: FileStateOptions): StateTransport {
  const { folder, clock = liveClock(), random = liveRandom(), fileSystem = liveFileSystem() } = options;
  if (typeof folder !== 'string' || folder === '' || folder.includes('\0')) throw invalidArgument('folder', folder, 'a path');
  const bounds = {
    maxKeys: checkInteger('maxKeys', options.maxKeys ?? DEFAULT_MAX_STATE_KEYS, 1),
    maxBytes: checkInteger('maxBytes', options.maxBytes ?? DEFAULT_MAX_STORE_BYTES, 1, 2 ** 30),
  };
  const path = resolve(folder);
  const store = new FileStateStore(clock, new StateFolder(fileSystem, path, random), bounds, (onChange) =>
    fileSystem.watchFolder(path, onChange),
  );
  return new FileState(store, clock);
}

class FileState implements StateTransport {
  readonly #store: FileStateStore;
  readonly #clock: Clock;
  readonly #watches = new Set<StateWatch>();
  #closed: Promise<void> | undefined;

  constructor(store: FileStateStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async get(key: string, options?: { signal?: AbortSignal }): Promise<StateEntry | undefined> {
    checkUse(this.#closed !== undefined, key, options?.signal);
    const record = await this.#store.get(key, options?.signal);
    return record === undefined ? undefined : toEntry(record);
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<number> {
    const { expect, leaseMs, signal } = options;
    checkUse(this.#closed !== undefined, key, signal);
    const bytes = checkPut(value, options);
    const entry = { type: 'put', key, value: bytes, leaseMs } as const;
    return this.#store.write(new StateWrite(entry, expect, signal));
  }

  async delete(key: string, options: { expect?: number; signal?: AbortSignal } = {}): Promise<number> {
    checkUse(this.#closed !== undefined, key, options.signal);
    checkExpect(options.expect);
    return this.#store.write(new StateWrite({ type: 'delete', key }, options.expect, options.signal));
  }

  watch(prefix: string, on: (event: StateEvent) => void): Watch {
    checkWatch(this.#closed !== undefined, prefix, on);
    const watch = new StateWatch(this.#store, this.#clock, prefix, on, (closed) => this.#watches.delete(closed));
    this.#watches.add(watch);
    return watch;
  }

  close(): Promise<void> {
    if (this.#closed === undefined) {
      for (const watch of this.#watches) watch.close();
      this.#closed = this.#store.close();
    }
    return this.#closed;
  }
}
