/**
 * Which of two readings of a store is the newer, and since when nothing has proven the one we hold.
 *
 * Within an epoch the higher revision is newer, whatever order readings come in: lost, doubled and late ones do no harm. Epochs, the lives of
 * a store, have no order of their own: after a restore from a backup revisions begin lower. But each reading was true at some moment between its
 * question and its answer, on our own clock. One of another epoch is newer when it was asked for after the last proof of the present epoch had come:
 * then the store has changed since. If the two overlap nobody can say, and the next reading will.
 *
 * Staleness is the time since the last moment at which what we hold was surely the newest; time since the last change says nothing.
 */

export interface Reading {
  /** Opaque; compared for equality only. */
  readonly epoch: string;
  /** Positive, rises within an epoch; 0: the store held nothing. */
  readonly revision: number;
  /** Clock.now(), ms: the store was so at some moment between these two. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export class HeadOrder {
  /** Undefined: nothing was ever read. */
  #epoch: string | undefined;
  #revision = 0;
  /** Of the last proof that `#epoch` is the store's: the latest moment at which that may have been. */
  #epochNotAfterMs = Number.NEGATIVE_INFINITY;
  /** Of the last proof of what is held: the earliest. */
  #provenAtMs = Number.NEGATIVE_INFINITY;

  get epoch(): string | undefined {
    return this.#epoch;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Infinity: never. */
  ageMs(nowMs: number): number {
    return nowMs - this.#provenAtMs;
  }

  /** `newer`: from now on this is what is held. `same`: what is held was proven once more. `older`: it is to be ignored. */
  take({ epoch, notAfterMs, notBeforeMs, revision }: Reading): 'newer' | 'same' | 'older' {
    const isOther = epoch !== this.#epoch;
    if (isOther && this.#epoch !== undefined && notBeforeMs <= this.#epochNotAfterMs) return 'older';
    if (!isOther && revision < this.#revision) return 'older';
    const isNewer = isOther || revision > this.#revision;
    this.#epochNotAfterMs = Math.max(this.#epochNotAfterMs, notAfterMs);
    // What is newer was so after what we held was: a late answer proves no less than the one before it.
    this.#provenAtMs = Math.max(this.#provenAtMs, notBeforeMs);
    this.#epoch = epoch;
    this.#revision = revision;
    return isNewer ? 'newer' : 'same';
  }

  /** From a copy that outlived a process: newer than nothing, and proven by nobody. */
  restore(epoch: string, revision: number): void {
    if (this.#epoch !== undefined) return;
    this.#epoch = epoch;
    this.#revision = revision;
  }
}
