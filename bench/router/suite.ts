/** The router's claims. */
import type { Suite } from '../support/claim.js';
import { wants } from '../support/claim.js';
import { peerCosts, routedCost } from './cost.js';
import { failingServer, outage } from './failures.js';
import { micro } from './micro.js';
import { slowReplicas } from './slow-replicas.js';

export const routerSuite: Suite = {
  name: 'router',
  description: 'cost of a routed call, slow and failing servers, retries in an outage, picks',
  async run(options, onClaim) {
    if (wants(options, 'R1') || wants(options, 'R2')) await routedCost(options, onClaim);
    if (wants(options, 'R3')) await peerCosts(options, onClaim);
    if (wants(options, 'R4')) await slowReplicas(options, onClaim);
    if (wants(options, 'R5')) await failingServer(options, onClaim);
    if (wants(options, 'R6')) await outage(options, onClaim);
    if (wants(options, 'R7')) await micro(onClaim);
  },
};
