/** Folders that the process may not write, or not read. Root may do anything, so as root the program becomes nobody first. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createFileBlobs, createFileQueue, createFileState } from 'evenkeel/files';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ChildProgram, childProgram } from '../support/child-program.js';
import { write } from '../support/whole-blobs.js';

/** Says what became of each operation: `ok`, or the code of its error. */
const PROGRAM = `
  import { liveHost } from 'evenkeel/core';
  import { createFileBlobs, createFileQueue, createFileState } from 'evenkeel/files';
  const [folder] = process.argv.slice(2);
  if (process.getuid() === 0) {
    process.setegid(65534);
    process.seteuid(65534);
  }
  const state = createFileState({ folder: folder + '/state' });
  const blobs = createFileBlobs({ folder: folder + '/blobs' });
  const queue = createFileQueue({ folder: folder + '/queue' });
  const write = async (name) => {
    const writer = await blobs.writer(name);
    (await writer.buffer()).set([1, 2, 3]);
    await writer.write(3);
    await writer.commit();
  };
  const operations = {
    'state.get': async () => state.get('a'),
    'state.put': () => state.put('b', Buffer.from('b')),
    'state.put again': () => state.put('b', Buffer.from('b')),
    'state.delete': () => state.delete('a'),
    'blobs.stat': () => blobs.stat('a'),
    'blobs.list': () => blobs.list('', { limit: 10 }),
    'blobs.readInto': () => blobs.readInto('a', 0, new Uint8Array(3)),
    'blobs.writer': () => write('b'),
    'blobs.delete': () => blobs.delete('a'),
    'queue.enqueue': () => queue.enqueue([{ body: Buffer.from('b') }]),
    'queue.lease': () => queue.lease({ max: 1, leaseMs: 1000 }),
    'queue.stats': () => queue.stats(),
    'host.readFile': () => liveHost().readFile(folder + '/file', 10),
    'host.writeFile': () => liveHost().writeFile(folder + '/file', Buffer.from('b')),
  };
  const said = {};
  for (const [name, operation] of Object.entries(operations)) {
    said[name] = await operation().then(() => 'ok', (error) => error.code);
  }
  await Promise.all([state.close(), blobs.close(), queue.close()]);
  console.log(JSON.stringify(said));
`;

/** What every store says whose folder cannot be made. */
const writesEndIn = (code: string) => ({
  'state.put': code,
  'state.put again': code,
  'blobs.writer': code,
  'queue.enqueue': code,
});

const base = mkdtempSync(join(tmpdir(), 'evenkeel-permission-'));
let program: ChildProgram;
beforeAll(async () => {
  // Nobody has to come through.
  chmodSync(base, 0o755);
  program = await childProgram(PROGRAM);
});
afterAll(() => {
  program[Symbol.dispose]();
  for (const entry of readdirSync(base, { withFileTypes: true }))
    if (entry.isDirectory()) setModes(join(base, entry.name), 0o755, 0o644);
  rmSync(base, { recursive: true });
});

function setModes(path: string, folders: number, files: number): void {
  chmodSync(path, folders | 0o700);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) setModes(join(path, entry.name), folders, files);
    else chmodSync(join(path, entry.name), files);
  }
  chmodSync(path, folders);
}

/** Stores with one entry each. */
async function filled(name: string): Promise<string> {
  const folder = join(base, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'file'), 'a');
  const state = createFileState({ folder: join(folder, 'state') });
  const blobs = createFileBlobs({ folder: join(folder, 'blobs') });
  const queue = createFileQueue({ folder: join(folder, 'queue') });
  await state.put('a', Buffer.from('a'));
  await write(blobs, 'a', new Uint8Array([1, 2, 3]));
  await queue.enqueue([{ body: Buffer.from('a') }]);
  await Promise.all([state.close(), blobs.close(), queue.close()]);
  return folder;
}

async function run(folder: string): Promise<Record<string, string>> {
  const { stdout } = await promisify(execFile)(process.execPath, [program.path, folder], { timeout: 60_000 });
  return JSON.parse(stdout) as Record<string, string>;
}

describe.skipIf(process.platform === 'win32')('a folder', { timeout: 60_000 }, () => {
  it('that may be read and not written is read, and what would write is permission-denied', async () => {
    const folder = await filled('read-only');
    setModes(folder, 0o555, 0o444);
    const denied = 'permission-denied';
    expect(await run(folder)).toEqual({
      'state.get': 'ok',
      'state.put': denied,
      'state.put again': denied,
      'state.delete': denied,
      'blobs.stat': 'ok',
      'blobs.list': 'ok',
      'blobs.readInto': 'ok',
      'blobs.writer': denied,
      'blobs.delete': denied,
      'queue.enqueue': denied,
      'queue.lease': denied,
      'queue.stats': denied,
      'host.readFile': 'ok',
      'host.writeFile': denied,
    });
    setModes(folder, 0o755, 0o644);
    const state = createFileState({ folder: join(folder, 'state') });
    expect(Buffer.from((await state.get('a'))?.value ?? '').toString()).toBe('a');
    await state.close();
  });

  it('that may not even be read is permission-denied', async () => {
    const folder = await filled('closed');
    setModes(folder, 0, 0);
    const said = await run(folder);
    expect(new Set(Object.values(said))).toEqual(new Set(['permission-denied']));
  });

  it('that is not there, and may not be made, is permission-denied', async () => {
    const folder = join(base, 'missing');
    mkdirSync(folder, { mode: 0o555 });
    const denied = 'permission-denied';
    expect(await run(folder)).toMatchObject({ ...writesEndIn(denied), 'host.writeFile': denied });
  });

  it('whose parent may be written and not read is permission-denied, time and again: its name cannot be synced', async () => {
    const folder = join(base, 'unreadable');
    mkdirSync(folder);
    chmodSync(folder, 0o333);
    for (const _attempt of [1, 2]) expect(await run(folder)).toMatchObject(writesEndIn('permission-denied'));
  });

  it('below a symbolic link that leads nowhere is failed-precondition', async () => {
    const folder = join(base, 'link');
    mkdirSync(join(base, 'target'));
    symlinkSync(join(base, 'target', 'missing'), folder);
    expect(await run(folder)).toMatchObject(writesEndIn('failed-precondition'));
  });

  it('whose parent may be passed through and not read works', async () => {
    const folder = await filled('passed');
    setModes(folder, 0o777, 0o666);
    chmodSync(folder, 0o711);
    const said = await run(folder);
    const { 'host.writeFile': _, ...stores } = said;
    expect(new Set(Object.values(stores))).toEqual(new Set(['ok']));
  });
});
