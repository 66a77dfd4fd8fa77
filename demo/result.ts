/** What is known of a run when it is over: plain JSON, the input of the table, the report and `--json`. */

import type { Reply } from './contenders/contender.js';
import type { Incident } from './incidents.js';
import type { Scenario, ServerRole } from './parameters.js';
import { meaningfulPercentile, percentile, sortNumbers } from './statistics.js';

export interface DemoResult {
  readonly scenario: Scenario;
  readonly source: string;
  readonly requests: number;
  readonly roles: readonly ServerRole[];
  readonly incidents: readonly Incident[];
  readonly versions: Readonly<Record<string, string>>;
  readonly contenders: readonly ContenderResult[];
}

export interface ContenderResult {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly requests: number;
  readonly ok: number;
  readonly errors: number;
  readonly timeouts: number;
  /** Errors by what they were. */
  readonly faults: Readonly<Record<string, number>>;
  /** From the moment a request was due, not from when it was sent. Timeouts count with the time waited, errors do not count. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** null with fewer than 1000 answers. */
  readonly p999Ms: number | null;
  /** Latency at evenly spaced steps of log(1 - share): the tail has as many points as the rest. */
  readonly curve: readonly CurvePoint[];
  /** Prompt and answer of successful requests, over the time from the first arrival to the last answer. */
  readonly tokensPerSecond: number;
  /** Of the answered requests, by server. */
  readonly share: readonly number[];
  /** Where the tail comes from: of the slowest hundredth of the answered requests, by server. */
  readonly slowest: readonly number[];
  /** Requests in flight at each server over time, as the server tells; null while it is down. */
  readonly load: readonly (readonly LoadPoint[])[];
}

export interface CurvePoint {
  readonly share: number;
  readonly ms: number;
}

export interface LoadPoint {
  readonly atMs: number;
  readonly inFlight: number;
}

export interface Sample {
  readonly latencyMs: number;
  readonly reply: Reply;
}

const CURVE_POINTS_PER_DECADE = 40;
const SLOWEST_SHARE = 0.01;

export interface RunRecord {
  readonly samples: readonly Sample[];
  readonly elapsedMs: number;
  readonly load: readonly (readonly LoadPoint[])[];
}

export function summarize(kind: { name: string; title: string; about: string }, run: RunRecord): ContenderResult {
  const { samples, load } = run;
  const replies = samples.map(({ reply }) => reply);
  const latencies = sortNumbers(samples.filter(({ reply }) => reply.outcome !== 'error').map(({ latencyMs }) => latencyMs));
  const count = (outcome: Reply['outcome']) => replies.filter((reply) => reply.outcome === outcome).length;
  const tokens = replies.reduce((sum, reply) => sum + reply.tokens, 0);
  const faults: Record<string, number> = {};
  for (const { outcome, fault = 'unknown' } of replies) if (outcome === 'error') faults[fault] = (faults[fault] ?? 0) + 1;
  return {
    name: kind.name,
    title: kind.title,
    about: kind.about,
    requests: samples.length,
    ok: count('ok'),
    errors: count('error'),
    timeouts: count('timeout'),
    faults,
    p50Ms: orNull(percentile(latencies, 0.5)),
    p99Ms: orNull(meaningfulPercentile(latencies, 0.99)),
    p999Ms: orNull(meaningfulPercentile(latencies, 0.999)),
    curve: curveOf(latencies),
    tokensPerSecond: (tokens / Math.max(1, run.elapsedMs)) * 1000,
    share: shareOf(replies, load.length),
    slowest: shareOf(slowestOf(samples), load.length),
    load,
  };
}

function curveOf(sorted: readonly number[]): CurvePoint[] {
  if (sorted.length === 0) return [];
  const decades = Math.log10(sorted.length);
  const points: CurvePoint[] = [{ share: 0, ms: percentile(sorted, 0) }];
  for (let step = 1; step <= decades * CURVE_POINTS_PER_DECADE; step++) {
    const share = 1 - 10 ** (-step / CURVE_POINTS_PER_DECADE);
    points.push({ share, ms: percentile(sorted, share) });
  }
  return points;
}

function slowestOf(samples: readonly Sample[]): Reply[] {
  const answered = samples.filter(({ reply }) => reply.outcome === 'ok').sort((a, b) => b.latencyMs - a.latencyMs);
  return answered.slice(0, Math.ceil(answered.length * SLOWEST_SHARE)).map(({ reply }) => reply);
}

function shareOf(replies: readonly Reply[], servers: number): number[] {
  const answered = new Array<number>(servers).fill(0);
  let total = 0;
  for (const { server } of replies) {
    if (server === undefined || answered[server] === undefined) continue;
    answered[server]++;
    total++;
  }
  return answered.map((value) => value / Math.max(1, total));
}

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
