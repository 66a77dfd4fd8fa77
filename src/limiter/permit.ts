/** The right to run, given back once. */
import type { InFlight, Outcome } from '../core/load-counter.js';
import type { Gate } from './gate.js';

/**
 * What a limiter gives. `end` gives it back: the first call counts, later ones do nothing, so `finally { permit.end() }` is safe beside an
 * `end` that knows more. `using` ends it as `ok`.
 *
 * `ok` · `error`: it failed, and took its time · `dropped`: those behind turned it away for lack of room, so the limit may be too high ·
 * `ignored`: it says nothing of the server (a hit in a cache, a caller that went away, a bad request).
 */
export interface Permit extends InFlight, Disposable {
  /** In the limiter's unit, as of now. */
  readonly weight: number;
  /** @param retryAfterMs - With `dropped`: how long those behind asked to be left alone. */
  end(outcome?: Outcome, retryAfterMs?: number): void;
}

export class GatePermit implements Permit {
  readonly #gate: Gate;
  readonly #partition: number;
  readonly #startedAt: number;
  readonly #isTimed: boolean;
  readonly #onEnd: ((permit: GatePermit) => void) | undefined;
  weight: number;
  #isOver = false;

  /** `onEnd`: for those who watch for leaks. */
  constructor(
    gate: Gate,
    weight: number,
    partition: number,
    startedAt: number,
    isTimed: boolean,
    onEnd: ((permit: GatePermit) => void) | undefined,
  ) {
    this.#gate = gate;
    this.weight = weight;
    this.#partition = partition;
    this.#startedAt = startedAt;
    this.#isTimed = isTimed;
    this.#onEnd = onEnd;
  }

  reweigh(weight: number): void {
    if (this.#isOver) return;
    const from = this.weight;
    this.weight = weight;
    this.#gate.reweigh(from, weight, this.#partition);
  }

  end(outcome: Outcome = 'ok', retryAfterMs = 0): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd?.(this);
    this.#gate.end(outcome, this.weight, this.#partition, this.#startedAt, this.#isTimed, retryAfterMs);
  }

  [Symbol.dispose](): void {
    this.end();
  }
}
