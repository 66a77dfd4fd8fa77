/** A request of the workload: when it comes and how much work it is. */
import type { Random } from 'evenkeel/core';
import { MAX_TOKENS_STEPS, STREAMED_SHARE } from '../parameters.js';

export interface Arrival {
  /** Since the start of the run. */
  readonly atMs: number;
  readonly promptTokens: number;
  /** What the server will generate. The client does not know it beforehand. */
  readonly outputTokens: number;
  /** What the client asks for at most. */
  readonly maxTokens: number;
  readonly isStreamed: boolean;
}

export interface Workload {
  readonly arrivals: readonly Arrival[];
  /** Told in the report. */
  readonly source: string;
}

export function toArrival(atMs: number, promptTokens: number, outputTokens: number, random: Random): Arrival {
  return {
    atMs,
    promptTokens,
    outputTokens,
    maxTokens: MAX_TOKENS_STEPS.find((step) => step >= outputTokens) ?? outputTokens,
    isStreamed: random.next() < STREAMED_SHARE,
  };
}
