/** Processes that come late: others have committed, and compacted, beyond what they know. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { type StateTransport, seededRandom } from '../../../../src/core/index.js';
import { createFileState, liveFileSystem } from '../../../../src/transports/files/index.js';
import { type FaultyFileSystem, faultyFileSystem, systemError } from '../../../support/faulty-file-system.js';

let folder: string;
const open: StateTransport[] = [];
afterEach(async () => {
  for (const state of open.splice(0)) await state.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Processes on one folder, where a thousand commits take no time. */
function processes(): () => { state: StateTransport; disk: FaultyFileSystem } {
  folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'evenkeel-state-late-'));
  return () => {
    const disk = faultyFileSystem(liveFileSystem());
    const state = createFileState({ folder, fileSystem: disk, random: seededRandom(open.length) });
    open.push(state);
    return { state, disk };
  };
}

const bytes = (text: string) => Buffer.from(text);
const textOf = async (state: StateTransport, key: string) => Buffer.from((await state.get(key))?.value ?? '').toString();

/** More than two snapshots' worth: the first commits are gone. */
async function churn(state: StateTransport): Promise<void> {
  for (let n = 0; n < 3200; n++) await state.put('churn', bytes(String(n)));
  expect(readdirSync(folder).some((name) => /^0*3\.commit$/.test(name))).toBe(false);
}

/** Its next commit is stopped before it has its name, for as long as `meanwhile` takes; the commit is never taken back. */
function stopped({ disk }: { disk: FaultyFileSystem }, meanwhile: () => Promise<void>): void {
  disk.before = async ({ operation, path }) => {
    if (operation === 'link') await meanwhile();
    if (operation === 'unlink' && path.endsWith('.commit')) throw systemError('EIO');
  };
}

it('a process that was idle puts what it wants to', async () => {
  const start = processes();
  const [idle, also, busy] = [start().state, start().state, start().state];
  await busy.put('a', bytes('1'));
  await Promise.all([idle.get('a'), also.get('a')]);
  await churn(busy);
  const revisions = await Promise.all([idle.put('from idle', bytes('x')), also.put('from also', bytes('y'))]);
  expect(revisions.toSorted((a, b) => a - b)).toEqual([3202, 3203]);
  expect([await textOf(busy, 'from idle'), await textOf(busy, 'from also')]).toEqual(['x', 'y']);
  await expect(idle.put('a', bytes('2'), { expect: 'absent' })).rejects.toMatchObject({ code: 'aborted' });
});

it('what a process commits that was stopped beyond compaction is nobody’s history, though it dies before it takes it back', async () => {
  const start = processes();
  const [late, idle, busy] = [start(), start().state, start().state];
  await busy.put('a', bytes('1'));
  await busy.put('a', bytes('2'));
  await Promise.all([late.state.get('a'), idle.get('a')]);
  stopped(late, () => churn(busy));
  await expect(late.state.put('a', bytes('late'))).rejects.toMatchObject({ retryable: 'unknown' });
  expect(readdirSync(folder).some((name) => /^0*3\.commit$/.test(name))).toBe(true);
  const told: string[] = [];
  const watch = idle.watch('', ({ entry }) => told.push(Buffer.from(entry?.value ?? '').toString()));
  await expect(idle.put('churn', bytes('lost'), { expect: 'absent' })).rejects.toMatchObject({ code: 'aborted' });
  expect(await textOf(idle, 'a')).toBe('2');
  expect(await idle.put('a', bytes('3'))).toBe(3203);
  for (const state of [busy, start().state]) expect(await textOf(state, 'a')).toBe('3');
  expect(told).toContain('3');
  expect(told).not.toContain('late');
  watch.close();
});

it('one that knew a commit of the same name takes it neither', async () => {
  const start = processes();
  const [late, idle, busy] = [start(), start().state, start().state];
  await busy.put('a', bytes('1'));
  await busy.put('a', bytes('2'));
  await late.state.get('a');
  await busy.put('a', bytes('3'));
  await idle.get('a');
  stopped(late, () => churn(busy));
  await expect(late.state.put('a', bytes('late'))).rejects.toMatchObject({ retryable: 'unknown' });
  expect(await textOf(idle, 'churn')).toBe('3199');
  expect(await idle.put('a', bytes('4'), { expect: 3 })).toBe(3204);
  expect(await textOf(busy, 'a')).toBe('4');
});
