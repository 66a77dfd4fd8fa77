import type { Criticality } from '../core/call-context.js';
import type { Refusal } from './refusal.js';

export type LimiterEvents = {
  /** The limit changed. */
  limit: { readonly from: number; readonly to: number; readonly reason: string };
  /** A call was turned away. */
  refused: { readonly reason: Refusal; readonly criticality: Criticality };
};
