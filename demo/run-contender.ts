/**
 * One contender's turn: a fresh fleet, the arrivals as they come due whether or not earlier ones were answered (an open loop), the
 * incidents, and what came of it. Latency counts from the moment a request was due, so a client that falls behind cannot hide it.
 */
import type { ContenderKind, Reply } from './contenders/contender.js';
import { Fleet } from './fleet.js';
import { applyIncident, type Incident } from './incidents.js';
import { type Scenario, SERVERS } from './parameters.js';
import type { ContenderResult, LoadPoint, Sample } from './result.js';
import { summarize } from './result.js';
import type { Arrival } from './workload/arrival.js';

export interface RunOptions {
  readonly scenario: Scenario;
  readonly arrivals: readonly Arrival[];
  readonly incidents: readonly Incident[];
  /** Ends it early: the promise rejects with the signal's reason, after everything was stopped. */
  readonly signal: AbortSignal;
  onProgress(elapsedMs: number, finished: number): void;
}

const PROGRESS_MS = 100;

export async function runContender(kind: ContenderKind, options: RunOptions): Promise<ContenderResult> {
  const { scenario, signal } = options;
  const load: LoadPoint[][] = Array.from({ length: SERVERS }, () => []);
  const failure = new AbortController();
  const stop = AbortSignal.any([signal, failure.signal]);
  let startMs = Number.NaN;
  const fleet = await Fleet.start(
    scenario.server,
    {
      onSample: (server, inFlight) => {
        if (startMs >= 0) load[server]?.push({ atMs: performance.now() - startMs, inFlight });
      },
      onFailure: (error) => failure.abort(error),
    },
    signal,
  );
  const { addresses } = fleet;
  const contender = kind.create({ addresses, timeoutMs: scenario.timeoutMs, seed: scenario.seed });
  const timers: NodeJS.Timeout[] = [];
  try {
    startMs = performance.now();
    for (const incident of options.incidents) timers.push(setTimeout(applyIncident, incident.atMs, incident, fleet));
    const samples: Sample[] = [];
    timers.push(setInterval(() => options.onProgress(performance.now() - startMs, samples.length), PROGRESS_MS));
    await playArrivals(options.arrivals, startMs, (arrival) => contender.send(arrival), samples, stop);
    return summarize(kind, { samples, elapsedMs: performance.now() - startMs, load });
  } finally {
    for (const timer of timers) clearTimeout(timer);
    await contender.close();
    await fleet.stop();
  }
}

/** Resolves when every request has its outcome; rejects as soon as `stop` is aborted. */
function playArrivals(
  arrivals: readonly Arrival[],
  startMs: number,
  send: (arrival: Arrival) => Promise<Reply>,
  samples: Sample[],
  stop: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let next = 0;
    let timer: NodeJS.Timeout | undefined;
    const onStop = () => {
      clearTimeout(timer);
      reject(stop.reason);
    };
    if (stop.aborted || arrivals.length === 0) return stop.aborted ? onStop() : resolve();
    stop.addEventListener('abort', onStop, { once: true });
    const sendDue = () => {
      const now = performance.now() - startMs;
      for (let arrival = arrivals[next]; arrival !== undefined && arrival.atMs <= now; arrival = arrivals[++next]) {
        const dueMs = startMs + arrival.atMs;
        send(arrival).then((reply) => {
          samples.push({ latencyMs: performance.now() - dueMs, reply });
          if (samples.length < arrivals.length) return;
          stop.removeEventListener('abort', onStop);
          resolve();
        }, reject);
      }
      const due = arrivals[next];
      if (due !== undefined) timer = setTimeout(sendDue, due.atMs - now);
    };
    sendDue();
  });
}
