/** P1: CPU per request, client and proxy added up, of a linked router and of callers behind proxies. A process of its own. */
import { staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import * as undici from 'undici';
import { echoClient } from '../router/grpc-echo.js';
import { startChild } from '../support/child.js';
import { type ProxyProcess, startHaproxy, startOurs } from '../support/proxies.js';

const PORTS = 4;
const BODY = Buffer.alloc(128, 'y');
const HEADERS = ['content-type', 'application/octet-stream'];
const REQUESTS = 1000;
const WARM_UPS = 12;
const CONCURRENCY = 16;

interface Variant {
  readonly name: string;
  send(): Promise<unknown>;
  /** CPU of its proxy, microseconds so far. */
  proxyCpu?(): number;
}

/** CPU microseconds a request of the linked router and of another, pair by pair, one right after the other. Or why there are none. */
export type ProxyCost =
  | { readonly linked: readonly number[]; readonly other: readonly number[]; readonly proxy: readonly number[] }
  | { readonly missing: string };

const pairs = Number(process.argv[2] ?? '40');
await using servers = await startChild<string[]>(new URL('../router/echo-server.mjs', import.meta.url), [String(PORTS)]);
await using grpc = await startChild<string[]>(new URL('../router/grpc-server.mjs', import.meta.url), [String(PORTS)]);
await using transport = createHttpTransport({ undici });
await using router = createRouter({ service: 'echo', transport, resolver: staticResolver(servers.hello), timeoutMs: 10_000 });
const linked: Variant = {
  name: 'linked',
  send: () => router.call({ path: '/', method: 'POST', headers: HEADERS, body: BODY }),
};

const results: Record<string, ProxyCost> = {};
await using ours = await startOurs({
  services: { echo: { resolver: { static: servers.hello } } },
  routes: [{ service: 'echo' }],
});
results.ours = await compare(behind('ours', ours));
const haproxy = await startHaproxy(servers.hello);
if (typeof haproxy === 'string') results.haproxy = { missing: haproxy };
else {
  await using _ = haproxy;
  results.haproxy = await compare(behind('haproxy', haproxy));
}
const grpcClient = echoClient(grpc.hello);
results.grpc = await compare({ name: 'grpc', send: () => grpcClient.echo(BODY) });
grpcClient.close();
process.send?.(results);
if (process.send === undefined) console.log(results);

/** The least client there is: what a proxy costs beyond it is the proxy's. */
function behind(name: string, proxy: ProxyProcess): Variant {
  const pool = new undici.Pool(proxy.address, { connections: 64, headersTimeout: 0, bodyTimeout: 0 });
  return {
    name,
    send: () =>
      new Promise((resolve, reject) => {
        const handler = {
          onConnect() {},
          onHeaders: () => true,
          onData: () => true,
          onComplete: resolve,
          onError: reject,
        };
        pool.dispatch(
          { path: '/', method: 'POST', headers: HEADERS, body: BODY },
          handler as unknown as undici.Dispatcher.DispatchHandler,
        );
      }),
    proxyCpu: () => proxy.cpu(),
  };
}

async function compare(other: Variant): Promise<ProxyCost> {
  const costs = { linked: [] as number[], other: [] as number[], proxy: [] as number[] };
  for (let i = 0; i < WARM_UPS; i++) {
    await block(linked);
    await block(other);
  }
  for (let pair = 0; pair < pairs; pair++) {
    const isLinkedFirst = pair % 2 === 0;
    const first = await block(isLinkedFirst ? linked : other);
    const second = await block(isLinkedFirst ? other : linked);
    const [ofLinked, ofOther] = isLinkedFirst ? [first, second] : [second, first];
    costs.linked.push(ofLinked.client);
    costs.other.push(ofOther.client + ofOther.proxy);
    costs.proxy.push(ofOther.proxy);
  }
  return costs;
}

async function block(variant: Variant): Promise<{ client: number; proxy: number }> {
  const proxyBefore = variant.proxyCpu?.() ?? 0;
  const before = process.cpuUsage();
  let left = REQUESTS;
  const lane = async () => {
    while (left-- > 0) await variant.send();
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  const { user, system } = process.cpuUsage(before);
  return { client: (user + system) / REQUESTS, proxy: ((variant.proxyCpu?.() ?? 0) - proxyBefore) / REQUESTS };
}
