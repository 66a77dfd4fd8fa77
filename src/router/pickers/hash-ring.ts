/**
 * Points of endpoints on a ring of 32 bits, in order. Where they are depends on the list alone, and not on lists before it, so that all
 * routers agree. A change of the list costs a pass over the points and the work of those that come or go, not of all: lists that flap,
 * and ejections, change it often.
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
  readonly #perEndpoint: number;
  /** Hash and slot in one number each, in order. */
  #points = new Float64Array(0);
  /** Endpoints keep their slot while they are listed. */
  readonly #slots = new Map<Candidate, number>();
  readonly #free: number[] = [];
  /** By slot: place in the list, and how many points it has. */
  #places = new Int32Array(0);
  #counts = new Int32Array(0);

  constructor(perEndpoint: number) {
    this.#perEndpoint = perEndpoint;
  }

  get size(): number {
    return this.#points.length;
  }

  /** Place in the list of the endpoint that has the point at `at`. */
  ownerAt(at: number): number {
    return this.#places[(this.#points[at] as number) % MAX_SLOTS] as number;
  }

  /** The first point at or after `target`, all around. */
  firstAfter(target: number): number {
    const points = this.#points;
    const from = target * MAX_SLOTS;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((points[middle] as number) < from) low = middle + 1;
      else high = middle;
    }
    return low === points.length ? 0 : low;
  }

  update(candidates: readonly Candidate[]): void {
    const perWeight = this.#perWeightOf(candidates);
    this.#places.fill(GONE);
    const added: number[] = [];
    const removed: number[] = [];
    for (const [place, candidate] of candidates.entries()) {
      const slot = this.#slotOf(candidate);
      this.#places[slot] = place;
      const before = this.#counts[slot] as number;
      const count = Math.max(1, Math.round(candidate.weight * perWeight));
      if (count === before) continue;
      // The points of an endpoint are a row of which it has the first ones: where weights differ, the mean moves a few at the end.
      addPoints(candidate, slot, Math.min(before, count), Math.max(before, count), count > before ? added : removed);
      this.#counts[slot] = count;
    }
    const hasGone = this.#slots.size > candidates.length;
    if (hasGone) this.#freeSlots();
    if (hasGone || added.length > 0 || removed.length > 0) {
      this.#points = this.#merged(Float64Array.from(added).sort(), Float64Array.from(removed).sort());
    }
  }

  #perWeightOf(candidates: readonly Candidate[]): number {
    const mean = candidates.reduce((sum, { weight }) => sum + weight, 0) / candidates.length;
    return Math.min(this.#perEndpoint, MAX_POINTS / candidates.length) / mean;
  }

  #slotOf(candidate: Candidate): number {
    let slot = this.#slots.get(candidate);
    if (slot === undefined) {
      slot = this.#free.pop() ?? this.#slots.size;
      this.#slots.set(candidate, slot);
      if (slot >= this.#places.length) {
        this.#places = grown(this.#places, slot);
        this.#counts = grown(this.#counts, slot);
      }
      this.#counts[slot] = 0;
    }
    return slot;
  }

  #freeSlots(): void {
    for (const [candidate, slot] of this.#slots) {
      if (this.#places[slot] !== GONE) continue;
      this.#slots.delete(candidate);
      this.#free.push(slot);
    }
  }

  /** Both sorted. Points of endpoints that are gone are left out; their slots have not been given to others in this change. */
  #merged(added: Float64Array, removed: Float64Array): Float64Array<ArrayBuffer> {
    const [points, places] = [this.#points, this.#places];
    const merged = new Float64Array(points.length + added.length);
    let length = 0;
    let nextAdded = 0;
    let nextRemoved = 0;
    for (const point of points) {
      if (places[point % MAX_SLOTS] === GONE) continue;
      if (point === removed[nextRemoved]) {
        nextRemoved++;
        continue;
      }
      while (nextAdded < added.length && (added[nextAdded] as number) < point) merged[length++] = added[nextAdded++] as number;
      merged[length++] = point;
    }
    while (nextAdded < added.length) merged[length++] = added[nextAdded++] as number;
    return merged.slice(0, length);
  }
}

/** Those from `from` to before `to` of its row. */
function addPoints({ endpoint }: Candidate, slot: number, from: number, to: number, list: number[]): void {
  const base = hash(endpoint.id, POINT_SEED);
  for (let i = from; i < to; i++) list.push(mixed(base, i) * MAX_SLOTS + slot);
}

function grown(values: Int32Array<ArrayBuffer>, slot: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(16, 2 * (slot + 1))).fill(GONE);
  larger.set(values);
  return larger;
}
