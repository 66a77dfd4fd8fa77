/** What a router tells those who listen. Nothing is built for an event without a listener. */
import type { PickExplanation } from './last-picks.js';

export type RouterEvents = {
  /** An endpoint was chosen, and why. */
  pick: PickExplanation;
  /** An attempt failed and another follows. */
  retry: { readonly endpoint: string; readonly attempt: number; readonly cause: string };
  /** An attempt has taken `delayMs`, and a second one goes out beside it. */
  hedge: { readonly endpoint: string; readonly attempt: number; readonly delayMs: number };
  eject: { readonly endpoint: string; readonly reason: string; readonly forMs: number };
  /** An ejected endpoint is back, on probation. */
  return: { readonly endpoint: string };
  health: { readonly endpoint: string; readonly isHealthy: boolean; readonly reason: string };
  /** Too few endpoints were open: all known ones are used. */
  panic: { readonly open: number; readonly known: number };
  /** The resolver told a new list. */
  endpoints: { readonly endpoints: number; readonly source: 'live' | 'cache' };
  'broken-report': { readonly endpoint: string; readonly error: unknown };
};
