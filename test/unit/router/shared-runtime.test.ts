import { describe, expect, it } from 'vitest';
import { fakeRuntime } from '../../support/fake-host.js';
import { assertBalanced, assertClosesClean, routerRig, watch } from '../../support/router-rig.js';

const GET = { path: '/x' };

describe('two routers of one process, with one runtime and the same endpoints', () => {
  it('see each other in the load they compare', () => {
    const runtime = fakeRuntime();
    const [first, second] = [routerRig({ runtime, endpoints: 2 }), routerRig({ runtime, endpoints: 2 })];
    watch(first.router.call({ ...GET, weight: 50 }));
    for (let i = 0; i < 5; i++) watch(second.router.call(GET));
    expect(second.transport.order).not.toContain(first.transport.last.to);
  });

  it('keep to limits of their own: one does not wait for what the other has in flight', async () => {
    const runtime = fakeRuntime();
    const options = { runtime, endpoints: 1, maxInFlightPerEndpoint: 1 };
    const [first, second] = [routerRig(options), routerRig(options)];
    const calls = [watch(first.router.call(GET)), watch(second.router.call(GET))];
    first.transport.last.answer();
    expect(second.transport.open).toHaveLength(1);
    second.transport.last.answer();
    await assertBalanced(first);
    await assertBalanced(second);
    for (const call of calls) expect(call.get().status).toBe(200);
  });

  it('let one go while the other goes on', async () => {
    const runtime = fakeRuntime();
    const [first, second] = [routerRig({ runtime, endpoints: 2 }), routerRig({ runtime, endpoints: 2 })];
    const call = watch(second.router.call(GET));
    await first.router.close();
    const { to } = second.transport.last;
    expect(runtime.load.counter(`endpoint:${to}`).read().inFlight).toBe(1);
    second.transport.last.answer();
    await runtime.clock.settle();
    expect(call.get().status).toBe(200);
    const next = watch(second.router.call(GET));
    second.transport.last.answer();
    await assertClosesClean(second);
    expect(next.get().status).toBe(200);
  });
});
