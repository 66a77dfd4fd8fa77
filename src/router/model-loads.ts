/**
 * Other callers' work at one endpoint by model, as its reports tell it: a report names some models, seldom all, and what it does not name
 * stays as it was told last.
 * @see Meta, "Taming the tail utilization of ads inference", per-model load counter
 */
import { modelKey } from '../core/load-board.js';

/** Models remembered: more than a report names. Beyond it the one that was told longest ago gives way. */
const MAX_MODELS = 256;
const MODEL_PREFIX = modelKey('');

export interface ModelLoad {
  /** Pieces of work. */
  others: number;
  atMs: number;
}

export class ModelLoads {
  readonly #told = new Map<string, ModelLoad>();

  /** @param ownOf - Our own work there by counter: the rest of what is told is others'. */
  note(metrics: Readonly<Record<string, number>>, ownOf: (key: string) => number, now: number): void {
    for (const key in metrics) {
      if (!key.startsWith(MODEL_PREFIX)) continue;
      const others = Math.max(0, (metrics[key] as number) - ownOf(key));
      const load = this.#told.get(key);
      if (load !== undefined) {
        load.others = others;
        load.atMs = now;
        continue;
      }
      if (this.#told.size < MAX_MODELS || this.#dropOldest(now)) this.#told.set(key, { others, atMs: now });
    }
  }

  /** False: all have been told just now. */
  #dropOldest(now: number): boolean {
    let oldest: string | undefined;
    let atMs = now;
    for (const [key, load] of this.#told) {
      if (load.atMs >= atMs) continue;
      oldest = key;
      atMs = load.atMs;
    }
    return oldest !== undefined && this.#told.delete(oldest);
  }

  /** Undefined: no report has named that counter. */
  of(key: string): ModelLoad | undefined {
    return this.#told.get(key);
  }
}
