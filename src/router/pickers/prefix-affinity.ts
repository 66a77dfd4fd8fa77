/**
 * Calls that share a prefix go where it was last worked on, as long as that does not overload anybody: for language models, whose servers
 * keep what they computed for a prompt.
 *
 * In this order: the load gate, the affinity, the choice. Affinity without a gate above it collapses on one server when many prompts begin
 * alike, which users of every router for language models have reported. And what no server knows goes to the least loaded, never to the
 * first.
 * What is load? Work in flight, and what servers report of others'. Where a prefix is hot, the work of the last seconds as well: sessions
 * that begin alike and pause between their calls have nothing in flight at each pick, and would all be put in one place. A session of its
 * own stays where it is, however often it calls.
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
  /** Keys remembered by a router, for all its endpoints together. Default 100,000: some 30 MB when full. */
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

/** A prefix, and who worked on it. */
interface Known {
  /** The latest first. */
  readonly holders: Candidate[];
  /** Calls of the last while that knew this much and no more: a prefix that many sessions share. */
  uses: number;
  usedAtMs: number;
}

/** The prefixes that one router remembers, for all its pickers: it has one for each place that calls may go to. */
export class PrefixMemory {
  /** As of the last pick. */
  nowMs = 0;
  readonly keys: Cache<string, Known>;

  constructor(maxKeys: number) {
    this.keys = createCache({ clock: { now: () => this.nowMs }, maxEntries: maxKeys });
  }
}

/** A load counts in the gate for no more than this many times the median. */
const MOST_TIMES_MEDIAN = 4;
/** Endpoints told in explanations. */
const MOST_COMPARED = 64;

interface Place {
  readonly index: number;
  /** Work there now, and with that of the last seconds. */
  readonly load: number;
  readonly busy: number;
  /** Keys of the call that it knows. */
  known: number;
}

export class PrefixAffinityPicker implements Picker {
  readonly name = 'prefix-affinity';
  readonly #random: Random;
  readonly #options: ResolvedPrefixAffinity;
  readonly #plain: Picker;
  readonly #isUsed: FeatureSwitch;
  /** Of the last call with keys: its longest prefix that anybody knows, and who came into question. */
  #longestKnown: Known | undefined;
  #compared: readonly Place[] | undefined;
  readonly #memory: PrefixMemory;
  readonly #recent = new Map<Candidate, { work: number; atMs: number }>();
  #version = -1;
  /** Places in the list. */
  #indices: ReadonlyMap<Candidate, number> = new Map();

  /** @param plain - For calls without keys. */
  constructor(
    random: Random,
    options: ResolvedPrefixAffinity,
    plain: Picker,
    isUsed: FeatureSwitch,
    memory = new PrefixMemory(options.maxKeys),
  ) {
    this.#random = random;
    this.#options = options;
    this.#plain = plain;
    this.#isUsed = isUsed;
    this.#memory = memory;
  }

