/** What every StateTransport keeps to. */
import { type ConformanceCase, toCases } from './conformance.js';
import type { StateHarness } from './state-harness.js';
import { stateLeases } from './state-leases.js';
import { stateRaces } from './state-races.js';
import { stateValues } from './state-values.js';
import { stateWatches } from './state-watches.js';

/**
 * The suite for state transports.
 *
 * @param harness - Opens a fresh, empty store for every case.
 */
export function stateConformance(harness: StateHarness): ConformanceCase[] {
  const { traits } = harness;
  return toCases(harness, [stateValues(traits), stateRaces(), stateWatches(traits), stateLeases(traits)]);
}
