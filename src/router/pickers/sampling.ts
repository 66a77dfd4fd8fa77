/** Power of k choices: the best of k distinct random endpoints. Random order breaks ties, so that equal ones share alike. */
import { checkInteger } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import type { Candidate } from '../candidate.js';
import type { Picker, PickRequest, PickSet } from './picker.js';

export type Score = (candidate: Candidate, request: PickRequest) => number;

export const DEFAULT_CHOICES = 2;
/** More choices than this is a scan in disguise. */
const MAX_CHOICES = 64;

export class SamplingPicker implements Picker {
  readonly name: string;
  readonly score: Score;
  readonly #random: Random;
  readonly #choices: number;
  readonly #margin: number;
  readonly #chosen: Int32Array;

  /** @param margin - A later one is better only below this share of the score so far; 1: any less is better. */
  constructor(name: string, random: Random, choices: number, score: Score, margin = 1) {
    this.name = name;
    this.score = score;
    this.#random = random;
    this.#choices = checkInteger('choices', choices, 1, MAX_CHOICES);
    this.#chosen = new Int32Array(this.#choices);
    this.#margin = margin;
  }

  pickIndex({ candidates }: PickSet, request: PickRequest): number {
    const choices = this.#choices;
    const size = candidates.length;
    if (size <= choices) return pickBest(candidates, request, this.score, this.#random, this.#margin);
    const chosen = this.#chosen;
    let best = 0;
    let bestScore = Number.POSITIVE_INFINITY;
    // One place that asks for a score: there the compiler inlines it, and no number is boxed.
    for (let k = 0; k < choices; k++) {
      let index = this.#random.int(size);
      // Few choices among more endpoints: a repeat is rare, so drawing again ends soon.
      while (isAmong(chosen, k, index)) index = this.#random.int(size);
      chosen[k] = index;
      const score = this.score(candidates[index] as Candidate, request);
      if (k > 0 && !(score < bestScore * this.#margin)) continue;
      best = index;
      bestScore = score;
    }
    return best;
  }
}

/** The best of all, looked at from a random start. */
export function pickBest(
  candidates: readonly Candidate[],
  request: PickRequest,
  score: Score,
  random: Random,
  margin = 1,
): number {
  const size = candidates.length;
  let index = size === 1 ? 0 : random.int(size);
  let best = index;
  let bestScore = Number.POSITIVE_INFINITY;
  for (let looked = 0; looked < size; looked++) {
    const value = score(candidates[index] as Candidate, request);
    if (looked === 0 || value < bestScore * margin) {
      best = index;
      bestScore = value;
    }
    if (++index === size) index = 0;
  }
  return best;
}

function isAmong(chosen: Int32Array, count: number, index: number): boolean {
  for (let i = 0; i < count; i++) if (chosen[i] === index) return true;
  return false;
}
