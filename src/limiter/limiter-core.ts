/** What doors, guards and snapshots need of a limiter beyond its public face. */
import { type EvenkeelError, invalidArgument } from '../core/errors.js';
import type { Runtime } from '../core/runtime.js';
import type { Gate } from './gate.js';
import type { LeakWatch } from './leak-watch.js';
import type { Limiter } from './limiter.js';
import type { Permit } from './permit.js';
import type { QuotaShare } from './quota-share.js';
import type { Refusal } from './refusal.js';
import type { Waiter } from './waiter.js';

export interface LimiterCore extends Limiter {
  readonly runtime: Runtime;
  readonly gate: Gate;
  /** Undefined: nobody looks for permits that nobody ended. */
  readonly leaks: LeakWatch | undefined;
  readonly share: QuotaShare | undefined;
  /** As `acquire`, by callback: the waiter hears of its permit or its refusal, perhaps before this returns. */
  submit(waiter: Waiter): void;
  /** For a waiter that was admitted. */
  permit(waiter: Waiter, startedAt: number, isTimed: boolean): Permit;
  /** Takes back what was submitted; false when it was answered before. */
  withdraw(waiter: Waiter): boolean;
  errorOf(refusal: Refusal): EvenkeelError;
}

/** @throws {EvenkeelError} `invalid-argument` for what `createLimiter` did not make. */
export function coreOf(limiter: Limiter): LimiterCore {
  if (typeof (limiter as Partial<LimiterCore> | undefined)?.submit === 'function') return limiter as LimiterCore;
  throw invalidArgument('limiter', limiter, 'a limiter of createLimiter');
}
