/** A program in a process of its own, made of a source text that imports `evenkeel/...`, to be killed when the test likes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { root, subpaths } from '../../scripts/lib/subpaths.mjs';

const isDist = process.env.EVENKEEL_DIST === '1';
let programs = 0;

export interface ChildProgram extends Disposable {
  readonly path: string;
}

/**
 * Bundles `source`, against the built library where the tests run against it. The program should end when its standard input does, so that
 * it does not outlive a test that is killed.
 */
export async function childProgram(source: string): Promise<ChildProgram> {
  // Below the root, so that packages resolve.
  const folder = join(root, '.build', `child-${process.pid}-${++programs}`);
  const path = join(folder, 'program.mjs');
  await build({
    absWorkingDir: root,
    stdin: { contents: source, resolveDir: root },
    outfile: path,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: isDist ? 'external' : undefined,
    external: ['lru-cache', 'eventemitter3', 'p-limit', '@opentelemetry/api', '@nats-io/transport-node'],
    alias: isDist ? {} : Object.fromEntries(subpaths().map((subpath) => [subpath.name, join(root, subpath.source)])),
    tsconfigRaw: {},
    logLevel: 'error',
  });
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

/** One run of a program that says one JSON value a line. */
export class SayingChild<T> {
  readonly said: T[] = [];
  readonly process: ChildProcess;
  readonly #closed: Promise<unknown[]>;
  #onSaid: () => void = () => {};

  constructor(program: ChildProgram, args: readonly string[]) {
    this.process = spawn(process.execPath, [program.path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#closed = once(this.process, 'close');
    createInterface({ input: this.process.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      this.said.push(JSON.parse(line) as T);
      this.#onSaid();
    });
  }

  /** Resolves when it has said `count` lines, or has ended. */
  async hasSaid(count: number): Promise<void> {
    if (this.said.length >= count) return;
    const enough = new Promise<void>((resolve) => {
      this.#onSaid = () => {
        if (this.said.length >= count) resolve();
      };
    });
    await Promise.race([enough, this.#closed]);
  }

  /** Kills it, and resolves with all it said. Fails when it had ended by itself. */
  async kill(): Promise<T[]> {
    this.process.kill('SIGKILL');
    const [code, signal] = await this.#closed;
    if (signal !== 'SIGKILL') throw new Error(`the program ended by itself, with code ${code}`);
    return this.said;
  }
}
