/**
 * StateTransport: small keyed documents with compare-and-set, leases, and a watch that proves how fresh it is.
 *
 * When is a value stale? Only the watcher can say: `Watch.ageMs` is the time, on its own monotonic clock, since the store last
 * proved that the watcher held the newest revision. Time since the last change says nothing.
 *
 * Revisions are positive whole numbers that rise with every commit of a store (deletes and expiries included) within an `epoch`;
 * an epoch is the life of one history, and changes when a store is emptied or restored. Keys: 1 to 512 bytes of UTF-8, segments
 * joined by `/`, no empty, `.` or `..` segment, no control characters. Values: at most {@link MAX_STATE_BYTES}.
 */

export const MAX_STATE_BYTES = 256 * 1024;
export const MAX_STATE_KEY_BYTES = 512;

export interface StateTransport {
  /** The newest committed value, or undefined. A value whose lease has run out by the store's knowledge is absent. */
  get(key: string, options?: { signal?: AbortSignal }): Promise<StateEntry | undefined>;
  /**
   * Writes a value and resolves with its revision once it is as durable as this store gets.
   * @throws {EvenkeelError} `aborted` when `expect` does not hold (`details.revision`: the present one, 0 when absent);
   *   `invalid-argument` for a bad key or lease; `out-of-range` for a value above the limit; `unavailable` when the store cannot
   *   be reached, retryable `unknown` if the write may have landed.
   * The bytes of `value` are read before this returns its promise; afterwards they are the caller's again.
   */
  put(key: string, value: Uint8Array, options?: PutOptions): Promise<number>;
  /** Resolves with the revision of the delete, 0 when there was nothing to delete. Throws as `put`. */
  delete(key: string, options?: { expect?: number; signal?: AbortSignal }): Promise<number>;
  /**
   * Everything below `prefix` (a string prefix; empty: all keys) in order of revision, then `synced`, then each change in order of
   * revision. Events are delivered one at a time, never inside the call to `watch`; what `on` throws is ignored and the watch goes
   * on. After a gap that cannot be replayed: `reset`, the whole list
   * again, `synced`. A put that came twice has the same revision twice; the later one is ignored by the rule "only rising revisions".
   * @throws {EvenkeelError} At once: `invalid-argument` for a prefix that no key can begin with, `failed-precondition` when closed.
   */
  watch(prefix: string, on: (event: StateEvent) => void): Watch;
  /** Ends watches, refuses further use with `failed-precondition`. Idempotent. */
  close(): Promise<void>;
}

export interface PutOptions {
  /** The revision the key must have now (1 or more), or `'absent'`. Without it the write is unconditional. */
  expect?: number | 'absent';
  /**
   * The value is gone when nobody has put it again for this long. A duration: each observer judges by its own monotonic clock,
   * counted from the moment it saw the revision. 100 ms to 1 day. A later put without it makes the value permanent.
   */
  leaseMs?: number;
  signal?: AbortSignal;
}

export interface StateEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
  /** Set when the value is held by a lease. */
  readonly leaseMs?: number;
}

export interface StateEvent {
  /**
   * `put`, `delete`, `expired` (the lease ran out; as good as deleted) · `synced`: the list is complete · `head`: nothing has changed
   * since `revision`, the proof of freshness, at least every few seconds · `reset`: forget everything below the prefix, a new list follows.
   */
  readonly type: 'put' | 'delete' | 'expired' | 'synced' | 'head' | 'reset';
  /** With `put` the new value; with `delete` and `expired` the key and its last value. */
  readonly entry?: StateEntry;
  /** The store's revision this event brings the watcher to. */
  readonly revision: number;
  /** Opaque; compare for equality only. */
  readonly epoch: string;
}

export interface Watch {
  /** Milliseconds since the last proof that this watch holds the head; Infinity before the first `synced`. */
  readonly ageMs: number;
  /** No event is delivered after this returns. Idempotent. */
  close(): void;
}
