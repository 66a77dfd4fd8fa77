/** The transports' claims. */
import { type Suite, wants } from '../support/claim.js';
import { fileCosts } from './files.js';
import { natsClaims } from './nats/claims.js';
import { queueCosts } from './queue.js';

export const transportsSuite: Suite = {
  name: 'transports',
  description:
    'local files against the plain system calls they are made of, and against embedded stores; NATS against its own client',
  async run(options, onClaim) {
    if (wants(options, 'T1') || wants(options, 'T2')) await fileCosts(options, onClaim);
    if (wants(options, 'T3')) await queueCosts(options, onClaim);
    await natsClaims(options, onClaim);
  },
};
