/**
 * What one process knows of a state store: every document at its head, and when each lease runs out by this process's clock.
 *
 * From when does a lease count? From the moment this process saw its revision. So a reader that was asleep, or has just opened the
 * store, gives a holder the whole of it once more, and no two clocks are compared.
 */
import { EvenkeelError } from '../../core/errors.js';
import { Deadlines } from '../../core/internal/deadlines.js';
import type { StateChange, StateRecord } from '../../core/internal/state-watch.js';
import type { Commit, CommitEntry, Snapshot } from './state-format.js';

/** A lease that has run out, taken from the list of those that run. */
export interface DueLease {
  readonly key: string;
  readonly revision: number;
  /** Of key and value. */
  readonly bytes: number;
  readonly atMs: number;
}

export class StateReplica {
  readonly epoch: string;
  /** Of the newest commit known. */
  revision = 0;
  /** The names under which that commit and the one before it stand; 0: none does, or it is in a snapshot. */
  headName = 0;
  previousName = 0;
  /** Of keys and values. */
  bytes = 0;
  readonly #records = new Map<string, StateRecord>();
  readonly #leases = new Deadlines<string>();

  constructor(epoch: string, snapshot: Snapshot | undefined, now: number) {
    this.epoch = epoch;
    if (snapshot === undefined) return;
    this.revision = snapshot.revision;
    for (const record of snapshot.records) this.#set(record, now);
  }

  get size(): number {
    return this.#records.size;
  }

  /** Undefined also for one whose lease has run out, though its expiry is not committed yet. */
  get(key: string, now: number): StateRecord | undefined {
    const leaseEnd = this.#leases.get(key);
    return leaseEnd !== undefined && leaseEnd <= now ? undefined : this.#records.get(key);
  }

  /** In order of revision. */
  list(prefix: string): StateRecord[] {
    const found: StateRecord[] = [];
    for (const record of this.#records.values()) if (record.key.startsWith(prefix)) found.push(record);
    return found.sort((a, b) => a.revision - b.revision);
  }

  /** @throws {EvenkeelError} `data-loss` for a commit of another history, or one that does not follow. */
  apply({ epoch, firstRevision, entries }: Commit, now: number, tell: (change: StateChange) => void): void {
    if (epoch !== this.epoch || firstRevision !== this.revision + 1 || entries.length === 0) {
      throw new EvenkeelError('data-loss', `commit ${firstRevision} does not follow revision ${this.revision} of this history`);
    }
    this.previousName = this.headName;
    this.headName = firstRevision;
    for (const entry of entries) {
      const change = this.#applyEntry(entry, ++this.revision, now);
      if (change !== undefined) tell(change);
    }
  }

  /** When the next lease runs out. */
  get nextLeaseEndMs(): number | undefined {
    return this.#leases.next();
  }

  /** Takes up to `limit` leases that have run out; give back those whose expiry was not committed. */
  takeDue(now: number, limit: number): DueLease[] {
    const due: DueLease[] = [];
    while (due.length < limit) {
      const next = this.#leases.takeDue(now);
      if (next === undefined) break;
      const record = this.#records.get(next.key);
      due.push({ key: next.key, revision: record?.revision ?? 0, bytes: record ? sizeOf(record) : 0, atMs: next.at });
    }
    return due;
  }

  giveBack(due: readonly DueLease[]): void {
    for (const { key, revision, atMs } of due) {
      // Another put since then began a lease of its own.
      if (this.#records.get(key)?.revision === revision && this.#leases.get(key) === undefined) this.#leases.set(key, atMs);
    }
  }

  #applyEntry(entry: CommitEntry, revision: number, now: number): StateChange | undefined {
    if (entry.type === 'put') {
      const { key, value, leaseMs } = entry;
      const record = { key, value, revision, leaseMs };
      this.#set(record, now);
      return { type: 'put', record, revision };
    }
    const record = this.#records.get(entry.key);
    if (record === undefined) return undefined;
    this.#records.delete(entry.key);
    this.#leases.delete(entry.key);
    this.bytes -= sizeOf(record);
    return { type: entry.type, record, revision };
  }

  #set(record: StateRecord, now: number): void {
    const { key, leaseMs } = record;
    const old = this.#records.get(key);
    this.bytes += sizeOf(record) - (old === undefined ? 0 : sizeOf(old));
    this.#records.set(key, record);
    if (leaseMs === undefined) this.#leases.delete(key);
    else this.#leases.set(key, now + leaseMs);
  }
}

export function sizeOf({ key, value }: { readonly key: string; readonly value: Uint8Array }): number {
  return key.length + value.byteLength;
}
