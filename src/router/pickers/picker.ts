/** What a picker is: a calculator that chooses among the endpoints open to calls. It has no I/O, no timers, and allocates nothing. */
import type { FeatureSwitch } from '../../core/feature-switch.js';
import type { LoadReport } from '../../core/load-report.js';
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
  /** What the call has in common with others that had better go to the same endpoint: hashes of ever longer prefixes, or one key. */
  readonly affinity?: readonly string[] | undefined;
}

export interface Picker {
  readonly name: string;
  /** An index into `set.candidates`, which is never empty. Allocates nothing. */
  pickIndex(set: PickSet, request: PickRequest): number;
  /** The call that `pickIndex` was asked for goes to `candidate`, not always the one it told: what is due once a call belongs here. */
  onPicked?(set: PickSet, candidate: Candidate, request: PickRequest): void;
  /** What it compares, lower is better; for explanations, off the hot path. Absent: the choice does not compare. */
  score?(candidate: Candidate, request: PickRequest): number;
  /** Indices of the endpoints that the last pick compared, at most 64; for explanations as well. */
  compared?(): readonly number[];
  /** This call shall wait for probes: `choose` instead of `pickIndex`. */
  mustAsk?(set: PickSet, request: PickRequest): boolean;
  /** Calls `done` once, with an index into `set.candidates` (-1: nobody is there any more); after probes of its own, so later. */
  choose?(set: PickSet, request: PickRequest, done: (index: number) => void): void;
}

/** Asks endpoints how loaded they are, aside from the calls. */
export interface Prober {
  /** The budget has room for a probe. */
  isAllowed(now: number): boolean;
  /**
   * Sends a probe. `onOver` is called once: with true when the candidate has a new report. At once, with false, when the budget has no
   * room.
   */
  ask(candidate: Candidate, now: number, onOver: (isAnswered: boolean, now: number) => void): void;
}

export interface ProberOptions {
  readonly path: string;
  readonly timeoutMs: number;
  readonly maxPerSecond: number;
  /** Reads an answer without a load header. Default: ORCA as TEXT or JSON, or vLLM's `{"server_load": n}`. */
  readonly parse?: (body: string) => LoadReport;
}

/** What a router offers its picker. */
export interface PickerEnvironment {
  prober(options: ProberOptions): Prober;
  /** Stickiness may be used now. Absent: it may. */
  readonly affinity?: FeatureSwitch | undefined;
}

/** Pickers hold state, so each router makes its own. `environment`: absent where there is no router, in tests and measurements. */
export type PickerFactory = (random: Random, environment?: PickerEnvironment) => Picker;
