/**
 * Calls that share a prefix go where it was last worked on, as long as that does not overload anybody: for language models, whose servers
 * keep what they computed for a prompt.
 *
 * In this order: the load gate, the affinity, the choice. Affinity without a gate above it collapses on one server when many prompts begin
 * alike, which users of every router for language models have reported. And what no server knows goes to the least loaded, never to the
 * first.
 * What is load? Work in flight, what servers report of others', and work of the last seconds: sessions that pause between their calls
 * have nothing in flight at each pick, and would all be put in one place.
 * @see SGLang, llm-d and AIBrix: prefix routing with thresholds
 */
import { type Cache, createCache } from '../../core/cache.js';
import { checkInteger, checkNumber } from '../../core/errors.js';
import type { FeatureSwitch } from '../../core/feature-switch.js';
import type { Random } from '../../core/random.js';
import type { Candidate } from '../candidate.js';
import type { Picker, PickRequest, PickSet } from './picker.js';

export interface PrefixAffinityOptions {
  /** Least share of a call's keys that an endpoint must know for the call to go there. Default 0.1; 0 to 1. */
  readonly minMatchRatio?: number;
  /** Endpoints that know this share of what the best one knows are as good. Default 0.8. */
  readonly narrowRatio?: number;
  /** Share of calls that go to the least loaded, so that prefixes spread before they must. Default 0.01. */
  readonly exploreRatio?: number;
  /** An endpoint is full when its load is above the mean by a standard deviation, and above the least by so much. Default 8 (weights of a call). */
  readonly slack?: number;
  /** Keys remembered. Default 100,000. */
  readonly maxKeys?: number;
  /** Half-life of work remembered, milliseconds. Default 5000. */
  readonly memoryMs?: number;
}

export interface ResolvedPrefixAffinity {
  readonly minMatchRatio: number;
  readonly narrowRatio: number;
  readonly exploreRatio: number;
  readonly slack: number;
  readonly maxKeys: number;
  readonly memoryMs: number;
}

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function checkPrefixAffinity(options: PrefixAffinityOptions): ResolvedPrefixAffinity {
  return {
    minMatchRatio: checkNumber('minMatchRatio', options.minMatchRatio ?? 0.1, 0, 1),
    narrowRatio: checkNumber('narrowRatio', options.narrowRatio ?? 0.8, 0, 1),
    exploreRatio: checkNumber('exploreRatio', options.exploreRatio ?? 0.01, 0, 1),
    slack: checkNumber('slack', options.slack ?? 8, 0),
    maxKeys: checkInteger('maxKeys', options.maxKeys ?? 100_000, 1, 10_000_000),
    memoryMs: checkNumber('memoryMs', options.memoryMs ?? 5000, 1),
  };
}

/** Endpoints that a key is remembered for; the latest first. More tell nothing: what is everywhere is no reason to go anywhere. */
const MAX_HOLDERS = 16;

interface Place {
  readonly index: number;
  load: number;
  /** Keys of the call that it knows. */
  known: number;
}

export class PrefixAffinityPicker implements Picker {
  readonly name = 'prefix-affinity';
  readonly #random: Random;
  readonly #options: ResolvedPrefixAffinity;
  readonly #plain: Picker;
  readonly #isUsed: FeatureSwitch;
  #now = 0;
  readonly #holders: Cache<string, Candidate[]>;
  readonly #recent = new Map<Candidate, { work: number; atMs: number }>();
  #version = -1;

  /** @param plain - For calls without keys. */
  constructor(random: Random, options: ResolvedPrefixAffinity, plain: Picker, isUsed: FeatureSwitch) {
    this.#random = random;
    this.#options = options;
    this.#plain = plain;
    this.#isUsed = isUsed;
    this.#holders = createCache({ clock: { now: () => this.#now }, maxEntries: options.maxKeys });
  }

