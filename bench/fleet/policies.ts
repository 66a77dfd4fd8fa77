/** What is compared: how each picks, and what it hears of the servers. */
import {
  auto,
  type LoadSource,
  type PickerFactory,
  p2c,
  peakEwma,
  polling,
  probePool,
  random,
  responseHeader,
  roundRobin,
  weightedRoundRobin,
} from 'evenkeel/router';
import type { SimServer } from 'evenkeel/sim';
import { freeCapacity, fullInformation, leastCpu, prequal } from './peer-pickers.js';

export interface Policy {
  readonly settings: string;
  readonly picker: (servers: readonly SimServer[]) => PickerFactory;
  readonly loadSources?: () => readonly LoadSource[];
  readonly declaresCapacity?: boolean;
}

const headers = () => [responseHeader()];

export const POLICIES = {
  auto: { settings: 'the default: header, probes when reports are too old', picker: () => auto() },
  pool: { settings: 'probePool()', picker: () => probePool() },
  learned: {
    settings: 'auto without probes, costs learned, slots taken from the processors',
    picker: () => auto({ probes: false }),
    declaresCapacity: false,
  },
  declared: { settings: 'auto without probes, slots declared', picker: () => auto({ probes: false }) },
  baseline: { settings: 'P2C on the load header plus own in-flight', picker: () => p2c({ load: 'reported' }) },
  'full: all servers': {
    settings: 'best of all by (in flight + 1) / free speed',
    picker: fullInformation(Number.POSITIVE_INFINITY, freeCapacity),
  },
  'full: eight': { settings: 'best of 8 by the same', picker: fullInformation(8, freeCapacity) },
  'full: shortest queue': {
    settings: 'join the shortest queue',
    picker: fullInformation(Number.POSITIVE_INFINITY, ({ processor }) => processor.inFlight),
  },
  "Prequal's rule, Q 0.84": { settings: 'pool 16, 3 probes a call, as published', picker: prequal(2 ** -0.25) },
  "Prequal's rule, Q 0.70": { settings: 'the same, hot above 0.70', picker: prequal(0.7) },
  "Finagle's P2C peak EWMA": { settings: 'decay 10 s, its default', picker: () => peakEwma() },
  "WRR by reported utilisation (grpc-js's rule)": {
    settings: 'weight = rps / utilisation, updated each second, no blackout',
    picker: () => weightedRoundRobin(),
    loadSources: headers,
  },
  'windowed CPU counter': { settings: 'P2C on cpu_utilization of the last second', picker: () => leastCpu() },
  'power of 3': { settings: 'header plus own in-flight', picker: () => p2c({ choices: 3, load: 'reported' }) },
  'power of 4': { settings: 'header plus own in-flight', picker: () => p2c({ choices: 4, load: 'reported' }) },
  'power of 5': { settings: 'header plus own in-flight', picker: () => p2c({ choices: 5, load: 'reported' }) },
  'power of 6': { settings: 'header plus own in-flight', picker: () => p2c({ choices: 6, load: 'reported' }) },
  'power of 7': { settings: 'header plus own in-flight', picker: () => p2c({ choices: 7, load: 'reported' }) },
  'power of 8': { settings: 'header plus own in-flight', picker: () => p2c({ choices: 8, load: 'reported' }) },
  'poll before dispatch': {
    settings: 'two servers asked, the less loaded one called',
    picker: () => p2c(),
    loadSources: () => [polling({ mode: 'before-dispatch' })],
  },
  "round robin (undici's RoundRobinPool, and BalancedPool without connection errors)": {
    settings: 'static',
    picker: () => roundRobin(),
  },
  random: { settings: 'uniform', picker: () => random() },
} satisfies Record<string, Policy>;

export type PolicyName = keyof typeof POLICIES;

export const FULL_INFORMATION: readonly PolicyName[] = ['full: all servers', 'full: eight', 'full: shortest queue'];
