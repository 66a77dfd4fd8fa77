/** The two sides of each comparison of L6. The limiter is as a user in production has it: no watch for leaks, nobody who measures. */
import { createLimiter, fixedLimit, gradientLimit, type Limiter, type LimiterOptions } from 'evenkeel/limiter';
import type { Side } from '../support/paired.js';
import { Backlog } from './backlog.js';
import { BareCounter, BareSemaphore } from './bare.js';

export type LimitName = 'gradient' | 'fixed';

/** More than anything here needs. */
export const ENOUGH = 1000;

export const noop = async (): Promise<void> => {};

export function limiterOf(limit: LimitName, options: LimiterOptions = {}): Limiter {
  return createLimiter({ limit: limit === 'fixed' ? fixedLimit(ENOUGH) : gradientLimit(), leakWarning: false, ...options });
}

/** One permit there is, and it is out. */
function fullLimiter(): Limiter {
  const full = createLimiter({ limit: fixedLimit(1), queue: false, leakWarning: false });
  full.enter();
  return full;
}

/** What a loop does `operations` times. Both sides go through one loop, which knows neither: their calls are real ones. */
export type Operation = (index: number) => unknown;

export function counted(): Operation {
  const counter = new BareCounter(ENOUGH);
  return () => {
    const isAdmitted = counter.tryAcquire();
    if (isAdmitted) counter.release();
    return isAdmitted;
  };
}

export function countedRefusal(): Operation {
  const counter = new BareCounter(0);
  return () => counter.tryAcquire();
}

export function entered(limit: LimitName): Operation {
  const limiter = limiterOf(limit);
  return () => {
    const ticket = limiter.enter();
    return limiter.leave(ticket);
  };
}

export function acquired(limit: LimitName): Operation {
  const limiter = limiterOf(limit);
  return () => {
    const permit = limiter.tryAcquire();
    permit?.end();
    return permit;
  };
}

export function refused(): Operation {
  const limiter = fullLimiter();
  return () => limiter.tryAcquire();
}

/** What was computed last; read by nobody. */
export let kept: unknown;

export function loop(name: string, operation: Operation, operations: number): Side {
  return {
    name,
    run: async () => {
      kept = repeat(operation, operations);
    },
  };
}

function repeat(operation: Operation, operations: number): unknown {
  let result: unknown;
  for (let i = 0; i < operations; i++) result = operation(i);
  return result;
}

/** One after the other, each awaited. */
export function serial(name: string, operation: () => Promise<unknown>, operations: number): Side {
  return {
    name,
    run: async () => {
      for (let i = 0; i < operations; i++) await operation();
    },
  };
}

export function ran(limit: LimitName): () => Promise<unknown> {
  const limiter = limiterOf(limit);
  return () => limiter.run(noop);
}

export function ranBare(): () => Promise<unknown> {
  const semaphore = new BareSemaphore(ENOUGH);
  return () => semaphore.run(noop);
}

/** What a rejection costs whoever makes it: no promise of Node's is rejected for less. */
export function rejectedBare(): Operation {
  const error = new Error('full');
  const heard = () => {};
  return () => Promise.reject(error).catch(heard);
}

/** Rejections that somebody handles; nobody awaits them one by one. */
export function rejected(form: 'acquire' | 'run'): Operation {
  const limiter = fullLimiter();
  const heard = () => {};
  return form === 'run' ? () => limiter.run(noop).catch(heard) : () => limiter.acquire().catch(heard);
}

const CRITICALITIES = ['critical-plus', 'critical', 'sheddable-plus', 'sheddable'] as const;
const OPTIONS = CRITICALITIES.map((criticality) => ({ criticality }));
const AN_HOUR_MS = 3_600_000;

/** The queue of the limiter; `hasClasses`: of all four criticalities in turn. */
export async function backlogged(waiting: number, hasClasses: boolean, operations: number): Promise<Side> {
  const limiter = createLimiter({
    limit: fixedLimit(1),
    queue: { maxQueued: 2 * waiting, calmWaitMs: AN_HOUR_MS, overloadWaitMs: AN_HOUR_MS },
    leakWarning: false,
  });
  const backlog = await Backlog.of(waiting, (work, index) => {
    void limiter.run(work, hasClasses ? OPTIONS[index & 3] : undefined);
  });
  return { name: `limiter, ${waiting} waiting`, run: () => backlog.run(operations) };
}
