/** The tests' own servers of NATS: none is left behind, and where the program is missing everybody is told. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../../scripts/lib/subpaths.mjs';
import { childProgram, SayingChild } from '../support/child-program.js';
import { eventually } from '../support/http-servers.js';
import { natsMissing } from '../support/nats-server.js';

const PROGRAM = `
  import { natsServer } from './test/support/nats-server.ts';
  process.stdin.on('end', () => process.exit()).resume();
  process.env.TMPDIR = process.argv[2];
  const { pid } = await natsServer();
  console.log(JSON.stringify({ pid }));
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-harness-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the system says of a process: its name and state. One that has ended may wait to be buried. */
function processOf(pid: number): { name: string; hasEnded: boolean } {
  try {
    const [, name = '', state] = /\((.*)\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    return { name, hasEnded: state === 'Z' || state === 'X' };
  } catch {
    return { name: '', hasEnded: true };
  }
}

it.skipIf(natsMissing !== undefined)('a server ends with the run that started it, when that is killed', async () => {
  using program = await childProgram(PROGRAM);
  const run = new SayingChild<{ pid: number }>(program, [folder]);
  await run.hasSaid(1);
  const pid = run.said[0]?.pid ?? 0;
  try {
    expect(processOf(pid)).toEqual({ name: 'nats-server', hasEnded: false });
    await run.kill();
    await eventually('the server has ended', () => processOf(pid).hasEnded);
  } finally {
    if (!processOf(pid).hasEnded) process.kill(pid, 'SIGKILL');
  }
});

describe('where nats-server is not to be found', () => {
  /** Runs one suite with a PATH on which there is setpriv and nothing else. */
  async function runSuite(env: Record<string, string>): Promise<{ code: number; out: string }> {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST'));
    const options = { cwd: root, timeout: 60_000, env: { ...Object.fromEntries(own), PATH: join(folder, 'bin'), ...env } };
    const args = ['node_modules/vitest/vitest.mjs', 'run', 'test/conformance/nats-state.test.ts'];
    return new Promise((resolve) => {
      execFile(process.execPath, args, options, (error, stdout, stderr) => {
        resolve({ code: Number(error?.code ?? 0), out: stdout + stderr });
      });
    });
  }
  const hint = 'nats-server not found (Debian: apt-get install nats-server';

  beforeAll(() => {
    mkdirSync(join(folder, 'bin'));
    const programs = (process.env.PATH ?? '').split(delimiter).map((path) => join(path, 'setpriv'));
    const setpriv = programs.find((path) => existsSync(path));
    if (setpriv !== undefined) symlinkSync(setpriv, join(folder, 'bin/setpriv'));
  });

  it('a suite is skipped, and says which program is missing and how to install it', { timeout: 60_000 }, async () => {
    const { code, out } = await runSuite({ CI: '' });
    expect(out).toContain(hint);
    expect(out).toMatch(/\d+ skipped/);
    expect([code, out.includes('passed')]).toEqual([0, false]);
  });

  it('the run fails with CI=true, for the same reason', { timeout: 60_000 }, async () => {
    const { code, out } = await runSuite({ CI: 'true' });
    expect(out).toContain(hint);
    expect([code, out.includes('passed')]).toEqual([1, false]);
  });
});
