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
  /** Operations a block: some ten milliseconds. */
  readonly operations: number;
  run(limit: number): () => Promise<unknown>;
  /** For the queue of those that have one; bottleneck needs a minute to fill it. */
  submit?(): Submit;
}

export const COST_PEERS: Readonly<Record<PeerName, CostPeer>> = {
  'p-limit': {
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
    operations: 5000,
    run: (capacity) => {
      const breaker = new CircuitBreaker(noop, { capacity, timeout: false });
      return () => breaker.fire();
    },
  },
  bottleneck: {
    operations: 200,
    run: (maxConcurrent) => {
      const limiter = new Bottleneck({ maxConcurrent });
      return () => limiter.schedule(noop);
    },
  },
};
