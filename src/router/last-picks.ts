/** Why a call went where it went: for a listener, and the last of them for `router.snapshot()`. */
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
  /** From 0, the nearest; undefined where there are no rings. */
  readonly ring: number | undefined;
  readonly inFlight: number;
  /** Where the latest report of the endpoint came from: `response-header`, `probe`. Undefined: there was none. */
  readonly reportSource: string | undefined;
  readonly reportAgeMs: number | undefined;
}

interface Explained extends PickRequest {
  readonly attempts: number;
}

const KEPT = 32;

export function explanationOf(member: Member, request: Explained, reason: string, route: Route | undefined): PickExplanation {
  return {
    endpoint: member.endpoint.id,
    attempt: request.attempts + 1,
    picker: route?.picker.name ?? 'load source',
    reason,
    score: known(route?.picker.score?.(member, request)),
    open: route?.set.candidates.length ?? 0,
    ring: route?.ring,
    inFlight: member.counter.inFlight,
    reportSource: member.report === undefined ? undefined : member.reportSource,
    reportAgeMs: member.report === undefined ? undefined : request.now - member.reportAtMs,
  };
}

/** A ring of fields written in place: noting a pick allocates nothing. */
export class LastPicks {
  readonly #members: (Member | undefined)[] = new Array(KEPT).fill(undefined);
  readonly #routes: (Route | undefined)[] = new Array(KEPT).fill(undefined);
  readonly #reasons: string[] = new Array(KEPT).fill('');
  readonly #sources: (string | undefined)[] = new Array(KEPT).fill(undefined);
  /** Of each: attempt, score, endpoints open, in flight, age of the report. */
  readonly #numbers = new Float64Array(KEPT * 5);
  #noted = 0;

  /** @param score - NaN: not known. */
  note(member: Member, request: Explained, reason: string, route: Route | undefined, score: number): void {
    const at = this.#noted++ % KEPT;
    this.#members[at] = member;
    this.#routes[at] = route;
    this.#reasons[at] = reason;
    this.#sources[at] = member.report === undefined ? undefined : member.reportSource;
    const numbers = this.#numbers;
    const first = at * 5;
    numbers[first] = request.attempts + 1;
    numbers[first + 1] = score;
    numbers[first + 2] = route?.set.candidates.length ?? 0;
    numbers[first + 3] = member.counter.inFlight;
    numbers[first + 4] = member.report === undefined ? Number.NaN : request.now - member.reportAtMs;
  }

  /** Latest first. */
  all(): PickExplanation[] {
    return Array.from({ length: Math.min(KEPT, this.#noted) }, (_, back) => this.#at((this.#noted - 1 - back) % KEPT));
  }

  #at(index: number): PickExplanation {
    const [attempt = 0, score = Number.NaN, open = 0, inFlight = 0, age = Number.NaN] = this.#numbers.subarray(index * 5);
    const route = this.#routes[index];
    return {
      endpoint: (this.#members[index] as Member).endpoint.id,
      attempt,
      picker: route?.picker.name ?? 'load source',
      reason: this.#reasons[index] as string,
      score: Number.isNaN(score) ? undefined : score,
      open,
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
