/**
 * Until when a server asked not to be called. What it asked of a call holds for those as critical or less: that it turned a batch job away
 * says nothing of what people wait for.
 */
import { CRITICALITIES } from '../core/call-context.js';

export class PushbackTimer {
  readonly #untilMs = new Float64Array(CRITICALITIES.length).fill(Number.NEGATIVE_INFINITY);

  /** A call of that rank was turned away until then, Clock.now(). The longest holds. */
  extend(rank: number, untilMs: number): void {
    for (let i = rank; i < this.#untilMs.length; i++) this.#untilMs[i] = Math.max(this.#untilMs[i] as number, untilMs);
  }

  holds(rank: number, now: number): boolean {
    return now < (this.#untilMs[rank] as number);
  }

  /** Of the least critical, whom it holds back for longest; 0: nobody is held back. */
  leftMs(now: number): number {
    return Math.max(0, (this.#untilMs[CRITICALITIES.length - 1] as number) - now);
  }
}
