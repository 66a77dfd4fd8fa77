/**
 * One watch: the list, then every change, delivered from a microtask.
 *
 * How much may pile up? Changes wait only while synchronous code runs on; past {@link MAX_PENDING_CHANGES} the watch drops them
 * all and says `reset`, as a watch over a network does after a gap that its server no longer remembers.
 */
import type { Clock, Timer } from '../../core/clock.js';
import type { StateEntry, StateEvent, Watch } from '../../core/transport/state.js';
import type { StateChange, StateRecord, StateStore } from './state-store.js';

export const MAX_PENDING_CHANGES = 10_000;
/** How often an idle watch proves that it holds the head. */
const HEAD_EVERY_MS = 1000;

type PendingEvent = Exclude<StateChange, { type: 'reset' }> | { readonly type: 'head' };

export class StateWatch implements Watch {
  readonly #store: StateStore;
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
    store: StateStore,
    clock: Clock,
    prefix: string,
    on: (event: StateEvent) => void,
    onClose: (watch: StateWatch) => void,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#prefix = prefix;
    this.#on = on;
    this.#onClose = onClose;
    this.#unsubscribe = store.subscribe(this.#onChange);
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
    if (this.#needsList) return; // The list will show it.
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
      this.#pending.push({ type: 'head' });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    queueMicrotask(() => {
      while (!this.#isClosed && (this.#needsList || this.#pending.length > 0)) {
        if (this.#needsList) this.#deliverList();
        else this.#deliverPending();
      }
      this.#isDelivering = false;
    });
  }

  #deliverList(): void {
    // Listing may expire leases; those changes are in the list already, so they are still ignored here.
    const records = this.#store.list(this.#prefix);
    this.#needsList = false;
    const { epoch, revision } = this.#store;
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
      const { epoch } = this.#store;
      if (change.type === 'head') this.#deliver({ type: 'head', revision: this.#store.revision, epoch });
      else this.#deliver({ type: change.type, entry: toEntry(change.record), revision: change.revision, epoch });
    }
  }

  #deliver(event: StateEvent): void {
    if (this.#isClosed) return;
    if (event.type === 'synced' || event.type === 'head') this.#provenAt = this.#clock.now();
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
