/** The claims of the limiter. */
import { type Suite, wants } from '../support/claim.js';
import { goodput } from './goodput.js';

export const limiterSuite: Suite = {
  name: 'limiter',
  description:
    'goodput, recovery and criticality under overload, simulated, against the limits of the field; what a permit costs',
  async run(options, onClaim) {
    if (['L1', 'L2', 'L3', 'L4', 'L5'].some((id) => wants(options, id))) await goodput(options, onClaim);
  },
};
