/**
 * The default: samples endpoints, and asks them first when what it knows of them is too old.
 *
 * When are load headers too old? A router that calls an endpoint seldom hears from it seldom: with n endpoints and one call every g
 * milliseconds a report is n x g old on average. When that exceeds what calls take, twice, the queue that a report told of is gone, and
 * probes tell what is there now (a fleet of many clients lost 3 % of its calls to the timeout with headers, and 0.05 % with probes,
 * at the same load). Below 8 endpoints, for calls of less than a millisecond, and where nobody tells the costs of requests, sampling
 * needs no help.
 * @see Meta, "Taming the tail utilization of ads inference", polling; ServiceRouter's choice of a load source by rate and latency
 */
import type { Random } from '../../core/random.js';
import type { Candidate } from '../candidate.js';
import { costThere, expectedTime } from './load.js';
import type { Picker, PickRequest, PickSet, Prober } from './picker.js';
import { ProbePool, type ResolvedProbePool } from './probe-pool.js';
import { SamplingPicker } from './sampling.js';

/**
 * How many endpoints are looked at. Looking costs 10 ns each. By costs that servers tell, eight: the chance that all of them are slow is
 * small, and what they tell is worth comparing. By latency alone, four: more would only find the luckiest.
 */
export const COST_CHOICES = 8;
const LATENCY_CHOICES = 4;
/**
 * Latencies of equal servers differ by chance. Without a margin an idle client would send everything to the luckiest of them. One with
 * less work needs no margin: among servers that are busy, work in flight is what tells them apart.
 */
const MARGIN = 0.8;
const LEAST_ENDPOINTS = 8;
const LEAST_LATENCY_MS = 1;
/** Reports of this many latencies are too old; the way back is half of it. */
const OLD_LATENCIES = 2;
/** A pause counts for no more than so many gaps. */
const MOST_GAPS = 10;
/** A gap between calls counts for this much of their mean. */
const GAP_SHARE = 0.01;

export class AutoPicker implements Picker {
  readonly name = 'auto';
  readonly #byCost: SamplingPicker;
  readonly #byLatency: SamplingPicker;
  readonly #pool: ProbePool | undefined;
  /** The one that chose last. */
  #last: SamplingPicker | ProbePool;
  #isProbing = false;
  #gapMs = 0;
  #lastMs = 0;
  #calls = 0;

  /** @param prober - Absent: never asks. */
  constructor(random: Random, prober: Prober | undefined, options: ResolvedProbePool) {
    this.#byCost = new SamplingPicker('auto', random, COST_CHOICES, costThere, MARGIN);
    this.#byLatency = new SamplingPicker('auto', random, LATENCY_CHOICES, expectedTime, MARGIN);
    this.#pool = prober && new ProbePool(random, prober, this.#byCost, options);
    this.#last = this.#byLatency;
  }

  score(candidate: Candidate, request: PickRequest): number {
    return this.#last.score(candidate, request);
  }

  mustAsk(set: PickSet, request: PickRequest): boolean {
    return this.#pool !== undefined && this.#needsProbes(set, request.now) && this.#pool.mustAsk(set, request);
  }

  choose(set: PickSet, request: PickRequest, done: (index: number) => void): void {
    this.#last = this.#pool as ProbePool;
    this.#last.choose(set, request, done);
  }

  pickIndex(set: PickSet, request: PickRequest): number {
    const { fleet } = set.candidates[0] as Candidate;
    if (this.#isProbing && this.#pool !== undefined) {
      this.#last = this.#pool;
      return this.#pool.pickIndex(set, request);
    }
    // Each is called by its own name: one place that calls both would not be inlined.
    this.#last = fleet.unitMs > 0 ? this.#byCost : this.#byLatency;
    return fleet.unitMs > 0 ? this.#byCost.pickIndex(set, request) : this.#byLatency.pickIndex(set, request);
  }

  onPicked(set: PickSet, _candidate: Candidate, request: PickRequest): void {
    if (this.#last === this.#pool) this.#pool?.onPicked(set, _candidate, request);
  }

  compared(): readonly number[] {
    return this.#last.compared();
  }

  /** Once for each call. */
  #needsProbes({ candidates }: PickSet, now: number): boolean {
    // A pause says little of how often calls come when they come.
    const gapMs = Math.min(now - this.#lastMs, this.#calls === 0 ? 0 : MOST_GAPS * this.#gapMs + 1);
    this.#lastMs = now;
    this.#gapMs += (gapMs - this.#gapMs) * Math.max(GAP_SHARE, 1 / ++this.#calls);
    const { fleet } = candidates[0] as Candidate;
    const isUseful = candidates.length >= LEAST_ENDPOINTS && fleet.unitMs > 0 && fleet.latencyMs >= LEAST_LATENCY_MS;
    const ageMs = this.#gapMs * candidates.length;
    const limitMs = OLD_LATENCIES * fleet.latencyMs * (this.#isProbing ? 0.5 : 1);
    this.#isProbing = isUseful && ageMs > limitMs;
    return this.#isProbing;
  }
}
