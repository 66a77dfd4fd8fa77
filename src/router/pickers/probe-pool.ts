/**
 * Asynchronous probes: beside each call some random endpoints are asked for their load, and calls go to the best of the answers at hand.
 *
 * When does a call wait? When the answers at hand are too old to be worth much, because this router calls seldom: within the time in which
 * an endpoint does some two pieces of work its queue has changed. Then the call's own probes go first, and it leaves when they are back or
 * given up: one round trip, which is little beside work of tens of milliseconds.
 *
 * An endpoint with an answer is scored as any other is: outstanding work at learned cost, our own since, and less trust with age.
 * @see Wydrowski et al., "Load is not what you should balance: Introducing Prequal", NSDI'24, section 4
 */
import { checkInteger, checkNumber, invalidArgument } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import type { Candidate } from '../candidate.js';
import { expectedTime } from './load.js';
import type { Picker, PickerEnvironment, PickRequest, PickSet, Prober } from './picker.js';
import type { SamplingPicker } from './sampling.js';

export interface ProbePoolOptions {
  /** Route that tells the load. Default `/load`. */
  readonly path?: string;
  /** Probes beside each call. Default 3; 1 to 8. */
  readonly probesPerCall?: number;
  /** Answers kept. Default 16; 2 to 64. */
  readonly size?: number;
  /** Milliseconds after which an answer is dropped. Default 1000. */
  readonly maxAgeMs?: number;
  /** Endpoints with more work than this quantile of the answers are hot: used only when all are. Default 0.84 (2^-0.25); 0 to 1. */
  readonly hotQuantile?: number;
  /** Milliseconds to wait for an answer. Default 10: raise it for endpoints that are further away. Below 8 it is 8. */
  readonly timeoutMs?: number;
  /** Most probes a second, all calls together; beyond it the answers at hand must do. Default 5000. */
  readonly maxProbesPerSecond?: number;
}

export const DEFAULT_PROBE_PATH = '/load';
export const DEFAULT_PROBES_PER_CALL = 3;
export const DEFAULT_POOL_SIZE = 16;
export const DEFAULT_PROBE_MAX_AGE_MS = 1000;
export const DEFAULT_HOT_QUANTILE = 2 ** -0.25;
export const DEFAULT_PROBE_TIMEOUT_MS = 10;
export const DEFAULT_MAX_PROBES_PER_SECOND = 5000;

/** An answer is fresh for as long as its endpoint takes for so many pieces of work. */
const FRESH_UNITS = 2;
/** By this age an answer counts double. */
const DOUBT_MS = 100;
/** Answers taken out at each call, oldest and worst in turn: a pool that is never cleaned fills with bad news. */
const REMOVED_PER_CALL = 1;
/** Prequal's delta: how much faster answers come in than they go. */
const NET_GAIN = 1;
const NOBODY = -1;
/** Fewer answers than this are no choice. */
const LEAST_ANSWERS = 2;

export interface ResolvedProbePool {
  readonly probesPerCall: number;
  readonly size: number;
  readonly maxAgeMs: number;
  readonly hotQuantile: number;
}

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function checkProbePool(options: ProbePoolOptions): ResolvedProbePool {
  const { path = DEFAULT_PROBE_PATH } = options;
  if (typeof path !== 'string' || !path.startsWith('/')) throw invalidArgument('path', path, 'a path that begins with /');
  checkNumber('timeoutMs', options.timeoutMs ?? DEFAULT_PROBE_TIMEOUT_MS, 1);
  checkNumber('maxProbesPerSecond', options.maxProbesPerSecond ?? DEFAULT_MAX_PROBES_PER_SECOND, 1);
  return {
    probesPerCall: checkInteger('probesPerCall', options.probesPerCall ?? DEFAULT_PROBES_PER_CALL, 1, 8),
    size: checkInteger('size', options.size ?? DEFAULT_POOL_SIZE, 2, 64),
    maxAgeMs: checkNumber('maxAgeMs', options.maxAgeMs ?? DEFAULT_PROBE_MAX_AGE_MS, 1),
    hotQuantile: checkNumber('hotQuantile', options.hotQuantile ?? DEFAULT_HOT_QUANTILE, 0, 1),
  };
}

