/** Stores for the tests of one file, each in a folder of its own and on a disk that can be made to fail. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { seededRandom } from '../../../../src/core/random.js';
import type { BlobTransport } from '../../../../src/core/transport/blob.js';
import { createFileBlobs } from '../../../../src/transports/files/blob.js';
import { liveFileSystem } from '../../../../src/transports/files/file-system.js';
import { type FaultyFileSystem, type FileOperation, faultyFileSystem } from '../../../support/faulty-file-system.js';

export interface TestStore {
  readonly path: string;
  readonly disk: FaultyFileSystem;
  readonly blobs: BlobTransport;
  /** Calls of one operation so far. */
  count(operation: FileOperation): number;
}

/** To be called once, at the top of a file: the folder is made before its tests and removed after them. */
export function blobStores(): () => TestStore {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'evenkeel-blob-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  let stores = 0;
  return () => {
    const path = join(folder, String(++stores));
    const disk = faultyFileSystem(liveFileSystem());
    const blobs = createFileBlobs({ folder: path, fileSystem: disk, random: seededRandom(stores) });
    return { path, disk, blobs, count: (wanted) => disk.calls.filter(({ operation }) => operation === wanted).length };
  };
}

/** Everything below, folders too. */
export async function filesIn(path: string): Promise<string[]> {
  return existsSync(path) ? (await readdir(path, { recursive: true })).sort() : [];
}
