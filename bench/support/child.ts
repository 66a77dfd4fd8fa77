/** A program of the benchmark in a process of its own, ended by its pid and gone with its parent. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

export interface Child<T> extends AsyncDisposable {
  readonly process: ChildProcess;
  /** The first message it sent. */
  readonly hello: T;
}

/**
 * @param program - URL of the bundled program.
 * @param options.node - Another node to run it with.
 */
export async function startChild<T>(
  program: URL,
  args: readonly string[],
  options: { node?: string; nodeArgs?: string[] } = {},
): Promise<Child<T>> {
  const child = fork(program, args, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execPath: options.node ?? process.execPath,
    execArgv: options.nodeArgs ?? [],
  });
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`${program.pathname} ended with ${code} before it was ready`);
  });
  failed.catch(() => {});
  const [hello] = (await Promise.race([once(child, 'message'), failed])) as [T];
  return {
    process: child,
    hello,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
