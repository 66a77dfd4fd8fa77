/** What a throttle tells of itself. */
import type { Criticality } from '../core/call-context.js';
import type { ThrottleRefusal } from './throttle-refusal.js';

export type ThrottleEvents = {
  /** A call was held back. */
  refused: { readonly reason: ThrottleRefusal; readonly criticality: Criticality };
  /** A server asked to be left alone. `endpoint`: its id, where it is known; `ms`: as it is honoured. */
  pushback: { readonly ms: number; readonly endpoint: string | undefined; readonly criticality: Criticality };
};

export interface ThrottleClassSnapshot {
  /** Calls that the program wanted to make within the window, held back ones included. */
  readonly asked: number;
  /** Of these, made and not refused so far. */
  readonly accepted: number;
  /** Chance with which the next is held back, 0 to 1. */
  readonly rejection: number;
}

/** Plain JSON. */
export interface ThrottleSnapshot {
  readonly name: string;
  readonly classes: Readonly<Record<Criticality, ThrottleClassSnapshot>>;
  /** Priorities the servers admit, 0 to 512, as last heard. */
  readonly level: number;
  /** Time left of what the servers asked for, ms. */
  readonly pushbackMs: number;
  /** Ids of the endpoints that asked for time of their own, and what is left of it, ms. */
  readonly endpoints: Readonly<Record<string, number>>;
  /** Calls let through so far, by criticality. */
  readonly admitted: Readonly<Record<Criticality, number>>;
  /** Calls held back so far; only reasons there were. */
  readonly refused: Readonly<Partial<Record<ThrottleRefusal, Readonly<Record<Criticality, number>>>>>;
  /** Retries the budget has left at this moment. */
  readonly retries: number;
}
