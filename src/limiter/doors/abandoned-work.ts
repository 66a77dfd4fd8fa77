/**
 * A handler that works on for a caller that has gone. Its permit stays out: a server whose callers time out and come again would take in the work
 * of both otherwise, which is how an overload outlasts its cause.
 *
 * Not for ever: a handler that waits for what cannot come any more (`finish` of a response that was cut off) never says that it is over.
 */
import type { Clock, Timer } from '../../core/clock.js';

/** So long a permit stays out for a handler that says nothing. */
export const MOST_ABANDONED_MS = 30_000;

export class AbandonedWork {
  readonly #end: () => void;
  readonly #timer: Timer;

  /** `end` is called once or twice. */
  constructor(clock: Clock, end: () => void) {
    this.#end = end;
    this.#timer = clock.timer(MOST_ABANDONED_MS, end);
  }

  /** The handler is done. */
  over(): void {
    this.#timer.cancel();
    this.#end();
  }
}
