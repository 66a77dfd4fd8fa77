/** R5: a server that fails at once. R6: a fleet that is gone for ten seconds. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isEvenkeelError, staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import * as undici from 'undici';
import { startChild } from '../support/child.js';
import type { Claim, SuiteOptions } from '../support/claim.js';
import { steady } from '../support/open-loop.js';

const GOOD_SERVERS = 7;
const GOOD_MS = 20;
const CLIENTS = 5;
const IN_FLIGHT = 16;

export async function failingServer(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const plan = { means: new Array<number>(GOOD_SERVERS).fill(GOOD_MS), sigma: 0.3, slots: 64, seed: options.seed };
  await using good = await startChild<string[]>(new URL('./slow-servers.mjs', import.meta.url), [JSON.stringify(plan)]);
  const bad = createServer((request, response) => {
    request.resume();
    response.writeHead(500).end();
  });
  await new Promise<void>((resolve) => bad.listen(0, '127.0.0.1', resolve));
  const badAddress = `http://127.0.0.1:${(bad.address() as AddressInfo).port}`;
  const errors: number[] = [];
  for (let client = 0; client < CLIENTS; client++) {
    await using transport = createHttpTransport({ undici });
    await using router = createRouter({ service: 'r5', transport, resolver: staticResolver([...good.hello, badAddress]) });
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

const RATE = 100;
const OUTAGE_S = 10;
/** As often as the floor of the budget allows. */
const FLOOR_PER_SECOND = 10;

export async function outage(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const plan = { means: [5, 5, 5, 5], sigma: 0.3, slots: 64, seed: options.seed };
  const program = new URL('./slow-servers.mjs', import.meta.url);
  const first = await startChild<string[]>(program, [JSON.stringify(plan)]);
  const ports = first.hello.map((address) => Number(new URL(address).port));
  await using transport = createHttpTransport({ undici });
  await using router = createRouter({ service: 'r6', transport, resolver: staticResolver(first.hello), timeoutMs: 5000 });
  let sent = 0;
  let attempts = 0;
  let firstSuccessMs = Number.NaN;
  let downAtMs = Number.POSITIVE_INFINITY;
  let backAtMs = Number.POSITIVE_INFINITY;
  // Evenly spaced: the bar compares the outage's calls with the outage's attempts, and the budget knows the seconds before as well.
  const traffic = steady(RATE, 3 + OUTAGE_S + 5, async () => {
    const startedAt = performance.now();
    const isInOutage = startedAt >= downAtMs && startedAt < downAtMs + OUTAGE_S * 1000;
    if (isInOutage) sent++;
    try {
      const response = await router.call({ path: '/', idempotent: true });
      if (isInOutage) attempts += response.attempts;
      if (startedAt >= backAtMs && Number.isNaN(firstSuccessMs)) firstSuccessMs = performance.now() - backAtMs;
    } catch (error) {
      if (isInOutage) attempts += (isEvenkeelError(error) && error.attempts) || 0;
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 3000));
  await first[Symbol.asyncDispose]();
  downAtMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, OUTAGE_S * 1000));
  await using second = await startChild<string[]>(program, [JSON.stringify({ ...plan, ports })]);
  backAtMs = performance.now();
  void second;
  await traffic;
  const allowed = 1.2 * sent + FLOOR_PER_SECOND * OUTAGE_S;
  onClaim({
    id: 'R6.attempts',
    claim: `attempts while the whole fleet is down for ${OUTAGE_S} s (${sent} idempotent calls)`,
    bar: `<= 1.2x + 10/s = ${allowed.toFixed(0)}`,
    measured: attempts,
    unit: 'attempts',
    samples: 1,
    holds: attempts <= allowed,
    seed: options.seed,
  });
  onClaim({
    id: 'R6.return',
    claim: 'first success after the fleet is back',
    bar: '<= 1000 ms',
    measured: firstSuccessMs,
    unit: 'ms',
    samples: 1,
    holds: firstSuccessMs <= 1000,
    seed: options.seed,
  });
}
