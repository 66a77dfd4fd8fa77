/** R6: a fleet that is gone for ten seconds, or answers 503 for as long. */
import { once } from 'node:events';
import { isEvenkeelError, staticResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createRouter } from 'evenkeel/router';
import * as undici from 'undici';
import { type Child, startChild } from '../support/child.js';
import { type Claim, type SuiteOptions, wants } from '../support/claim.js';
import { steady } from '../support/open-loop.js';
import type { SlowServers } from './slow-servers.js';

const RATE = 100;
const RUNS = 3;
const BEFORE_S = 2;
const OUTAGE_S = 10;
const AFTER_S = 2;
const TIMEOUT_MS = 5000;
/** As often as the floor of the budget allows. */
const FLOOR_PER_SECOND = 10;
const RETURN_BAR_MS = 1000;

interface Outage {
  /** Calls that began in it, and their attempts. */
  readonly sent: number;
  readonly attempts: number;
  /** From the moment the servers were back to the end of the first call that succeeded. */
  readonly returnMs: number;
}

type Variant = 'gone' | 'rejecting';

export async function outage(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const isGoneWanted = wants(options, 'R6.attempts') || wants(options, 'R6.return');
  if (isGoneWanted) await measure('gone', 'R6', 'the whole fleet is down', options, onClaim);
  if (wants(options, 'R6.rejecting')) {
    await measure('rejecting', 'R6.rejecting', 'the whole fleet answers 503', options, onClaim);
  }
}

async function measure(variant: Variant, id: string, state: string, options: SuiteOptions, onClaim: (claim: Claim) => void) {
  const runs: Outage[] = [];
  for (let run = 0; run < RUNS; run++) {
    const one = await outageOnce(variant, options.seed + run);
    options.say(
      `${id} run ${run + 1} of ${RUNS}: ${one.sent} calls, ${one.attempts} attempts, back after ${one.returnMs.toFixed(0)} ms`,
    );
    runs.push(one);
  }
  const spare = ({ sent, attempts }: Outage) => allowed(sent) - attempts;
  const worst = runs.reduce((a, b) => (spare(b) < spare(a) ? b : a));
  const attempts = runs.map((run) => run.attempts);
  // A run without a success after the outage never came back.
  const returns = runs.map(({ returnMs }) => (Number.isNaN(returnMs) ? Number.POSITIVE_INFINITY : returnMs));
  onClaim({
    id: `${id}.attempts`,
    claim: `attempts while ${state} for ${OUTAGE_S} s (${worst.sent} idempotent calls), the worst run`,
    bar: `<= 1.2x + ${FLOOR_PER_SECOND}/s = ${allowed(worst.sent).toFixed(0)}`,
    measured: worst.attempts,
    unit: 'attempts',
    low: Math.min(...attempts),
    high: Math.max(...attempts),
    samples: RUNS,
    holds: spare(worst) >= 0,
    seed: options.seed,
  });
  onClaim({
    id: `${id}.return`,
    claim: 'from the moment the servers are back to the first success, the worst run',
    bar: `<= ${RETURN_BAR_MS} ms`,
    measured: Math.max(...returns),
    unit: 'ms',
    low: Math.min(...returns),
    high: Math.max(...returns),
    samples: RUNS,
    holds: Math.max(...returns) <= RETURN_BAR_MS,
    seed: options.seed,
  });
}

function allowed(sent: number): number {
  return 1.2 * sent + FLOOR_PER_SECOND * OUTAGE_S;
}

async function outageOnce(variant: Variant, seed: number): Promise<Outage> {
  const plan = { means: [5, 5, 5, 5], sigma: 0.3, slots: 64, seed };
  await using first = await startServers(plan);
  const { addresses } = first.hello;
  const ports = addresses.map((address) => Number(new URL(address).port));
  await using transport = createHttpTransport({ undici });
  await using router = createRouter({ service: 'r6', transport, resolver: staticResolver(addresses), timeoutMs: TIMEOUT_MS });
  let sent = 0;
  let attempts = 0;
  let isDown = false;
  const successes: number[] = [];
  // Evenly spaced: the bar compares the outage's calls with the outage's attempts, and the budget knows the seconds before as well.
  const traffic = steady(RATE, BEFORE_S + OUTAGE_S + AFTER_S, async () => {
    const isInOutage = isDown;
    if (isInOutage) sent++;
    try {
      const response = await router.call({ path: '/', idempotent: true });
      if (isInOutage) attempts += response.attempts;
      if (response.status === 200) successes.push(Date.now());
    } catch (error) {
      if (isInOutage) attempts += (isEvenkeelError(error) && error.attempts) || 0;
    }
  });
  await sleep(BEFORE_S * 1000);
  isDown = true;
  if (variant === 'gone') await first[Symbol.asyncDispose]();
  else await tell(first, 'reject');
  await sleep(OUTAGE_S * 1000);
  isDown = false;
  let backAtMs: number;
  if (variant === 'gone') {
    await using second = await startServers({ ...plan, ports });
    backAtMs = second.hello.listeningAtMs;
    await traffic;
  } else {
    backAtMs = await tell(first, 'serve');
    await traffic;
  }
  const firstSuccess = successes.find((atMs) => atMs >= backAtMs) ?? Number.NaN;
  return { sent, attempts, returnMs: firstSuccess - backAtMs };
}

function startServers(plan: object): Promise<Child<SlowServers>> {
  return startChild<SlowServers>(new URL('./slow-servers.mjs', import.meta.url), [JSON.stringify(plan)]);
}

/** Resolves with the moment from which on the fleet does so, by Date.now(). */
async function tell(fleet: Child<SlowServers>, what: 'reject' | 'serve'): Promise<number> {
  const told = once(fleet.process, 'message');
  fleet.process.send(what);
  const [atMs] = (await told) as [number];
  return atMs;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
