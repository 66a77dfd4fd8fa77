/** P3: CPU of router.call with a latency tax, off and on, beside a router without one. A process of its own. */
import { staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createLatencyTax, createRouter, type LatencyTax } from 'evenkeel/router';
import * as undici from 'undici';
import { startChild } from '../support/child.js';
import { type PairedRatio, pairedRatio, type Side } from '../support/paired.js';

const PORTS = 4;
const BODY = Buffer.alloc(128, 'y');
const HEADERS = ['content-type', 'application/octet-stream'];
const REQUESTS = 2000;
const CONCURRENCY = 16;

export interface TaxCost extends PairedRatio {
  readonly id: 'off' | 'on';
  /** CPU of a call without, microseconds. */
  readonly callUs: number;
  readonly told: number;
}

const pairs = Number(process.argv[2] ?? '80');
await using servers = await startChild<string[]>(new URL('./tax-server.mjs', import.meta.url), [String(PORTS)]);
await using transport = createHttpTransport({ undici });

function sideOf(name: string, tax: LatencyTax | undefined): Side {
  const router = createRouter({
    service: 'echo',
    transport,
    resolver: staticResolver(servers.hello),
    timeoutMs: 10_000,
    ...(tax && { tax }),
  });
  const send = () => router.call({ path: '/echo', method: 'POST', headers: HEADERS, body: BODY });
  return {
    name,
    async run() {
      let left = REQUESTS;
      const lane = async () => {
        while (left-- > 0) await send();
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, lane));
    },
  };
}

const results: TaxCost[] = [];
const bare = sideOf('without', undefined);
for (const id of ['off', 'on'] as const) {
  const tax = createLatencyTax();
  tax.isOn = id === 'on';
  const ratio = await pairedRatio(sideOf(id, tax), bare, { pairs, warmUps: 12 });
  results.push({ ...ratio, id, callUs: ratio.bMicros / REQUESTS, told: tax.report().all.told });
}
process.send?.(results);
if (process.send === undefined) console.log(results);
