/** Why a call went where it went: for a listener, and the last of them for `router.snapshot()`. */
import type { Candidate } from './candidate.js';
import type { Member } from './endpoint-table.js';
import type { PickRequest } from './pickers/picker.js';
import type { Route } from './routes/pool.js';

/** Plain JSON. */
export interface PickExplanation {
  readonly endpoint: string;
  readonly attempt: number;
  readonly picker: string;
  readonly reason: string;
  /** What the picker compared; lower is better. Undefined: it does not compare, or nobody listened. */
  readonly score: number | undefined;
  /** Endpoints to choose from. */
  readonly open: number;
  /** Those that the picker compared, at most 64, as they stood before the call. Empty: it does not compare, or nobody listened. */
  readonly compared: readonly ComparedEndpoint[];
  /** From 0, the nearest; undefined where there are no rings. */
  readonly ring: number | undefined;
  readonly inFlight: number;
  /** Where the latest report of the endpoint came from: `response-header`, `probe`. Undefined: there was none. */
  readonly reportSource: string | undefined;
  readonly reportAgeMs: number | undefined;
}

/** Plain JSON. */
export interface ComparedEndpoint {
  readonly endpoint: string;
  readonly score: number | undefined;
  readonly inFlight: number;
  readonly reportSource: string | undefined;
  readonly reportAgeMs: number | undefined;
}

interface Explained extends PickRequest {
  readonly attempts: number;
}

const KEPT = 32;

export function explanationOf(member: Member, request: Explained, reason: string, route: Route | undefined): PickExplanation {
  const compared = (route?.picker.compared?.() ?? [])
    .map((index) => route?.set.candidates[index])
    .filter((one) => one !== undefined);
  return {
    ...comparedOf(member, request, route),
    attempt: request.attempts + 1,
    picker: route?.picker.name ?? 'load source',
    reason,
    open: route?.set.candidates.length ?? 0,
    compared: compared.map((candidate) => comparedOf(candidate, request, route)),
    ring: route?.ring,
  };
}

function comparedOf(candidate: Candidate, request: Explained, route: Route | undefined): ComparedEndpoint {
  const { report, reportSource, reportAtMs } = candidate;
  return {
    endpoint: candidate.endpoint.id,
    score: known(route?.picker.score?.(candidate, request)),
    inFlight: candidate.counter.inFlight,
    reportSource: report === undefined ? undefined : reportSource,
    reportAgeMs: report === undefined ? undefined : request.now - reportAtMs,
  };
}

/** A ring of fields written in place: noting a pick allocates nothing. */
export class LastPicks {
  readonly #members: (Member | undefined)[] = new Array(KEPT).fill(undefined);
  readonly #routes: (Route | undefined)[] = new Array(KEPT).fill(undefined);
  readonly #reasons: string[] = new Array(KEPT).fill('');
  readonly #sources: (string | undefined)[] = new Array(KEPT).fill(undefined);
  /** Of each: attempt, endpoints open, in flight, age of the report. */
  readonly #numbers = new Float64Array(KEPT * 4);
  readonly #explanations: (PickExplanation | undefined)[] = new Array(KEPT).fill(undefined);
  #noted = 0;

  /** @param explanation - Where one has been made; then it is kept, and tells more. */
  note(
    member: Member,
    request: Explained,
    reason: string,
    route: Route | undefined,
    explanation: PickExplanation | undefined,
  ): void {
    const at = this.#noted++ % KEPT;
    this.#explanations[at] = explanation;
    this.#members[at] = member;
    this.#routes[at] = route;
    this.#reasons[at] = reason;
    this.#sources[at] = member.report === undefined ? undefined : member.reportSource;
    const numbers = this.#numbers;
    const first = at * 4;
    numbers[first] = request.attempts + 1;
    numbers[first + 1] = route?.set.candidates.length ?? 0;
    numbers[first + 2] = member.counter.inFlight;
    numbers[first + 3] = member.report === undefined ? Number.NaN : request.now - member.reportAtMs;
  }

  /** Latest first. */
  all(): PickExplanation[] {
    return Array.from({ length: Math.min(KEPT, this.#noted) }, (_, back) => this.#at((this.#noted - 1 - back) % KEPT));
  }

  #at(index: number): PickExplanation {
    const explanation = this.#explanations[index];
    if (explanation !== undefined) return explanation;
    const [attempt = 0, open = 0, inFlight = 0, age = Number.NaN] = this.#numbers.subarray(index * 4);
    const route = this.#routes[index];
    return {
      endpoint: (this.#members[index] as Member).endpoint.id,
      attempt,
      picker: route?.picker.name ?? 'load source',
      reason: this.#reasons[index] as string,
      score: undefined,
      open,
      compared: [],
      ring: route?.ring,
      inFlight,
      reportSource: this.#sources[index],
      reportAgeMs: Number.isNaN(age) ? undefined : age,
    };
  }
}

function known(score: number | undefined): number | undefined {
  return Number.isNaN(score) ? undefined : score;
}
