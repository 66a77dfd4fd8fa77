/**
 * One watch on documents that its process holds: the list, then every change, delivered from a microtask.
 *
 * How much may pile up? Changes wait only while synchronous code runs on; past {@link MAX_PENDING_CHANGES} the watch drops them
 * all and says `reset`, as a watch over a network does after a gap that its server no longer remembers.
 */
import type { Clock, Timer } from '../clock.js';
import type { StateEntry, StateEvent, Watch } from '../transport/state.js';

export const MAX_PENDING_CHANGES = 10_000;
/** How often an idle watch proves that it holds the head. */
const HEAD_EVERY_MS = 1000;

/** A committed value; immutable, its bytes never leave the transport uncopied. */
export interface StateRecord {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
  readonly leaseMs: number | undefined;
}

export type StateChange =
  /** `record`: the value put, or the last one of the key that is gone. */
  | { readonly type: 'put' | 'delete' | 'expired'; readonly record: StateRecord; readonly revision: number }
  /** There is a list, another than before: after a gap, or the first. */
  | { readonly type: 'reset' };

/** Where a watch has its list and its changes from. */
export interface StateSource {
  readonly epoch: string;
  readonly revision: number;
  /** Clock.now() at the last proof that this revision is the newest; undefined before the first list is known. */
  readonly provenAtMs: number | undefined;
  /** In order of revision. */
  list(prefix: string): StateRecord[];
  subscribe(listener: (change: StateChange) => void): () => void;
}

type PendingEvent = Exclude<StateChange, { type: 'reset' }> | { readonly type: 'head' };

export class StateWatch implements Watch {
  readonly #source: StateSource;
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #on: (event: StateEvent) => void;
  readonly #onClose: (watch: StateWatch) => void;
  readonly #unsubscribe: () => void;
  #pending: PendingEvent[] = [];
  #needsList = true;
  /** Was a list begun that a new one must revoke? */
  #hasListed = false;
  #isDelivering = false;
  #isClosed = false;
  #provenAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(
    source: StateSource,
    clock: Clock,
    prefix: string,
    on: (event: StateEvent) => void,
    onClose: (watch: StateWatch) => void,
  ) {
    this.#source = source;
    this.#clock = clock;
    this.#prefix = prefix;
    this.#on = on;
    this.#onClose = onClose;
    this.#unsubscribe = source.subscribe(this.#onChange);
    this.#schedule();
    this.#armHead();
  }

  get ageMs(): number {
    return this.#clock.now() - this.#provenAt;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pending = [];
    this.#timer?.cancel();
    this.#unsubscribe();
    this.#onClose(this);
  }

  readonly #onChange = (change: StateChange): void => {
    if (this.#needsList) {
      // The list will show it.
      this.#schedule();
      return;
    }
    if (change.type === 'reset' || this.#pending.length >= MAX_PENDING_CHANGES) {
      this.#pending = [];
      this.#needsList = true;
    } else if (change.record.key.startsWith(this.#prefix)) {
      this.#pending.push(change);
    } else {
      return;
    }
    this.#schedule();
  };

  #armHead(): void {
    this.#timer = this.#clock.timer(HEAD_EVERY_MS, () => {
      this.#armHead();
      if (this.#needsList || this.#pending.length > 0) return;
      if ((this.#source.provenAtMs ?? 0) <= this.#provenAt) return;
      this.#pending.push({ type: 'head' });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    queueMicrotask(() => {
      while (!this.#isClosed && (this.#needsList ? this.#source.provenAtMs !== undefined : this.#pending.length > 0)) {
        if (this.#needsList) this.#deliverList();
        else this.#deliverPending();
      }
      this.#isDelivering = false;
    });
  }

  #deliverList(): void {
    // Listing may expire leases; those changes are in the list already, so they are still ignored here.
    const records = this.#source.list(this.#prefix);
    this.#needsList = false;
    const { epoch, revision } = this.#source;
    if (this.#hasListed) this.#deliver({ type: 'reset', revision: 0, epoch });
    this.#hasListed = true;
    for (const record of records) {
      if (this.#needsList) return;
      this.#deliver({ type: 'put', entry: toEntry(record), revision: record.revision, epoch });
    }
    if (!this.#needsList) this.#deliver({ type: 'synced', revision, epoch });
  }

  #deliverPending(): void {
    const batch = this.#pending;
    this.#pending = [];
    for (const change of batch) {
      if (this.#needsList) return;
      const { epoch } = this.#source;
      if (change.type === 'head') this.#deliver({ type: 'head', revision: this.#source.revision, epoch });
      else this.#deliver({ type: change.type, entry: toEntry(change.record), revision: change.revision, epoch });
    }
  }

  #deliver(event: StateEvent): void {
    if (this.#isClosed) return;
    if (event.type === 'synced' || event.type === 'head') this.#provenAt = this.#source.provenAtMs ?? this.#provenAt;
    try {
      this.#on(event);
    } catch {
      // The listener's bug, and a transport has nobody to tell; the watch goes on.
    }
  }
}

export function toEntry(record: StateRecord): StateEntry {
  const { key, revision, leaseMs } = record;
  const value = new Uint8Array(record.value);
  return leaseMs === undefined ? { key, value, revision } : { key, value, revision, leaseMs };
}
