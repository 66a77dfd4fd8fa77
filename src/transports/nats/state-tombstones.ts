/**
 * Markers of deletes that are still in the stream: one per key that ever was would outgrow the bucket. Whoever wrote one removes it,
 * later, on the way of what it does with the bucket; where the writer is gone, one of those who saw it does.
 */
import type { Clock } from '../../core/clock.js';
import type { Random } from '../../core/random.js';
import { MAX_REMEMBERED } from './state-leases.js';
import { RESUME_WITHIN_MS } from './stream-follower.js';

export interface StoredMarkers {
  /** Removes the messages of a key up to a sequence. */
  purge(key: string, seq: number): Promise<void>;
  /** That message is there. */
  has(seq: number): Promise<boolean>;
}

interface Tombstone {
  readonly seq: number;
  /** Clock.now() when this process first saw it. */
  readonly seenAt: number;
}

/** `seen`: by many processes, perhaps, and most of them come when it is gone. */
const RULES = {
  // Every watch has by then either seen the marker or must list anew.
  written: { afterMs: 2 * RESUME_WITHIN_MS, everyMs: 60_000 },
  seen: { afterMs: 4 * RESUME_WITHIN_MS, everyMs: 10 * 60_000 },
} as const;
const PURGES_AT_ONCE = 64;

export class StateTombstones {
  /** Of entries; beyond it the oldest are left to others. */
  limit = MAX_REMEMBERED;
  readonly #kind: keyof typeof RULES;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #stored: StoredMarkers;
  /** The oldest first. */
  readonly #known = new Map<string, Tombstone>();
  #nextSweep: number | undefined;

  constructor(kind: keyof typeof RULES, { clock, random }: { clock: Clock; random: Random }, stored: StoredMarkers) {
    this.#kind = kind;
    this.#clock = clock;
    this.#random = random;
    this.#stored = stored;
  }

  add(key: string, seq: number): void {
    if (this.#known.get(key)?.seq === seq) return;
    this.#known.delete(key);
    this.#known.set(key, { seq, seenAt: this.#clock.now() });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= this.limit) break;
      this.#known.delete(oldest);
    }
  }

  /** The key has a value again. */
  forget(key: string): void {
    this.#known.delete(key);
  }

  clear(): void {
    this.#known.clear();
  }

  /** Removes those that are old enough, in the background, now and then. */
  sweep(): void {
    if (this.#known.size === 0) return;
    const now = this.#clock.now();
    const { afterMs, everyMs } = RULES[this.#kind];
    // Many began to watch in the same moment: each takes its own.
    this.#nextSweep ??= now + everyMs * this.#random.next();
    if (now < this.#nextSweep) return;
    this.#nextSweep = now + everyMs * (0.5 + this.#random.next());
    this.#sweepSeenUntil(now - afterMs).catch(() => {});
  }

  /** What cannot be removed is left to the next sweep. */
  async #sweepSeenUntil(seenAt: number): Promise<void> {
    for (;;) {
      const due: [string, Tombstone][] = [];
      for (const entry of this.#known) {
        if (entry[1].seenAt > seenAt || due.length === PURGES_AT_ONCE) break;
        due.push(entry);
      }
      const [first] = due;
      if (first === undefined) return;
      // Where the oldest is gone somebody has swept: a thousand watchers must not each remove all of them.
      if (this.#kind === 'written' || (await this.#stored.has(first[1].seq))) {
        await Promise.all(due.map(([key, { seq }]) => this.#stored.purge(key, seq)));
      }
      for (const [key, tombstone] of due) if (this.#known.get(key) === tombstone) this.#known.delete(key);
    }
  }
}
