/** The pickers by name. */
import { checkInteger } from '../../core/errors.js';
import { expectedTime, ownLoad, peakEwmaLoad, reportedLoad } from './load.js';
import type { PickerFactory } from './picker.js';
import { RoundRobinPicker, WeightedRoundRobinPicker } from './rotation.js';
import { DEFAULT_CHOICES, MAX_CHOICES, SamplingPicker } from './sampling.js';

export type { Picker, PickerFactory, PickRequest, PickSet } from './picker.js';

/** How many endpoints `auto` looks at: with four the chance that all of them are slow is small even in a small fleet. */
const AUTO_CHOICES = 4;
/**
 * Latencies of equal servers differ by chance. Without a margin an idle client would send everything to the luckiest of them. One with
 * less work needs no margin: among servers that are busy, work in flight is what tells them apart.
 */
const AUTO_MARGIN = 0.8;

/**
 * The default: of four random endpoints the one where this call would end first, by mean latency per unit of work, work in flight
 * from here (counted at dispatch) and what the endpoint last reported of others' work. Needs nothing from servers; gets better with
 * load reports.
 */
export function auto(): PickerFactory {
  return (random) => new SamplingPicker('auto', random, AUTO_CHOICES, expectedTime, AUTO_MARGIN);
}

/**
 * Power of k choices on own work in flight.
 * @param options.choices - Default 2; 1 to 64.
 * @param options.load - `own` (default), or `reported`: own plus what servers tell of other callers'.
 * @see Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"
 */
export function p2c(options: { choices?: number; load?: 'own' | 'reported' } = {}): PickerFactory {
  const score = options.load === 'reported' ? reportedLoad : ownLoad;
  const choices = checkChoices(options.choices);
  return (random) => new SamplingPicker('p2c', random, choices, score);
}

/** The least own work in flight of all. O(n): for some dozen endpoints. Many clients with few calls each all choose alike: prefer p2c. */
export function leastLoaded(): PickerFactory {
  return (random) => new SamplingPicker('least-loaded', random, Number.POSITIVE_INFINITY, ownLoad);
}

/** Power of two choices on peak latency times own work in flight. @see Finagle, "Beyond Round Robin: Load Balancing for Latency" */
export function peakEwma(options: { choices?: number } = {}): PickerFactory {
  const choices = checkChoices(options.choices);
  return (random) => new SamplingPicker('peak-ewma', random, choices, peakEwmaLoad);
}

export function random(): PickerFactory {
  return (stream) => ({ name: 'random', pickIndex: ({ candidates }) => stream.int(candidates.length) });
}

export function roundRobin(): PickerFactory {
  return (stream) => new RoundRobinPicker(stream);
}

export function weightedRoundRobin(): PickerFactory {
  return (stream) => new WeightedRoundRobinPicker(stream);
}

function checkChoices(choices = DEFAULT_CHOICES): number {
  return checkInteger('choices', choices, 1, MAX_CHOICES);
}
