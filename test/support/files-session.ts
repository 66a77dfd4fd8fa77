/** Sessions of the conformance suites on a temporary folder: real files, virtual time. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type StoreSession, type VirtualClock, virtualClock } from 'evenkeel/testing';
import { type IdleFileSystem, idleFileSystem } from './idle-file-system.js';

export interface FilesPlace {
  readonly folder: string;
  readonly clock: VirtualClock;
  readonly fileSystem: IdleFileSystem;
}

/** Between two steps the files come to rest. */
const STEP_MS = 10;

/** @param open - Opens one more client of the folder, as another process would. */
export async function filesSession<T extends { close(): Promise<void> }>(
  open: (place: FilesPlace) => T,
  parent = tmpdir(),
): Promise<StoreSession<T> & FilesPlace> {
  const folder = await mkdtemp(join(parent, 'evenkeel-files-'));
  const clock = virtualClock();
  const fileSystem = idleFileSystem();
  const place = { folder: join(folder, 'store'), clock, fileSystem };
  const transports = [open(place)];
  const another = async () => {
    const next = open(place);
    transports.push(next);
    return next;
  };
  const closeAll = async () => {
    await Promise.all(transports.map((each) => each.close()));
    assert.equal(clock.pending, 0, 'timers are left after close');
  };
  return {
    ...place,
    transport: transports[0] as T,
    another,
    async restart() {
      await closeAll();
      return another();
    },
    async advance(ms) {
      for (let left = ms; left > 0; left -= STEP_MS) {
        await fileSystem.idle();
        await clock.advance(Math.min(left, STEP_MS));
      }
      await fileSystem.idle();
    },
    jumpWallTime: (ms) => clock.jumpWallTime(ms),
    async close() {
      await closeAll();
      await rm(folder, { recursive: true });
    },
  };
}
