/** The claims of the whole fleet. */
import { type Suite, wants } from '../support/claim.js';
import { affinity } from './affinity.js';
import { hedging } from './hedging.js';
import { models } from './models.js';
import { regions } from './regions.js';
import { rib } from './rib.js';
import { routing } from './routing.js';
import { shards } from './shards.js';
import { smallFleet } from './small-fleet.js';

export const fleetSuite: Suite = {
  name: 'fleet',
  description:
    'the router on a simulated fleet, against full information and the rules of the field; routing tables of large services',
  async run(options, onClaim) {
    if (['F1', 'F2', 'F3'].some((id) => wants(options, id))) await routing(options, onClaim);
    if (wants(options, 'F4')) await models(options, onClaim);
    if (wants(options, 'F5')) await regions(options, onClaim);
    if (wants(options, 'F6')) await shards(options, onClaim);
    if (wants(options, 'F7')) await smallFleet(options, onClaim);
    if (wants(options, 'F8')) await affinity(options, onClaim);
    if (wants(options, 'F9')) await hedging(options, onClaim);
    if (wants(options, 'F10')) await rib(options, onClaim);
  },
};
