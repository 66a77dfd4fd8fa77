/** The claims of the whole fleet. */
import { type Suite, wants } from '../support/claim.js';
import { rib } from './rib.js';
import { routing } from './routing.js';
import { SCENARIO_IDS, scenarios } from './scenarios.js';

export const fleetSuite: Suite = {
  name: 'fleet',
  description:
    'the router on a simulated fleet, against full information and the rules of the field; routing tables of large services',
  async run(options, onClaim) {
    // With the dot: F1 is the beginning of F11.
    if (['F1.', 'F2.', 'F3.'].some((id) => wants(options, id))) await routing(options, onClaim);
    const wanted = SCENARIO_IDS.filter((id) => wants(options, id));
    if (wanted.length > 0) await scenarios(wanted, options, onClaim);
    if (wants(options, 'F10')) await rib(options, onClaim);
    // Alone, and in a process that has not run anything else.
    if (wants(options, 'F11')) await scenarios(['F11'], options, onClaim);
  },
};
