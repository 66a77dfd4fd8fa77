import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { liveHost } from '../../../src/core/host.js';

const bytes = (text: string) => new TextEncoder().encode(text);

/** The live host is about the machine: these tests use a temporary folder, and wait for the system where it tells of changes. */
describe('the live host', () => {
  let folder = '';
  const at = (name: string) => join(folder, name);
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'evenkeel-host-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('reads a whole file, and none where there is none', async () => {
    await writeFile(at('a'), 'hello');
    expect(new TextDecoder().decode(await liveHost().readFile(at('a'), 5))).toBe('hello');
    expect(await liveHost().readFile(at('missing'), 5)).toBeUndefined();
    expect(await liveHost().readFile(at('no/such/folder'), 5)).toBeUndefined();
  });

  it('refuses a file that is too long, a folder, and one without a size that has bytes', async () => {
    await writeFile(at('long'), 'hello');
    await expect(liveHost().readFile(at('long'), 4)).rejects.toMatchObject({
      code: 'out-of-range',
      details: { size: 5, maxBytes: 4 },
    });
    await expect(liveHost().readFile(folder, 1e6)).rejects.toMatchObject({ code: 'internal' });
    if (process.platform !== 'linux') return;
    await symlink('/proc/self/status', at('proc'));
    await expect(liveHost().readFile(at('proc'), 4)).rejects.toMatchObject({ code: 'out-of-range' });
  });

  it('makes the folder, replaces the file whole, and leaves nothing else behind', async () => {
    const path = at('deep/er/list.json');
    await liveHost().writeFile(path, bytes('one'));
    await liveHost().writeFile(path, bytes('two'));
    expect(await readFile(path, 'utf8')).toBe('two');
    expect(await readdir(at('deep/er'))).toEqual(['list.json']);
  });

  it('writes the same file from many sides at once, and each write is whole', async () => {
    const path = at('shared');
    const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(50_000));
    await Promise.all(texts.map((text) => liveHost().writeFile(path, bytes(text))));
    expect(texts).toContain(await readFile(path, 'utf8'));
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('leaves the old file and no temporary one when it cannot write', async () => {
    await writeFile(at('plain'), 'x');
    await expect(liveHost().writeFile(at('plain/below'), bytes('y'))).rejects.toMatchObject({ name: 'EvenkeelError' });
    expect(await readFile(at('plain'), 'utf8')).toBe('x');
  });

  it('tells when a file is replaced or appears, and not of its neighbours', async () => {
    let hints = 0;
    const watch = liveHost().watchFile(at('watched'), () => hints++);
    await liveHost().writeFile(at('neighbour'), bytes('x'));
    await liveHost().writeFile(at('watched'), bytes('x'));
    await vi.waitFor(() => expect(hints).toBeGreaterThan(0), { timeout: 5000, interval: 5 });
    const seen = hints;
    watch[Symbol.dispose]();
    await liveHost().writeFile(at('watched'), bytes('y'));
    expect(hints).toBe(seen);
  });

  it('watches nothing where there is no folder', () => {
    liveHost()
      .watchFile(at('no/such/file'), () => {})
      [Symbol.dispose]();
  });

  it('finds the names of the hosts file', async () => {
    expect(await liveHost().lookup('localhost', 'A')).toEqual(
      expect.arrayContaining([expect.objectContaining({ host: '127.0.0.1' })]),
    );
  });

  it('knows its environment, processors, CPU time and event loop', () => {
    const host = liveHost();
    expect(host.env('PATH')).toBe(process.env.PATH);
    expect(host.env('EVENKEEL_NO_SUCH_VARIABLE')).toBeUndefined();
    expect(host.parallelism()).toBeGreaterThanOrEqual(1);
    expect(host.cpuTimeMs()).toBeGreaterThan(0);
    expect(host.eventLoopDelayMs()).toBe(0);
    expect(host.eventLoopDelayMs()).toBeGreaterThanOrEqual(0);
    expect(host.eventLoopUtilization()).toBeGreaterThanOrEqual(0);
    expect(host.eventLoopUtilization()).toBeLessThanOrEqual(1);
  });
});