  pickIndex(set: PickSet, request: PickRequest): number {
    const { affinity } = request;
    this.#now = request.now;
    if (affinity === undefined || affinity.length === 0 || !this.#isUsed.isOn) return this.#plain.pickIndex(set, request);
    this.#follow(set);
    const places = set.candidates.map((candidate, index) => ({ index, load: this.#loadOf(candidate, request.now), known: 0 }));
    const chosen = this.#choose(set, places, affinity);
    const candidate = set.candidates[chosen.index] as Candidate;
    this.#remember(candidate, affinity, request);
    return chosen.index;
  }

  #choose(set: PickSet, places: readonly Place[], affinity: readonly string[]): Place {
    const least = this.#leastLoaded(places);
    if (this.#random.next() < this.#options.exploreRatio) return least;
    const isFull = this.#gate(places);
    const best = this.#match(set, places, affinity);
    if (best < Math.max(1, this.#options.minMatchRatio * affinity.length)) return least;
    const near = places.filter(({ known, load }) => known >= best * this.#options.narrowRatio && !isFull(load));
    if (near.length === 0) return least;
    // Of those who know nearly as much the least loaded; of equals the one that knows most.
    const room = Math.min(...near.map(({ load }) => load)) + this.#options.slack;
    return near
      .filter(({ load }) => load <= room)
      .reduce((a, b) => (b.known > a.known || (b.known === a.known && b.load < a.load) ? b : a));
  }

  /** Notes at each place how many of the keys are known there, and tells the most. */
  #match({ candidates }: PickSet, places: readonly Place[], affinity: readonly string[]): number {
    let best = 0;
    // From the longest: an endpoint that knows a prefix knows those within it.
    for (let length = affinity.length; length > 0; length--) {
      const holders = this.#holders.get(affinity[length - 1] as string);
      if (holders === undefined) continue;
      if (length < best * this.#options.narrowRatio) break;
      for (const place of places) {
        if (place.known === 0 && holders.includes(candidates[place.index] as Candidate)) place.known = length;
      }
      best = Math.max(best, ...places.map(({ known }) => known));
      if (holders.length >= Math.min(MAX_HOLDERS, places.length)) break;
    }
    return best;
  }

  #gate(places: readonly Place[]): (load: number) => boolean {
    const mean = places.reduce((sum, { load }) => sum + load, 0) / places.length;
    const variance = places.reduce((sum, { load }) => sum + (load - mean) ** 2, 0) / places.length;
    const least = Math.min(...places.map(({ load }) => load));
    const limit = Math.max(mean + Math.sqrt(variance), least + this.#options.slack);
    return (load) => load > limit;
  }

  /** Random among equals: the first would get every session of a quiet time. */
  #leastLoaded(places: readonly Place[]): Place {
    const start = this.#random.int(places.length);
    let best = places[start] as Place;
    for (let i = 1; i < places.length; i++) {
      const place = places[(start + i) % places.length] as Place;
      if (place.load < best.load) best = place;
    }
    return best;
  }

  #loadOf(candidate: Candidate, now: number): number {
    const recent = this.#recent.get(candidate);
    const remembered = recent === undefined ? 0 : recent.work * 2 ** (-(now - recent.atMs) / this.#options.memoryMs);
    const { counter, others, inverseWeight } = candidate;
    return (counter.weight + others + remembered) * candidate.slowdown(now) * inverseWeight;
  }

  #remember(candidate: Candidate, affinity: readonly string[], { now, weight }: PickRequest): void {
    const recent = this.#recent.get(candidate);
    if (recent === undefined) this.#recent.set(candidate, { work: weight, atMs: now });
    else {
      recent.work = recent.work * 2 ** (-(now - recent.atMs) / this.#options.memoryMs) + weight;
      recent.atMs = now;
    }
    for (const key of affinity) {
      const holders = this.#holders.get(key);
      if (holders === undefined) this.#holders.set(key, [candidate]);
      else if (!holders.includes(candidate)) {
        if (holders.length >= MAX_HOLDERS) holders.pop();
        holders.unshift(candidate);
      }
    }
  }

  /** What is remembered of endpoints that are gone goes too. */
  #follow({ candidates, version }: PickSet): void {
    if (version === this.#version) return;
    this.#version = version;
    const here = new Set(candidates);
    for (const candidate of this.#recent.keys()) if (!here.has(candidate)) this.#recent.delete(candidate);
  }
}
