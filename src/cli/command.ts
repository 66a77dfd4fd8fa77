/** What a command of `evenkeel` is: one file, one value. It reaches the process only through the io it is given. */
import type { Runtime } from '../core/runtime.js';

export interface Command {
  /** As it is typed: `proxy`. */
  readonly name: string;
  /** One line for the table of commands. */
  readonly summary: string;
  /** The whole text of `evenkeel NAME --help`. */
  readonly help: string;
  /** Resolves with the exit code: 0 done, 1 failed, 2 wrongly called. */
  run(args: readonly string[], io: CommandIo): Promise<number>;
}

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

export interface CommandIo {
  /** Of the package. */
  readonly version: string;
  readonly runtime: Runtime;
  /** One line of standard output. */
  out(line: string): void;
  /** One line of standard error. */
  error(line: string): void;
  /** Calls `listener` at each such signal, in place of what the system would do; the result ends that. */
  onSignal(signal: StopSignal, listener: () => void): () => void;
}

/** Says what was wrong with the call of a command, and where to read on. The exit code: 2. */
export function misuse(io: CommandIo, command: string, error: unknown): number {
  io.error(`evenkeel ${command}: ${error instanceof Error ? error.message : error}`);
  io.error(`'evenkeel ${command} --help' says how it is called`);
  return 2;
}
