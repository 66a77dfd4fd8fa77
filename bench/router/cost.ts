/** R1, R2: what a routed call costs beside bare undici. R3: beside everything else. */
import { startChild } from '../support/child.js';
import { type Claim, type SuiteOptions, unmeasured, wants } from '../support/claim.js';
import { nodeOf } from '../support/other-node.js';
import { median, medianInterval, type PairedRatio } from '../support/paired.js';
import { builtInUndiciVersion, programVersion, versionOf } from '../support/versions.js';
import type { PeerCost } from './peers-client.js';

type Measured = PairedRatio & { readonly id: string; readonly concurrency: number };

const MAJORS = [20, 24];
const PAIRS = 80;
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

const OURS = 'evenkeel router.call';

export async function peerCosts(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  if (!wants(options, 'R3')) return;
  await using child = await startChild<Record<string, PeerCost>>(new URL('./peers-client.mjs', import.meta.url), []);
  const { [OURS]: ours, ...others } = child.hello;
  const ourRounds = ours === undefined || 'missing' in ours ? [] : ours.rounds;
  for (const [name, cost] of Object.entries(others)) onClaim(peerClaim(name, cost, ourRounds));
}

function peerClaim(name: string, cost: PeerCost, ours: readonly number[]): Claim {
  const slug = name
    .replace(/[,(].*/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  const id = `R3.${slug}`;
  const claim = `CPU of ${name} over that of router.call, 16 in flight`;
  if ('missing' in cost) return unmeasured(id, claim, '> 1x', 'x', cost.missing, true);
  const ratio = medianInterval(cost.rounds.map((micros, round) => micros / (ours[round] ?? Number.NaN)));
  // The floor that every client stands on, R2's peer: there it has its bar.
  const isFloor = name.includes('Pool.request');
  return {
    id,
    claim,
    bar: isFloor ? 'for information' : '> 1x',
    measured: ratio.median,
    unit: 'x',
    low: ratio.low,
    high: ratio.high,
    samples: cost.rounds.length,
    holds: ratio.low > 1,
    isInformation: isFloor,
    peers: [
      {
        name,
        version: peerVersion(name),
        settings: `same run, Node ${process.versions.node}`,
        measured: `${median(cost.rounds).toFixed(1)} us; evenkeel ${median(ours).toFixed(1)} us`,
      },
    ],
  };
}

function peerVersion(name: string): string {
  if (name.startsWith('HAProxy')) return programVersion('haproxy') ?? 'unknown';
  if (name.startsWith('built-in')) return `(undici ${builtInUndiciVersion()})`;
  return versionOf(name.includes('grpc') ? '@grpc/grpc-js' : 'undici');
}
