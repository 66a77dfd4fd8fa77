import { describe, expect, it } from 'vitest';
import { type CallGuard, isEvenkeelError, staticResolver } from '../../../src/core/index.js';
import { createLimiter, createLimiters, createThrottle, fixedLimit, type Throttle } from '../../../src/limiter/index.js';
import { createRouter, type RouterOptions } from '../../../src/router/index.js';
import { createMemoryCall } from '../../../src/transports/memory/index.js';
import { fakeRuntime } from '../../support/fake-host.js';

async function rigOf(limiter: (runtime: ReturnType<typeof fakeRuntime>) => CallGuard, options: Partial<RouterOptions> = {}) {
  const runtime = fakeRuntime();
  const transport = createMemoryCall({ clock: runtime.clock });
  const open: (() => void)[] = [];
  let calls = 0;
  for (const address of ['memory://1', 'memory://2']) {
    await transport.serve?.({ address }, async () => {
      calls++;
      await new Promise<void>((resolve) => open.push(resolve));
      return { status: 200 };
    });
  }
  const resolver = staticResolver(['memory://1', 'memory://2']);
  const router = createRouter({ service: 's', resolver, transport, runtime, limiter: limiter(runtime), ...options });
  await runtime.clock.settle();
  return {
    runtime,
    router,
    calls: () => calls,
    answerAll: () =>
      open.splice(0).forEach((answer) => {
        answer();
      }),
  };
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'ok',
    (error) => (isEvenkeelError(error) ? error.code : String(error)),
  );

describe('a router with a limiter', () => {
  it('lets so many attempts through, and fails the others without blaming an endpoint', async () => {
    const { answerAll, calls, router, runtime } = await rigOf((own) =>
      createLimiter({ runtime: own, limit: fixedLimit(2), queue: false, leakWarning: false }),
    );
    const running = [1, 2].map(() => router.call({ path: '/' }));
    await runtime.clock.settle();
    const refused = Array.from({ length: 20 }, () => codeOf(router.call({ path: '/' })));
    await runtime.clock.advance(2000);
    expect(new Set(await Promise.all(refused))).toEqual(new Set(['resource-exhausted']));
    expect(calls()).toBe(2);
    expect(router.endpoints().map(({ state }) => state)).toEqual(['open', 'open']);
    answerAll();
    await Promise.all(running);
    await router.close();
  });

  it('gives what waits its turn when an attempt ends', async () => {
    const { answerAll, calls, router, runtime } = await rigOf((own) =>
      createLimiter({ runtime: own, limit: fixedLimit(1), leakWarning: false }),
    );
    const all = [1, 2].map(() => router.call({ path: '/' }));
    await runtime.clock.settle();
    expect(calls()).toBe(1);
    answerAll();
    await runtime.clock.settle();
    expect(calls()).toBe(2);
    answerAll();
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual([200, 200]);
    await router.close();
  });

  it('tries another endpoint when the one has no room', async () => {
    let limiters: ReturnType<typeof createLimiters> | undefined;
    const { answerAll, router, runtime } = await rigOf((own) => {
      const made = createLimiters({ runtime: own, limit: fixedLimit(1), queue: false, leakWarning: false });
      limiters = made;
      return { guard: (transport) => made.guard(transport, 'checkout') };
    });
    const full = limiters?.for('checkout', 'memory://1');
    const permit = full?.tryAcquire();
    for (let i = 0; i < 8; i++) {
      const call = router.call({ path: '/' });
      await runtime.clock.advance(500);
      answerAll();
      expect((await call).endpoint).toBe('memory://2');
    }
    expect(full?.snapshot().refused.limit?.critical).toBeGreaterThan(0);
    permit?.end();
    await router.close();
  });

  it('takes a throttle as well', async () => {
    const { answerAll, router, runtime } = await rigOf((own) => createThrottle({ runtime: own }));
    const call = router.call({ path: '/' });
    await runtime.clock.settle();
    answerAll();
    expect((await call).status).toBe(200);
    await router.close();
  });

  it('sends nothing while its throttle holds calls back, and blames no endpoint', async () => {
    let throttle: Throttle | undefined;
    const { calls, router, runtime } = await rigOf((own) => {
      throttle = createThrottle({ runtime: own });
      return throttle;
    });
    throttle?.begin()?.end('dropped', 10_000);
    const refused = codeOf(router.call({ path: '/' }));
    await runtime.clock.advance(2000);
    expect(await refused).toBe('resource-exhausted');
    expect([calls(), ...router.endpoints().map(({ state }) => state)]).toEqual([0, 'open', 'open']);
    await router.close();
  });

  it('refuses what is no limiter', async () => {
    await expect(rigOf(() => ({}) as CallGuard)).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});
