/**
 * Markers of deletes that are still in the stream: one per key that ever was would outgrow the bucket. Whoever wrote or saw one
 * removes it, later, on the way of what it does with the bucket.
 */
import type { Clock } from '../../core/clock.js';
import type { Random } from '../../core/random.js';
import { MAX_REMEMBERED } from './state-leases.js';
import { RESUME_WITHIN_MS } from './stream-follower.js';

/** Every watch has by then either seen the marker or must list anew. */
const SWEEP_AFTER_MS = 2 * RESUME_WITHIN_MS;
const SWEEP_EVERY_MS = 60_000;
const PURGES_AT_ONCE = 64;

interface Tombstone {
  readonly seq: number;
  /** Clock.now() when this process first saw it. */
  readonly seenAt: number;
}

export class StateTombstones {
  /** Of entries; beyond it the oldest are left to those who watch. */
  limit = MAX_REMEMBERED;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #purge: (key: string, seq: number) => Promise<void>;
  /** The oldest first. */
  readonly #seen = new Map<string, Tombstone>();
  #nextSweep = Number.NEGATIVE_INFINITY;

  /** @param purge - Removes the messages of a key up to a sequence. */
  constructor(clock: Clock, random: Random, purge: (key: string, seq: number) => Promise<void>) {
    this.#clock = clock;
    this.#random = random;
    this.#purge = purge;
  }

  saw(key: string, seq: number): void {
    if (this.#seen.get(key)?.seq === seq) return;
    this.#seen.delete(key);
    this.#seen.set(key, { seq, seenAt: this.#clock.now() });
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= this.limit) break;
      this.#seen.delete(oldest);
    }
  }

  /** The key has a value again. */
  forget(key: string): void {
    this.#seen.delete(key);
  }

  clear(): void {
    this.#seen.clear();
  }

  /** Removes those that are old enough, in the background, now and then. */
  sweep(): void {
    if (this.#seen.size === 0) return;
    const now = this.#clock.now();
    if (now < this.#nextSweep) return;
    this.#nextSweep = now + SWEEP_EVERY_MS * (0.5 + this.#random.next());
    void this.#sweepSeenUntil(now - SWEEP_AFTER_MS);
  }

  async #sweepSeenUntil(seenAt: number): Promise<void> {
    for (;;) {
      const due: [string, Tombstone][] = [];
      for (const entry of this.#seen) {
        if (entry[1].seenAt > seenAt || due.length === PURGES_AT_ONCE) break;
        due.push(entry);
      }
      if (due.length === 0) return;
      const purged = await Promise.allSettled(due.map(([key, { seq }]) => this.#purge(key, seq)));
      for (const [key, tombstone] of due) if (this.#seen.get(key) === tombstone) this.#seen.delete(key);
      // What could not be removed is the next watch's.
      if (purged.some(({ status }) => status === 'rejected')) return;
    }
  }
}
