/** The load sources of one router, at work. */
import type { HeaderList } from '../../core/headers.js';
import type { LoadReport } from '../../core/load-report.js';
import type { Candidate } from '../candidate.js';
import type { PickRequest, PickSet } from '../pickers/picker.js';
import type { LoadSource, LoadSourceEnvironment, LoadSourceSession } from './source.js';

/** What the router offers them. */
export interface RouterLoadEnvironment extends Omit<LoadSourceEnvironment, 'onReport'> {
  onReport(candidate: Candidate, report: LoadReport, now: number, source: string, loadKey: string | undefined): void;
}

export class RunningSources {
  /** Of all of them. */
  readonly requestHeaders: readonly string[];
  readonly #sessions: readonly LoadSourceSession[];
  readonly #readers: readonly LoadSourceSession[];
  readonly #chooser: LoadSourceSession | undefined;
  readonly #onBroken: LoadSourceEnvironment['onBroken'];

  constructor(sources: readonly LoadSource[], environment: RouterLoadEnvironment) {
    this.#onBroken = environment.onBroken;
    this.#sessions = sources.map((source) => {
      const { name } = source;
      return source.start({
        ...environment,
        onReport: (candidate, report, now, loadKey) => environment.onReport(candidate, report, now, name, loadKey),
      });
    });
    this.#readers = this.#sessions.filter((session) => session.onHeaders !== undefined);
    this.#chooser = this.#sessions.find((session) => session.choose !== undefined);
    this.requestHeaders = this.#sessions.flatMap(({ requestHeaders = [] }) => requestHeaders);
  }

  /** One of them asks endpoints before each dispatch. */
  get asksFirst(): boolean {
    return this.#chooser !== undefined;
  }

  /** As {@link LoadSourceSession.choose} of the first that does. */
  choose(set: PickSet, request: PickRequest, done: (candidate: Candidate | undefined) => void): void {
    try {
      this.#chooser?.choose?.(set, request, done);
    } catch (error) {
      this.#onBroken(undefined, error);
      done(undefined);
    }
  }

  onHeaders(candidate: Candidate, headers: HeaderList, now: number, loadKey: string | undefined): void {
    for (const reader of this.#readers) {
      try {
        reader.onHeaders?.(candidate, headers, now, loadKey);
      } catch (error) {
        this.#onBroken(candidate, error);
      }
    }
  }

  close(): void {
    for (const session of this.#sessions) session.close();
  }
}
