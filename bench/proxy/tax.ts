/** P3: what it costs to know where the time goes. */
import { startChild } from '../support/child.js';
import { type Claim, type SuiteOptions, wants } from '../support/claim.js';
import type { TaxCost } from './tax-client.js';

const PAIRS = 80;
const BARS_US = { off: 2, on: 5 } as const;

export async function taxCosts(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  if (!wants(options, 'P3')) return;
  options.say(`P3: ${PAIRS} pairs each`);
  await using child = await startChild<TaxCost[]>(new URL('./tax-client.mjs', import.meta.url), [String(PAIRS)]);
  for (const cost of child.hello) onClaim(claimOf(cost));
}

function claimOf({ id, median, low, high, pairs, callUs, told }: TaxCost): Claim {
  const [us, lowUs, highUs] = [median, low, high].map((ratio) => (ratio - 1) * callUs) as [number, number, number];
  const share = `${(100 * (median - 1)).toFixed(1)} % of a call of ${callUs.toFixed(0)} us`;
  const state = id === 'off' ? 'nobody listens' : `somebody listens (${told} attempts told)`;
  return {
    id: `P3.${id}`,
    claim: `CPU of the latency tax a call while ${state}: ${share}`,
    bar: `<= ${BARS_US[id]} us`,
    measured: us,
    unit: 'us',
    low: lowUs,
    high: highUs,
    samples: pairs,
    holds: highUs <= BARS_US[id],
  };
}
