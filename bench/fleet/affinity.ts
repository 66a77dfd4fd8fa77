/**
 * F8: eight workers of a language model, one system prompt in front of every session. Who keeps its prefix caches and spreads the load?
 *
 * A worker keeps the blocks it last worked on, as many as its memory holds; what it does not hold of a prompt it computes. The hit rate is
 * the share of prompt blocks that were held.
 */
import { staticResolver } from 'evenkeel/core';
import { type PickerFactory, p2c, prefixAffinity, ringHash } from 'evenkeel/router';
import { callbackRouter, createSimulation, exponential } from 'evenkeel/sim';
import type { Claim, SuiteOptions } from '../support/claim.js';
import { median } from '../support/paired.js';
import { line, type Run, WORKERS, Worker, type WorkerRequest } from './llm-worker.js';
import { recordedAffinity } from './recorded-affinity.js';

/** Blocks of 64 tokens. */
const SYSTEM_BLOCKS = 32;
const TURN_BLOCKS = 6;
const TURNS = 12;
const SESSIONS_PER_SECOND = 8;
const THINK_MS = 2000;
/** Blocks a worker holds: some hundred sessions, and the system prompt. */
const CACHE_BLOCKS = 8000;
const PREFILL_MS_PER_BLOCK = 1.5;
const DECODE_MS = 40;
const WARM_UP_MS = 20_000;
const MEASURED_MS = 60_000;
const SEEDS = 5;

export async function affinity(options: SuiteOptions, onClaim: (claim: Claim) => void): Promise<void> {
  const seeds = Array.from({ length: SEEDS }, (_, i) => options.seed + i);
  const each = async (picker: () => PickerFactory, keys: Keys) => {
    const runs: Run[] = [];
    for (const seed of seeds) runs.push(await run(seed, picker(), keys));
    return runs;
  };
  const ours = await each(() => prefixAffinity(), chainOf);
  const sticky = await each(
    () => ringHash({ loadFactor: Number.POSITIVE_INFINITY }),
    ({ session }) => [`${session}`],
  );
  const bounded = await each(
    () => ringHash(),
    ({ session }) => [`${session}`],
  );
  const blind = await each(() => p2c(), chainOf);
  const shares = ours.map(({ hitRate }, i) => hitRate / (sticky[i] as Run).hitRate);
  const imbalances = ours.map(({ imbalance }) => imbalance);
  const peers = [
    line('prefixAffinity()', 'default', ours),
    line('pure stickiness', 'consistent hash of the session, no bound', sticky),
    line('bounded stickiness', 'ringHash, bound 1.25', bounded),
    line('P2C', 'blind to prefixes', blind),
  ];
  onClaim({
    id: 'F8.hit-rate',
    claim: `prefix hit rate with one system prompt for all on ${WORKERS} workers, against pure stickiness`,
    bar: '>= 0.9x',
    measured: median(shares),
    unit: 'x',
    low: Math.min(...shares),
    high: Math.max(...shares),
    samples: seeds.length,
    holds: Math.min(...shares) >= 0.9,
    seed: options.seed,
    peers,
  });
  onClaim({
    id: 'F8.balance',
    claim: 'work of the busiest worker over the mean, in the same runs',
    bar: '<= 1.25',
    measured: median(imbalances),
    unit: 'x',
    low: Math.min(...imbalances),
    high: Math.max(...imbalances),
    samples: seeds.length,
    holds: Math.max(...imbalances) <= 1.25,
    seed: options.seed,
  });
  if (options.trace !== undefined) await recordedAffinity(options.trace, options, onClaim);
}

interface Turn {
  readonly session: number;
  readonly blocks: number;
}

type Keys = (turn: Turn) => readonly string[];

/** The system prompt's blocks are everybody's, the rest the session's own. */
function chainOf({ session, blocks }: Turn): string[] {
  return Array.from({ length: blocks }, (_, i) => (i < SYSTEM_BLOCKS ? `system-${i}` : `${session}-${i}`));
}

function sessionRequest(path: string): WorkerRequest {
  const [, session, blocks] = path.split('/');
  const chain = chainOf({ session: Number(session), blocks: Number(blocks) });
  return { chain, blockMs: PREFILL_MS_PER_BLOCK, decodeMs: DECODE_MS };
}

async function run(seed: number, picker: PickerFactory, keys: Keys): Promise<Run> {
  const simulation = createSimulation({ seed });
  const { clock } = simulation;
  const workers = Array.from({ length: WORKERS }, (_, index) => new Worker(simulation, index, sessionRequest, CACHE_BLOCKS));
  const router = callbackRouter(simulation, simulation.machine('client').process, {
    service: 'llm',
    resolver: staticResolver(workers.map(({ name }) => ({ id: name, address: `sim://${name}` }))),
    picker,
    retry: false,
    ejection: false,
  });
  await clock.settle();
  const random = simulation.random.fork('sessions');
  const gap = exponential(1000 / SESSIONS_PER_SECOND);
  const think = exponential(THINK_MS);
  const end = WARM_UP_MS + MEASURED_MS;
  const latencies: number[] = [];
  const say = (session: number, turn: number) => {
    if (turn > TURNS || clock.now() >= end) return;
    const startedAt = clock.now();
    const asked = { session, blocks: SYSTEM_BLOCKS + turn * TURN_BLOCKS };
    const onEnd = () => {
      if (startedAt >= WARM_UP_MS) latencies.push(clock.now() - startedAt);
      clock.timer(think(random), () => say(session, turn + 1));
    };
    router.call({ path: `/${session}/${asked.blocks}`, affinity: keys(asked) }, onEnd, onEnd);
  };
  let sessions = 0;
  const arrive = () => {
    if (clock.now() >= end) return;
    clock.timer(gap(random), arrive);
    say(sessions++, 1);
  };
  arrive();
  clock.timer(WARM_UP_MS, () => {
    for (const worker of workers) worker.reset();
  });
  clock.runSync(end);
  const work = workers.map(({ workMs }) => workMs);
  const asked = workers.reduce((sum, { asked: blocks }) => sum + blocks, 0);
  latencies.sort((a, b) => a - b);
  return {
    hitRate: workers.reduce((sum, { held }) => sum + held, 0) / asked,
    imbalance: (Math.max(...work) * WORKERS) / work.reduce((sum, one) => sum + one, 0),
    p99: latencies[Math.floor(0.99 * latencies.length)] ?? 0,
  };
}
