/** The demo as a program: it ends by itself with its report, and no server outlives it, however it ends. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root, subpaths } from '../../scripts/lib/subpaths.mjs';

const isDist = process.env.EVENKEEL_DIST === '1';
/** Below the root, so that packages resolve. */
const programs = join(root, '.build', `demo-test-${process.pid}`);
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-demo-'));

beforeAll(async () => {
  await build({
    absWorkingDir: root,
    entryPoints: ['demo/main.ts', 'demo/replica.ts'],
    outdir: programs,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: isDist ? 'external' : undefined,
    external: ['undici', 'lru-cache', 'eventemitter3', 'p-limit', '@opentelemetry/api'],
    alias: isDist ? {} : Object.fromEntries(subpaths().map(({ name, source }) => [name, join(root, source)])),
    tsconfigRaw: {},
    logLevel: 'error',
  });
});

afterAll(() => {
  rmSync(programs, { recursive: true, force: true });
  rmSync(folder, { recursive: true });
});

interface Program {
  readonly child: ChildProcess;
  readonly pid: number;
  output(): string;
  ended(): Promise<number | null>;
}

function start(...args: string[]): Program {
  const child = spawn(process.execPath, [join(programs, 'main.mjs'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  }
  const close = once(child, 'close');
  const { pid } = child;
  if (pid === undefined) throw new Error('node cannot be started');
  return {
    child,
    pid,
    output: () => text,
    ended: async () => {
      const [code] = await close;
      return code;
    },
  };
}

/** Ids of the running processes whose parent is `pid`. */
function childrenOf(pid: number): number[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' }).trim().split('\n');
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, parent, state = '']) => Number(parent) === pid && !state.startsWith('Z'))
    .map(([id]) => Number(id));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean, limitMs = 5000): Promise<boolean> {
  for (const end = performance.now() + limitMs; performance.now() < end; await sleep(20)) if (condition()) return true;
  return condition();
}

it('ends by itself with a table, a report and the figures', async () => {
  const report = join(folder, 'report.html');
  const json = join(folder, 'figures.json');
  const program = start('--quick', '--duration', '1', '--rate', '60', '--only', 'evenkeel', '--report', report, '--json', json);
  expect(await program.ended(), program.output()).toBe(0);
  expect(program.output()).toMatch(/evenkeel createRouter +\d+ ms/);
  expect(program.output()).toContain(report);
  expect(readFileSync(report, 'utf8')).toContain('</html>');
  const { requests, contenders } = JSON.parse(readFileSync(json, 'utf8'));
  const [{ ok, errors, timeouts }] = contenders;
  expect(ok + errors + timeouts).toBe(requests);
  expect(ok / requests).toBeGreaterThan(0.8);
});

it.each([
  ['--frobnicate', '--frobnicate'],
  ['--only=nobody', '--only must be one of'],
  ['--report=/no/such/folder/x.html', 'there is no folder'],
])('refuses %s with exit code 2', async (argument, words) => {
  const program = start(argument);
  expect(await program.ended()).toBe(2);
  expect(program.output()).toContain(words);
});

it('fails with the line of a broken trace', async () => {
  const program = start('--trace', join(root, 'package.json'));
  expect(await program.ended()).toBe(1);
  expect(program.output()).toContain('invalid-argument: package.json:1:');
});

describe('when it is stopped', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('by %s, all servers have ended before it has', async (signal, code) => {
    const program = start('--quick', '--only', 'p2c');
    expect(await until(() => program.output().includes('answered'))).toBe(true);
    const servers = childrenOf(program.pid);
    expect(servers).toHaveLength(8);
    program.child.kill(signal);
    expect(await program.ended()).toBe(code);
    expect(program.output()).toContain('all servers have ended');
    expect(servers.filter(isRunning)).toEqual([]);
  });

  it('by SIGKILL, its servers see that it is gone and end', async () => {
    const program = start('--quick', '--only', 'p2c');
    expect(await until(() => program.output().includes('answered'))).toBe(true);
    const servers = childrenOf(program.pid);
    expect(servers).toHaveLength(8);
    program.child.kill('SIGKILL');
    await program.ended();
    expect(await until(() => servers.filter(isRunning).length === 0)).toBe(true);
  });
});
