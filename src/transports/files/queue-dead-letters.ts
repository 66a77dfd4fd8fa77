/** Dead letters, oldest first; when there are too many, or too many bytes of them, the oldest go. */
import type { DeadLetter } from '../../core/transport/queue.js';

export interface DeadLetterBounds {
  readonly maxLetters: number;
  readonly maxBytes: number;
}

export class DeadLetters {
  readonly #bounds: DeadLetterBounds;
  #letters: DeadLetter[] = [];
  /** Those before it have gone; the array is cut now and then. */
  #first = 0;
  #bytes = 0;

  constructor(bounds: DeadLetterBounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#letters.length - this.#first;
  }

  /** Of bodies and reasons. */
  get bytes(): number {
    return this.#bytes;
  }

  push(letter: DeadLetter): void {
    this.#letters.push(letter);
    this.#bytes += bytesOf(letter);
    while (this.size > this.#bounds.maxLetters || (this.#bytes > this.#bounds.maxBytes && this.size > 1)) {
      this.#bytes -= bytesOf(this.#letters[this.#first++] as DeadLetter);
    }
    if (this.#first > 1000 && this.#first > this.#letters.length / 2) {
      this.#letters = this.#letters.slice(this.#first);
      this.#first = 0;
    }
  }

  oldest(limit = this.size): DeadLetter[] {
    return this.#letters.slice(this.#first, this.#first + limit);
  }
}

function bytesOf({ body, reason }: DeadLetter): number {
  return body.byteLength + reason.length;
}
