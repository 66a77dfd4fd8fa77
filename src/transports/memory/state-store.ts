/**
 * The documents that memory state transports share: one history of revisions, one judge of leases.
 *
 * Whose clock ends a lease? The store's, which is that of the first transport opened on it: the store plays the server. It looks
 * at leases before every operation, and by a timer while a transport is open, so a late timer never shows a value too long.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { EvenkeelError } from '../../core/errors.js';
import { Deadlines } from '../../core/internal/deadlines.js';
import type { StateChange, StateRecord, StateSource } from '../../core/internal/state-watch.js';
import { full } from '../../core/internal/transport-guards.js';
import { liveRandom, type Random, randomId } from '../../core/random.js';

/** What several memory state transports share; closing one and opening another on it is a restart. */
export interface MemoryStateStore {
  readonly epoch: string;
  /** Of the newest commit; 0 in an empty history. */
  readonly revision: number;
  /** Empties the store and begins a new epoch, as a restore from nothing would. Watches see `reset`. */
  clear(): void;
}

export interface MemoryStateStoreOptions {
  /** Names epochs. Default: seeded by the operating system. */
  random?: Random;
  /** Keys held; more are refused with `resource-exhausted`. Default 100,000. */
  maxKeys?: number;
}

const DEFAULT_MAX_KEYS = 100_000;

export function memoryStateStore(options: MemoryStateStoreOptions = {}): MemoryStateStore {
  return new StateStore(options.random ?? liveRandom(), options.maxKeys ?? DEFAULT_MAX_KEYS);
}

export class StateStore implements MemoryStateStore, StateSource {
  readonly #random: Random;
  readonly #maxKeys: number;
  readonly #records = new Map<string, StateRecord>();
  readonly #leases = new Deadlines<string>();
  readonly #listeners = new Set<(change: StateChange) => void>();
  #epoch: string;
  #revision = 0;
  #clock: Clock | undefined;
  #users = 0;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(random: Random, maxKeys: number) {
    this.#random = random;
    this.#maxKeys = maxKeys;
    this.#epoch = randomId(random);
  }

  get epoch(): string {
    return this.#epoch;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Nobody else writes here: at every moment what is held is the newest. */
  get provenAtMs(): number {
    return this.#now();
  }

  attach(clock: Clock): void {
    this.#clock ??= clock;
    this.#users++;
    this.#arm();
  }

  detach(): void {
    this.#users--;
    this.#arm();
  }

  subscribe(listener: (change: StateChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get(key: string): StateRecord | undefined {
    this.#expire();
    return this.#records.get(key);
  }

  /** In order of revision. */
  list(prefix: string): StateRecord[] {
    this.#expire();
    const found: StateRecord[] = [];
    for (const record of this.#records.values()) if (record.key.startsWith(prefix)) found.push(record);
    return found.sort((a, b) => a.revision - b.revision);
  }

  put(key: string, value: Uint8Array, expect: number | 'absent' | undefined, leaseMs: number | undefined): number {
    this.#expire();
    this.#check(key, expect);
    if (!this.#records.has(key) && this.#records.size >= this.#maxKeys) throw full('the store', this.#maxKeys);
    const record = { key, value, revision: ++this.#revision, leaseMs };
    this.#records.set(key, record);
    if (leaseMs === undefined) this.#leases.delete(key);
    else this.#leases.set(key, this.#now() + leaseMs);
    this.#tell({ type: 'put', record, revision: record.revision });
    this.#arm();
    return record.revision;
  }

  delete(key: string, expect: number | undefined): number {
    this.#expire();
    this.#check(key, expect);
    return this.#remove(key, 'delete');
  }

  clear(): void {
    this.#records.clear();
    this.#leases.clear();
    this.#revision = 0;
    this.#epoch = randomId(this.#random);
    this.#tell({ type: 'reset' });
    this.#arm();
  }

  #check(key: string, expect: number | 'absent' | undefined): void {
    if (expect === undefined) return;
    const revision = this.#records.get(key)?.revision ?? 0;
    if (revision === (expect === 'absent' ? 0 : expect)) return;
    throw new EvenkeelError('aborted', `${key} is at revision ${revision}, not ${expect}`, {
      details: { key, revision, expect },
    });
  }

  #remove(key: string, type: 'delete' | 'expired'): number {
    const record = this.#records.get(key);
    if (record === undefined) return 0;
    this.#records.delete(key);
    this.#leases.delete(key);
    this.#tell({ type, record, revision: ++this.#revision });
    return this.#revision;
  }

  #expire(): void {
    const now = this.#now();
    for (let due = this.#leases.takeDue(now); due !== undefined; due = this.#leases.takeDue(now))
      this.#remove(due.key, 'expired');
  }

  #arm(): void {
    const next = this.#users > 0 ? (this.#leases.next() ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
    if (next === this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = next;
    this.#timer =
      next === Number.POSITIVE_INFINITY ? undefined : this.#clock?.timer(Math.max(0, next - this.#now()), this.#onTimer);
  }

  readonly #onTimer = (): void => {
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.#timer = undefined;
    this.#expire();
    this.#arm();
  };

  #now(): number {
    return this.#clock?.now() ?? 0;
  }

  #tell(change: StateChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
