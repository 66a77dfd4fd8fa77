/** Failures that the system itself gives: a full file system, and EIO put between the program and the kernel by strace. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createFileBlobs, createFileQueue, createFileState } from 'evenkeel/files';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ChildProgram, childProgram } from '../support/child-program.js';

/** Writes to all three stores until it has had `failures` errors, or enough; says what became of each write, and reads all back. */
const PROGRAM = `
  import { mkdirSync } from 'node:fs';
  import { createFileBlobs, createFileQueue, createFileState } from 'evenkeel/files';
  const [folder, size, writes] = process.argv.slice(2);
  mkdirSync(folder, { recursive: true });
  const stores = {
    state: createFileState({ folder: folder + '/state' }),
    blob: createFileBlobs({ folder: folder + '/blobs' }),
    queue: createFileQueue({ folder: folder + '/queue' }),
  };
  const body = (n) => Buffer.alloc(Number(size), 'x' + n);
  const write = {
    state: (n) => stores.state.put('k' + n, body(n)),
    async blob(n) {
      const writer = await stores.blob.writer('b' + n);
      const bytes = body(n);
      for (let at = 0; at < bytes.length; ) {
        const buffer = await writer.buffer();
        const count = Math.min(buffer.length, bytes.length - at);
        buffer.set(bytes.subarray(at, at + count));
        await writer.write(count);
        at += count;
      }
      await writer.commit();
    },
    queue: (n) => stores.queue.enqueue([{ body: body(n), key: 'q' + n }]),
  };
  const said = { done: { state: [], blob: [], queue: [] }, codes: { state: [], blob: [], queue: [] }, readable: 0 };
  for (let n = 0; n < Number(writes); n++) {
    for (const name of ['state', 'blob', 'queue']) {
      try {
        await write[name](n);
        said.done[name].push(n);
      } catch (error) {
        said.codes[name].push(error.code);
      }
    }
  }
  // What was acknowledged is still there for the process that saw the failures.
  for (const n of said.done.state) if ((await stores.state.get('k' + n)).value.length === Number(size)) said.readable++;
  for (const n of said.done.blob) if ((await stores.blob.readInto('b' + n, 0, body(n))) === Number(size)) said.readable++;
  await Promise.all(Object.values(stores).map((store) => store.close().catch(() => {})));
  console.log(JSON.stringify(said));
`;

interface Said {
  readonly done: Record<'state' | 'blob' | 'queue', number[]>;
  readonly codes: Record<'state' | 'blob' | 'queue', string[]>;
  readonly readable: number;
}

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-real-faults-'));
let program: ChildProgram;
beforeAll(async () => {
  program = await childProgram(PROGRAM);
});
afterAll(() => {
  program[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function run(command: string, args: readonly string[]): Promise<Said> {
  const { stdout } = await promisify(execFile)(command, args, { timeout: 60_000 });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Said;
}

const isRoot = process.getuid?.() === 0;
const unshare = isRoot ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
const canMount = works('unshare', [...unshare, 'sh', '-c', `mount -t tmpfs -o size=1m tmpfs ${folder}`]);

describe.skipIf(!canMount)('a file system of 1 MiB that fills up', () => {
  it('refuses what does not fit with resource-exhausted and keeps what it took', { timeout: 60_000 }, async () => {
    const script = `mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$1/full" 20000 40`;
    const args = [...unshare, 'sh', '-c', script, 'sh', folder, process.execPath, program.path];
    const { done, codes, readable } = await run('unshare', args);
    for (const name of ['state', 'blob', 'queue'] as const) {
      expect(done[name].length, name).toBeGreaterThan(0);
      expect(codes[name].length, name).toBeGreaterThan(0);
      expect(new Set(codes[name]), name).toEqual(new Set(['resource-exhausted']));
    }
    expect(readable).toBe(done.state.length + done.blob.length);
  });
});

/** Ptrace may be forbidden where the program is present. */
const canTrace = works('strace', ['-o', '/dev/null', 'true']);

describe.skipIf(!canTrace)('EIO from the kernel', () => {
  const cases = [
    ['fdatasync', 'fdatasync,fsync', 5],
    ['the sync of a folder', 'fsync', 3],
    // Writes at a position: those to pipes and terminals are others.
    ['a write', 'pwrite64', 10],
    ['a link', 'link,linkat', 3],
    ['a rename', 'rename,renameat,renameat2', 3],
  ] as const;
  it.each(cases)(
    'at every fifth %s is an error with a code, and loses nothing acknowledged',
    { timeout: 60_000 },
    async (what, calls, first) => {
      const place = join(folder, what.replaceAll(' ', '-'));
      const inject = `inject=${calls}:error=EIO:when=${first}+5`;
      const args = [
        '-f',
        '-qq',
        '-o',
        '/dev/null',
        '-e',
        `trace=${calls}`,
        '-e',
        inject,
        process.execPath,
        program.path,
        place,
        '300',
        '30',
      ];
      const { done, codes } = await run('strace', args);
      const failed = Object.values(codes).flat();
      expect(failed.length, 'no fault came through').toBeGreaterThan(0);
      for (const code of failed) expect(['internal', 'unavailable', 'failed-precondition', 'data-loss']).toContain(code);
      // Another process, without the fault.
      const state = createFileState({ folder: join(place, 'state') });
      for (const n of done.state) expect((await state.get(`k${n}`))?.value.byteLength, `k${n}`).toBe(300);
      await state.close();
      const blobs = createFileBlobs({ folder: join(place, 'blobs') });
      for (const n of done.blob) expect(await blobs.readInto(`b${n}`, 0, new Uint8Array(400)), `b${n}`).toBe(300);
      await blobs.close();
      const queue = createFileQueue({ folder: join(place, 'queue') });
      const { due } = await queue.stats();
      expect(due).toBeGreaterThanOrEqual(done.queue.length);
      await queue.close();
    },
  );
});

function works(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
