/** A limiter in virtual time, of two calls at once if nothing else is said. */
import { isEvenkeelError } from 'evenkeel/core';
import { createLimiter, fixedLimit, type LimiterOptions } from 'evenkeel/limiter';
import { fakeRuntime } from './fake-host.js';

export function limiterOf(options: LimiterOptions = {}) {
  const runtime = fakeRuntime();
  const limiter = createLimiter({ runtime, limit: fixedLimit(2), leakWarning: false, name: 'test', ...options });
  return { runtime, clock: runtime.clock, limiter };
}

/** The code of what a promise was rejected with; `ok` if it was not. */
export const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'ok',
    (error) => (isEvenkeelError(error) ? `${error.code} ${error.details?.reason ?? ''}`.trim() : String(error)),
  );
