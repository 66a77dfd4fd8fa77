/**
 * Consistent hashing with bounded loads: calls of one key go to one endpoint, as long as that has no more than its share of the work.
 *
 * Endpoints stand on a ring at many points each, in proportion to weight; a key belongs to the first point after its own hash, and walks
 * on past endpoints that are full. An endpoint that comes or goes moves its own keys and no others.
 * @see Karger et al., STOC'97; Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA'18
 */
import { checkInteger, checkNumber } from '../../core/errors.js';
import type { FeatureSwitch } from '../../core/feature-switch.js';
import type { Candidate } from '../candidate.js';
import { hash, mixed } from '../routes/subset.js';
import type { Picker, PickRequest, PickSet } from './picker.js';

export interface RingHashOptions {
  /** An endpoint takes calls of its keys up to so many times the mean of the work in flight from here. Default 1.25; Infinity: no bound. */
  readonly loadFactor?: number;
  /** Points on the ring for an endpoint of mean weight. Default 100; 1 to 1000. */
  readonly points?: number;
}

export const DEFAULT_LOAD_FACTOR = 1.25;
export const DEFAULT_RING_POINTS = 100;
/** Of all endpoints together. */
const MAX_POINTS = 1 << 20;

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function checkRingHash(options: RingHashOptions): { readonly loadFactor: number; readonly points: number } {
  const { loadFactor = DEFAULT_LOAD_FACTOR } = options;
  return {
    loadFactor: loadFactor === Number.POSITIVE_INFINITY ? loadFactor : checkNumber('loadFactor', loadFactor, 1.01),
    points: checkInteger('points', options.points ?? DEFAULT_RING_POINTS, 1, 1000),
  };
}

export class RingHashPicker implements Picker {
  readonly name = 'ring-hash';
  readonly #loadFactor: number;
  readonly #points: number;
  readonly #isUsed: FeatureSwitch;
  /** For calls without a key. */
  readonly #keyless: Picker;
  #version = -1;
  /** Hashes in order, and whose they are. */
  #hashes = new Uint32Array(0);
  #owners = new Uint32Array(0);

  constructor(options: { readonly loadFactor: number; readonly points: number }, keyless: Picker, isUsed: FeatureSwitch) {
    this.#isUsed = isUsed;
    this.#loadFactor = options.loadFactor;
    this.#points = options.points;
    this.#keyless = keyless;
  }

  pickIndex(set: PickSet, request: PickRequest): number {
    const key = request.affinity?.[0];
    if (key === undefined || !this.#isUsed.isOn) return this.#keyless.pickIndex(set, request);
    if (set.version !== this.#version) this.#build(set);
    const { candidates } = set;
    const owners = this.#owners;
    const keyHash = hash(key, KEY_SEED);
    const first = this.#firstAfter(keyHash);
    const isBounded = this.#loadFactor !== Number.POSITIVE_INFINITY;
    const most = isBounded ? this.#loadFactor * meanWork(candidates, request) : Number.POSITIVE_INFINITY;
    for (let walked = 0, at = first; walked < owners.length; walked++, at = at + 1 === owners.length ? 0 : at + 1) {
      const owner = owners[at] as number;
      const candidate = candidates[owner] as Candidate;
      if (!isWarmFor(candidate, keyHash, request.now)) continue;
      const { counter, inverseWeight } = candidate;
      // One call among many endpoints must find room on an empty one.
      if (counter.inFlight === 0 || (counter.weight + request.weight) * inverseWeight <= most) return owner;
    }
    return owners[first] as number;
  }

  #firstAfter(target: number): number {
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

  #build({ candidates, version }: PickSet): void {
    const mean = candidates.reduce((sum, { weight }) => sum + weight, 0) / candidates.length;
    const perWeight = Math.min(this.#points, MAX_POINTS / candidates.length) / mean;
    const counts = candidates.map(({ weight }) => Math.max(1, Math.round(weight * perWeight)));
    // Hash and owner in one number each: typed arrays of numbers sort fast.
    const points = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
    let at = 0;
    for (const [owner, count] of counts.entries()) {
      const base = hash((candidates[owner] as Candidate).endpoint.id, POINT_SEED);
      for (let i = 0; i < count; i++) points[at++] = mixed(base, i) * MAX_POINTS + owner;
    }
    points.sort();
    this.#hashes = Uint32Array.from(points, (point) => Math.floor(point / MAX_POINTS));
    this.#owners = Uint32Array.from(points, (point) => point % MAX_POINTS);
    this.#version = version;
  }
}

const KEY_SEED = 0;
const POINT_SEED = 1;
const WARMTH_SEED = 2;

/** While an endpoint starts slowly its keys come to it one after the other, each once: a share of them as large as its warmth. */
function isWarmFor(candidate: Candidate, keyHash: number, now: number): boolean {
  return now >= candidate.warmUntilMs || mixed(keyHash, WARMTH_SEED) < candidate.warmth(now) * 2 ** 32;
}

/** Work from here by weight of endpoint, this call included. */
function meanWork(candidates: readonly Candidate[], request: PickRequest): number {
  let work = request.weight;
  let weights = 0;
  for (const { counter, weight } of candidates) {
    work += counter.weight;
    weights += weight;
  }
  return work / weights;
}
