/** The pickers by name. */
import { checkInteger } from '../../core/errors.js';
import type { FeatureSwitch } from '../../core/feature-switch.js';
import { ALWAYS_ON } from '../switches.js';
import { AutoPicker, COST_CHOICES } from './auto.js';
import type { CounterBlend } from './counter-blend.js';
import { blendedLoad, expectedTime, ownLoad, peakEwmaLoad, reportedLoad } from './load.js';
import type { PickerEnvironment, PickerFactory } from './picker.js';
import { checkPrefixAffinity, type PrefixAffinityOptions, PrefixAffinityPicker, PrefixMemory } from './prefix-affinity.js';
import { checkProbePool, ProbePool, type ProbePoolOptions, proberOf } from './probe-pool.js';
import { checkRingHash, type RingHashOptions, RingHashPicker } from './ring-hash.js';
import { RoundRobinPicker, WeightedRoundRobinPicker } from './rotation.js';
import { DEFAULT_CHOICES, MAX_CHOICES, SamplingPicker } from './sampling.js';

export {
  CounterBlend,
  type CounterBlendOptions,
  type CounterName,
  createCounterBlend,
  DEFAULT_BLEND_MS,
} from './counter-blend.js';
export type { Picker, PickerEnvironment, PickerFactory, PickRequest, PickSet, Prober, ProberOptions } from './picker.js';
export type { PrefixAffinityOptions } from './prefix-affinity.js';
export type { ProbePoolOptions } from './probe-pool.js';
export type { RingHashOptions } from './ring-hash.js';

/**
 * The default: of eight random endpoints (four where nobody tells costs) the one where this call would end first, by what endpoints told of their outstanding work at
 * learned costs, own work in flight (counted at dispatch), and latency where nobody tells costs. Needs nothing from servers; gets
 * better with load reports; asks endpoints as `probePool` does when reports come too seldom to be of use.
 * @param options.probes - `false`: never asks. Or how to ask.
 * @throws {EvenkeelError} `invalid-argument` naming the option.
 */
export function auto(options: { probes?: ProbePoolOptions | false } = {}): PickerFactory {
  const { probes = {} } = options;
  const pool = checkProbePool(probes === false ? {} : probes);
  return (random, environment) => {
    const prober = environment === undefined || probes === false ? undefined : proberOf(probes, environment);
    return new AutoPicker(random, prober, pool);
  };
}

/**
 * Asks random endpoints for their load beside each call, and sends calls to the best of the answers at hand. For fleets of more than some
 * dozen endpoints, of many clients, with calls of milliseconds and more. Costs up to three small requests a call, within a budget.
 * @throws {EvenkeelError} `invalid-argument` naming the option.
 * @see Prequal, NSDI'24
 */
export function probePool(options: ProbePoolOptions = {}): PickerFactory {
  const pool = checkProbePool(options);
  return (random, environment) => {
    const sampling = new SamplingPicker('probe-pool', random, COST_CHOICES, expectedTime);
    return environment === undefined ? sampling : new ProbePool(random, proberOf(options, environment), sampling, pool);
  };
}

/**
 * Power of k choices on own work in flight.
 * @param options.choices - Default 2; 1 to 64.
 * @param options.load - `own` (default), or `reported`: own plus what servers tell of other callers'.
 * @param options.counter - Reported load, by the host's counter, the model's, or something between: see `createCounterBlend`.
 * @see Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"
 */
export function p2c(options: { choices?: number; load?: 'own' | 'reported'; counter?: CounterBlend } = {}): PickerFactory {
  const { counter } = options;
  const score = counter !== undefined ? blendedLoad(counter) : options.load === 'reported' ? reportedLoad : ownLoad;
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

/**
 * Calls of one key (`affinity`) go to one endpoint, with bounded load. Calls without a key: power of two choices.
 * @throws {EvenkeelError} `invalid-argument` naming the option.
 */
export function ringHash(options: RingHashOptions = {}): PickerFactory {
  const resolved = checkRingHash(options);
  return (random, environment) => {
    const keyless = new SamplingPicker('ring-hash', random, DEFAULT_CHOICES, ownLoad);
    return new RingHashPicker(resolved, keyless, environment?.affinity ?? ALWAYS_ON);
  };
}

/**
 * Calls that share a prefix (`affinity`: hashes of ever longer prefixes) go where it was last worked on, below a load gate. Calls without
 * keys: as `auto` without probes. Costs a look at each endpoint: for fleets of up to some hundred.
 * @param options.switch - Off: as if no call had keys.
 * @throws {EvenkeelError} `invalid-argument` naming the option.
 */
export function prefixAffinity(options: PrefixAffinityOptions & { switch?: FeatureSwitch } = {}): PickerFactory {
  const resolved = checkPrefixAffinity(options);
  const plain = auto({ probes: false });
  const memories = new WeakMap<PickerEnvironment, PrefixMemory>();
  return (random, environment) => {
    const isUsed = options.switch ?? environment?.affinity ?? ALWAYS_ON;
    let memory = environment && memories.get(environment);
    if (environment !== undefined && memory === undefined) {
      memory = new PrefixMemory(resolved.maxKeys);
      memories.set(environment, memory);
    }
    return new PrefixAffinityPicker(random, resolved, plain(random, environment), isUsed, memory);
  };
}

function checkChoices(choices = DEFAULT_CHOICES): number {
  return checkInteger('choices', choices, 1, MAX_CHOICES);
}
