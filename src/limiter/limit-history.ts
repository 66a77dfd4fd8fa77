/** The last change of a limit, and what it was calculated from: the answer to "why". */
import type { Clock } from '../core/clock.js';
import type { LimitWindow } from './limits/limit.js';

export interface LimitChange {
  /** Clock.now(), milliseconds. */
  readonly atMs: number;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
  /** The window it was calculated from; undefined for a change by a signal, by the share of a quota or after idleness, which is from none. */
  readonly window: Readonly<LimitWindow> | undefined;
}

export class LimitHistory {
  readonly #clock: Clock;
  last: LimitChange;
  changes = 0;

  constructor(clock: Clock, initial: number) {
    this.#clock = clock;
    this.last = { atMs: clock.now(), from: initial, to: initial, reason: 'initial', window: undefined };
  }

  note(from: number, to: number, reason: string, window: LimitWindow | undefined): void {
    this.changes++;
    this.last = { atMs: this.#clock.coarse(), from, to, reason, window: window && copyOf(window) };
  }
}

const FIELDS: Readonly<Record<keyof LimitWindow, true>> = {
  limit: true,
  nowMs: true,
  lengthMs: true,
  ended: true,
  failed: true,
  dropped: true,
  retryAfterMs: true,
  inFlight: true,
  mostInFlight: true,
  latencyMs: true,
  latencyErrorMs: true,
  queueMs: true,
  refused: true,
};
const FIELD_NAMES = Object.keys(FIELDS) as (keyof LimitWindow)[];

/** The meter is used again, and has more than this. */
function copyOf(window: LimitWindow): LimitWindow {
  return Object.fromEntries(FIELD_NAMES.map((name) => [name, window[name]])) as unknown as LimitWindow;
}
