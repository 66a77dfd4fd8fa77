/**
 * Which counter of a server's outstanding work is compared: that of the call's own model, or the whole host's.
 *
 * Where several models share a host, the host's counter compares requests that have nothing in common; the model's own makes replicas of one
 * model share alike, which is what replica estimates and placement take for granted. Changing over at once moves load at once, before
 * placement has caught up, so the change is blended in. And a model with hardly any work reads 0 everywhere, which would make the
 * choice random: then the host's counter breaks the tie.
 * @see Meta, "Taming the tail utilization of ads inference", per-model load counter
 */
import { checkNumber, invalidArgument } from '../../core/errors.js';

export type CounterName = 'host' | 'model';

export interface CounterBlendOptions {
  /** Where it begins. Default `model`. */
  readonly counter?: CounterName;
  /** Milliseconds that a change takes. Default 60,000; 0: at once. */
  readonly overMs?: number;
}

export const DEFAULT_BLEND_MS = 60_000;

export class CounterBlend {
  readonly #overMs: number;
  #target: 0 | 1;
  #share: number;
  #atMs: number | undefined;

  constructor(options: CounterBlendOptions = {}) {
    this.#overMs = checkNumber('overMs', options.overMs ?? DEFAULT_BLEND_MS, 0);
    this.#target = targetOf(options.counter ?? 'model');
    this.#share = this.#target;
  }

  /** Changes over, little by little. */
  use(counter: CounterName): void {
    this.#target = targetOf(counter);
    this.#atMs = undefined;
  }

  /** How much the model's counter counts now, 0 to 1. */
  at(now: number): number {
    if (this.#share === this.#target) return this.#share;
    const elapsed = now - (this.#atMs ?? now);
    this.#atMs = now;
    const step = this.#overMs === 0 ? 1 : elapsed / this.#overMs;
    this.#share = this.#target === 1 ? Math.min(1, this.#share + step) : Math.max(0, this.#share - step);
    return this.#share;
  }
}

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function createCounterBlend(options: CounterBlendOptions = {}): CounterBlend {
  return new CounterBlend(options);
}

function targetOf(counter: unknown): 0 | 1 {
  if (counter === 'model') return 1;
  if (counter === 'host') return 0;
  throw invalidArgument('counter', counter, "'host' or 'model'");
}
