/** What every QueueTransport keeps to. */
import { type ConformanceCase, toCases } from './conformance.js';
import type { QueueHarness } from './queue-harness.js';
import { queueItems } from './queue-items.js';
import { queueLeases } from './queue-leases.js';
import { queueWaiting } from './queue-waiting.js';

/**
 * The suite for queue transports.
 *
 * @param harness - Opens a fresh, empty queue for every case.
 */
export function queueConformance(harness: QueueHarness): ConformanceCase[] {
  const { traits } = harness;
  return toCases(harness, [queueItems(traits), queueLeases(traits), queueWaiting(traits)]);
}
