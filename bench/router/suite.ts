/** The router's claims. */
import type { Suite } from '../support/claim.js';
import { wants } from '../support/claim.js';
import { peerCosts, routedCost } from './cost.js';
import { endpointChanges } from './endpoint-changes.js';
import { failingServer } from './failing-server.js';
import { micro } from './micro.js';
import { outage } from './outage.js';
import { slowReplicas } from './slow-replicas.js';

export const routerSuite: Suite = {
  name: 'router',
  description: 'cost of a routed call, slow and failing servers, retries in an outage, picks, endpoints that come and go',
  async run(options, onClaim) {
    if (wants(options, 'R1') || wants(options, 'R2')) await routedCost(options, onClaim);
    if (wants(options, 'R3')) await peerCosts(options, onClaim);
    if (wants(options, 'R4')) await slowReplicas(options, onClaim);
    if (wants(options, 'R5')) await failingServer(options, onClaim);
    if (wants(options, 'R6')) await outage(options, onClaim);
    if (wants(options, 'R7')) await micro(onClaim);
    if (wants(options, 'R8')) await endpointChanges(options, onClaim);
  },
};
