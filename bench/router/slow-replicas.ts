/** R4: two servers of sixteen are sixteen times slower. What does the tail see of it? */
import { staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import * as undici from 'undici';
import { startChild } from '../support/child.js';
import type { Claim, SuiteOptions } from '../support/claim.js';
import { openLoop } from '../support/open-loop.js';
import { median, quantile } from '../support/paired.js';
import { versionOf } from '../support/versions.js';
import type { SlowServers } from './slow-servers.js';

const FAST_MS = 20;
const SLOW_MS = 320;
const SIGMA = 0.3;
const CONNECTIONS = 256;
const SLOTS = 16;
const MEANS = [...new Array<number>(14).fill(FAST_MS), SLOW_MS, SLOW_MS];
/** The load at which round robin keeps the slow ones at this utilisation. */
const SLOW_UTILISATION = 0.6;
const RATE = (MEANS.length * SLOW_UTILISATION * SLOTS * 1000) / SLOW_MS;
const RUNS = 3;
const WARM_UP_S = 3;
const MEASURED_S = 12;

export async function slowReplicas(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const ratios: number[] = [];
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const seed = options.seed + run;
    const baseline = await roundRobinP99(seed);
    const routed = await evenkeelP99(seed);
    options.say(`R4 run ${run + 1} of ${RUNS}: round robin ${baseline.toFixed(0)} ms, evenkeel ${routed.toFixed(0)} ms`);
    ratios.push(routed / baseline);
    ours.push(routed);
    theirs.push(baseline);
  }
  const measured = median(ratios);
  onClaim({
    id: 'R4',
    claim: `p99 with 2 of 16 servers 16 times slower, open loop at ${RATE} calls/s, against round robin`,
    bar: '<= 0.125x of round robin',
    measured,
    unit: 'x',
    low: Math.min(...ratios),
    high: Math.max(...ratios),
    samples: RUNS,
    holds: Math.max(...ratios) <= 1 / 8,
    seed: options.seed,
    peers: [
      {
        name: 'round robin over undici pools',
        version: versionOf('undici'),
        settings: `same arrivals and service times, ${CONNECTIONS} connections a server on both sides`,
        measured: `p99 ${median(theirs).toFixed(0)} ms; evenkeel ${median(ours).toFixed(0)} ms`,
      },
    ],
  });
}

type Send = () => Promise<unknown>;

/** Static round robin as a careful user writes it. */
async function roundRobinP99(seed: number): Promise<number> {
  await using servers = await startServers(seed);
  const pools = servers.hello.addresses.map((address) => new undici.Pool(address, { connections: CONNECTIONS }));
  let turn = 0;
  const p99 = await p99Of(seed, async () => {
    turn = (turn + 1) % pools.length;
    const { body } = await (pools[turn] as undici.Pool).request({ path: '/', method: 'POST', body: 'x' });
    await body.text();
  });
  await Promise.all(pools.map((pool) => pool.close()));
  return p99;
}

async function evenkeelP99(seed: number): Promise<number> {
  await using servers = await startServers(seed);
  await using transport = createHttpTransport({ undici, connections: CONNECTIONS });
  await using router = createRouter({ service: 'r4', transport, resolver: staticResolver(servers.hello.addresses) });
  return await p99Of(seed, () => router.call({ path: '/', method: 'POST', body: 'x' }));
}

function startServers(seed: number) {
  const plan = { means: MEANS, sigma: SIGMA, slots: SLOTS, seed };
  return startChild<SlowServers>(new URL('./slow-servers.mjs', import.meta.url), [JSON.stringify(plan)]);
}

async function p99Of(seed: number, send: Send): Promise<number> {
  const latencies: number[] = [];
  await openLoop({ rate: RATE, seconds: WARM_UP_S + MEASURED_S, seed }, async (arrivalMs, atMs) => {
    await send();
    // From the intended arrival: a client that is late is part of what its user waits for.
    if (atMs >= WARM_UP_S * 1000) latencies.push(performance.now() - arrivalMs);
  });
  return quantile(latencies, 0.99);
}
