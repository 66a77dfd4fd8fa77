/** Options of a limiter: documented once, checked once, resolved once. */
import { checkInteger, checkNumber, invalidArgument } from '../core/errors.js';

export interface QueueOptions {
  /** Calls that may wait. Default 1024; 0 to 1,000,000. 0: none waits. */
  maxQueued?: number;
  /** How long a call may wait while the queue empties now and then, ms, or twice what a call takes, whichever is more. Default 100. */
  calmWaitMs?: number;
  /** How long while it does not, ms, or half of what a call takes. Default 10. */
  overloadWaitMs?: number;
}

export interface QueueSettings {
  readonly maxQueued: number;
  readonly calmWaitMs: number;
  readonly overloadWaitMs: number;
}

export const DEFAULT_MAX_QUEUED = 1024;
export const DEFAULT_CALM_WAIT_MS = 100;
export const DEFAULT_OVERLOAD_WAIT_MS = 10;
const LONGEST_WAIT_MS = 3_600_000;

const MAX_NAME_LENGTH = 200;

/** Of a limiter or a throttle. @throws {EvenkeelError} `invalid-argument`. */
export function checkName(name: unknown): string {
  if (typeof name === 'string' && name.length > 0 && name.length <= MAX_NAME_LENGTH) return name;
  throw invalidArgument('name', name, `1 to ${MAX_NAME_LENGTH} characters`);
}

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function resolveQueue(options: QueueOptions | false = {}): QueueSettings {
  const { maxQueued, calmWaitMs, overloadWaitMs } = options === false ? { maxQueued: 0 } : options;
  const calm = checkNumber('queue.calmWaitMs', calmWaitMs ?? DEFAULT_CALM_WAIT_MS, 0, LONGEST_WAIT_MS);
  return {
    maxQueued: checkInteger('queue.maxQueued', maxQueued ?? DEFAULT_MAX_QUEUED, 0, 1_000_000),
    calmWaitMs: calm,
    overloadWaitMs: checkNumber('queue.overloadWaitMs', overloadWaitMs ?? Math.min(calm, DEFAULT_OVERLOAD_WAIT_MS), 0, calm),
  };
}
