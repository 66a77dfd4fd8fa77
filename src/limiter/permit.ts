/** The right to run, given back once. */
import { checkNumber } from '../core/errors.js';
import type { InFlight, Outcome } from '../core/load-counter.js';
import { MAX_WEIGHT } from './claim.js';
import type { Gate } from './gate.js';
import type { Leak, LeakWatch } from './leak-watch.js';

/**
 * What a limiter gives. `end` gives it back: the first call counts, later ones do nothing, so `finally { permit.end() }` is safe beside an
 * `end` that knows more. `using` ends it as `ok`.
 *
 * `ok` · `error`: it failed, and took its time · `dropped`: those behind turned it away for lack of room, so the limit may be too high ·
 * `ignored`: it says nothing of the server (a hit in a cache, a caller that went away, a bad request), unless it took longer than calls do: then the
 * server would have taken at least as long.
 */
export interface Permit extends InFlight, Disposable {
  /** In the limiter's unit, as of now. */
  readonly weight: number;
  /** @throws {EvenkeelError} `invalid-argument` for a weight that is not from 0 to {@link MAX_WEIGHT}. */
  reweigh(weight: number): void;
  /**
   * @param outcome - Default `ok`.
   * @param retryAfterMs - With `dropped`: how long those behind asked to be left alone, milliseconds. Default 0: they did not.
   */
  end(outcome?: Outcome, retryAfterMs?: number): void;
}

export class GatePermit implements Permit {
  readonly #gate: Gate;
  readonly #partition: number;
  readonly #startedAt: number;
  readonly #isTimed: boolean;
  readonly #leaks: LeakWatch | undefined;
  readonly #leak: Leak | undefined;
  weight: number;
  #isOver = false;

  /** `leak`: what is left of it if nobody ends it, where somebody watches. */
  constructor(
    gate: Gate,
    weight: number,
    partition: number,
    startedAt: number,
    isTimed: boolean,
    leaks?: LeakWatch,
    leak?: Leak,
  ) {
    this.#gate = gate;
    this.weight = weight;
    this.#partition = partition;
    this.#startedAt = startedAt;
    this.#isTimed = isTimed;
    this.#leaks = leaks;
    this.#leak = leak;
  }

  reweigh(weight: number): void {
    if (this.#isOver) return;
    checkNumber('weight', weight, 0, MAX_WEIGHT);
    const from = this.weight;
    this.weight = weight;
    if (this.#leak !== undefined) this.#leak.weight = weight;
    this.#gate.reweigh(from, weight, this.#partition);
  }

  end(outcome: Outcome = 'ok', retryAfterMs = 0): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leaks?.onEnd(this);
    this.#gate.end(outcome, this.weight, this.#partition, this.#startedAt, this.#isTimed, retryAfterMs);
  }

  [Symbol.dispose](): void {
    this.end();
  }
}
