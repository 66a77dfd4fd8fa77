/** `evenkeel` in a process of its own: of the sources, or the built one where the tests run against it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { programs, root } from '../../scripts/lib/subpaths.mjs';

const isDist = process.env.EVENKEEL_DIST === '1';

export interface CliProgram extends Disposable {
  /** Runs it to its end. */
  run(...args: string[]): Promise<{ code: number | null; out: string; error: string }>;
  start(...args: string[]): RunningCli;
}

export interface RunningCli extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly out: string;
  readonly error: string;
  /** The lines of its log so far. */
  events(): Record<string, unknown>[];
  /** Resolves with its exit code. */
  readonly ended: Promise<number | null>;
}

export async function cliProgram(): Promise<CliProgram> {
  const { source, output } = programs().find(({ name }) => name === 'evenkeel') as { source: string; output: string };
  // Two folders below the manifest, as the built one is.
  const folder = join(root, '.build', `cli-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const path = isDist ? join(root, output) : join(folder, 'main.mjs');
  if (!isDist) {
    await build({
      absWorkingDir: root,
      entryPoints: [source],
      outfile: path,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      packages: 'external',
      logLevel: 'error',
    });
  }
  const start = (...args: string[]) =>
    new Running(spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }));
  return {
    start,
    async run(...args) {
      const running = start(...args);
      const code = await running.ended;
      return { code, out: running.out, error: running.error };
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

class Running implements RunningCli {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  out = '';
  error = '';

  constructor(child: ChildProcess) {
    this.process = child;
    this.ended = once(child, 'close').then(([code]) => code as number | null);
    child.stdout?.on('data', (text) => {
      this.out += text;
    });
    child.stderr?.on('data', (text) => {
      this.error += text;
    });
  }

  events(): Record<string, unknown>[] {
    const lines = this.out.split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}
