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
import { HashRing } from './hash-ring.js';
import type { Picker, PickRequest, PickSet } from './picker.js';

export interface RingHashOptions {
  /** An endpoint takes calls of its keys up to so many times the mean of the work in flight from here. Default 1.25; Infinity: no bound. */
  readonly loadFactor?: number;
  /** Points on the ring for an endpoint of mean weight. Default 100; 1 to 1000. */
  readonly points?: number;
}

export const DEFAULT_LOAD_FACTOR = 1.25;
export const DEFAULT_RING_POINTS = 100;

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
  readonly #ring: HashRing;
  readonly #isUsed: FeatureSwitch;
  /** For calls without a key. */
  readonly #keyless: Picker;
  #version = -1;

  constructor(options: { readonly loadFactor: number; readonly points: number }, keyless: Picker, isUsed: FeatureSwitch) {
    this.#isUsed = isUsed;
    this.#loadFactor = options.loadFactor;
    this.#ring = new HashRing(options.points);
    this.#keyless = keyless;
  }

  pickIndex(set: PickSet, request: PickRequest): number {
    const key = request.affinity?.[0];
    if (key === undefined || !this.#isUsed.isOn) return this.#keyless.pickIndex(set, request);
    const { candidates, version } = set;
    const ring = this.#ring;
    if (version !== this.#version) {
      this.#version = version;
      ring.update(candidates);
    }
    const keyHash = hash(key, KEY_SEED);
    const first = ring.firstAfter(keyHash);
    const isBounded = this.#loadFactor !== Number.POSITIVE_INFINITY;
    const most = isBounded ? this.#loadFactor * meanWork(candidates, request) : Number.POSITIVE_INFINITY;
    for (let walked = 0, at = first; walked < ring.size; walked++, at = at + 1 === ring.size ? 0 : at + 1) {
      const owner = ring.ownerAt(at);
      const candidate = candidates[owner] as Candidate;
      if (!isWarmFor(candidate, keyHash, request.now)) continue;
      const { counter, inverseWeight } = candidate;
      // One call among many endpoints must find room on an empty one.
      if (counter.inFlight === 0 || (counter.weight + request.weight) * inverseWeight <= most) return owner;
    }
    return ring.ownerAt(first);
  }
}

const KEY_SEED = 0;
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
