/** The claims of the limiter. */
import { type Suite, wants } from '../support/claim.js';
import { costs } from './costs.js';
import { goodput } from './goodput.js';
import { slotsOverload } from './slots-overload.js';

export const limiterSuite: Suite = {
  name: 'limiter',
  description:
    'goodput, recovery and criticality under overload, simulated and real, against the limits of the field; what a permit costs',
  async run(options, onClaim) {
    if (['L1', 'L2', 'L3', 'L4', 'L5'].some((id) => wants(options, id))) await goodput(options, onClaim);
    if (wants(options, 'L6')) await costs(options, onClaim);
    if (wants(options, 'L7')) await slotsOverload(options, onClaim);
  },
};
