/**
 * The operator's hand on the knobs: says what a flip would do, makes it, sees it arrive, and takes it back.
 *
 * Two at once? One wins each revision; the other asks again of the newer state, so that nothing is written over unseen. One that dies between plan and flip has
 * done nothing. Who may? Whoever may write the store: names of actors are told, not proven. Every flip has a reason and, unless it says otherwise, an end.
 * @see Meza et al., "Defcon", OSDI'23 (Knob Actuator Service, Degradation Portal and CLI)
 */

import type { Runtime } from '../core/runtime.js';
import type { StateTransport } from '../core/transport/state.js';
import type { KnobChange } from './change.js';
import type { HistoryEntry } from './history.js';
import type { Level } from './level.js';
import type { KnobUse, RegisteredKnob } from './report.js';
import type { KnobSnapshot, LevelScope } from './snapshot.js';

export interface ActuatorOptions {
  /** The fleet's. Not closed by the actuator. */
  state: StateTransport;
  /** Who is turning: a person, an automation. 1 to 200 characters. */
  actor: string;
  /** As the knobs have it. Default `default`. */
  scope?: string;
  /** Default: a private one. */
  runtime?: Runtime;
}

export interface FlipOptions {
  /** Why, with the number of the incident. 1 to 500 characters. */
  reason: string;
  /** When it ends by itself, ms from the moment an instance sees it. Default 3,600,000, an hour; 0: never. At most a year. */
  ttlMs?: number;
  /** Over which instances let go when it eases or ends, each at a moment of its own, ms. Default 60,000. */
  rampMs?: number;
  /** First a share of the instances, 0 to 1, for a time; then all. Default: all at once. */
  canary?: { instances: number; forMs: number };
  /**
   * Asked every second of the canary and of `forMs` after the flip; when it says no, or throws, what was there before is put back. A proposal does not
   * keep it.
   */
  guard?: { isHealthy: () => boolean | Promise<boolean>; forMs: number };
  /** Alone although level 1 wants two; the history tells, for a review afterwards. */
  breakGlass?: boolean;
  /** Although instances of a service disagree on what its knobs are, or none knows the knob. */
  force?: boolean;
  /** Only if the state is still of this revision: that of a plan. */
  expect?: number;
  signal?: AbortSignal;
}

export interface Flipped {
  /** Of the flip, in the history. */
  readonly id: string;
  /** `proposed`: level 1 waits for a second person, see `approve`. */
  readonly outcome: 'applied' | 'proposed';
  /** Of the state that has it; 0 when it was proposed. */
  readonly revision: number;
}

export interface Plan {
  readonly change: KnobChange;
  /** To be handed to the flip as `expect`. */
  readonly revision: number;
  readonly instances: number;
  readonly knobs: readonly PlannedKnob[];
  /** Services whose instances do not agree on their knobs: a flip is refused unless it is forced. */
  readonly disagreeing: readonly string[];
  /** Level 1 wants a second person. */
  readonly needsApproval: boolean;
}

export interface PlannedKnob extends RegisteredKnob {
  readonly service: string;
  /** That would turn it, and that turn it already. */
  readonly instances: number;
  readonly checksPerSecond: number;
  /** Mean milliseconds of both arms, by all their runs; null: not measured. */
  readonly fullMs: number | null;
  readonly reducedMs: number | null;
  /** Runs of the reduced arm so far: 0 is a path that nobody has tried. */
  readonly reducedRuns: number;
}

export interface Propagation {
  readonly revision: number;
  readonly applied: number;
  readonly total: number;
  /** From the writing of the state to its being in force, ms; NaN: nobody has it. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Instances that have not; at most 100 are named. */
  readonly laggards: readonly string[];
}

export interface Actuator {
  readonly actor: string;
  /** @throws {EvenkeelError} `invalid-argument`; what `state` throws. */
  plan(change: KnobChange): Promise<Plan>;
  /**
   * @throws {EvenkeelError} `invalid-argument` · `failed-precondition` when instances disagree, or nobody knows the knob · `aborted` when the state is not
   *   of `expect`, others were faster a hundred times, or the guard said no (`details.reverted`) · what `state` throws.
   */
  setLevel(scope: LevelScope, level: Level, options: FlipOptions): Promise<Flipped>;
  /** Turns one knob, whatever the level: on, off, or to a dose of 0 to 255; for a share of the requests, or for cohorts, by choice. Throws as `setLevel`. */
  set(knob: string, to: { dose: number; requests?: number; cohorts?: readonly number[] }, options: FlipOptions): Promise<Flipped>;
  /** Back to normal: a scope to level 4, a knob to what the level says, or everything. Throws as `setLevel`. */
  release(what: { scope: LevelScope } | { knob: string } | 'all', options: Omit<FlipOptions, 'canary'>): Promise<Flipped>;
  /**
   * Makes what another proposed.
   * @throws {EvenkeelError} `permission-denied` for one's own proposal, `not-found` for one that is not there any more; as `setLevel`.
   */
  approve(id: string, options?: { signal?: AbortSignal }): Promise<Flipped>;
  proposals(): Promise<readonly HistoryEntry[]>;
  /** The newest first. */
  history(options?: { limit?: number }): Promise<readonly HistoryEntry[]>;
  /** What is in force, and the instances. */
  status(): Promise<{
    revision: number;
    snapshot: KnobSnapshot;
    instances: number;
    disagreeing: readonly string[];
    uses: readonly KnobUse[];
  }>;
  /** Looks every half second until all instances have `revision`, or `withinMs` is over; default 30,000. */
  propagation(
    revision: number,
    options?: { withinMs?: number; onProgress?: (so: Propagation) => void; signal?: AbortSignal },
  ): Promise<Propagation>;
}
