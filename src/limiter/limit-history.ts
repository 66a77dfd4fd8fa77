/** The last change of a limit, and what it was calculated from: the answer to "why". */
import type { Clock } from '../core/clock.js';
import type { LimitWindow } from './limits/limit.js';

export interface LimitChange {
  /** Clock.now(). */
  readonly atMs: number;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
  /** The window it was calculated from. */
  readonly window: Readonly<LimitWindow>;
}

export class LimitHistory {
  readonly #clock: Clock;
  #atMs: number;
  #from: number;
  #to: number;
  #reason = 'initial';
  readonly #window: { -readonly [K in keyof LimitWindow]: LimitWindow[K] };
  changes = 0;

  constructor(clock: Clock, initial: number) {
    this.#clock = clock;
    this.#atMs = clock.now();
    this.#from = initial;
    this.#to = initial;
    this.#window = {
      limit: initial,
      nowMs: this.#atMs,
      lengthMs: 0,
      ended: 0,
      failed: 0,
      dropped: 0,
      retryAfterMs: 0,
      inFlight: 0,
      mostInFlight: 0,
      latencyMs: Number.NaN,
      queueMs: 0,
      refused: 0,
    };
  }

  note(from: number, to: number, reason: string, window: LimitWindow): void {
    this.changes++;
    this.#atMs = this.#clock.coarse();
    this.#from = from;
    this.#to = to;
    this.#reason = reason;
    const kept = this.#window;
    kept.limit = window.limit;
    kept.nowMs = window.nowMs;
    kept.lengthMs = window.lengthMs;
    kept.ended = window.ended;
    kept.failed = window.failed;
    kept.dropped = window.dropped;
    kept.retryAfterMs = window.retryAfterMs;
    kept.inFlight = window.inFlight;
    kept.mostInFlight = window.mostInFlight;
    kept.latencyMs = window.latencyMs;
    kept.queueMs = window.queueMs;
    kept.refused = window.refused;
  }

  last(): LimitChange {
    return { atMs: this.#atMs, from: this.#from, to: this.#to, reason: this.#reason, window: { ...this.#window } };
  }
}
