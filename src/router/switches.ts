/**
 * The optional algorithms of a router, each of which can be turned off without a release: a fault in the library would be in every
 * process that links it. With all of them off the router is power of two choices on work in flight.
 * @see ServiceRouter, OSDI'23: the risk of a linked library
 */
import type { FeatureSwitch } from '../core/feature-switch.js';

export interface RouterSwitches {
  /** Pickers' requests for load beside the calls. Load sources that poll go on. */
  readonly probes?: FeatureSwitch;
  /** The use of a part of a long list. Off: all endpoints. */
  readonly subsets?: FeatureSwitch;
  /** Stickiness of calls to endpoints. Off: the least loaded. */
  readonly affinity?: FeatureSwitch;
  /** Second attempts beside slow ones. Off: none is sent; those that are out go on. */
  readonly hedging?: FeatureSwitch;
  /** The taking out of endpoints that keep failing. Off: nothing is ejected any more, and what is out comes back with the next answer from anywhere. */
  readonly ejection?: FeatureSwitch;
  /** The picker that was chosen, whichever. Off: power of two choices on own work in flight. */
  readonly picker?: FeatureSwitch;
}

export const ALWAYS_ON: FeatureSwitch = Object.freeze({ isOn: true });

export function isOff(feature: FeatureSwitch | undefined): boolean {
  return feature !== undefined && !feature.isOn;
}
