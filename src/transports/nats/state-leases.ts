/**
 * When leases run out, by the clock of this observer: each from the moment this process first saw its revision. Whoever opens the
 * store later, or slept, gives the holder the whole of its lease once more, and no two clocks are compared.
 */
import { Deadlines } from '../../core/internal/deadlines.js';

/** Leases, and markers of deletes, that a process without a copy of the bucket remembers. */
export const MAX_REMEMBERED = 100_000;

export class StateLeases {
  /** Of entries; beyond it the oldest are forgotten, and their next reader begins anew. */
  limit = MAX_REMEMBERED;
  readonly #revisions = new Map<string, number>();
  readonly #ends = new Deadlines<string>();

  /** A revision of the key was seen; without `leaseMs` it is held by no lease. */
  saw(key: string, revision: number, leaseMs: number | undefined, now: number): void {
    const known = this.#revisions.get(key);
    if (known !== undefined && known > revision) return;
    if (leaseMs === undefined) {
      // Also when that revision had one: a bucket made again counts from 1.
      if (known !== undefined) this.forget(key);
      return;
    }
    if (known === revision) return;
    this.#revisions.delete(key);
    this.#revisions.set(key, revision);
    this.#ends.set(key, now + leaseMs);
    for (const oldest of this.#revisions.keys()) {
      if (this.#revisions.size <= this.limit) break;
      this.forget(oldest);
    }
  }

  forget(key: string): void {
    this.#revisions.delete(key);
    this.#ends.delete(key);
  }

  clear(): void {
    this.#revisions.clear();
    this.#ends.clear();
  }

  /** True when the lease of that revision has run out. */
  isOver(key: string, revision: number, now: number): boolean {
    if (this.#revisions.get(key) !== revision) return false;
    const end = this.#ends.get(key);
    return end === undefined || end <= now;
  }

  /** When the next runs out. */
  get nextEndMs(): number | undefined {
    return this.#ends.next();
  }

  /** Takes one that has run out from those that {@link nextEndMs} tells of; it stays over. */
  takeDue(now: number): { key: string; revision: number } | undefined {
    const due = this.#ends.takeDue(now);
    return due === undefined ? undefined : { key: due.key, revision: this.#revisions.get(due.key) ?? 0 };
  }

  /** Its expiry could not be committed: it is due again at `atMs`. */
  giveBack(key: string, revision: number, atMs: number): void {
    if (this.#revisions.get(key) === revision) this.#ends.set(key, atMs);
  }
}
