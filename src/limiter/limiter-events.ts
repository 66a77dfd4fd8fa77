import type { Criticality } from '../core/call-context.js';
import type { Refusal } from './refusal.js';
import type { ShareState } from './share-options.js';

export type LimiterEvents = {
  /** The limit changed. */
  limit: { readonly from: number; readonly to: number; readonly reason: string };
  /** The share of the quota follows demand again, or does not. */
  share: { readonly state: ShareState; readonly share: number };
  /** A call was turned away. */
  refused: { readonly reason: Refusal; readonly criticality: Criticality };
};
