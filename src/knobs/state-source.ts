/**
 * Follows the snapshot on a StateTransport: a watch for speed, and a poll beside it for certainty. A watch that has died without a word is the most common
 * failure of its kind; the poll asks the store itself, and finds what the watch has missed within its interval.
 */
import type { Timer } from '../core/clock.js';
import { within } from '../core/internal/within.js';
import type { Runtime } from '../core/runtime.js';
import type { StateEvent, StateTransport, Watch } from '../core/transport/state.js';
import { headKey, readSnapshot } from './document.js';
import { EMPTY_SNAPSHOT, type KnobSnapshot } from './snapshot.js';
import type { SourceHandle, SourceListener } from './source.js';

export interface StateSourceOptions {
  readonly state: StateTransport;
  readonly scope: string;
  readonly pollMs: number;
}

/** Of the interval, by chance, so that a fleet does not ask all at once. */
const JITTER = 0.2;
/** A watch that proves nothing for so long is opened anew. */
const DEAD_AFTER_MS = 10_000;
const ANSWER_WITHIN_MS = 5000;

/** A head as it came. */
interface Head {
  readonly revision: number;
  readonly epoch: string;
  /** Undefined: the store has none. */
  readonly value: Uint8Array | undefined;
}

export class StateFollower implements SourceHandle {
  readonly #options: StateSourceOptions;
  readonly #key: string;
  readonly #runtime: Runtime;
  readonly #listener: SourceListener;
  #watch: Watch | undefined;
  #openedAtMs = 0;
  /** Of the watch: the newest head it told, once its list is complete. */
  #listed: Head | undefined;
  #isSynced = false;
  /** What the listener was told last: proofs are of this. */
  #told: Omit<Head, 'value'> | undefined;
  #timer: Timer;
  #isPolling = false;
  #isClosed = false;

  constructor(options: StateSourceOptions, runtime: Runtime, listener: SourceListener) {
    this.#options = options;
    this.#key = headKey(options.scope);
    this.#runtime = runtime;
    this.#listener = listener;
    queueMicrotask(() => this.#open());
    this.#timer = this.#pollLater();
  }

  poll(): void {
    if (!this.#isPolling && !this.#isClosed) void this.#poll();
  }

  close(): void {
    this.#isClosed = true;
    this.#watch?.close();
    this.#timer.cancel();
  }

  #open(): void {
    if (this.#isClosed) return;
    this.#watch?.close();
    this.#watch = undefined;
    this.#listed = undefined;
    this.#isSynced = false;
    this.#openedAtMs = this.#runtime.clock.now();
    try {
      this.#watch = this.#options.state.watch(this.#key, this.#onEvent);
    } catch (error) {
      this.#listener.onError(error);
    }
  }

  readonly #onEvent = ({ entry, epoch, type }: StateEvent): void => {
    switch (type) {
      case 'reset':
        this.#isSynced = false;
        this.#listed = undefined;
        return;
      case 'put':
        // Another key may begin alike.
        if (entry?.key !== this.#key) return;
        this.#listed = { revision: entry.revision, epoch, value: entry.value };
        break;
      case 'synced':
        this.#isSynced = true;
        this.#listed ??= { revision: 0, epoch, value: undefined };
        break;
      case 'head':
        break;
      default:
        // Nobody deletes the head. Whoever did by hand has not turned a knob: what was in force stays, and is no longer proven.
        if (entry?.key === this.#key) this.#listed = { revision: 0, epoch, value: undefined };
        return;
    }
    if (!this.#isSynced || this.#listed === undefined) return;
    const now = this.#runtime.clock.now();
    this.#tell({ ...this.#listed, epoch }, now - (this.#watch?.ageMs ?? Number.POSITIVE_INFINITY), now);
  };

  #tell({ epoch, revision, value }: Head, notBeforeMs: number, notAfterMs: number): void {
    const reading = { epoch, revision, notBeforeMs, notAfterMs };
    if (this.#told?.epoch === epoch && this.#told.revision === revision) {
      this.#listener.onReading({ ...reading, snapshot: undefined });
      return;
    }
    this.#read(value).then(
      (snapshot) => {
        if (this.#isClosed) return;
        this.#told = { epoch, revision };
        this.#listener.onReading({ ...reading, snapshot });
      },
      (error) => this.#listener.onError(error),
    );
  }

  async #read(head: Uint8Array | undefined): Promise<KnobSnapshot> {
    if (head === undefined) return EMPTY_SNAPSHOT;
    const { scope, state } = this.#options;
    return within(this.#runtime.clock, ANSWER_WITHIN_MS, (signal) => readSnapshot(state, scope, head, signal));
  }

  /** By a question to the store itself, which knows nothing of watches. */
  async #poll(): Promise<void> {
    const { clock } = this.#runtime;
    this.#isPolling = true;
    try {
      const askedAt = clock.now();
      const entry = await within(clock, ANSWER_WITHIN_MS, (signal) => this.#options.state.get(this.#key, { signal }));
      if (this.#isClosed) return;
      const { revision, value } = entry ?? { revision: 0, value: undefined };
      // Lower than what is known: another life of the store, which a watch can tell and an answer cannot.
      if (revision < (this.#told?.revision ?? 0)) this.#reopen();
      else if (revision > 0 || this.#told !== undefined)
        this.#tell({ revision, value, epoch: this.#told?.epoch ?? '' }, askedAt, clock.now());
    } catch (error) {
      if (!this.#isClosed) this.#listener.onError(error);
    } finally {
      this.#isPolling = false;
    }
    if ((this.#watch?.ageMs ?? Number.POSITIVE_INFINITY) > DEAD_AFTER_MS) this.#reopen();
  }

  #reopen(): void {
    if (this.#runtime.clock.now() - this.#openedAtMs > DEAD_AFTER_MS) this.#open();
  }

  #pollLater(): Timer {
    const { clock, random } = this.#runtime;
    const ms = this.#options.pollMs * (1 + JITTER * (2 * random.next() - 1));
    return clock.timer(ms, () => {
      this.#timer = this.#pollLater();
      this.poll();
    });
  }
}