  pickIndex(set: PickSet, request: PickRequest): number {
    const { affinity } = request;
    this.#memory.nowMs = request.now;
    this.#compared = undefined;
    if (affinity === undefined || affinity.length === 0 || !this.#isUsed.isOn) return this.#plain.pickIndex(set, request);
    this.#follow(set);
    const places = set.candidates.map((candidate, index) => this.#placeOf(candidate, index, request.now));
    return this.#choose(places, affinity).index;
  }

  onPicked(set: PickSet, candidate: Candidate, request: PickRequest): void {
    const { affinity } = request;
    if (affinity === undefined || affinity.length === 0 || !this.#isUsed.isOn) {
      this.#plain.onPicked?.(set, candidate, request);
      return;
    }
    this.#use(this.#longestKnown);
    this.#remember(candidate, affinity, request);
  }

  score(candidate: Candidate, request: PickRequest): number {
    if (request.affinity === undefined || !this.#isUsed.isOn) return this.#plain.score?.(candidate, request) ?? Number.NaN;
    return this.#placeOf(candidate, 0, request.now).busy;
  }

  compared(): readonly number[] {
    return this.#compared?.map(({ index }) => index).slice(0, MOST_COMPARED) ?? this.#plain.compared?.() ?? [];
  }

  #choose(places: readonly Place[], affinity: readonly string[]): Place {
    this.#compared = places;
    this.#longestKnown = undefined;
    const least = this.#leastLoaded(places);
    if (this.#random.next() < this.#options.exploreRatio) return least;
    const best = this.#match(places, affinity);
    if (best < Math.max(1, this.#options.minMatchRatio * affinity.length)) return least;
    this.#longestKnown = this.#memory.keys.get(affinity[best - 1] as string);
    const isHot = this.#usesOf(this.#longestKnown) + 1 > this.#options.slack;
    const loadOf = isHot ? (place: Place) => place.busy : (place: Place) => place.load;
    // What is hot is worth another copy as soon as somebody has so much less to do.
    const limit = isHot ? least.busy + this.#options.slack : this.#gate(places);
    const near = places.filter((place) => place.known >= best * this.#options.narrowRatio && loadOf(place) <= limit);
    if (near.length === 0) return least;
    this.#compared = near;
    // Of those who know nearly as much the least loaded; of about equals the one that knows most.
    const room = Math.min(...near.map(loadOf)) + (isHot ? 0 : this.#options.slack);
    const free = near.filter((place) => loadOf(place) <= room);
    return free.reduce((a, b) => (b.known > a.known || (b.known === a.known && b.busy < a.busy) ? b : a));
  }

  /** Notes at each place how many of the keys are known there, and tells the most. */
  #match(places: readonly Place[], affinity: readonly string[]): number {
    let best = 0;
    // From the longest: an endpoint that knows a prefix knows those within it.
    for (let length = affinity.length; length > 0 && length >= best * this.#options.narrowRatio; length--) {
      const known = this.#memory.keys.get(affinity[length - 1] as string);
      if (known === undefined) continue;
      let here = 0;
      for (const holder of known.holders) {
        const place = places[this.#indices.get(holder) ?? -1];
        if (place === undefined) continue;
        here++;
        if (place.known > 0) continue;
        place.known = length;
        best = Math.max(best, length);
      }
      // All know it who are remembered, or who are here: shorter prefixes add nobody.
      if (here === Math.min(MAX_HOLDERS, places.length)) break;
    }
    return best;
  }

  /** Calls of late whose longest known prefix it was. */
  #usesOf(known: Known | undefined): number {
    return known === undefined ? 0 : known.uses * this.#fading(known.usedAtMs);
  }

  /** One more. */
  #use(known: Known | undefined): void {
    if (known === undefined) return;
    known.uses = this.#usesOf(known) + 1;
    known.usedAtMs = this.#memory.nowMs;
  }

  #fading(sinceMs: number): number {
    return 2 ** (-(this.#memory.nowMs - sinceMs) / this.#options.memoryMs);
  }

  /** What is above it is full. */
  #gate(places: readonly Place[]): number {
    const told = places.map(({ load }) => load).sort((a, b) => a - b);
    // One that claims the world must not make room for all.
    const most = MOST_TIMES_MEDIAN * (told[told.length >> 1] as number) + this.#options.slack;
    const loads = told.map((load) => Math.min(load, most));
    const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length;
    const variance = loads.reduce((sum, load) => sum + (load - mean) ** 2, 0) / loads.length;
    return Math.max(mean + Math.sqrt(variance), Math.min(...loads) + this.#options.slack);
  }

  /** Random among equals: the first would get every session of a quiet time. */
  #leastLoaded(places: readonly Place[]): Place {
    const start = this.#random.int(places.length);
    let best = places[start] as Place;
    for (let i = 1; i < places.length; i++) {
      const place = places[(start + i) % places.length] as Place;
      if (place.busy < best.busy) best = place;
    }
    return best;
  }

  #placeOf(candidate: Candidate, index: number, now: number): Place {
    const recent = this.#recent.get(candidate);
    const remembered = recent === undefined ? 0 : recent.work * this.#fading(recent.atMs);
    const { counter, others, inverseWeight } = candidate;
    const perWork = candidate.slowdown(now) * inverseWeight;
    const work = counter.weight + others;
    return { index, load: work * perWork, busy: (work + remembered) * perWork, known: 0 };
  }

  #remember(candidate: Candidate, affinity: readonly string[], { now, weight }: PickRequest): void {
    const recent = this.#recent.get(candidate);
    if (recent === undefined) this.#recent.set(candidate, { work: weight, atMs: now });
    else {
      recent.work = recent.work * this.#fading(recent.atMs) + weight;
      recent.atMs = now;
    }
    for (const key of affinity) {
      const known = this.#memory.keys.get(key);
      if (known === undefined) this.#memory.keys.set(key, { holders: [candidate], uses: 0, usedAtMs: now });
      else if (!known.holders.includes(candidate)) {
        const { holders } = known;
        if (holders.length >= MAX_HOLDERS) {
          const gone = holders.findIndex(({ isRemoved }) => isRemoved);
          holders.splice(gone < 0 ? holders.length - 1 : gone, 1);
        }
        holders.unshift(candidate);
      }
    }
  }

  /** What is remembered of endpoints that are gone goes too. */
  #follow({ candidates, version }: PickSet): void {
    if (version === this.#version) return;
    this.#version = version;
    this.#indices = new Map(candidates.map((candidate, index) => [candidate, index]));
    for (const candidate of this.#recent.keys()) if (!this.#indices.has(candidate)) this.#recent.delete(candidate);
  }
}
