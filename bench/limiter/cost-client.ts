/** L6, one comparison a process: what is measured should meet the compiler as it does in a program that uses one of them. */
import { type PairedRatio, pairedRatio, type Side } from '../support/paired.js';
import { costOf, type OperationCost } from '../support/per-operation.js';
import { Backlog, type Submit } from './backlog.js';
import { COST_PEERS, type PeerName } from './cost-peers.js';
import * as sides from './cost-sides.js';

export interface CostResult {
  readonly ratio: PairedRatio;
  /** Operations a block of each side. */
  readonly operations: readonly [number, number];
  /** Of A alone, where it is synchronous. */
  readonly cost?: OperationCost;
}

/** Blocks of some ten milliseconds. */
const SYNC = 500_000;
const ASYNC = 30_000;
const REFUSALS = 10_000;
const QUEUED = 20_000;
const PAIRS = 60;
const PEER_PAIRS = 20;
const WARM_UPS = 10;
const PEER_QUEUED = 1000;
const LITTLE = 1000;
const MUCH = 100_000;

async function compare(a: Side, b: Side, operations: readonly [number, number], pairs = PAIRS): Promise<CostResult> {
  const ratio = await pairedRatio(a, b, { pairs, warmUps: WARM_UPS });
  // Blocks of different length: the ratio is that of one operation.
  const scale = operations[1] / operations[0];
  return {
    operations,
    ratio: { ...ratio, median: ratio.median * scale, low: ratio.low * scale, high: ratio.high * scale },
  };
}

async function inLoop(a: sides.Operation, b: sides.Operation): Promise<CostResult> {
  const result = await compare(sides.loop('limiter', a, SYNC), sides.loop('bare counter', b, SYNC), [SYNC, SYNC]);
  return { ...result, cost: costOf(a) };
}

function rejections(operation: sides.Operation): Promise<CostResult> {
  const bare = sides.loop('bare counter', sides.countedRefusal(), SYNC);
  return compare(sides.loop('limiter', operation, REFUSALS), bare, [REFUSALS, SYNC]);
}

async function backlogs(hasClasses: boolean): Promise<CostResult> {
  const [much, little] = [await sides.backlogged(MUCH, hasClasses, QUEUED), await sides.backlogged(LITTLE, hasClasses, QUEUED)];
  return compare(much, little, [QUEUED, QUEUED]);
}

const COMPARISONS: Readonly<Record<string, () => Promise<CostResult>>> = {
  'enter.gradient': () => inLoop(sides.entered('gradient'), sides.counted()),
  'enter.fixed': () => inLoop(sides.entered('fixed'), sides.counted()),
  'tryAcquire.gradient': () => inLoop(sides.acquired('gradient'), sides.counted()),
  'tryAcquire.fixed': () => inLoop(sides.acquired('fixed'), sides.counted()),
  'run.gradient': () => runs('gradient'),
  'run.fixed': () => runs('fixed'),
  'refused.tryAcquire': () => inLoop(sides.refused(), sides.countedRefusal()),
  'refused.acquire': () => rejections(sides.rejected('acquire')),
  'refused.run': () => rejections(sides.rejected('run')),
  'refused.floor': () => rejections(sides.rejectedBare()),
  backlog: () => backlogs(false),
  'backlog.classes': () => backlogs(true),
};

function runs(limit: sides.LimitName): Promise<CostResult> {
  const a = sides.serial('limiter', sides.ran(limit), ASYNC);
  return compare(a, sides.serial('bare semaphore', sides.ranBare(), ASYNC), [ASYNC, ASYNC]);
}

async function peerRun(name: PeerName): Promise<CostResult> {
  const { operations, run } = COST_PEERS[name];
  const peer = sides.serial(name, run(sides.ENOUGH), operations);
  const limiter = sides.serial('limiter', sides.ran('gradient'), ASYNC);
  return compare(peer, limiter, [operations, ASYNC], PEER_PAIRS);
}

async function peerBacklog(submit: () => Submit): Promise<CostResult> {
  const side = async (waiting: number): Promise<Side> => {
    const backlog = await Backlog.of(waiting, submit());
    return { name: `${waiting} waiting`, run: () => backlog.run(PEER_QUEUED) };
  };
  return compare(await side(MUCH), await side(LITTLE), [PEER_QUEUED, PEER_QUEUED], PEER_PAIRS);
}

async function measure(name: string): Promise<CostResult | undefined> {
  const own = COMPARISONS[name];
  if (own !== undefined) return own();
  const [kind, peer = ''] = name.split(':');
  const { submit } = COST_PEERS[peer as PeerName];
  if (kind === 'run') return peerRun(peer as PeerName);
  return submit === undefined ? undefined : peerBacklog(submit);
}

const [name = ''] = process.argv.slice(2);
const result = await measure(name);
if (process.send === undefined) console.log(name, result);
else process.send(result ?? 'none');
// Those that wait would keep the process.
if (process.send === undefined) process.exit();
