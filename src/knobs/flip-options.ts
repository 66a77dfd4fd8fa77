/** Options of a flip: checked once, resolved once. */
import { checkInteger, checkNumber, invalidArgument } from '../core/errors.js';
import type { FlipOptions } from './actuator.js';
import { checkText } from './definition.js';
import { MAX_REASON_LENGTH } from './snapshot.js';

export const DEFAULT_TTL_MS = 3_600_000;
export const DEFAULT_RAMP_MS = 60_000;

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function checkFlipOptions({ canary, expect, guard, rampMs, reason, ttlMs }: FlipOptions): void {
  checkText('reason', reason, 1, MAX_REASON_LENGTH);
  if (ttlMs !== undefined) checkNumber('ttlMs', ttlMs, 0);
  if (rampMs !== undefined) checkNumber('rampMs', rampMs, 0);
  if (expect !== undefined) checkInteger('expect', expect, 0);
  if (canary !== undefined) {
    checkNumber('canary.instances', canary.instances, 0, 1);
    checkNumber('canary.forMs', canary.forMs, 0);
  }
  if (guard === undefined) return;
  if (typeof guard.isHealthy !== 'function') throw invalidArgument('guard.isHealthy', guard.isHealthy, 'a function');
  checkNumber('guard.forMs', guard.forMs, 0);
}
