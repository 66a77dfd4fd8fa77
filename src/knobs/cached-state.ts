/**
 * The copy of the state on disk, for a start with the store down: `{ v: 1, scope, sha256, body }`, the body a
 * `CachedState` as text.
 *
 * Is it trustworthy? Only whole, and only of the same scope. `elapsed`: how long each flip had been seen, so that a process which starts over and over
 * does not keep it for ever; `savedAt` is this machine's calendar, and adds what passed since.
 */
import { createHash } from 'node:crypto';
import { EvenkeelError } from '../core/errors.js';
import type { Runtime } from '../core/runtime.js';
import { checkSnapshot, type KnobSnapshot } from './snapshot.js';

export interface CachedState {
  readonly epoch: string;
  readonly revision: number;
  /** Clock.wallTime(). */
  readonly savedAt: number;
  /** Milliseconds by id of flip. */
  readonly elapsed: Readonly<Record<string, number>>;
  readonly snapshot: KnobSnapshot;
}

const MAX_CACHED_STATE_BYTES = 32 * 1024 * 1024;
/** A copy whose times of flips are older than this is written anew. */
const RESAVE_MS = 60_000;

/** The file: one write at a time, and what changes meanwhile is written after it. */
export class CacheFile {
  readonly #path: string;
  readonly #scope: string;
  readonly #runtime: Pick<Runtime, 'clock' | 'host'>;
  readonly #onError: (error: unknown) => void;
  #unsaved: (() => CachedState) | undefined;
  #saving: Promise<void> | undefined;
  #savedAtMs = Number.NEGATIVE_INFINITY;

  constructor(path: string, scope: string, runtime: Pick<Runtime, 'clock' | 'host'>, onError: (error: unknown) => void) {
    this.#path = path;
    this.#scope = scope;
    this.#runtime = runtime;
    this.#onError = onError;
  }

  /** The times in it are too old to begin with. */
  get isDue(): boolean {
    return this.#runtime.clock.now() - this.#savedAtMs > RESAVE_MS;
  }

  /** Undefined: there is none that could be used; what is wrong with it is told. */
  async load(): Promise<CachedState | undefined> {
    try {
      const bytes = await this.#runtime.host.readFile(this.#path, MAX_CACHED_STATE_BYTES);
      return bytes && decodeCachedState(this.#scope, bytes);
    } catch (error) {
      this.#onError(error);
      return undefined;
    }
  }

  /** `state`: asked when it is written. */
  save(state: () => CachedState): void {
    this.#unsaved = state;
    this.#saving ??= this.#saveAll().finally(() => {
      this.#saving = undefined;
    });
  }

  /** All that was to be saved is. */
  async settled(): Promise<void> {
    await this.#saving;
  }

  async #saveAll(): Promise<void> {
    const { clock, host } = this.#runtime;
    for (let state = this.#unsaved; state !== undefined; state = this.#unsaved) {
      this.#unsaved = undefined;
      this.#savedAtMs = clock.now();
      await host.writeFile(this.#path, encodeCachedState(this.#scope, state())).catch(this.#onError);
    }
  }
}

function encodeCachedState(scope: string, state: CachedState): Uint8Array {
  const body = JSON.stringify(state);
  return new TextEncoder().encode(`${JSON.stringify({ v: 1, scope, sha256: checksum(scope, body), body })}\n`);
}

/** @throws {EvenkeelError} `data-loss` for anything but a whole copy of that scope. */
function decodeCachedState(scope: string, bytes: Uint8Array): CachedState {
  try {
    const document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (document?.v !== 1) throw new Error(`version ${document?.v}; expected 1`);
    if (document.scope !== scope) throw new Error(`it belongs to ${document.scope}, not ${scope}`);
    if (document.sha256 !== checksum(scope, document.body)) throw new Error('its checksum does not hold');
    const { elapsed, epoch, revision, savedAt, snapshot } = JSON.parse(document.body);
    return { epoch, revision, savedAt, elapsed, snapshot: checkSnapshot(snapshot) };
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    throw new EvenkeelError('data-loss', `the cached state of knobs is ignored: ${fault}`, { cause: error });
  }
}

function checksum(scope: string, body: unknown): string {
  return createHash('sha256').update(`${scope}\n${body}`).digest('hex');
}
