/**
 * Knobs: switch work off across a fleet in seconds, in the order of what users miss least.
 *
 * A knob is on when there is less to do; level 4 is normal, and 3 to 1 turn on more and more. What is a check's answer when the store is down? The last
 * one there was: state is held, its age is told (`ageMs`, the event `stale`), and no error is the last one. What when it was down before the process
 * started? That of `cacheFile`. And with none, everything is off.
 * @see Meza et al., "Defcon", OSDI'23
 */
import type { Events } from '../core/events.js';
import type { Runtime } from '../core/runtime.js';
import type { CallExtension } from '../core/transport/call.js';
import type { StateTransport } from '../core/transport/state.js';
import type { ArmCount } from './arm-meter.js';
import type { KnobDefinition, KnobOptions } from './definition.js';
import type { Knob } from './knob.js';
import type { Level } from './level.js';
import type { LevelScope } from './snapshot.js';
import type { KnobView, PinOptions } from './view.js';

export interface KnobsOptions {
  /** Where the operator's actuator writes. Not closed by the knobs. */
  state: StateTransport;
  /** This service, as levels name it (`service:NAME`). 1 to 200 characters. */
  service: string;
  /** This process, one of its own for each; canaries and ramps are drawn by it. Default: by chance. 1 to 200 characters. */
  instance?: string;
  /** Whose state it is, where several fleets share a store. 1 to 200 characters. Default `default`. */
  scope?: string;
  /** A copy of the state for a start with the store down, in a folder of this machine. Default: none. */
  cacheFile?: string;
  /** A file of this machine that is above the store: see break-glass in docs/knobs.md. So is the variable `EVENKEEL_KNOBS`. Default: none. */
  breakGlassFile?: string;
  /** How old an unproven state may be before `stale` is told, and policies of knobs begin. Milliseconds; default 3,000; 100 and up. */
  maxStalenessMs?: number;
  /** Between two questions to the store beside the watch, ms, a fifth more or less by chance. Default 10,000; 100 to 600,000. */
  pollMs?: number;
  /** Checks a second are told with the reports, and take a nanosecond each. Default true. */
  countChecks?: boolean;
  /**
   * Between two reports to the operators, ms, a fifth more or less by chance; a change is told within half of it. Default 10,000; 1,000 to 600,000; 0: none,
   * and the operators see nothing of this process.
   */
  reportEveryMs?: number;
  /** Names that were used once and are gone: whoever defines one again gets an error. */
  buried?: readonly string[];
  /** Default: a private one. */
  runtime?: Runtime;
}

export interface Knobs extends AsyncDisposable {
  readonly service: string;
  readonly instance: string;
  /** Milliseconds since the last proof that the state held is the newest; Infinity: there was none. */
  readonly ageMs: number;
  /** Of the state held; 0: none. Rises within an epoch. */
  readonly revision: number;
  readonly events: Events<KnobsEvents>;
  /**
   * A knob, for good. Define all at start.
   * @throws {EvenkeelError} `already-exists` for a second one of that name, `failed-precondition` for a buried name, `invalid-argument`,
   *   `resource-exhausted` beyond 16,384.
   */
  define<const Name extends string>(options: KnobOptions<Name>): Knob<Name>;
  /**
   * The state as it is now, for one request: checks by it do not change half way. Costs one small object.
   * @throws {EvenkeelError} `invalid-argument` for a cohort there is not.
   */
  pin(options?: PinOptions): KnobView;
  /** In force in this instance. Default: the most severe of `all` and this service. */
  level(scope?: LevelScope): Level;
  /** Resolves when the state is proven, or was read from `cacheFile`; true: proven. Never rejects; waits at most `timeoutMs`, default 5,000. */
  ready(options?: { timeoutMs?: number }): Promise<boolean>;
  /**
   * For a router's `extensions`: tells servers which state this process holds, and hears which they hold. A newer one is asked for at once. While nothing
   * proves the own state, a more severe level of `all` that servers told within the last minute counts.
   */
  readonly extension: CallExtension;
  /** For answers: the value of the header `evenkeel-knobs`; undefined while the own state is not proven. */
  readonly hint: string | undefined;
  /** Takes the value of that header, of a request; what cannot be read says nothing. */
  hear(hint: string): void;
  /** Of the names and what they mean: instances that disagree run different code. 16 hexadecimal digits. */
  readonly registryHash: string;
  /** Plain JSON. */
  snapshot(): KnobsSnapshot;
  /** Stops following; checks go on by the last state. */
  close(): Promise<void>;
}

/** The store; a ramp, or the end of a flip; a policy for what is not proven, or what servers told meanwhile; the file on this machine. */
export type ChangeReason = 'state' | 'time' | 'stale' | 'break-glass';

export type KnobsEvents = {
  /** Knobs that are on or off now, or at another dose. */
  change: { readonly changed: readonly string[]; readonly revision: number; readonly reason: ChangeReason };
  stale: { readonly ageMs: number };
  fresh: { readonly revision: number };
  /** A source or the cache failed; what was in force stays. */
  error: { readonly error: unknown };
  /** A reduced path threw, and the full one ran instead. */
  failed: { readonly knob: string; readonly error: unknown };
};

export interface KnobsSnapshot {
  readonly service: string;
  readonly instance: string;
  readonly scope: string;
  readonly epoch: string;
  readonly revision: number;
  /** Null: never proven. */
  readonly ageMs: number | null;
  readonly isStale: boolean;
  /** This machine's file or variable has something to say. */
  readonly isGlassBroken: boolean;
  readonly registryHash: string;
  readonly level: Level;
  readonly knobs: readonly KnobReport[];
}

export interface KnobReport {
  readonly name: string;
  readonly dose: number;
  /** Checks so far, modulo 2^32. */
  readonly checks: number;
  readonly full: ArmCount;
  readonly reduced: ArmCount;
  readonly definition: KnobDefinition;
}
