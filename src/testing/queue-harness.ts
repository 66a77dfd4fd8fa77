/** What the queue suite needs to know of an engine, and how it opens one. */
import type { QueueTransport } from '../core/transport/queue.js';
import type { Harness, StoreSession } from './conformance.js';

export interface QueueTraits {
  /** Items outlive every client. */
  readonly durable: boolean;
  /** The session can move the calendar. */
  readonly wallTime: boolean;
  /** The shortest lease the engine keeps; 100 ms by contract. */
  readonly minLeaseMs: number;
  /** What becomes due by time is delivered no later than this afterwards. */
  readonly marginMs: number;
  /**
   * `stats` tells items that wait for the end of a nack delay, and those whose lease ran out, from items in somebody's hands. An engine
   * that cannot counts both as `leased` until they are delivered again. Default true.
   */
  readonly tellsWaiting?: boolean;
}

export type QueueHarness = Harness<StoreSession<QueueTransport>, QueueTraits>;
