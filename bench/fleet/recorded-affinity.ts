/** F8 on a recorded workload: requests with the prefixes they really shared, replayed faster than they came. */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { staticResolver } from 'evenkeel/core';
import { type PickerFactory, p2c, prefixAffinity, ringHash } from 'evenkeel/router';
import { callbackRouter, createSimulation, parseTraceFile, type TracedRequest } from 'evenkeel/sim';
import type { Claim, SuiteOptions } from '../support/claim.js';
import { line, type Run, WORKERS, Worker } from './llm-worker.js';

/** So many times as fast as recorded: then eight workers have something to do. */
const SPEED = 12;
/** A hash of the trace stands for 512 tokens. */
const BLOCK_MS = 12;
const TOKEN_MS = 0.5;
const CACHE_BLOCKS = 2000;

export async function recordedAffinity(path: string, options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const bytes = await readFile(path);
  const requests = parseTraceFile((path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString());
  const known = requests.filter(({ prefix }) => prefix.length > 0);
  if (known.length === 0) {
    options.say(`F8: ${path} names no prefixes`);
    return;
  }
  const ours = await replay(
    options.seed,
    known,
    () => prefixAffinity(),
    ({ prefix }) => prefix,
  );
  // A conversation is known by the first block that is not everybody's.
  const sticky = await replay(
    options.seed,
    known,
    () => ringHash({ loadFactor: Number.POSITIVE_INFINITY }),
    ({ prefix }) => prefix.slice(1, 2),
  );
  const blind = await replay(
    options.seed,
    known,
    () => p2c(),
    ({ prefix }) => prefix,
  );
  onClaim({
    id: 'F8.recorded',
    claim: `prefix hit rate of ${known.length} recorded requests, ${SPEED} times as fast, against pure stickiness; work of the busiest over the mean is ${ours.imbalance.toFixed(2)}`,
    bar: 'for information',
    measured: ours.hitRate / sticky.hitRate,
    unit: 'x',
    samples: known.length,
    holds: true,
    isInformation: true,
    seed: options.seed,
    peers: [
      line('prefixAffinity()', 'default', [ours]),
      line('pure stickiness', 'consistent hash of the second block, no bound', [sticky]),
      line('P2C', 'blind to prefixes', [blind]),
    ],
  });
}

async function replay(
  seed: number,
  requests: readonly TracedRequest[],
  picker: () => PickerFactory,
  keysOf: (request: TracedRequest) => readonly string[],
): Promise<Run> {
  const simulation = createSimulation({ seed });
  const { clock } = simulation;
  const requestOf = (path: string) => {
    const { prefix, outputTokens } = requests[Number(path.slice(1))] as TracedRequest;
    return { chain: prefix, blockMs: BLOCK_MS, decodeMs: 1 + outputTokens * TOKEN_MS };
  };
  const workers = Array.from({ length: WORKERS }, (_, index) => new Worker(simulation, index, requestOf, CACHE_BLOCKS));
  const router = callbackRouter(simulation, simulation.machine('client').process, {
    service: 'llm',
    resolver: staticResolver(workers.map(({ name }) => ({ id: name, address: `sim://${name}` }))),
    picker: picker(),
    retry: false,
    ejection: false,
  });
  await clock.settle();
  const latencies: number[] = [];
  for (const [index, request] of requests.entries()) {
    clock.timer(request.atMs / SPEED, () => {
      const startedAt = clock.now();
      const onEnd = () => latencies.push(clock.now() - startedAt);
      const affinity = keysOf(request);
      router.call({ path: `/${index}`, ...(affinity.length === 0 ? undefined : { affinity }) }, onEnd, onEnd);
    });
  }
  clock.runSync((requests.at(-1)?.atMs ?? 0) / SPEED + 60_000);
  const work = workers.map(({ workMs }) => workMs);
  latencies.sort((a, b) => a - b);
  return {
    hitRate: workers.reduce((sum, { held }) => sum + held, 0) / workers.reduce((sum, { asked }) => sum + asked, 0),
    imbalance: (Math.max(...work) * WORKERS) / work.reduce((sum, one) => sum + one, 0),
    p99: latencies[Math.floor(0.99 * latencies.length)] ?? 0,
  };
}
