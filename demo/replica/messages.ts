/** What a server process and the demo tell each other, and how one is configured: as JSON in its first argument. */
import type { ServerFigures } from '../parameters.js';

export interface ReplicaConfig {
  readonly index: number;
  /** 0: any free one. */
  readonly port: number;
  readonly slowdown: number;
  readonly figures: ServerFigures;
  readonly sampleMs: number;
}

export type FromReplica =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'sample'; readonly inFlight: number };
export interface ToReplica {
  readonly type: 'slowdown';
  readonly factor: number;
}

/** Which server answered. */
export const SERVED_BY_HEADER = 'x-served-by';
