/** R8: a start without the store, from the list on disk; servers that come and go under traffic. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { announce, DEFAULT_LAME_DUCK_MS, stateResolver } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { createMemoryState } from 'evenkeel/memory';
import { createRouter } from 'evenkeel/router';
import * as undici from 'undici';
import { startChild } from '../support/child.js';
import { type Claim, type SuiteOptions, wants } from '../support/claim.js';
import { steady } from '../support/open-loop.js';

const SERVICE = 'r8';
const COLD_STARTS = 5;
const COLD_START_BAR_MS = 50;
const CACHE_WAIT_MS = 10_000;

const RATE = 200;
const ARRIVALS = 3;
const PUSH_BAR_MS = 1000;
/** How long calls are counted after a drain. */
const AFTER_DRAIN_MS = 1000;

export async function endpointChanges(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  await using echo = await startChild<string[]>(new URL('./echo-server.mjs', import.meta.url), [String(ARRIVALS + 1)]);
  if (wants(options, 'R8.cold-start')) await coldStart(echo.hello, onClaim);
  if (wants(options, 'R8.push') || wants(options, 'R8.drain')) await arrivals(echo.hello, onClaim);
}

async function coldStart([address = '']: readonly string[], onClaim: (claim: Claim) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-bench-'));
  try {
    const cacheFile = join(folder, 'endpoints.json');
    await writeCache(address, cacheFile);
    const times: number[] = [];
    for (let run = 0; run < COLD_STARTS; run++) {
      const program = new URL('./cold-start-client.mjs', import.meta.url);
      await using child = await startChild<number>(program, [SERVICE, cacheFile]);
      times.push(child.hello);
    }
    onClaim({
      id: 'R8.cold-start',
      claim: 'from createRouter to the first response, with a store that never answers and the list on disk, the worst start',
      bar: `<= ${COLD_START_BAR_MS} ms`,
      measured: Math.max(...times),
      unit: 'ms',
      low: Math.min(...times),
      high: Math.max(...times),
      samples: COLD_STARTS,
      holds: Math.max(...times) <= COLD_START_BAR_MS,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** As a process before this one would have left it. */
async function writeCache(address: string, cacheFile: string): Promise<void> {
  const state = createMemoryState();
  await using transport = createHttpTransport({ undici });
  const announcement = announce({ state, service: SERVICE, endpoint: address });
  {
    const resolver = stateResolver({ state, service: SERVICE, cacheFile });
    await using router = createRouter({ service: SERVICE, transport, resolver });
    await router.call({ path: '/', method: 'POST', body: 'x' });
    const startedAt = performance.now();
    // It is written in the background, by rename: when it is there it is whole.
    while (!existsSync(cacheFile)) {
      if (performance.now() - startedAt > CACHE_WAIT_MS) throw new Error(`no ${cacheFile} after ${CACHE_WAIT_MS} ms`);
      await sleep(20);
    }
  }
  await announcement.close();
  await state.close();
}

interface Landed {
  readonly endpoint: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

async function arrivals([first = '', ...others]: readonly string[], onClaim: (claim: Claim) => void): Promise<void> {
  const state = createMemoryState();
  await using transport = createHttpTransport({ undici });
  const resident = announce({ state, service: SERVICE, endpoint: first });
  const pushes: number[] = [];
  const late: number[] = [];
  {
    const resolver = stateResolver({ state, service: SERVICE });
    await using router = createRouter({ service: SERVICE, transport, resolver });
    for (const address of others) {
      const landed: Landed[] = [];
      const seconds = (500 + PUSH_BAR_MS + DEFAULT_LAME_DUCK_MS + AFTER_DRAIN_MS) / 1000;
      const traffic = steady(RATE, seconds, async () => {
        const startedAt = performance.now();
        const { endpoint } = await router.call({ path: '/', method: 'POST', body: 'x' });
        landed.push({ endpoint, startedAt, endedAt: performance.now() });
      });
      await sleep(500);
      const announcedAt = performance.now();
      const announcement = announce({ state, service: SERVICE, endpoint: address });
      await sleep(PUSH_BAR_MS);
      await announcement.drain();
      const drainedAt = performance.now();
      await traffic;
      const there = landed.filter(({ endpoint }) => endpoint === address);
      // No call at all: never.
      pushes.push((there[0]?.endedAt ?? Number.POSITIVE_INFINITY) - announcedAt);
      late.push(there.filter(({ startedAt }) => startedAt >= drainedAt).length);
    }
  }
  await resident.close();
  await state.close();
  onClaim({
    id: 'R8.push',
    claim: `from announce() to the end of the first call that the new endpoint answers, at ${RATE} calls/s, the worst of ${ARRIVALS}`,
    bar: `<= ${PUSH_BAR_MS} ms`,
    measured: Math.max(...pushes),
    unit: 'ms',
    low: Math.min(...pushes),
    high: Math.max(...pushes),
    samples: ARRIVALS,
    holds: Math.max(...pushes) <= PUSH_BAR_MS,
  });
  onClaim({
    id: 'R8.drain',
    claim: `calls that reach an endpoint in the second after drain() with ${DEFAULT_LAME_DUCK_MS} ms of lame duck, the worst of ${ARRIVALS}`,
    bar: '0',
    measured: Math.max(...late),
    unit: 'calls',
    low: Math.min(...late),
    high: Math.max(...late),
    samples: ARRIVALS,
    holds: late.every((count) => count === 0),
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
