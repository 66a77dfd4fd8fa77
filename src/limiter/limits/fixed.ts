/** A limit that somebody knows: the slots of an accelerator, the size of a pool. */
import { checkNumber } from '../../core/errors.js';
import type { Limit, LimitFactory } from './limit.js';

/**
 * Always `limit`. For what has a size of its own: decode slots, connections, KV blocks. Where the size is a guess, a limit that learns is
 * better: half of what the server can do costs half of its work, and far too much all that comes too late.
 * @param limit - In the limiter's unit; above 0.
 * @throws {EvenkeelError} `invalid-argument` for a limit that is not above 0.
 */
export function fixedLimit(limit: number): LimitFactory {
  checkNumber('limit', limit, Number.MIN_VALUE);
  const fixed: Limit = {
    initial: limit,
    min: limit,
    max: limit,
    windowMs: 100,
    windowCalls: 16,
    quantile: 0.5,
    next: () => limit,
    reason: 'fixed',
  };
  return () => fixed;
}
