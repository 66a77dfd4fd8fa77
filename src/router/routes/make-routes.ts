/** The routes of a router, from its options. */
import type { Clock } from '../../core/clock.js';
import { checkNumber, invalidArgument } from '../../core/errors.js';
import { type Random, randomId } from '../../core/random.js';
import type { EndpointTable } from '../endpoint-table.js';
import type { RouterOptions } from '../options.js';
import type { PickerEnvironment, PickerFactory } from '../pickers/picker.js';
import { switchedPicker } from '../pickers/switched.js';
import { ALWAYS_ON } from '../switches.js';
import { Routes } from './routes.js';
import { checkSubset } from './subset.js';

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function makeRoutes(
  { locality, rings, ringThreshold, subset, versions, tiers, switches = {} }: RouterOptions,
  picker: PickerFactory,
  environment: PickerEnvironment,
  table: EndpointTable,
  clock: Clock,
  random: Random,
): Routes {
  for (const [name, split] of Object.entries({ versions, tiers })) {
    if (split !== undefined && typeof split.at !== 'function')
      throw invalidArgument(name, split, 'what createTrafficSplit or createTierSplit returned');
  }
  if (ringThreshold !== undefined) checkNumber('ringThreshold', ringThreshold, Number.MIN_VALUE, 100);
  for (const [name, feature] of Object.entries(switches)) {
    if (feature !== undefined && typeof feature.isOn !== 'boolean')
      throw invalidArgument(`switches.${name}`, feature, 'an object with isOn');
  }
  let made = 0;
  const makePicker = () => {
    // The first as in a router without places: its draws do not depend on what else was asked for.
    const label = made++ === 0 ? 'picker' : `picker ${made}`;
    return switchedPicker(picker(random.fork(label), environment), random.fork('p2c'), switches.picker);
  };
  const options = {
    locality,
    rings,
    ringThreshold,
    subset: subset === false ? undefined : checkSubset(subset),
    versions,
    tiers,
    subsetting: switches.subsets ?? ALWAYS_ON,
  };
  return new Routes(options, table, clock, random.fork('routes'), randomId(random.fork('client')), makePicker);
}
