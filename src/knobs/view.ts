/** One request's view: the state of all knobs at one revision, and the hash by which percentages and cohorts are drawn. */
import type { Clock } from '../core/clock.js';
import { COHORTS, cohortOf, isCohort } from '../core/cohort.js';
import { invalidArgument } from '../core/errors.js';
import { hashOf, mix, shareOf } from './hash.js';
import type { KnobRule, KnobState } from './knob-table.js';

export interface PinOptions {
  /** Whoever should be treated alike: a user, a tenant, a session. Absent: no percentage applies. */
  key?: string;
  /** 0 to 127, as the call context has it; default: of `key`. */
  cohort?: number;
}

/** Hold it for one request; it never changes. */
export class KnobView {
  readonly state: KnobState;
  /** Of the snapshot; 0: none was seen. */
  readonly revision: number;
  readonly #key: string | undefined;
  readonly #cohort: number | undefined;
  readonly #clock: Clock;
  #hash = -1;

  constructor(state: KnobState, revision: number, options: PinOptions | undefined, clock: Clock) {
    this.state = state;
    this.revision = revision;
    this.#key = options?.key;
    this.#cohort = options?.cohort;
    this.#clock = clock;
    if (this.#cohort !== undefined && !isCohort(this.#cohort))
      throw invalidArgument('cohort', this.#cohort, `a whole number from 0 to ${COHORTS - 1}`);
  }

  /** Of the knob at `index`, where a rule may have something to say. */
  doseBy(rule: KnobRule, otherwise: number): number {
    return this.#applies(rule) ? rule.dose : otherwise;
  }

  #applies({ cohorts, requests, salt }: KnobRule): boolean {
    if (cohorts !== undefined) {
      const cohort = this.#cohort ?? (this.#key === undefined ? undefined : cohortOf(this.#key, this.#clock.wallTime()));
      if (cohort !== undefined && ((cohorts[cohort >> 3] as number) >> (cohort & 7)) & 1) return true;
    }
    if (this.#key === undefined) return false;
    if (this.#hash < 0) this.#hash = hashOf(this.#key);
    return shareOf(mix(this.#hash, salt)) < requests;
  }
}
