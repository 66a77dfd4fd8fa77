/**
 * The machine, as a value that is passed in: small files, file watching, DNS, the environment, the event loop's delay. Bulk file
 * I/O has its own transport. The only file of core that touches the operating system.
 */
import { randomBytes } from 'node:crypto';
import { promises as dns } from 'node:dns';
import { type FSWatcher, watch } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, dirname } from 'node:path';
import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { EvenkeelError } from './errors.js';
import { fileError } from './internal/file-error.js';

export interface Host {
  /**
   * The whole file, or undefined when there is none.
   * @throws {EvenkeelError} `out-of-range` above `maxBytes`; `permission-denied`, `internal` with the system's error as cause.
   */
  readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** Replaces the file whole or not at all, folder made if missing, flushed before the rename. Errors as `readFile`. */
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  /** Says when the file may have changed (also when it appears or is replaced). Hints only: read it to know. */
  watchFile(path: string, onChange: () => void): Disposable;
  /** Addresses or services behind a name; an empty array when the name has none of that type. */
  lookup(name: string, type: 'A' | 'AAAA' | 'SRV'): Promise<DnsRecord[]>;
  env(name: string): string | undefined;
  /**
   * 99th percentile of the event loop's delay since the last reading, in milliseconds; some 0.3 when it is idle. The first reading starts the
   * meter. Readings within a few hundredths of a second of each other are one and the same: several readers do not take it from each other.
   */
  eventLoopDelayMs(): number;
  /** Share of the time since the last reading in which the event loop had something to do, 0 to 1. Readings close together are one. */
  eventLoopUtilization(): number;
  /** Processors this process may use. */
  parallelism(): number;
  /** CPU time of this process since it started, in milliseconds. */
  cpuTimeMs(): number;
  /** A line for the operator; the live host uses `process.emitWarning`. */
  warn(message: string): void;
}

export interface DnsRecord {
  /** IP address for A and AAAA, host name for SRV. */
  readonly host: string;
  /** SRV only. */
  readonly port?: number;
  readonly priority?: number;
  readonly weight?: number;
  /** Seconds the answer may be kept; absent where the resolver does not say. */
  readonly ttl?: number;
}

export function liveHost(): Host {
  return new LiveHost();
}

class LiveHost implements Host {
  #delay: IntervalHistogram | undefined;
  #delayMs = 0;
  #loop = performance.eventLoopUtilization();
  #loopUtilization = 0;

  async readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const file = await open(path, 'r').catch((error) => {
      if (error.code === 'ENOENT') return undefined;
      throw fileError('read', path, error);
    });
    if (file === undefined) return undefined;
    try {
      const { size } = await file.stat();
      if (size > maxBytes) throw tooLong(path, size, maxBytes);
      const bytes = await file.readFile();
      // It may have grown since, or be of the kind that has no size.
      if (bytes.length > maxBytes) throw tooLong(path, bytes.length, maxBytes);
      return bytes;
    } catch (error) {
      throw fileError('read', path, error);
    } finally {
      await file.close();
    }
  }

  async writeFile(path: string, bytes: Uint8Array): Promise<void> {
    // Not the process's id and a number: two runtimes, or two threads, may write the same file.
    const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
    try {
      await mkdir(dirname(path), { recursive: true });
      const file = await open(temporary, 'w');
      try {
        await file.writeFile(bytes);
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      await flushFolder(dirname(path));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw fileError('write', path, error);
    }
  }

  watchFile(path: string, onChange: () => void): Disposable {
    // The folder is watched: a watch on the file itself dies with the first rename over it.
    let watcher: FSWatcher | undefined;
    const name = basename(path);
    try {
      watcher = watch(dirname(path), { persistent: false }, (_event, changed) => {
        if (changed === null || changed === name) onChange();
      });
      watcher.on('error', () => watcher?.close());
    } catch {
      // No such folder, or no watches left: the caller polls as well.
    }
    return { [Symbol.dispose]: () => watcher?.close() };
  }

  async lookup(name: string, type: 'A' | 'AAAA' | 'SRV'): Promise<DnsRecord[]> {
    try {
      if (type === 'SRV') {
        const records = await dns.resolveSrv(name);
        return records.map(({ name: host, port, priority, weight }) => ({ host, port, priority, weight }));
      }
      const records = await (type === 'A' ? dns.resolve4(name, { ttl: true }) : dns.resolve6(name, { ttl: true }));
      return records.map(({ address, ttl }) => ({ host: address, ttl }));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const found = await this.#lookupHosts(name, type);
      if (found.length > 0 || code === 'ENODATA' || code === 'ENOTFOUND') return found;
      throw new EvenkeelError('unavailable', `DNS look-up of ${name} (${type}) failed: ${code}`, {
        retryable: 'yes',
        cause: error,
      });
    }
  }

  env(name: string): string | undefined {
    return process.env[name];
  }

  eventLoopDelayMs(): number {
    if (this.#delay === undefined) {
      this.#delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
      this.#delay.enable();
      return 0;
    }
    if (this.#delay.count < LEAST_SAMPLES) return this.#delayMs;
    // What it records is the time between two of its timers, their interval included.
    this.#delayMs = Math.max(0, this.#delay.percentile(99) / 1e6 - DELAY_RESOLUTION_MS);
    this.#delay.reset();
    return this.#delayMs;
  }

  eventLoopUtilization(): number {
    const now = performance.eventLoopUtilization();
    const active = now.active - this.#loop.active;
    const elapsed = active + now.idle - this.#loop.idle;
    if (elapsed < LEAST_LOOP_MS) return this.#loopUtilization;
    this.#loop = now;
    this.#loopUtilization = active / elapsed;
    return this.#loopUtilization;
  }

  parallelism(): number {
    return availableParallelism();
  }

  cpuTimeMs(): number {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  }

  warn(message: string): void {
    process.emitWarning(message, 'EvenkeelWarning');
  }

  /** Names in the hosts file (localhost above all) are unknown to the DNS proper, and known without any name server. */
  async #lookupHosts(name: string, type: 'A' | 'AAAA' | 'SRV'): Promise<DnsRecord[]> {
    if (type === 'SRV') return [];
    const family = type === 'A' ? 4 : 6;
    const found = await dns.lookup(name, { all: true, family }).catch(() => []);
    return found.map(({ address }) => ({ host: address }));
  }
}

const DELAY_RESOLUTION_MS = 10;
const LEAST_SAMPLES = 3;
const LEAST_LOOP_MS = 30;

function tooLong(path: string, size: number, maxBytes: number): EvenkeelError {
  return new EvenkeelError('out-of-range', `${path} has ${size} bytes; at most ${maxBytes} are read`, {
    details: { path, size, maxBytes },
  });
}

/** Without it the rename may be lost with the power. Some systems cannot open folders: there the rename is all there is. */
async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  if (folder === undefined) return;
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
