import type { Clock } from '../core/clock.js';
import type { WorkCounter } from '../core/load-counter.js';
import type { Random } from '../core/random.js';
import type { Limit } from './limits/limit.js';
import type { QueueSettings } from './options.js';
import type { Partitions } from './partitions.js';
import type { Refusal } from './refusal.js';

export interface GateOptions {
  readonly clock: Clock;
  readonly counter: WorkCounter;
  readonly limit: Limit;
  readonly queue: QueueSettings;
  readonly partitions: Partitions;
  readonly random: Random;
  /** What a waiter threw that was told of its permit or its refusal. */
  readonly onError: (error: unknown) => void;
  /** The limit has changed. */
  readonly onLimit: () => void;
  /** While `isAwaited`: a permit has come free, or the last one that was waited for. Whoever feeds the limiter may go on. */
  readonly onRoom: () => void;
  readonly onRefused: (refusal: Refusal, rank: number) => void;
  /** A call got its permit after that many ms. Absent: nobody measures. */
  readonly onWaited: ((ms: number) => void) | undefined;
}
