/** Round robin, plain and weighted. Both are blind to how long calls take: for uniform work on uniform servers, and as a yardstick. */
import type { Random } from '../../core/random.js';
import type { Candidate } from '../candidate.js';
import type { Picker, PickRequest, PickSet } from './picker.js';

/** In turn, from a random start so that many clients do not march in step. */
export class RoundRobinPicker implements Picker {
  readonly name = 'round-robin';
  #next: number;

  constructor(random: Random) {
    this.#next = random.int(2 ** 20);
  }

  pickIndex({ candidates }: PickSet): number {
    this.#next = (this.#next + 1) % candidates.length;
    return this.#next;
  }
}

const UPDATE_MS = 1000;
const REPORT_EXPIRES_MS = 180_000;
const MAX_WEIGHT = 65_535;
/** More calls per second at full load than one endpoint can take; a larger report is a mistake, or a lie. */
const MAX_REPORTED_WEIGHT = 1e9;

/**
 * In turn, in proportion to weight: the endpoint's own, times requests per second over utilization where it reports both.
 * Each endpoint is passed over in a stride that fits its weight: spread evenly, no heap. A pick passes over as many as the largest
 * weight is times the mean: one or two in a fleet of like servers, all of them where one weighs more than the rest together.
 * @see gRFC A58, weighted_round_robin: weight = rps / (utilization + eps / rps)
 */
export class WeightedRoundRobinPicker implements Picker {
  readonly name = 'weighted-round-robin';
  #sequence: number;
  #version = -1;
  #updateAt = 0;
  #strides = new Uint16Array(0);

  constructor(random: Random) {
    this.#sequence = random.int(2 ** 20);
  }

  pickIndex(set: PickSet, request: PickRequest): number {
    if (set.version !== this.#version || request.now >= this.#updateAt) this.#weigh(set, request.now);
    const strides = this.#strides;
    const size = strides.length;
    // The heaviest endpoint is never passed over, so this ends within two rounds.
    for (let passed = 0; passed < 2 * size; passed++) {
      const sequence = this.#sequence++;
      const index = sequence % size;
      const stride = strides[index] as number;
      const turn = Math.floor(sequence / size);
      // Turn t of an endpoint is used when t x stride crosses a multiple of MAX_WEIGHT; the index shifts the phase.
      if ((stride * turn + index * 32_003) % MAX_WEIGHT >= MAX_WEIGHT - stride) return index;
    }
    return this.#sequence % size;
  }

  #weigh({ candidates, version }: PickSet, now: number): void {
    const weights = candidates.map((candidate) => reportedWeight(candidate, now));
    const known = weights.filter((weight) => weight !== undefined);
    // Endpoints without a usable report weigh what the others weigh on average; with fewer than two there is nothing to compare.
    const mean = known.length < 2 ? undefined : known.reduce((sum, weight) => sum + weight, 0) / known.length;
    const final = candidates.map(
      (candidate, i) => (mean === undefined ? 1 : (weights[i] ?? mean)) * candidate.weight * candidate.warmth(now),
    );
    // Not Math.max(...final): a hundred thousand arguments are too many for the stack.
    const largest = final.reduce((most, weight) => Math.max(most, weight), 0);
    this.#strides = Uint16Array.from(final, (weight) => Math.max(1, Math.round((weight / largest) * MAX_WEIGHT)));
    this.#version = version;
    this.#updateAt = now + UPDATE_MS;
  }
}

function reportedWeight({ report, reportAtMs }: Candidate, now: number): number | undefined {
  if (report === undefined || now - reportAtMs > REPORT_EXPIRES_MS) return undefined;
  const { rps = 0 } = report;
  const eps = Math.max(0, report.eps ?? 0);
  const utilization = report.applicationUtilization || report.cpuUtilization || 0;
  if (rps <= 0 || utilization <= 0) return undefined;
  // A server can report anything: what the division makes of it must not become a stride.
  return Math.min(rps / (utilization + eps / rps), MAX_REPORTED_WEIGHT);
}
