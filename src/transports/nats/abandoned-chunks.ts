/**
 * Removes what writers leave that died.
 *
 * When is a writer dead? When its intent stands unchanged for an hour by the clock of who looks, or is a day older than one that was
 * written just now, by the server's clock: a process that lives for less than an hour finds those. A clock that jumps by a day takes
 * a living writer for dead; it is told so, and no blob is harmed.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { isEvenkeelError } from '../../core/errors.js';
import type { Random } from '../../core/random.js';

/** What is said beside chunks. */
export interface Intent {
  readonly name: string;
  /** By whoever removes them: their writer must not go on. */
  readonly isAbandoned?: boolean;
}

export interface StoredIntent extends Partial<Intent> {
  readonly seq: number;
  /** By the clock of the server. */
  readonly atMs: number;
}

/** The bucket's. */
export interface Intents {
  /** Of the chunks beside which there is one. */
  ids(): AsyncIterable<string>;
  /** As it was said last. */
  read(id: string): Promise<StoredIntent | undefined>;
}

const UNCHANGED_FOR_MS = 60 * 60_000;
const OLDER_BY_MS = 24 * 60 * 60_000;
const LOOK_EVERY_MS = 10 * 60_000;

export class AbandonedChunks {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #intents: Intents;
  readonly #abandon: (id: string, intent: StoredIntent) => Promise<void>;
  readonly #seen = new Map<string, { seq: number; sinceMs: number }>();
  #nextLook = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #isClosed = false;

  /** @param abandon - Removes the chunks unless they are a blob's, and the intent; refused when it is not the last. */
  constructor(
    { clock, random }: { clock: Clock; random: Random },
    intents: Intents,
    abandon: (id: string, intent: StoredIntent) => Promise<void>,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#intents = intents;
    this.#abandon = abandon;
  }

  /**
   * Looks now and then, in the background, from the first writer on.
   * @param own - An intent written just now.
   */
  look(own?: string): void {
    const now = this.#clock.now();
    if (now < this.#nextLook || this.#isClosed) return;
    this.#nextLook = now + LOOK_EVERY_MS * (0.5 + 0.5 * this.#random.next());
    this.#timer?.cancel();
    this.#timer = this.#clock.timer(LOOK_EVERY_MS, () => this.look());
    // What fails is looked at again.
    this.#look(now, own).catch(() => {});
  }

  forget(id: string): void {
    this.#seen.delete(id);
  }

  forgetAll(): void {
    this.#seen.clear();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  async #look(now: number, own: string | undefined): Promise<void> {
    const atMs = own === undefined ? undefined : (await this.#intents.read(own))?.atMs;
    const there = new Set<string>();
    for await (const id of this.#intents.ids()) {
      const intent = await this.#intents.read(id);
      if (intent === undefined) continue;
      there.add(id);
      const isOld = atMs !== undefined && atMs - intent.atMs >= OLDER_BY_MS;
      if (!isOld && !this.#isUnchanged(id, intent.seq, now)) continue;
      try {
        await this.#abandon(id, intent);
      } catch (error) {
        // A living writer's after all: the others have nothing to do with it.
        if (isEvenkeelError(error, 'unavailable')) throw error;
      }
    }
    for (const id of this.#seen.keys()) if (!there.has(id)) this.#seen.delete(id);
  }

  #isUnchanged(id: string, seq: number, now: number): boolean {
    const seen = this.#seen.get(id);
    if (seen?.seq === seq) return now - seen.sinceMs >= UNCHANGED_FOR_MS;
    this.#seen.set(id, { seq, sinceMs: now });
    return false;
  }
}
