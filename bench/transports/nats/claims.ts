/** T4 to T7: the NATS transports against the client's own ways to do the same, on a nats-server of this machine. */
import { natsMissing, natsServer } from '../../../test/support/nats-server.js';
import { type Claim, type SuiteOptions, unmeasured, wants } from '../../support/claim.js';
import { blobRates } from './blob.js';
import { costs } from './cost.js';
import { flips } from './flips.js';
import { outages } from './outage.js';

const PARTS = [
  ['T4', flips],
  ['T5', costs],
  ['T6', blobRates],
  ['T7', outages],
] as const;

export async function natsClaims(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  for (const [id, run] of PARTS) {
    if (!wants(options, id)) continue;
    if (natsMissing !== undefined) {
      onClaim(unmeasured(id, 'NATS transports', 'see docs/benchmarks.md', '', natsMissing));
      continue;
    }
    options.say(`${id}: nats-server with a store of its own`);
    await using server = await natsServer();
    await run(server, onClaim);
  }
}