/** The prober of such a pool. */
export function proberOf(options: ProbePoolOptions, { prober }: PickerEnvironment): Prober {
  return prober({
    path: options.path ?? DEFAULT_PROBE_PATH,
    timeoutMs: options.timeoutMs ?? DEFAULT_PROBE_TIMEOUT_MS,
    maxPerSecond: options.maxProbesPerSecond ?? DEFAULT_MAX_PROBES_PER_SECOND,
  });
}

interface Answer {
  readonly candidate: Candidate;
  index: number;
  atMs: number;
  usesLeft: number;
}

export class ProbePool implements Picker {
  readonly name = 'probe-pool';
  readonly #random: Random;
  readonly #prober: Prober;
  readonly #fallback: SamplingPicker;
  readonly #options: ResolvedProbePool;
  /** Oldest first; an endpoint has one answer at most. */
  readonly #answers: Answer[] = [];
  #version = -1;
  #reuse = 1;
  #takesWorst = false;
  /** Of the last pick, in the same order; empty: the fallback chose. Filled anew each time, for explanations. */
  readonly #compared: Candidate[] = [];
  readonly #comparedAt: number[] = [];
  readonly #scores: number[] = [];

  /** @param fallback - Chooses while there are no answers. */
  constructor(random: Random, prober: Prober, fallback: SamplingPicker, options: ResolvedProbePool) {
    this.#random = random;
    this.#prober = prober;
    this.#fallback = fallback;
    this.#options = options;
  }

  /** Of one that the last pick compared: the score that it had then. Hot ones were passed over, whatever their score. */
  score(candidate: Candidate, request: PickRequest): number {
    return this.#scores[this.#compared.indexOf(candidate)] ?? expectedTime(candidate, request);
  }

