/** What the state suite needs to know of an engine, and how it opens one. */
import type { StateTransport } from '../core/transport/state.js';
import type { Harness, StoreSession } from './conformance.js';

export interface StateTraits {
  /** What was stored outlives every client. */
  readonly durable: boolean;
  /** The session can move the calendar. */
  readonly wallTime: boolean;
  /** The shortest lease the engine keeps; 100 ms by contract, longer where it counts in seconds. */
  readonly minLeaseMs: number;
  /** An expiry is seen no later than this after the lease ran out. */
  readonly leaseMarginMs: number;
  /** The longest time between two proofs of freshness while nothing changes. */
  readonly headEveryMs: number;
  /** A watch shows each change, rather than the newest of those that came in quick succession. */
  readonly everyChange: boolean;
}

export type StateHarness = Harness<StoreSession<StateTransport>, StateTraits>;
