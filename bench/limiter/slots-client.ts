/**
 * L7: arrivals that do not wait for answers, by undici, on at most 2000 connections: more than are ever in flight within the timeout, so that the
 * client holds nobody back. A process of its own: what it spends is not the server's. No retries. Argument: a SlotsPlan as JSON.
 */
import { seededRandom } from 'evenkeel/core';
import { Pool } from 'undici';
import { openLoop } from '../support/open-loop.js';
import { quantile } from '../support/paired.js';
import type { SlotsPlan, SlotsResult } from './slots.js';

const CONNECTIONS = 2000;

const plan = JSON.parse(process.argv[2] ?? '{}') as SlotsPlan;
const { criticalShare, rate, seconds, timeoutMs, warmUpSeconds } = plan;
const pool = new Pool(`http://127.0.0.1:${plan.port}`, { connections: CONNECTIONS, pipelining: 1 });
const random = seededRandom(`criticality ${plan.seed}`);

const answered: number[] = [];
const critical: number[] = [];
const refused: number[] = [];
let arrivals = 0;
let timedOut = 0;

/** Taken and not answered in time: as bad as never, so that a percentile of those that were in time hides none. */
function late(isCritical: boolean): void {
  timedOut++;
  if (isCritical) critical.push(Number.POSITIVE_INFINITY);
}

async function send(dueAt: number, atMs: number): Promise<void> {
  const isCounted = atMs >= 1000 * warmUpSeconds;
  const isCritical = random.next() < criticalShare;
  const signal = AbortSignal.timeout(timeoutMs);
  const criticality = isCritical ? 'critical-plus' : 'sheddable';
  const headers = { 'evenkeel-timeout-ms': String(timeoutMs), baggage: `evenkeel.criticality=${criticality}` };
  if (isCounted) arrivals++;
  try {
    const { body, statusCode } = await pool.request({ path: '/', method: 'GET', headers, signal });
    await body.dump();
    const ms = performance.now() - dueAt;
    if (!isCounted) return;
    if (statusCode !== 200) refused.push(ms);
    else if (ms > timeoutMs) late(isCritical);
    else {
      answered.push(ms);
      if (isCritical) critical.push(ms);
    }
  } catch {
    if (isCounted) late(isCritical);
  }
}

await openLoop({ rate, seconds: warmUpSeconds + seconds, seed: plan.seed }, send);
process.send?.({
  arrivals,
  goodput: answered.length / seconds,
  criticalGoodput: critical.filter(Number.isFinite).length / seconds,
  p50: quantile(answered, 0.5),
  criticalP99: quantile(critical, 0.99),
  refused: refused.length,
  timedOut,
  refusalP99: quantile(refused, 0.99),
} satisfies SlotsResult);
await pool.destroy();
process.disconnect?.();
