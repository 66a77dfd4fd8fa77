/** What users have today, each set so that it limits and does nothing else. */
import Bottleneck from 'bottleneck';
import { bulkhead } from 'cockatiel';
import CircuitBreaker from 'opossum';
import pLimit from 'p-limit';
import PQueue from 'p-queue';
import type { Submit } from './backlog.js';
import { noop } from './cost-sides.js';

export type PeerName = 'p-limit' | 'p-queue' | 'cockatiel' | 'opossum' | 'bottleneck';

interface CostPeer {
  readonly settings: string;
  /** Operations a block: some ten milliseconds. */
  readonly operations: number;
  run(limit: number): () => Promise<unknown>;
  /** For the queue of those that have one; bottleneck needs a minute to fill it. */
  submit?(): Submit;
}

export const COST_PEERS: Readonly<Record<PeerName, CostPeer>> = {
  'p-limit': {
    settings: 'pLimit(1000)',
    operations: 10_000,
    run: (limit) => {
      const limited = pLimit(limit);
      return () => limited(noop);
    },
    submit: () => {
      const limited = pLimit(1);
      return (work) => void limited(work);
    },
  },
  'p-queue': {
    settings: 'concurrency 1000',
    operations: 5000,
    run: (concurrency) => {
      const queue = new PQueue({ concurrency });
      return () => queue.add(noop);
    },
    submit: () => {
      const queue = new PQueue({ concurrency: 1 });
      return (work) => void queue.add(work);
    },
  },
  cockatiel: {
    settings: 'bulkhead(1000, Infinity)',
    operations: 20_000,
    run: (limit) => {
      const policy = bulkhead(limit, Number.POSITIVE_INFINITY);
      return () => policy.execute(noop);
    },
    submit: () => {
      const policy = bulkhead(1, Number.POSITIVE_INFINITY);
      return (work) => void policy.execute(work);
    },
  },
  opossum: {
    settings: 'capacity 1000, timeout false',
    operations: 5000,
    run: (capacity) => {
      const breaker = new CircuitBreaker(noop, { capacity, timeout: false });
      return () => breaker.fire();
    },
  },
  bottleneck: {
    settings: 'maxConcurrent 1000',
    operations: 200,
    run: (maxConcurrent) => {
      const limiter = new Bottleneck({ maxConcurrent });
      return () => limiter.schedule(noop);
    },
  },
};
