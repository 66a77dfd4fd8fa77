/**
 * The writes that wait for the next commit, and which of them it can take.
 *
 * One commit takes all that wait, each at a revision of its own and in the order they came: while one is on its way to the disk the
 * next gathers. A write that expects a revision is judged by the documents as the writes before it in the same commit leave them.
 */
import { EvenkeelError } from '../../core/errors.js';
import { cancelled, full } from '../../core/internal/transport-guards.js';
import { MAX_COMMIT_BYTES } from './state-folder.js';
import type { CommitEntry } from './state-format.js';
import { type DueLease, type StateReplica, sizeOf } from './state-replica.js';

export const MAX_COMMIT_ENTRIES = 256;
/** Beyond this writes are refused: the disk does not keep up. */
const MAX_WAITING_WRITES = 10_000;

export interface StateBounds {
  readonly maxKeys: number;
  readonly maxBytes: number;
}

/** One put or delete, until it is settled. */
export class StateWrite {
  readonly entry: Exclude<CommitEntry, { type: 'expired' }>;
  readonly expect: number | 'absent' | undefined;
  readonly done: Promise<number>;
  isSettled = false;
  #resolve: (revision: number) => void = () => {};
  #reject: (error: unknown) => void = () => {};
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.#abort();
  #isTaken = false;

  constructor(entry: StateWrite['entry'], expect: StateWrite['expect'], signal: AbortSignal | undefined) {
    this.entry = entry;
    this.expect = expect;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** From here on it may land even if its caller leaves. */
  take(): void {
    this.#isTaken = true;
  }

  resolve(revision: number): void {
    if (this.#settle()) this.#resolve(revision);
  }

  reject(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  #abort(): void {
    const error = cancelled(this.#signal as AbortSignal, 'the write');
    const { code, message, cause } = error;
    this.reject(this.#isTaken ? new EvenkeelError(code, message, { cause, retryable: 'unknown' }) : error);
  }

  #settle(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    return true;
  }
}

/** What one attempt to commit consists of. */
export interface CommitPlan {
  readonly due: readonly DueLease[];
  readonly entries: readonly CommitEntry[];
  /** Writes that are part of it, in the order of the last entries. */
  readonly accepted: readonly StateWrite[];
  /** Those that cannot be, by the documents as this process knows them. */
  readonly refused: readonly { readonly write: StateWrite; readonly error: EvenkeelError | undefined }[];
}

export class WaitingWrites {
  #writes: StateWrite[] = [];

  get size(): number {
    return this.#writes.length;
  }

  add(write: StateWrite): void {
    if (this.#writes.length >= MAX_WAITING_WRITES) write.reject(full('the queue of writes', MAX_WAITING_WRITES));
    else this.#writes.push(write);
  }

  /** All of them, for the end. */
  takeAll(): StateWrite[] {
    const writes = this.#writes;
    this.#writes = [];
    return writes;
  }

  /** As many as one commit takes; those whose callers have left are gone. */
  take(): StateWrite[] {
    const taken: StateWrite[] = [];
    let bytes = 0;
    let seen = 0;
    for (const write of this.#writes) {
      const size = write.entry.type === 'put' ? sizeOf(write.entry) : write.entry.key.length;
      if (taken.length >= MAX_COMMIT_ENTRIES || (taken.length > 0 && bytes + size > MAX_COMMIT_BYTES)) break;
      seen++;
      if (write.isSettled) continue;
      bytes += size;
      taken.push(write);
    }
    this.#writes.splice(0, seen);
    return taken;
  }
}

/** What a key holds; revision 0: nothing. */
interface Held {
  readonly revision: number;
  readonly bytes: number;
}

const NOTHING: Held = { revision: 0, bytes: 0 };

/** Leases that have run out come first: a write may expect the absence they bring. */
export function planCommit(replica: StateReplica, writes: readonly StateWrite[], bounds: StateBounds, now: number): CommitPlan {
  const due = replica.takeDue(now, MAX_COMMIT_ENTRIES);
  const entries: CommitEntry[] = due.map(({ key }) => ({ type: 'expired', key }));
  const accepted: StateWrite[] = [];
  const refused: { write: StateWrite; error: EvenkeelError | undefined }[] = [];
  /** Keys as the entries so far leave them. */
  const changed = new Map<string, Held>(due.map(({ key }) => [key, NOTHING]));
  let keys = replica.size - due.length;
  let bytes = due.reduce((sum, lease) => sum - lease.bytes, replica.bytes);
  for (const write of writes) {
    const { entry, expect } = write;
    const present = changed.get(entry.key) ?? heldIn(replica, entry.key, now);
    const next = entry.type === 'put' ? { revision: replica.revision + entries.length + 1, bytes: sizeOf(entry) } : NOTHING;
    if (expect !== undefined && present.revision !== (expect === 'absent' ? 0 : expect)) {
      refused.push({ write, error: unexpected(entry.key, present.revision, expect) });
    } else if (entry.type === 'delete' && present.revision === 0) {
      refused.push({ write, error: undefined });
    } else if (entry.type === 'put' && present.revision === 0 && keys >= bounds.maxKeys) {
      refused.push({ write, error: full('the store', bounds.maxKeys) });
    } else if (entry.type === 'put' && bytes - present.bytes + next.bytes > bounds.maxBytes) {
      refused.push({ write, error: full('the store', bounds.maxBytes) });
    } else {
      accepted.push(write);
      entries.push(entry);
      changed.set(entry.key, next);
      bytes += next.bytes - present.bytes;
      keys += Number(next.revision > 0) - Number(present.revision > 0);
    }
  }
  return { due, entries, accepted, refused };
}

function heldIn(replica: StateReplica, key: string, now: number): Held {
  const record = replica.get(key, now);
  return record === undefined ? NOTHING : { revision: record.revision, bytes: sizeOf(record) };
}

function unexpected(key: string, revision: number, expect: number | 'absent'): EvenkeelError {
  return new EvenkeelError('aborted', `${key} is at revision ${revision}, not ${expect}`, { details: { key, revision, expect } });
}
