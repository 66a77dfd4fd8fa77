/** R1, R2: what a routed call costs beside bare undici. R3: beside everything else. */
import { startChild } from '../support/child.js';
import { type Claim, type SuiteOptions, unmeasured, wants } from '../support/claim.js';
import { nodeOf } from '../support/other-node.js';
import type { PairedRatio } from '../support/paired.js';
import { versionOf } from '../support/versions.js';

type Measured = PairedRatio & { readonly id: string; readonly concurrency: number };

const MAJORS = [20, 24];
const PAIRS = 40;
const BARS: Readonly<Record<number, number>> = { 16: 1.05, 1: 1.1 };

export async function routedCost(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  for (const major of MAJORS) {
    const node = nodeOf(major);
    if ('missing' in node) {
      for (const id of ['R1', 'R2'])
        onClaim(unmeasured(`${id}.node${major}`, 'CPU of a routed call', '<= 1.05x / 1.10x', 'x', node.missing));
      continue;
    }
    options.say(`R1 and R2 on Node ${node.version}: ${PAIRS} pairs each`);
    const program = new URL('./cost-client.mjs', import.meta.url);
    await using child = await startChild<Measured[]>(program, [String(PAIRS), options.only.join(',')], { node: node.path });
    for (const result of child.hello) onClaim(claimOf(result, major, node.version));
  }
}

function claimOf(result: Measured, major: number, version: string): Claim {
  const { id, concurrency, median, low, high, pairs, aMicros, bMicros } = result;
  const bar = BARS[concurrency] ?? Number.NaN;
  const isAmbient = id.endsWith('.ambient');
  const what = id.startsWith('R1')
    ? 'router.call, buffered, against bare Pool.dispatch'
    : 'router.call, streamed, against Pool.request';
  return {
    id: `${id}.node${major}`,
    claim: `CPU of ${what}, ${concurrency} in flight${isAmbient ? ', ambient context on' : ''}`,
    bar: isAmbient && concurrency === 1 ? 'for information' : `<= ${bar.toFixed(2)}x`,
    measured: median,
    unit: 'x',
    low,
    high,
    samples: pairs,
    holds: high <= bar,
    isInformation: isAmbient && concurrency === 1,
    peers: [
      {
        name: id.startsWith('R1') ? 'undici Pool.dispatch, static round robin' : 'undici Pool.request, static round robin',
        version: versionOf('undici'),
        settings: `the same pools and connections, Node ${version}`,
        measured: `${bMicros.toFixed(1)} us a request; evenkeel ${aMicros.toFixed(1)} us`,
      },
    ],
  };
}

interface PeerCost {
  readonly micros: number | null;
  readonly note?: string;
}

const OURS = 'evenkeel router.call';

export async function peerCosts(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  if (!wants(options, 'R3')) return;
  await using child = await startChild<Record<string, PeerCost>>(new URL('./peers-client.mjs', import.meta.url), []);
  const ours = child.hello[OURS]?.micros ?? Number.NaN;
  for (const [name, { micros, note }] of Object.entries(child.hello)) {
    if (name === OURS) continue;
    const id = `R3.${name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-|-$/g, '')}`;
    const claim = `CPU of ${name} over that of router.call, 16 in flight`;
    if (micros === null || Number.isNaN(micros)) onClaim(unmeasured(id, claim, '> 1x', 'x', note ?? 'no figure', true));
    else {
      const measured = micros / ours;
      const isBare = name.includes('Pool.request');
      const peer = {
        name,
        version: versionOf(name.includes('grpc') ? '@grpc/grpc-js' : 'undici'),
        settings: 'same servers, same run',
        measured: `${micros.toFixed(1)} us; evenkeel ${ours.toFixed(1)} us`,
      };
      onClaim({
        id,
        claim,
        bar: isBare ? 'for information' : '> 1x',
        measured,
        unit: 'x',
        holds: measured > 1,
        isInformation: true,
        peers: [peer],
      });
    }
  }
}
