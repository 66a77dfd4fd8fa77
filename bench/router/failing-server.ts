/** R5: a server that fails at once. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import * as undici from 'undici';
import { startChild } from '../support/child.js';
import type { Claim, SuiteOptions } from '../support/claim.js';
import type { SlowServers } from './slow-servers.js';

const GOOD_SERVERS = 7;
const GOOD_MS = 20;
const CLIENTS = 5;
const IN_FLIGHT = 16;

export async function failingServer(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const plan = { means: new Array<number>(GOOD_SERVERS).fill(GOOD_MS), sigma: 0.3, slots: 64, seed: options.seed };
  await using good = await startChild<SlowServers>(new URL('./slow-servers.mjs', import.meta.url), [JSON.stringify(plan)]);
  const bad = createServer((request, response) => {
    request.resume();
    response.writeHead(500).end();
  });
  await new Promise<void>((resolve) => bad.listen(0, '127.0.0.1', resolve));
  const badAddress = `http://127.0.0.1:${(bad.address() as AddressInfo).port}`;
  const errors: number[] = [];
  for (let client = 0; client < CLIENTS; client++) {
    await using transport = createHttpTransport({ undici });
    await using router = createRouter({
      service: 'r5',
      transport,
      resolver: staticResolver([...good.hello.addresses, badAddress]),
    });
    let failed = 0;
    let isEjected = false;
    router.events.on('eject', () => {
      isEjected = true;
    });
    const until = performance.now() + 4000;
    const lane = async () => {
      while (performance.now() < until && !isEjected) {
        const { status } = await router.call({ path: '/', method: 'POST', body: 'x' });
        if (status === 500 && !isEjected) failed++;
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
    errors.push(failed);
  }
  bad.closeAllConnections();
  bad.close();
  onClaim({
    id: 'R5',
    claim: `errors a client sees of a server that answers 500 at once, before it is ejected or within 4 s (${IN_FLIGHT} in flight, 8 servers)`,
    bar: '<= 5 per client',
    measured: Math.max(...errors),
    unit: 'errors',
    low: Math.min(...errors),
    high: Math.max(...errors),
    samples: CLIENTS,
    holds: Math.max(...errors) <= 5,
    seed: options.seed,
  });
}
