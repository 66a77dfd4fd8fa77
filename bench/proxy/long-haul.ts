/**
 * P2: rare calls over a long way. Each of many clients calls each shard once in 50 s on average (0.02 a second), and an idle connection
 * lives 30 s: more than half of a linked client's calls set one up. A proxy on the near side sees the calls of all; the few connections
 * that it needs it can keep for ten minutes, and they stay warm. Nobody waits 50 s: those times are divided by TIME_SCALE, the round trip is
 * not. How often a connection is cold depends on their ratio, which stays.
 */
import { seededRandom, staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import * as undici from 'undici';
import { startChild } from '../support/child.js';
import { type Claim, type SuiteOptions, wants } from '../support/claim.js';
import { openLoop } from '../support/open-loop.js';
import { quantile } from '../support/paired.js';
import { startOurs } from '../support/proxies.js';
import { type LongWay, longWay } from './long-way.js';

const RTT_MS = 100;
const CLIENTS = 25;
const SHARDS = 2;
const RATE_PER_SHARD = 0.02;
const IDLE_MS = 30_000;
const PROXY_IDLE_MS = 600_000;
const TIME_SCALE = 20;
const WARM_UP_S = 5;
const SECONDS = 20;
const RUNS = 3;
const BARS = { p50: 0.6, p99: 0.75 } as const;

interface Measured {
  readonly latencies: number[];
  readonly connections: number;
}

export async function longHaul(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  if (!wants(options, 'P2')) return;
  options.say(`P2: ${RUNS} runs of two times ${WARM_UP_S + SECONDS} s`);
  const runs: { linked: Measured; proxied: Measured }[] = [];
  for (let run = 0; run < RUNS; run++) {
    const seed = options.seed + run;
    runs.push({ linked: await measure(false, seed), proxied: await measure(true, seed) });
  }
  for (const [name, q] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    const ratios = runs.map(({ linked, proxied }) => quantile(proxied.latencies, q) / quantile(linked.latencies, q));
    onClaim(claimOf(name, ratios, runs, q, options.seed));
  }
}

function claimOf(
  name: keyof typeof BARS,
  ratios: number[],
  runs: readonly { linked: Measured; proxied: Measured }[],
  q: number,
  seed: number,
): Claim {
  const high = Math.max(...ratios);
  const of = (side: 'linked' | 'proxied') => {
    const ms = quantile(
      runs.map((run) => quantile(run[side].latencies, q)),
      0.5,
    ).toFixed(0);
    const made = runs.reduce((sum, run) => sum + run[side].connections, 0);
    return `${ms} ms, ${made} connections made over the long way`;
  };
  const times = `${IDLE_MS / 1000} s and ${1 / RATE_PER_SHARD} s divided by ${TIME_SCALE}`;
  return {
    id: `P2.${name}`,
    claim: `${name} of rare calls over ${RTT_MS} ms through one near proxy, over that of linked clients`,
    bar: `<= ${BARS[name]}x in each run`,
    measured: quantile(ratios, 0.5),
    unit: 'x',
    low: Math.min(...ratios),
    high,
    samples: runs.reduce((sum, { linked }) => sum + linked.latencies.length, 0),
    holds: high <= BARS[name],
    seed,
    peers: [
      {
        name: 'evenkeel linked',
        version: 'of this repository',
        settings: `${CLIENTS} clients, ${SHARDS} shards; connections live, and calls are apart, ${times}; the proxy keeps its for ${PROXY_IDLE_MS / 1000} s, likewise`,
        measured: `${of('linked')}; through the proxy ${of('proxied')}`,
      },
    ],
  };
}

/** One run: the same arrivals for both sides. */
async function measure(isProxied: boolean, seed: number): Promise<Measured> {
  await using servers = await startChild<string[]>(new URL('./quiet-server.mjs', import.meta.url), [String(SHARDS)]);
  const ways = await Promise.all(servers.hello.map((address) => longWay(address, RTT_MS)));
  const proxy = isProxied ? await startOurs(proxyConfig(ways)) : undefined;
  const transports = Array.from({ length: CLIENTS }, () => createHttpTransport({ undici, keepAliveMs: IDLE_MS / TIME_SCALE }));
  const routers = transports.map((transport) =>
    ways.map(({ address }) => {
      const resolver = staticResolver([proxy?.address ?? address]);
      return createRouter({ service: 'shard', transport, resolver, timeoutMs: 10_000 });
    }),
  );
  const random = seededRandom(`callers ${seed}`);
  const latencies: number[] = [];
  const rate = CLIENTS * SHARDS * RATE_PER_SHARD * TIME_SCALE;
  await openLoop({ rate, seconds: WARM_UP_S + SECONDS, seed }, async (arrivalMs, atMs) => {
    const shard = random.int(SHARDS);
    const response = await routers[random.int(CLIENTS)]?.[shard]?.call({ path: `/${shard}` });
    if (response?.status !== 200) throw new Error(`status ${response?.status}`);
    if (atMs >= WARM_UP_S * 1000) latencies.push(performance.now() - arrivalMs);
  });
  const connections = ways.reduce((sum, way) => sum + way.connections, 0);
  await Promise.all(routers.flat().map((router) => router.close()));
  await Promise.all(transports.map((transport) => transport.close()));
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all(ways.map((way) => way[Symbol.asyncDispose]()));
  return { latencies, connections };
}

/** One service a shard, told apart by the path. */
function proxyConfig(ways: readonly LongWay[]) {
  const http = { keepAliveMs: PROXY_IDLE_MS / TIME_SCALE };
  return {
    services: Object.fromEntries(ways.map(({ address }, shard) => [`shard-${shard}`, { resolver: { static: [address] }, http }])),
    routes: ways.map((_, shard) => ({ pathPrefix: `/${shard}`, service: `shard-${shard}` })),
  };
}
