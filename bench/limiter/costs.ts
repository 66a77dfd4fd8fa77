/** L6: what a permit costs, each comparison in a process of its own. */
import { startChild } from '../support/child.js';
import { type Claim, type SuiteOptions, unmeasured, wants } from '../support/claim.js';
import { versionOf } from '../support/versions.js';
import type { CostResult } from './cost-client.js';

interface Comparison {
  readonly name: string;
  readonly claim: string;
  /** Absent: for information. */
  readonly most?: number;
  readonly allocatesNothing?: boolean;
  readonly note?: string;
}

const COUNTER = 'over a bare counter';
const REJECTION = 'a rejected promise costs that much by itself: see L6.refused.floor; tryAcquire and the doors make none';

const COMPARISONS: readonly Comparison[] = [
  ...['gradient', 'fixed'].flatMap((limit) => [
    { name: `enter.${limit}`, claim: `enter + leave ${COUNTER}, ${limit} limit`, most: 4, allocatesNothing: true },
    { name: `tryAcquire.${limit}`, claim: `tryAcquire + end ${COUNTER}, ${limit} limit`, most: 4 },
    { name: `run.${limit}`, claim: `run(noop) over a bare semaphore's, ${limit} limit`, most: 1.5 },
  ]),
  { name: 'refused.tryAcquire', claim: `a refusal of tryAcquire ${COUNTER}'s`, most: 40 },
  { name: 'refused.acquire', claim: `a refusal of acquire ${COUNTER}'s`, most: 40, note: REJECTION },
  { name: 'refused.run', claim: `a refusal of run ${COUNTER}'s`, most: 40, note: REJECTION },
  { name: 'refused.floor', claim: `Promise.reject of a prebuilt error, caught, ${COUNTER}'s refusal` },
  { name: 'backlog', claim: 'enqueue + grant, 100,000 waiting over 1,000', most: 1.5 },
  { name: 'backlog.classes', claim: 'the same, of four criticalities', most: 1.5 },
];

/** A large new space that is there from the start: no collection while the bytes are counted. */
const FLAGS = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128'];

const PEERS: Readonly<Record<string, string>> = {
  'p-limit': 'pLimit(1000)',
  'p-queue': 'concurrency 1000',
  cockatiel: 'bulkhead(1000, Infinity)',
  opossum: 'capacity 1000, timeout false',
  bottleneck: 'maxConcurrent 1000',
};
/** Those whose queue is measured: opossum has none, and bottleneck's takes a minute to fill. */
const QUEUES = ['p-limit', 'p-queue', 'cockatiel'];

export async function costs(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const tell = async (id: string, name: string, toClaim: (result: CostResult) => Claim) => {
    if (!wants(options, id)) return;
    const result = await inProcess(name);
    onClaim(result === 'none' ? unmeasured(id, name, '', 'x', 'it ended without a result', true) : toClaim(result));
  };
  for (const comparison of COMPARISONS) {
    const id = `L6.${comparison.name}`;
    await tell(id, comparison.name, (result) => claimOf(id, comparison, result));
  }
  for (const [peer, settings] of Object.entries(PEERS)) {
    const id = `L6.peer.${peer}`;
    const claim = `run(noop) of ${peer} over that of the limiter`;
    await tell(id, `run:${peer}`, (result) => peerClaim(id, claim, peer, settings, result));
  }
  for (const peer of QUEUES) {
    const id = `L6.peer.${peer}.backlog`;
    const claim = `enqueue + grant of ${peer}, 100,000 waiting over 1,000`;
    await tell(id, `backlog:${peer}`, (result) => peerClaim(id, claim, peer, 'one at a time', result));
  }
}

function claimOf(id: string, { allocatesNothing, claim, most, note }: Comparison, result: CostResult): Claim {
  const { cost, ratio } = result;
  const isFree = cost === undefined || cost.bytes < 1;
  const bytes = cost === undefined ? '' : `, ${isFree ? 0 : cost.bytes.toFixed(0)} bytes`;
  return {
    id,
    claim,
    bar: most === undefined ? 'for information' : `<= ${most}x${allocatesNothing ? ', 0 bytes' : ''}`,
    measured: ratio.median,
    unit: 'x',
    low: ratio.low,
    high: ratio.high,
    samples: ratio.pairs,
    holds: most === undefined || (ratio.high <= most && (!allocatesNothing || isFree)),
    ...(most === undefined ? { isInformation: true } : undefined),
    note: `${nanoseconds(result)}${bytes}${note === undefined ? '' : `; ${note}`}`,
  };
}

function peerClaim(id: string, claim: string, peer: string, settings: string, result: CostResult): Claim {
  const { high, low, median, pairs } = result.ratio;
  return {
    id,
    claim,
    bar: 'for information',
    measured: median,
    unit: 'x',
    low,
    high,
    samples: pairs,
    holds: true,
    isInformation: true,
    peers: [{ name: peer, version: versionOf(peer), settings, measured: nanoseconds(result) }],
  };
}

function nanoseconds({ operations, ratio }: CostResult): string {
  const [a, b] = [ratio.aMicros / operations[0], ratio.bMicros / operations[1]].map((micros) => (1000 * micros).toFixed(1));
  return `${a} ns against ${b}`;
}

async function inProcess(name: string): Promise<CostResult | 'none'> {
  const program = new URL('./cost-client.mjs', import.meta.url);
  await using child = await startChild<CostResult | 'none'>(program, [name], { nodeArgs: FLAGS });
  return child.hello;
}
