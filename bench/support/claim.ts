/** What a benchmark says, in the form that people and programs read. */
export interface Peer {
  readonly name: string;
  readonly version: string;
  readonly settings: string;
  readonly measured: number | string;
}

export interface Claim {
  /** As in docs/benchmarks.md: `R1.c16`. */
  readonly id: string;
  readonly claim: string;
  readonly bar: string;
  /** Undefined: not measured, and then not held; `note` says why. */
  readonly measured: number | undefined;
  readonly unit: string;
  /** 95 % interval, or the least and greatest of the runs. */
  readonly low?: number;
  readonly high?: number;
  readonly samples?: number;
  readonly holds: boolean;
  /** For information: no bar. */
  readonly isInformation?: boolean;
  readonly peers?: readonly Peer[];
  readonly seed?: number;
  readonly note?: string;
}

/** A claim that could not be measured. */
export function unmeasured(id: string, claim: string, bar: string, unit: string, note: string, isInformation = false): Claim {
  return { id, claim, bar, measured: undefined, unit, holds: false, note, isInformation };
}

export interface Suite {
  readonly name: string;
  readonly description: string;
  /** Tells of each claim as soon as it is known. */
  run(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void>;
}

export interface SuiteOptions {
  /** Ids, or beginnings of ids, to be measured; empty: all. */
  readonly only: readonly string[];
  readonly seed: number;
  /** Path of a recorded workload, for suites that can replay one. */
  readonly trace?: string | undefined;
  readonly say: (line: string) => void;
}

export function wants(options: SuiteOptions, id: string): boolean {
  return options.only.length === 0 || options.only.some((prefix) => id.startsWith(prefix) || prefix.startsWith(id));
}
