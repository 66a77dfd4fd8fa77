import { existsSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFileBlobs } from 'evenkeel/files';
import { type BlobSession, blobConformance } from 'evenkeel/testing';
import { describe, it } from 'vitest';
import { filesSession } from '../support/files-session.js';

const traits = { durable: true, maxBuffers: 4, checksums: true, largeBytes: 40 * 1024 * 1024 + 5 };
const folders = [tmpdir(), '/dev/shm'].filter((path) => existsSync(path));

async function openSession(parent: string): Promise<BlobSession> {
  const session = await filesSession((place) => createFileBlobs(place), parent);
  /** Turns one bit in the middle of the file over. */
  const corrupt = async (name: string) => {
    const files = await readdir(session.folder, { recursive: true });
    const path = files.find((file) => file === `${name}.blob`);
    if (path === undefined) throw new Error(`${name} is not among ${files.join(' ')}`);
    const file = await open(join(session.folder, path), 'r+');
    const byte = new Uint8Array(1);
    const position = Math.floor((await file.stat()).size / 2);
    await file.read(byte, 0, 1, position);
    await file.write(Uint8Array.of((byte[0] ?? 0) ^ 1), 0, 1, position);
    await file.close();
  };
  return { ...session, corrupt };
}

describe.each(folders)('files blob below %s', (parent) => {
  for (const { name, run } of blobConformance({ traits, open: () => openSession(parent) })) it(name, run);
});
