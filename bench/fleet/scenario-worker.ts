/** Runs one scenario of the fleet in a process of its own, and sends its claims to its parent. */
import type { Claim, SuiteOptions } from '../support/claim.js';
import { affinity } from './affinity.js';
import { hedging } from './hedging.js';
import { models } from './models.js';
import { regions } from './regions.js';
import { shards } from './shards.js';
import { simulator } from './simulator.js';
import { smallFleet } from './small-fleet.js';

type Scenario = (options: SuiteOptions, onClaim: (claim: Claim) => void) => Promise<void>;

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  F4: models,
  F5: regions,
  F6: shards,
  F7: smallFleet,
  F8: affinity,
  F9: hedging,
  F11: simulator,
};

const [id = '', seed = '1', trace = ''] = process.argv.slice(2);
process.send?.('ready');
await SCENARIOS[id]?.(
  { only: [], seed: Number(seed), trace: trace === '' ? undefined : trace, say: (line) => console.error(line) },
  (claim) => process.send?.(claim),
);
process.exit();
