/** Where reports of the servers' load come from. */

import type { HeaderList } from '../../core/headers.js';
import type { LoadReport } from '../../core/load-report.js';
import type { Random } from '../../core/random.js';
import type { Runtime } from '../../core/runtime.js';
import type { CallTransport } from '../../core/transport/call.js';
import type { Candidate } from '../candidate.js';
import type { PickRequest, PickSet } from '../pickers/picker.js';

export interface LoadSource {
  readonly name: string;
  /** Called once, by the router it is given to. */
  start(env: LoadSourceEnvironment): LoadSourceSession;
}

export interface LoadSourceEnvironment {
  readonly runtime: Runtime;
  readonly random: Random;
  readonly transport: CallTransport;
  /** All known ones. */
  members(): Iterable<Candidate>;
  /**
   * Takes over a report: the pickers and the load board see it.
   * @param loadKey - Where the report was asked for by a call: the counter that the call was for, whose cost it tells.
   */
  onReport(candidate: Candidate, report: LoadReport, now: number, loadKey?: string): void;
  /** A report did not parse, or did not come (of nobody in particular: the source failed). Old ones fade; silence is not overload. */
  onBroken(candidate: Candidate | undefined, error: unknown): void;
}

export interface LoadSourceSession {
  /** Sent with every attempt: flat, name and value in turn. */
  readonly requestHeaders?: readonly string[];
  /** A response began, or ended with trailers. On the hot path. What it throws is counted as a broken report. */
  onHeaders?(candidate: Candidate, headers: HeaderList, now: number, loadKey?: string): void;
  /**
   * Chooses for one call among those of `set`, after asking. Calls `done` once, later, with one of them; undefined when none could be
   * asked and the picker shall choose.
   */
  choose?(set: PickSet, request: PickRequest, done: (candidate: Candidate | undefined) => void): void;
  close(): void;
}