  mustAsk(set: PickSet, request: PickRequest): boolean {
    this.#follow(set);
    const { probesPerCall } = this.#options;
    const { candidates } = set;
    if (candidates.length < LEAST_ANSWERS || !this.#prober.isAllowed(request.now)) return false;
    const oldestFresh = this.#answers[this.#answers.length - probesPerCall];
    if (oldestFresh === undefined) return true;
    const { unitMs, latencyMs } = (candidates[0] as Candidate).fleet;
    // Where nobody tells costs, a quarter of what answers take.
    const freshMs = unitMs > 0 ? FRESH_UNITS * unitMs : latencyMs / 4;
    return request.now - oldestFresh.atMs > freshMs;
  }

  choose(set: PickSet, request: PickRequest, done: (index: number) => void): void {
    const asked = Math.min(this.#options.probesPerCall, set.candidates.length);
    let awaited = asked;
    this.#probe(set, request.now, asked, () => {
      if (--awaited > 0) return;
      // The list may have become empty meanwhile.
      done(set.candidates.length === 0 ? NOBODY : this.#best(set, request));
    });
  }

  pickIndex(set: PickSet, request: PickRequest): number {
    return this.#best(set, request);
  }

  onPicked(set: PickSet, _candidate: Candidate, request: PickRequest): void {
    this.#follow(set);
    this.#probe(set, request.now, Math.min(this.#options.probesPerCall, set.candidates.length), undefined);
  }

  compared(): readonly number[] {
    return this.#compared.length === 0 ? this.#fallback.compared() : this.#comparedAt;
  }

  /** Asks distinct random endpoints: a random start and steps of one random width. */
  #probe(set: PickSet, now: number, count: number, onOver: (() => void) | undefined): void {
    const { candidates } = set;
    const size = candidates.length;
    let index = this.#random.int(size);
    const step = count < size ? 1 + this.#random.int(size - 1) : 1;
    const start = index;
    for (let asked = 0; asked < count; asked++) {
      const candidate = candidates[index] as Candidate;
      const at = index;
      this.#prober.ask(candidate, now, (isAnswered, answeredAt) => {
        if (isAnswered) this.#keep(set, candidate, at, answeredAt);
        onOver?.();
      });
      index += step;
      if (index >= size) index -= size;
      if (index === start) index = index + 1 === size ? 0 : index + 1;
    }
  }

  #keep(set: PickSet, candidate: Candidate, index: number, now: number): void {
    this.#follow(set);
    // The list may have changed while the probe was under way.
    const place = set.candidates[index] === candidate ? index : set.candidates.indexOf(candidate);
    if (place < 0) return;
    const answers = this.#answers;
    const known = answers.findIndex((answer) => answer.candidate === candidate);
    if (known >= 0) answers.splice(known, 1);
    else if (answers.length >= this.#capacity(set)) answers.shift();
    const uses = Math.floor(this.#reuse + this.#random.next());
    answers.push({ candidate, index: place, atMs: now, usesLeft: Math.max(1, uses) });
  }

  #best(set: PickSet, request: PickRequest): number {
    this.#follow(set);
    const answers = this.#answers;
    const { now } = request;
    while (answers.length > 0 && now - (answers[0] as Answer).atMs > this.#options.maxAgeMs) answers.shift();
    this.#compared.length = 0;
    this.#comparedAt.length = 0;
    this.#scores.length = 0;
    if (answers.length < LEAST_ANSWERS) return this.#fallback.pickIndex(set, request);
    const hotAbove = this.#hotAbove();
    let best = 0;
    let bestScore = Number.POSITIVE_INFINITY;
    let bestIsHot = true;
    let worst = 0;
    let worstScore = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < answers.length; i++) {
      const { candidate, atMs, index } = answers[i] as Answer;
      const isHot = workAt(candidate) > hotAbove;
      const score = expectedTime(candidate, request) * (1 + Math.max(0, now - atMs) / DOUBT_MS);
      this.#compared.push(candidate);
      this.#comparedAt.push(index);
      this.#scores.push(score);
      if (isHot ? bestIsHot && score < bestScore : bestIsHot || score < bestScore) {
        best = i;
        bestScore = score;
        bestIsHot = isHot;
      }
      if (score > worstScore) {
        worst = i;
        worstScore = score;
      }
    }
    const { index } = answers[best] as Answer;
    this.#use(best, worst);
    return index;
  }

  #use(best: number, worst: number): void {
    const answers = this.#answers;
    const used = answers[best] as Answer;
    const spared = answers[worst] as Answer;
    if (--used.usesLeft <= 0) answers.splice(best, 1);
    for (let removed = 0; removed < REMOVED_PER_CALL && answers.length > LEAST_ANSWERS; removed++) {
      this.#takesWorst = !this.#takesWorst;
      const at = this.#takesWorst ? answers.indexOf(spared) : 0;
      answers.splice(Math.max(0, at), 1);
    }
  }

  /** The hot quantile of the work at the endpoints in the pool. */
  #hotAbove(): number {
    const answers = this.#answers;
    const rank = Math.ceil(this.#options.hotQuantile * answers.length);
    if (rank >= answers.length) return Number.POSITIVE_INFINITY;
    return answers.map(({ candidate }) => workAt(candidate)).sort((a, b) => a - b)[Math.max(0, rank - 1)] as number;
  }

  #capacity({ candidates }: PickSet): number {
    // Of a small fleet half: answers about all of it would only be more of the old ones.
    return Math.max(LEAST_ANSWERS, Math.min(this.#options.size, candidates.length >> 1));
  }

  /** Answers of endpoints that are not in the list any more go; the others get their new places. */
  #follow(set: PickSet): void {
    if (set.version === this.#version) return;
    this.#version = set.version;
    const places = new Map(set.candidates.map((candidate, index) => [candidate, index]));
    const kept = this.#answers.filter(({ candidate }) => places.has(candidate));
    this.#answers.length = 0;
    for (const answer of kept) {
      answer.index = places.get(answer.candidate) as number;
      this.#answers.push(answer);
    }
    this.#reuse = this.#reuseOf(set);
  }

  /** How often an answer may be used, on average, so that the pool neither fills nor empties. */
  #reuseOf(set: PickSet): number {
    const share = this.#capacity(set) / set.candidates.length;
    const gain = (1 - share) * this.#options.probesPerCall - REMOVED_PER_CALL;
    return gain <= 0 ? MAX_REUSE : Math.min(MAX_REUSE, Math.max(1, (1 + NET_GAIN) / gain));
  }
}

const MAX_REUSE = 4;

/** Pieces of work there, as the endpoint said and as we sent since. */
function workAt(candidate: Candidate): number {
  return candidate.others + candidate.counter.inFlight;
}
