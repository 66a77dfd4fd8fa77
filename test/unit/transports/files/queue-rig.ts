/** A folder for the tests of the file queue, and processes that live and die as the test says. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Delivery, QueueTransport } from 'evenkeel/core';
import { createFileQueue, type FileQueueStoreOptions, liveFileSystem, type ProcessTable } from 'evenkeel/files';
import { onTestFinished } from 'vitest';
import { type FaultyFileSystem, faultyFileSystem } from '../../../support/faulty-file-system.js';

export interface QueueRig {
  readonly folder: string;
  readonly fs: FaultyFileSystem;
  /** A client of a store of its own. */
  open(options?: Partial<FileQueueStoreOptions>): QueueTransport;
  /** Another process: the one before is gone without a word, nothing it does reaches the disk any more. */
  kill(): void;
  files(ending?: string): string[];
  /** Bytes of all files. */
  size(): number;
}

export function queueRig(parent = tmpdir()): QueueRig {
  const root = mkdtempSync(join(parent, 'evenkeel-queue-'));
  const folder = join(root, 'queue');
  let pid = 1000;
  let fs = faultyFileSystem(liveFileSystem());
  const open = new Set<QueueTransport>();
  onTestFinished(async () => {
    for (const each of open) await each.close().catch(() => {});
    rmSync(root, { recursive: true });
  });
  return {
    folder,
    get fs() {
      return fs;
    },
    open(options) {
      const queue = createFileQueue({ folder, fileSystem: fs, processes: processTable(pid, [pid]), ...options });
      open.add(queue);
      return queue;
    },
    kill() {
      fs.before = () => {
        throw Object.assign(new Error('this process is dead'), { code: 'EIO' });
      };
      fs = faultyFileSystem(liveFileSystem());
      pid++;
    },
    files: (ending = '') =>
      readdirSync(folder)
        .filter((name) => name.endsWith(ending))
        .sort(),
    size: () => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0),
  };
}

export function processTable(pid: number, running: readonly number[]): ProcessTable {
  return { self: { pid, started: undefined }, isRunning: (other) => running.includes(other.pid) };
}

/** A segment without the zeros behind its frames. */
export function framesOf(path: string): Buffer {
  const bytes = readFileSync(path);
  let end = bytes.byteLength;
  while (bytes[end - 1] === 0) end--;
  return bytes.subarray(0, end);
}

export function bodyOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(body: Uint8Array): string {
  return new TextDecoder().decode(body);
}

/** All that is due, leased for a minute. */
export async function takeAll(queue: QueueTransport, leaseMs = 60_000): Promise<Delivery[]> {
  const { due } = await queue.stats();
  return due === 0 ? [] : queue.lease({ max: Math.min(due, 1000), leaseMs });
}

export async function textsDue(queue: QueueTransport): Promise<string[]> {
  return (await takeAll(queue)).map(({ body }) => textOf(body));
}
