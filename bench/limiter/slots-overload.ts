/** L7: a real server at ten times what it can do, through the doors, beside what stands before such servers today. */
import { startChild } from '../support/child.js';
import { type Claim, type Peer, type SuiteOptions, wants } from '../support/claim.js';
import { median } from '../support/paired.js';
import { versionOf } from '../support/versions.js';
import { CAPACITY, CONTENDERS, type Contender, type SlotsResult } from './slots.js';

const RUNS = 3;
const WARM_UP_S = 5;
const SECONDS = 10;
const RATE = 10 * CAPACITY;
const TIMEOUT_MS = 1000;
const CRITICAL_SHARE = 0.2;
const LEAST_GOODPUT = 0.9;

const DOORS: readonly Contender[] = ['httpLimiter', 'fastifyLimiter'];

export async function slotsOverload(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const wanted = DOORS.filter((door) => wants(options, `L7.${door}`));
  if (wanted.length === 0) return;
  const contenders = CONTENDERS.filter((name) => wanted.includes(name) || !DOORS.includes(name));
  const results = new Map<Contender, SlotsResult[]>(contenders.map((name) => [name, []]));
  for (let run = 0; run < RUNS; run++) {
    for (const name of contenders) {
      const result = await overloadOnce(name, options.seed + run);
      options.say(`L7 run ${run + 1} of ${RUNS}, ${name}: ${summary([result])}`);
      results.get(name)?.push(result);
    }
  }
  const peers = contenders.map((name) => peerOf(name, results.get(name) ?? []));
  for (const door of wanted) {
    const runs = results.get(door) ?? [];
    const shares = runs.map(({ goodput }) => goodput / CAPACITY);
    const latencies = runs.map(({ criticalP99 }) => criticalP99);
    onClaim({
      id: `L7.${door}.goodput`,
      claim: `answers in time at ${RATE}/s on slots for ${CAPACITY}/s, of what the slots can do, the worst run`,
      bar: `>= ${LEAST_GOODPUT}`,
      measured: Math.min(...shares),
      unit: 'x',
      low: Math.min(...shares),
      high: Math.max(...shares),
      samples: runs.length,
      holds: Math.min(...shares) >= LEAST_GOODPUT,
      seed: options.seed,
      peers: peers.filter(({ name }) => name !== door),
    });
    onClaim({
      id: `L7.${door}.critical`,
      claim:
        'p99 of critical requests that were not refused, at the same time, the worst run; one without an answer in time took for ever',
      bar: `<= ${TIMEOUT_MS} ms, the deadline`,
      measured: Math.max(...latencies),
      unit: 'ms',
      low: Math.min(...latencies),
      high: Math.max(...latencies),
      samples: runs.length,
      holds: Math.max(...latencies) <= TIMEOUT_MS,
      seed: options.seed,
      note: `${summary(runs)}; critical callers alone ask for ${RATE * CRITICAL_SHARE}/s`,
    });
  }
}

async function overloadOnce(contender: Contender, seed: number): Promise<SlotsResult> {
  await using server = await startChild<number>(new URL('./slots-server.mjs', import.meta.url), [contender]);
  const plan = {
    port: server.hello,
    seed,
    rate: RATE,
    warmUpSeconds: WARM_UP_S,
    seconds: SECONDS,
    criticalShare: CRITICAL_SHARE,
    timeoutMs: TIMEOUT_MS,
  };
  await using client = await startChild<SlotsResult>(new URL('./slots-client.mjs', import.meta.url), [JSON.stringify(plan)]);
  // JSON has no NaN: without an answer there is no p99.
  return { ...client.hello, criticalP99: client.hello.criticalP99 ?? Number.POSITIVE_INFINITY };
}

const PEERS: Readonly<Record<Contender, readonly [version: string, settings: string]>> = {
  unprotected: [process.versions.node, 'node:http alone'],
  'under-pressure': [
    versionOf('@fastify/under-pressure'),
    'maxEventLoopDelay 1000, maxEventLoopUtilization 0.98, as its documentation has them; no bounds on memory',
  ],
  httpLimiter: ['own', 'gradientLimit() as it comes, loopback trusted'],
  fastifyLimiter: ['own', 'gradientLimit() as it comes, loopback trusted'],
};

function peerOf(name: Contender, runs: readonly SlotsResult[]): Peer {
  const [version, settings] = PEERS[name];
  return { name, version, settings, measured: summary(runs) };
}

/** Medians of the runs. */
function summary(runs: readonly SlotsResult[]): string {
  const of = (pick: (run: SlotsResult) => number) => median(runs.map(pick)).toFixed(0);
  const p99 = runs.every(({ criticalP99 }) => Number.isFinite(criticalP99)) ? of(({ criticalP99 }) => criticalP99) : '-';
  return (
    `${of(({ goodput }) => goodput)}/s in time, critical ${of(({ criticalGoodput }) => criticalGoodput)}/s, their p99 ${p99} ms, ` +
    `refused ${of(({ refused }) => refused)}, too late ${of(({ timedOut }) => timedOut)} of ${of(({ arrivals }) => arrivals)}`
  );
}
