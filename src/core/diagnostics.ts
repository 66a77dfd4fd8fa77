/**
 * Where errors go that nobody awaits: a listener that threw, a background poll that failed. Each counts; the operator is told of
 * the first of a source and then at most once a minute, with the number held back.
 */
import type { Clock } from './clock.js';

const QUIET_MS = 60_000;
/** Sources are module and event names, so few; a bound all the same. */
const MAX_SOURCES = 256;

export class Diagnostics {
  readonly #clock: Clock;
  readonly #warn: (message: string) => void;
  readonly #sources = new Map<string, { count: number; toldAt: number; heldBack: number }>();
  #total = 0;

  constructor(clock: Clock, warn: (message: string) => void) {
    this.#clock = clock;
    this.#warn = warn;
  }

  /** Errors reported so far. */
  get total(): number {
    return this.#total;
  }

  report(source: string, error: unknown): void {
    this.#total++;
    const now = this.#clock.coarse();
    let entry = this.#sources.get(source);
    if (entry === undefined) {
      if (this.#sources.size >= MAX_SOURCES) return;
      entry = { count: 0, toldAt: Number.NEGATIVE_INFINITY, heldBack: 0 };
      this.#sources.set(source, entry);
    }
    entry.count++;
    if (now - entry.toldAt < QUIET_MS) {
      entry.heldBack++;
      return;
    }
    const more = entry.heldBack > 0 ? ` (and ${entry.heldBack} more since the last line)` : '';
    entry.toldAt = now;
    entry.heldBack = 0;
    try {
      this.#warn(`evenkeel ${source}: ${error instanceof Error ? error.message : String(error)}${more}`);
    } catch {
      // The operator's channel is broken; there is nobody left to tell.
    }
  }

  /** Errors by source. */
  snapshot(): Record<string, number> {
    return Object.fromEntries([...this.#sources].map(([source, { count }]) => [source, count]));
  }
}
