/**
 * Chance, as a value that is passed in. `fork(label)` gives a stream of its own, fixed by the seed and the label alone: a draw
 * added in one module does not shift the draws of another.
 */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** Uniform in [0, 1), 32 bits. */
  next(): number;
  /** Uniform whole number in [0, below); `below` from 1 to 2^32. */
  int(below: number): number;
  /** An independent stream named `label`. The same seed and label give the same stream, however much this one was used. */
  fork(label: string): Random;
}

/** A repeatable stream. */
export function seededRandom(seed: number | string): Random {
  return new Sfc32(hash128(String(seed)));
}

/** A stream seeded by the operating system. */
export function liveRandom(): Random {
  return seededRandom(randomBytes(16).toString('hex'));
}

/**
 * A random identifier of 128 bits as 32 hex digits.
 * @param random - Where the bits come from: a seeded stream gives repeatable identifiers.
 */
export function randomId(random: Random): string {
  let id = '';
  for (let i = 0; i < 4; i++)
    id += random
      .int(2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return id;
}

/**
 * sfc32: passes PractRand, 128 bits of state, no allocation a draw.
 * @see Chris Doty-Humphrey, PractRand 0.94
 */
class Sfc32 implements Random {
  readonly #seed: readonly [number, number, number, number];
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  constructor(seed: readonly [number, number, number, number]) {
    this.#seed = seed;
    [this.#a, this.#b, this.#c, this.#counter] = seed;
    for (let i = 0; i < 12; i++) this.#bits();
  }

  next(): number {
    return this.#bits() / 2 ** 32;
  }

  int(below: number): number {
    return ((this.#bits() / 2 ** 32) * below) >>> 0;
  }

  fork(label: string): Random {
    return new Sfc32(hash128(`${this.#seed.join('.')}/${label}`));
  }

  #bits(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}

/** Four FNV-1a lanes with different bases, each finished by murmur3's mixer. For seeding only. */
function hash128(text: string): [number, number, number, number] {
  const lane = (basis: number): number => {
    let hash = basis;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) | 0;
  };
  return [lane(0x811c9dc5), lane(0x9e3779b9), lane(0x85ebca6b), lane(0x27d4eb2f)];
}
