import { describe, expect, it } from 'vitest';
import { bothOf, HEDGE_MS, hedgingRig } from '../../support/hedging-rig.js';
import { assertBalanced, type RigOptions, routerRig, watch } from '../../support/router-rig.js';

const GET = { path: '/x' };

async function refused(headers: string[], options: RigOptions = {}) {
  const rig = routerRig({ endpoints: 3, ...options });
  const call = watch(rig.router.call(GET));
  rig.transport.last.answer(503, 'full', headers);
  await rig.clock.settle();
  return { rig, call };
}

describe('pushback of a gRPC server', () => {
  it('delays the retry by that much', async () => {
    const { rig, call } = await refused(['grpc-retry-pushback-ms', '400']);
    await rig.clock.advance(399);
    expect(rig.transport.calls).toHaveLength(1);
    await rig.clock.advance(10);
    expect(rig.transport.calls).toHaveLength(2);
    rig.transport.last.answer();
    await assertBalanced(rig);
    expect(call.get().attempts).toBe(2);
  });

  it.each(['-1', 'soon', '1.5', ''])('of %j forbids it: the response is handed on', async (value) => {
    const { rig, call } = await refused(['grpc-retry-pushback-ms', value]);
    expect(call.get()).toMatchObject({ status: 503, attempts: 1 });
    expect(await call.get().text()).toBe('full');
    await assertBalanced(rig);
  });

  it('beyond the deadline is as good as a no', async () => {
    const { rig, call } = await refused(['grpc-retry-pushback-ms', '400'], { timeoutMs: 300 });
    expect(call.get()).toMatchObject({ status: 503, attempts: 1 });
    expect(rig.router.snapshot().retriesAvailable).toBe(100);
  });

  it('to one of two attempts forbids a third', async () => {
    const rig = await hedgingRig();
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(HEDGE_MS);
    const [first, hedge] = bothOf(rig);
    hedge.answer(503, '', ['grpc-retry-pushback-ms', '-1']);
    first.fail('unavailable', 'unknown');
    await rig.clock.advance(500);
    expect(rig.transport.calls).toHaveLength(2);
    expect(call.error?.code).toBe('unavailable');
    await assertBalanced(rig);
  });
});

describe('Retry-After', () => {
  it('of one endpoint does not hold up a retry at another', async () => {
    const { rig } = await refused(['retry-after', '2']);
    await rig.clock.advance(40);
    expect(rig.transport.calls).toHaveLength(2);
    expect(rig.transport.order[1]).not.toBe(rig.transport.order[0]);
  });

  it('of one that is ejected does not either', async () => {
    const rig = routerRig({ endpoints: 2, ejection: { consecutiveFailures: 1 } });
    watch(rig.router.call(GET));
    rig.transport.last.answer(503, '', ['retry-after', '2']);
    expect(rig.router.endpoints().map(({ state }) => state)).toContain('ejected');
    await rig.clock.advance(40);
    expect(rig.transport.calls).toHaveLength(2);
  });

  it('of the only one delays the retry by that much', async () => {
    const { rig } = await refused(['retry-after', '2'], { endpoints: 1 });
    await rig.clock.advance(1999);
    expect(rig.transport.calls).toHaveLength(1);
    await rig.clock.advance(10);
    expect(rig.transport.calls).toHaveLength(2);
  });

  it('of the only one, beyond the deadline, is handed on', async () => {
    const { call } = await refused(['retry-after', '2'], { endpoints: 1, timeoutMs: 1000 });
    expect(call.get()).toMatchObject({ status: 503, attempts: 1 });
  });
});
