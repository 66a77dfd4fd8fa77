/** What a picker is: a calculator that chooses among the endpoints open to calls. It has no I/O, no timers, and allocates nothing. */
import type { Random } from '../../core/random.js';
import type { Candidate } from '../candidate.js';

/** The endpoints open to calls. A new version means that the list has changed. */
export interface PickSet {
  readonly candidates: readonly Candidate[];
  readonly version: number;
}

/** What of a call matters to the choice. */
export interface PickRequest {
  /** Clock.now(). */
  readonly now: number;
  /** Expected work, in the unit of all calls of this router. */
  readonly weight: number;
  /** Key of the load counter that matters on the server (`model:NAME`), else the host's. */
  readonly loadKey: string | undefined;
}

export interface Picker {
  readonly name: string;
  /** An index into `set.candidates`, which is never empty. Allocates nothing. */
  pickIndex(set: PickSet, request: PickRequest): number;
  /** What it compares, lower is better; for explanations, off the hot path. Absent: the choice does not compare. */
  score?(candidate: Candidate, request: PickRequest): number;
}

/** Pickers hold state, so each router makes its own. */
export type PickerFactory = (random: Random) => Picker;
