/**
 * Endpoints from a JSON file. When is a change seen? Within some 25 ms where the system tells of changes, else at the next poll.
 * A file caught half-written is malformed, and a malformed file changes nothing.
 */
import type { Timer } from './clock.js';
import { checkNumber, EvenkeelError, invalidArgument } from './errors.js';
import type { Random } from './random.js';
import type { LastGoodOptions, Resolution, Resolver, ResolverListener, ResolverRuntime } from './resolver.js';
import { EndpointList } from './resolver-list.js';

export interface FileResolverOptions extends LastGoodOptions {
  /** A JSON array of addresses or endpoints, or `{ "endpoints": [...] }`. At most 16 MiB. */
  path: string;
  /** Milliseconds between two looks at the file, a tenth more or less. Default 5,000; 100 to 3,600,000. */
  intervalMs?: number;
}

export const DEFAULT_FILE_INTERVAL_MS = 5000;
const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** Writers that truncate and write, or write in pieces, cause several hints. */
const DEBOUNCE_MS = 25;

/**
 * Reads the endpoints of a service from a JSON file, and again whenever it changes. Replace the file whole (write another, rename
 * it): a half-written one is refused, but half a list that happens to be valid JSON cannot be told from a short one.
 *
 * @example
 * ```ts
 * import { fileResolver } from 'evenkeel/core';
 *
 * const resolver = fileResolver({ path: '/etc/search/endpoints.json' });
 * ```
 * @throws {EvenkeelError} `invalid-argument` for an empty path or an interval out of range.
 */
export function fileResolver(options: FileResolverOptions): Resolver {
  const { path } = options;
  if (typeof path !== 'string' || path === '') throw invalidArgument('path', path, 'the path of a file');
  const intervalMs = checkNumber('intervalMs', options.intervalMs ?? DEFAULT_FILE_INTERVAL_MS, 100, 3_600_000);
  const name = `file:${path}`;
  return {
    name,
    start: (runtime, listener) => new FileResolution(name, path, intervalMs, runtime, listener, options),
  };
}

class FileResolution implements Resolution {
  readonly #path: string;
  readonly #intervalMs: number;
  readonly #runtime: ResolverRuntime;
  readonly #random: Random;
  readonly #list: EndpointList;
  readonly #watch: Disposable;
  #timer: Timer | undefined;
  #text: string | undefined;
  #isReading = false;
  #isStale = false;

  constructor(
    name: string,
    path: string,
    intervalMs: number,
    runtime: ResolverRuntime,
    listener: ResolverListener,
    options: LastGoodOptions,
  ) {
    this.#path = path;
    this.#intervalMs = intervalMs;
    this.#runtime = runtime;
    this.#random = runtime.random.fork(name);
    this.#list = new EndpointList(name, runtime, listener, options);
    this.#watch = runtime.host.watchFile(path, () => this.refresh());
    queueMicrotask(() => void this.#read());
  }

  get ageMs(): number {
    return this.#list.ageMs;
  }

  refresh(): void {
    // The first hint of a burst sets the time: a file written to all the time is still read.
    if (this.#isStale) return;
    this.#isStale = true;
    if (!this.#isReading) this.#schedule(DEBOUNCE_MS);
  }

  close(): void {
    this.#list.close();
    this.#watch[Symbol.dispose]();
    this.#timer?.cancel();
  }

  #schedule(ms: number): void {
    if (this.#list.isClosed) return;
    this.#timer?.cancel();
    this.#timer = this.#runtime.clock.timer(ms, () => void this.#read());
  }

  async #read(): Promise<void> {
    if (this.#list.isClosed) return;
    this.#isReading = true;
    this.#isStale = false;
    try {
      const bytes = await this.#runtime.host.readFile(this.#path, MAX_FILE_BYTES);
      if (bytes === undefined) throw new EvenkeelError('not-found', `${this.#path} does not exist`, { retryable: 'yes' });
      this.#take(bytes);
    } catch (error) {
      this.#text = undefined;
      this.#list.fail(error);
    }
    this.#isReading = false;
    this.#schedule(this.#isStale ? DEBOUNCE_MS : this.#intervalMs * (0.9 + 0.2 * this.#random.next()));
  }

  #take(bytes: Uint8Array): void {
    const text = decodeText(this.#path, bytes);
    if (text === this.#text) {
      this.#list.prove();
      return;
    }
    const isAccepted = this.#list.offer(listOf(this.#path, text));
    // A refused text is offered again at each look, so that its error does not fall silent.
    this.#text = isAccepted ? text : undefined;
  }
}

function decodeText(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw malformed(path, 'it is not UTF-8', error);
  }
}

function listOf(path: string, text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'endpoints' in value ? value.endpoints : value;
  } catch (error) {
    throw malformed(path, 'it is not JSON', error);
  }
}

function malformed(path: string, fault: string, cause: unknown): EvenkeelError {
  return new EvenkeelError('invalid-argument', `${path} is malformed: ${fault}`, { cause, details: { path } });
}
