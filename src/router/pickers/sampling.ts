/**
 * Power of k choices: the best of k distinct random endpoints. Random order breaks ties, so that equal ones share alike.
 *
 * The k are a random start and k - 1 steps of one random width: one draw, whatever k is. Any two of them are as if drawn apart (with
 * up to 65,536 endpoints; beyond, not every width is drawn), and balance is as good as with k draws.
 * @see Mitzenmacher, "Balanced Allocations and Double Hashing", SPAA 2014
 */
import type { Random } from '../../core/random.js';
import type { Candidate } from '../candidate.js';
import type { Picker, PickRequest, PickSet } from './picker.js';

export type Score = (candidate: Candidate, request: PickRequest) => number;

export const DEFAULT_CHOICES = 2;
/** More choices than this is a scan in disguise. */
export const MAX_CHOICES = 64;

/** Of the endpoints looked at so many are remembered, to be told. A power of two. */
const MOST_COMPARED = 64;

export class SamplingPicker implements Picker {
  readonly name: string;
  readonly score: Score;
  readonly #random: Random;
  readonly #choices: number;
  readonly #margin: number;
  readonly #compared = new Uint32Array(MOST_COMPARED);
  #looked = 0;

  /**
   * @param choices - Infinity: all.
   * @param margin - A later one with as much work is better only below this share of the score so far; 1: any less is better.
   */
  constructor(name: string, random: Random, choices: number, score: Score, margin = 1) {
    this.name = name;
    this.score = score;
    this.#random = random;
    this.#choices = choices;
    this.#margin = margin;
  }

  pickIndex({ candidates }: PickSet, request: PickRequest): number {
    const size = candidates.length;
    const choices = Math.min(this.#choices, size);
    // One draw for both: all 32 bits, as a share of the list, say where to begin; the low 16, which hardly matter for that, how wide to
    // step. `>>> 0` rounds down. Who looks at all of them walks in order.
    const bits = this.#random.int(2 ** 32);
    let index = ((bits / 2 ** 32) * size) >>> 0;
    const step = choices < size ? 1 + ((((bits & 0xffff) / 2 ** 16) * (size - 1)) >>> 0) : 1;
    let start = index;
    let best = index;
    let bestScore = Number.POSITIVE_INFINITY;
    for (let looked = 1; ; looked++) {
      const candidate = candidates[index] as Candidate;
      // One place that asks for a score: there the compiler inlines it, and no number is boxed.
      const score = this.score(candidate, request);
      this.#compared[looked & (MOST_COMPARED - 1)] = index;
      if (score < bestScore && (score < bestScore * this.#margin || hasLessWork(candidate, candidates[best] as Candidate))) {
        best = index;
        bestScore = score;
      }
      if (looked >= choices) {
        this.#looked = looked;
        return best;
      }
      index += step;
      if (index >= size) index -= size;
      // Back at the start before the choices are made: the steps go on beside it, and come to all endpoints before they repeat one.
      if (index === start) {
        index = index + 1 === size ? 0 : index + 1;
        start = index;
      }
    }
  }

  compared(): number[] {
    const first = Math.max(1, this.#looked - MOST_COMPARED + 1);
    return Array.from(
      { length: this.#looked - first + 1 },
      (_, i) => this.#compared[(first + i) & (MOST_COMPARED - 1)] as number,
    );
  }
}

function hasLessWork(a: Candidate, b: Candidate): boolean {
  return a.counter.weight * a.inverseWeight < b.counter.weight * b.inverseWeight;
}
