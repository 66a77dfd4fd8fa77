/**
 * Points of endpoints on a ring of 32 bits, in order. A change of the list costs a pass over the points and the work of those endpoints
 * that came, not of all: lists that flap, and ejections, change it often.
 * @see Karger et al., STOC'97
 */
import type { Candidate } from '../candidate.js';
import { hash, mixed } from '../routes/subset.js';

/** Of all endpoints together: with ten thousand of them 26 each. */
const MAX_POINTS = 1 << 18;
const MAX_SLOTS = 1 << 20;
const POINT_SEED = 1;
const GONE = -1;

export class HashRing {
  /** For an endpoint of mean weight. */
  readonly #points: number;
  #perWeight = 0;
  /** Hashes in order, and whose they are: slots that endpoints keep while they are listed. */
  #hashes = new Uint32Array(0);
  #owners = new Uint32Array(0);
  readonly #slots = new Map<Candidate, number>();
  readonly #free: number[] = [];
  /** Place in the list by slot. */
  #places = new Int32Array(0);

  constructor(points: number) {
    this.#points = points;
  }

  get size(): number {
    return this.#hashes.length;
  }

  /** Place in the list of the endpoint that has the point at `at`. */
  ownerAt(at: number): number {
    return this.#places[this.#owners[at] as number] as number;
  }

  /** The first point at or after `target`, all around. */
  firstAfter(target: number): number {
    const hashes = this.#hashes;
    let low = 0;
    let high = hashes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((hashes[middle] as number) < target) low = middle + 1;
      else high = middle;
    }
    return low === hashes.length ? 0 : low;
  }

  update(candidates: readonly Candidate[]): void {
    const perWeight = this.#perWeightOf(candidates);
    if (perWeight !== this.#perWeight) this.#clear();
    this.#perWeight = perWeight;
    this.#places.fill(GONE);
    const added: number[] = [];
    for (const [place, candidate] of candidates.entries()) {
      let slot = this.#slots.get(candidate);
      if (slot === undefined) {
        slot = this.#free.pop() ?? this.#slots.size;
        this.#slots.set(candidate, slot);
        this.#addPoints(candidate, slot, added);
      }
      if (slot >= this.#places.length) this.#places = grown(this.#places, slot);
      this.#places[slot] = place;
    }
    const hasGone = this.#slots.size > candidates.length;
    if (hasGone) {
      for (const [candidate, slot] of this.#slots) {
        if (this.#places[slot] !== GONE) continue;
        this.#slots.delete(candidate);
        this.#free.push(slot);
      }
    }
    if (hasGone || added.length > 0) this.#merge(Float64Array.from(added).sort());
  }

  #clear(): void {
    this.#hashes = new Uint32Array(0);
    this.#owners = new Uint32Array(0);
    this.#slots.clear();
    this.#free.length = 0;
  }

  /** In steps, or every change of the mean would move points of all endpoints. */
  #perWeightOf(candidates: readonly Candidate[]): number {
    const mean = candidates.reduce((sum, { weight }) => sum + weight, 0) / candidates.length;
    const perWeight = Math.min(this.#points, MAX_POINTS / candidates.length) / mean;
    return 2 ** (Math.round(4 * Math.log2(perWeight)) / 4);
  }

  /** Hash and owner in one number each: typed arrays of numbers sort fast. */
  #addPoints({ endpoint, weight }: Candidate, slot: number, to: number[]): void {
    const base = hash(endpoint.id, POINT_SEED);
    const count = Math.max(1, Math.round(weight * this.#perWeight));
    for (let i = 0; i < count; i++) to.push(mixed(base, i) * MAX_SLOTS + slot);
  }

  /** Those of endpoints that are gone are left out. A slot that is taken anew in the same change has no old points: see `update`. */
  #merge(added: Float64Array): void {
    const [hashes, owners, places] = [this.#hashes, this.#owners, this.#places];
    const size = hashes.length + added.length;
    const [nextHashes, nextOwners] = [new Uint32Array(size), new Uint32Array(size)];
    let length = 0;
    let next = 0;
    const addUpTo = (limit: number) => {
      for (; next < added.length; next++) {
        const hashed = Math.floor((added[next] as number) / MAX_SLOTS);
        if (hashed > limit) return;
        nextHashes[length] = hashed;
        nextOwners[length++] = (added[next] as number) % MAX_SLOTS;
      }
    };
    for (let i = 0; i < hashes.length; i++) {
      const owner = owners[i] as number;
      if (places[owner] === GONE) continue;
      addUpTo(hashes[i] as number);
      nextHashes[length] = hashes[i] as number;
      nextOwners[length++] = owner;
    }
    addUpTo(Number.POSITIVE_INFINITY);
    this.#hashes = nextHashes.subarray(0, length);
    this.#owners = nextOwners.subarray(0, length);
  }
}

function grown(places: Int32Array<ArrayBuffer>, slot: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(16, 2 * (slot + 1))).fill(GONE);
  larger.set(places);
  return larger;
}
