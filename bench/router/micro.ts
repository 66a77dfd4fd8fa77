/** R7, from its process. */
import { startChild } from '../support/child.js';
import type { Claim } from '../support/claim.js';
import type { OperationCost } from '../support/per-operation.js';

/** A pick stays below this at 1000 endpoints. */
const PICK_BAR_NS = 100;

/** Picks without that bar, and why. */
const NO_BAR: Readonly<Record<string, string>> = {
  'pick auto with a model, 1000 endpoints': 'two look-ups by key for each endpoint looked at',
  'pick least loaded, 1000 endpoints': 'O(n): it looks at each endpoint',
};

export async function micro(onClaim: (claim: Claim) => void): Promise<void> {
  for (const name of await inProcess<string[]>()) {
    const { ns, bytes } = await inProcess<OperationCost>(name);
    const note = NO_BAR[name];
    const hasBar = name.startsWith('pick ') && note === undefined;
    const allocates = bytes >= 1;
    onClaim({
      id: `R7.${name.replace(/[^a-z0-9]+/g, '-')}`,
      claim: name,
      bar: hasBar ? `< ${PICK_BAR_NS} ns, 0 bytes` : 'listed',
      measured: ns,
      unit: `ns, ${allocates ? bytes.toFixed(0) : 0} bytes`,
      holds: !hasBar || (ns < PICK_BAR_NS && !allocates),
      isInformation: !hasBar,
      ...(note === undefined ? undefined : { note }),
    });
  }
}

/** A large new space that is there from the start: no collection while the bytes are counted. */
const FLAGS = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128'];

async function inProcess<T>(...args: string[]): Promise<T> {
  await using child = await startChild<T>(new URL('./micro-client.mjs', import.meta.url), args, { nodeArgs: FLAGS });
  return child.hello;
}
