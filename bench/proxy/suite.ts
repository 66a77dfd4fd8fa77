/** The claims on deployments: the linked library and the proxy. */
import type { Suite } from '../support/claim.js';
import { proxyCosts } from './cost.js';
import { longHaul } from './long-haul.js';
import { taxCosts } from './tax.js';

export const proxySuite: Suite = {
  name: 'proxy',
  description: 'the linked library beside proxies: CPU a request; rare calls over a long way; the latency tax',
  async run(options, onClaim) {
    await proxyCosts(options, onClaim);
    await longHaul(options, onClaim);
    await taxCosts(options, onClaim);
  },
};
