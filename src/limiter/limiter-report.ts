/** What a limiter tells of itself, as plain JSON. */
import type { Criticality } from '../core/call-context.js';
import type { LimitChange } from './limit-history.js';
import type { Refusal } from './refusal.js';
import type { ShareSnapshot } from './share-options.js';

export interface LimiterSnapshot {
  readonly name: string;
  readonly limit: number;
  readonly inFlight: number;
  readonly weight: number;
  readonly queued: number;
  /** Priorities admitted, 0 to 512. */
  readonly level: number;
  /** Median time of a call from permit to end in the last window, ms; 0: not known yet. */
  readonly typicalMs: number;
  /** Permits granted so far, by criticality. */
  readonly admitted: Readonly<Record<Criticality, number>>;
  /** Calls refused so far, by reason; only reasons there were. */
  readonly refused: Readonly<Partial<Record<Refusal, Readonly<Record<Criticality, number>>>>>;
  readonly partitions: readonly { readonly name: string; readonly share: number; readonly weight: number }[];
  /** Permits found that nobody ended. */
  readonly leaked: number;
  /** Absent: the limit is this process's own. */
  readonly share?: ShareSnapshot;
}

export interface LimiterExplanation {
  readonly limit: number;
  /** Changes so far. */
  readonly changes: number;
  readonly last: LimitChange;
}
