/** R3: CPU per request of what Node users have today, in the same run as router.call, over the same servers. */
import { staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import * as undici from 'undici';
import { startChild } from '../support/child.js';
import { startHaproxy } from '../support/proxies.js';
import { echoClient } from './grpc-echo.js';

const PORTS = 4;
const BODY = Buffer.alloc(128, 'y');
const REQUESTS = 2000;
const ROUNDS = 12;
const CONCURRENCY = 16;

interface Variant {
  readonly name: string;
  send(): Promise<unknown>;
  /** CPU of a helper process, microseconds so far. */
  otherCpu?(): number;
}

/** CPU microseconds a call, round by round: two variants are compared within a round. Or why there are none. */
export type PeerCost = { readonly rounds: readonly number[] } | { readonly missing: string };

const results: Record<string, PeerCost> = {};
await using servers = await startChild<string[]>(new URL('./echo-server.mjs', import.meta.url), [String(PORTS)]);
await using grpc = await startChild<string[]>(new URL('./grpc-server.mjs', import.meta.url), [String(PORTS)]);
await using transport = createHttpTransport({ undici });
await using router = createRouter({ service: 'echo', transport, resolver: staticResolver(servers.hello), timeoutMs: 10_000 });

const request = { path: '/', method: 'POST' as const, body: BODY };
const balanced = new undici.BalancedPool(servers.hello, { connections: 64 });
const pools = servers.hello.map((address) => new undici.Pool(address, { connections: 64 }));
const roundRobinPool = new undici.RoundRobinPool(servers.hello[0] as string, { connections: CONCURRENCY });
const grpcClient = echoClient(grpc.hello);
let turn = 0;
const read = async ({ body }: { body: { arrayBuffer(): Promise<ArrayBuffer> } }) => body.arrayBuffer();
const variants: Variant[] = [
  { name: 'evenkeel router.call', send: () => router.call(request) },
  {
    name: 'undici Pool.request, static round robin',
    send: () => (pools[turn++ % PORTS] as undici.Pool).request(request).then(read),
  },
  { name: 'undici BalancedPool', send: () => balanced.request({ ...request, origin: '' }).then(read) },
  { name: 'undici RoundRobinPool (one origin)', send: () => roundRobinPool.request(request).then(read) },
  {
    name: 'built-in fetch, static round robin',
    send: () => fetch(servers.hello[turn++ % PORTS] as string, { method: 'POST', body: BODY }).then((r) => r.arrayBuffer()),
  },
  { name: '@grpc/grpc-js round_robin', send: () => grpcClient.echo(BODY) },
];
const haproxy = await startHaproxy(servers.hello);
if (typeof haproxy === 'string') results['HAProxy sidecar (client + proxy)'] = { missing: haproxy };
else {
  const pool = new undici.Pool(haproxy.address, { connections: 64 });
  variants.push({
    name: 'HAProxy sidecar (client + proxy)',
    send: () => pool.request(request).then(read),
    otherCpu: haproxy.cpu,
  });
}

const costs = new Map<string, number[]>(variants.map(({ name }) => [name, []]));
for (const variant of variants) await block(variant);
for (let round = 0; round < ROUNDS; round++) {
  for (const variant of round % 2 === 0 ? variants : [...variants].reverse()) costs.get(variant.name)?.push(await block(variant));
}
for (const [name, rounds] of costs) results[name] = { rounds };
process.send?.(results);
if (typeof haproxy !== 'string') await haproxy[Symbol.asyncDispose]();
grpcClient.close();
await Promise.all([balanced, roundRobinPool, ...pools].map((pool) => pool.destroy()));

async function block(variant: Variant): Promise<number> {
  const other = variant.otherCpu?.() ?? 0;
  const before = process.cpuUsage();
  let left = REQUESTS;
  const lane = async () => {
    while (left-- > 0) await variant.send();
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  const { user, system } = process.cpuUsage(before);
  return (user + system + (variant.otherCpu?.() ?? 0) - other) / REQUESTS;
}
