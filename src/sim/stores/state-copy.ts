/**
 * A process's copy of a store, kept up by one connection while somebody watches.
 *
 * How does it come back? No proof for {@link PATIENCE_MS} is a lost connection, even if changes still come: another is opened, its list
 * replaces the copy, and watches see `reset`. The age grows meanwhile: it is counted from when the last proof was asked for.
 */
import type { Timer } from '../../core/clock.js';
import type { StateChange, StateRecord, StateSource } from '../../core/internal/state-watch.js';
import type { StateEvent } from '../../core/transport/state.js';
import { Following, type SimStateStore } from './state-store.js';
import type { StoreClient } from './store-client.js';

const ASK_EVERY_MS = 500;
const PATIENCE_MS = 2000;
const AGAIN_MS = 250;

export class StateCopy implements StateSource {
  epoch = '';
  revision = 0;
  provenAtMs: number | undefined;
  readonly #client: StoreClient;
  readonly #store: SimStateStore;
  readonly #listeners = new Set<(change: StateChange) => void>();
  #records = new Map<string, StateRecord>();
  #following: Following | undefined;
  /** Of a connection whose list is not complete. */
  #list: Map<string, StateRecord> | undefined;
  #openedAtMs = 0;
  /** The last proof. */
  #heardAtMs = 0;
  #timer: Timer | undefined;

  constructor(client: StoreClient, store: SimStateStore) {
    this.#client = client;
    this.#store = store;
    client.process.onKill(() => this.#following?.close());
  }

  list(prefix: string): StateRecord[] {
    const found: StateRecord[] = [];
    for (const record of this.#records.values()) if (record.key.startsWith(prefix)) found.push(record);
    return found.sort((a, b) => a.revision - b.revision);
  }

  subscribe(listener: (change: StateChange) => void): () => void {
    this.#listeners.add(listener);
    if (this.#timer === undefined) this.#open();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.close();
    };
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#following?.close();
    this.#following = undefined;
    this.#records.clear();
    this.provenAtMs = undefined;
  }

  get #now(): number {
    return this.#client.process.runtime.clock.now();
  }

  #open(): void {
    this.#openedAtMs = this.#now;
    this.#heardAtMs = this.#now;
    this.#list = new Map();
    const following: Following = new Following(this.#client, this.#store, {
      onEvent: (event) => {
        if (this.#following === following) this.#take(event);
      },
      onProof: (askedAtMs, revision) => {
        if (this.#following !== following) return;
        this.#heardAtMs = this.#now;
        if (this.#list !== undefined) return;
        this.provenAtMs = askedAtMs;
        this.revision = Math.max(this.revision, revision);
      },
      onLost: () => {
        if (this.#following === following) this.#again();
      },
    });
    this.#following = following;
    this.#timer = this.#client.process.runtime.clock.timer(ASK_EVERY_MS, this.#tick);
  }

  readonly #tick = (): void => {
    if (this.#now - this.#heardAtMs > PATIENCE_MS) {
      this.#following?.close();
      this.#open();
      return;
    }
    this.#following?.ask();
    this.#timer = this.#client.process.runtime.clock.timer(ASK_EVERY_MS, this.#tick);
  };

  #again(): void {
    this.#following = undefined;
    this.#timer?.cancel();
    this.#timer = this.#client.process.runtime.clock.timer(AGAIN_MS, () => this.#open());
  }

  #take({ type, entry, revision, epoch }: StateEvent): void {
    if (type === 'reset') {
      this.#list = new Map();
      return;
    }
    if (this.#list !== undefined) {
      if (type === 'put' && entry !== undefined) this.#list.set(entry.key, toRecord(entry));
      if (type === 'synced') this.#replace(this.#list, revision, epoch);
      return;
    }
    if (entry === undefined || (type !== 'put' && type !== 'delete' && type !== 'expired')) return;
    this.revision = revision;
    const record = toRecord(entry);
    if (type === 'put') this.#records.set(record.key, record);
    else this.#records.delete(record.key);
    this.#tell({ type, record, revision });
  }

  #replace(records: Map<string, StateRecord>, revision: number, epoch: string): void {
    this.#list = undefined;
    this.#records = records;
    this.revision = revision;
    this.epoch = epoch;
    this.provenAtMs = this.#openedAtMs;
    this.#tell({ type: 'reset' });
  }

  #tell(change: StateChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function toRecord(entry: NonNullable<StateEvent['entry']>): StateRecord {
  return { key: entry.key, value: entry.value, revision: entry.revision, leaseMs: entry.leaseMs };
}
