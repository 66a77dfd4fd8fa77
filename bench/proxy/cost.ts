/** P1: what a request costs through a proxy, beside the linked router. */
import { startChild } from '../support/child.js';
import { type Claim, type SuiteOptions, unmeasured, wants } from '../support/claim.js';
import { median, medianInterval } from '../support/paired.js';
import { programVersion, versionOf } from '../support/versions.js';
import type { ProxyCost } from './cost-client.js';

const PAIRS = 40;

interface Row {
  readonly id: string;
  readonly what: string;
  readonly name: string;
  readonly settings: string;
  readonly version: () => string;
  /** The ratio must be above it. */
  readonly bar: number;
}

const ROWS: Readonly<Record<string, Row>> = {
  ours: {
    id: 'P1.proxy',
    what: 'evenkeel proxy and its client',
    name: 'evenkeel proxy',
    settings: 'defaults, one process; the client: bare undici Pool.dispatch',
    version: () => versionOf('..'),
    // As the paper found for its own.
    bar: 2,
  },
  haproxy: {
    id: 'P1.haproxy',
    what: 'HAProxy and its client',
    name: 'HAProxy',
    settings: 'nbthread 1, balance random(2), http-reuse always; the client: bare undici Pool.dispatch',
    version: () => programVersion('haproxy') ?? 'unknown',
    bar: 1,
  },
  grpc: {
    id: 'P1.grpc-js',
    what: '@grpc/grpc-js round_robin, linked',
    name: '@grpc/grpc-js',
    settings: 'round_robin over four servers, no proxy',
    version: () => versionOf('@grpc/grpc-js'),
    bar: 1,
  },
};

export async function proxyCosts(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  if (!wants(options, 'P1')) return;
  options.say(`P1: ${PAIRS} pairs each`);
  const program = new URL('./cost-client.mjs', import.meta.url);
  await using child = await startChild<Record<string, ProxyCost>>(program, [String(PAIRS)]);
  for (const [key, cost] of Object.entries(child.hello)) onClaim(claimOf(ROWS[key] as Row, cost));
}

function claimOf(row: Row, cost: ProxyCost): Claim {
  const claim = `CPU of ${row.what} over that of a linked router.call, 16 in flight`;
  const bar = `> ${row.bar}x`;
  if ('missing' in cost) return unmeasured(row.id, claim, bar, 'x', cost.missing);
  const { linked, other, proxy } = cost;
  const ratio = medianInterval(other.map((micros, i) => micros / (linked[i] ?? Number.NaN)));
  const [ofOther, ofProxy, ofLinked] = [median(other), median(proxy), median(linked)].map((us) => us.toFixed(1));
  return {
    id: row.id,
    claim,
    bar,
    measured: ratio.median,
    unit: 'x',
    low: ratio.low,
    high: ratio.high,
    samples: other.length,
    holds: ratio.low > row.bar,
    peers: [
      {
        name: row.name,
        version: row.version(),
        settings: row.settings,
        measured: `${ofOther} us a request, ${ofProxy} of them the proxy's; linked ${ofLinked} us`,
      },
    ],
  };
}
