import { describe, expect, it } from 'vitest';
import { leastLoaded, ringHash } from '../../../src/router/index.js';
import { assertBalanced, routerRig, watch } from '../../support/router-rig.js';

const weightOf = ({ router }: ReturnType<typeof routerRig>, id: string) =>
  router.endpoints().find(({ endpoint }) => endpoint.id === id)?.weight;

describe('the weight of a call', () => {
  it('is in flight from dispatch to its end, and steers where the next goes', async () => {
    const rig = routerRig({ endpoints: 2, picker: leastLoaded() });
    watch(rig.router.call({ path: '/x', weight: 1000 }));
    const first = rig.transport.last.to;
    for (let i = 0; i < 10; i++) watch(rig.router.call({ path: '/x', weight: 10 }));
    expect(rig.transport.order.slice(1).every((to) => to !== first)).toBe(true);
    expect(weightOf(rig, first)).toBe(1000);
    for (const call of rig.transport.open) call.answer();
    await assertBalanced(rig);
  });

  it('is corrected by the buffered body before it counts for latency', async () => {
    const rig = routerRig();
    const actualWeight = (body: Uint8Array) => JSON.parse(Buffer.from(body).toString()).usage as number;
    const call = watch(rig.router.call({ path: '/x', weight: 10, actualWeight }));
    await rig.clock.advance(200);
    rig.transport.last.answer(200, '{"usage":50}');
    await assertBalanced(rig);
    expect(call.get().status).toBe(200);
    expect(rig.router.endpoints()[0]?.latencyMs).toBe(4);
  });

  it.each([
    ['throws', () => JSON.parse('no json')],
    ['does not know', () => undefined],
    ['says 0', () => 0],
    ['says NaN', () => Number.NaN],
    ['says infinity', () => Number.POSITIVE_INFINITY],
  ])('stays as expected when the one who knows %s', async (_what, actualWeight) => {
    const rig = routerRig();
    const call = watch(rig.router.call({ path: '/x', weight: 10, actualWeight }));
    await rig.clock.advance(200);
    rig.transport.last.answer(200, 'x');
    await assertBalanced(rig);
    expect(call.get().status).toBe(200);
    expect(rig.router.endpoints()[0]?.latencyMs).toBe(20);
  });

  it('is corrected while the response streams, and no more after its end', async () => {
    const rig = routerRig();
    const call = watch(rig.router.call({ path: '/x', weight: 100, response: 'stream' }));
    rig.transport.last.respond(200);
    await rig.clock.settle();
    call.get().reweigh(30);
    expect(weightOf(rig, 'a')).toBe(30);
    call.get().reweigh(300);
    expect(weightOf(rig, 'a')).toBe(300);
    rig.transport.last.end();
    call.get().reweigh(7);
    await assertBalanced(rig);
    for (const weight of [0, -1, Number.NaN]) expect(() => call.get().reweigh(weight)).toThrow(/weight is/);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5' as unknown as number])('%s is refused', async (weight) => {
    const rig = routerRig();
    await expect(rig.router.call({ path: '/x', weight })).rejects.toMatchObject({ code: 'invalid-argument', attempts: 0 });
    await assertBalanced(rig);
  });

  it('is given back whole after every kind of end', async () => {
    const rig = routerRig({ endpoints: 3, retry: false });
    rig.transport.onCall = (call) => {
      const endings = [() => call.answer(), () => call.answer(500), () => call.fail(), () => call.answer(429)];
      endings[rig.transport.calls.indexOf(call) % 4]?.();
    };
    for (let i = 0; i < 100; i++) watch(rig.router.call({ path: '/x', weight: 0.1 + i / 7 }));
    await assertBalanced(rig);
  });
});

describe('work that somebody else does', () => {
  it('is counted from pick to end, once', () => {
    const rig = routerRig();
    const pick = rig.router.pick({ weight: 5 });
    expect(pick.endpoint.id).toBe('a');
    expect(weightOf(rig, 'a')).toBe(5);
    pick.end('ok');
    pick.end('error');
    expect(rig.router.endpoints()).toMatchObject([{ inFlight: 0, weight: 0, failureShare: 0 }]);
  });

  it('ejects an endpoint as failed calls do', () => {
    const rig = routerRig({ endpoints: 2, ejection: { consecutiveFailures: 1 } });
    for (let i = 0; i < 20; i++) {
      const pick = rig.router.pick();
      pick.end(pick.endpoint.id === 'a' ? 'error' : 'ok');
    }
    expect(rig.router.endpoints().map(({ state }) => state)).toEqual(['ejected', 'open']);
  });

  it('is forgotten at its end when its endpoint is gone', () => {
    const rig = routerRig();
    const pick = rig.router.pick();
    rig.resolver.push([{ id: 'z', address: 'memory://z' }]);
    expect(rig.transport.forgotten).toEqual([]);
    pick.end();
    expect(rig.transport.forgotten).toEqual(['memory://a']);
  });

  it('is refused without endpoints, with a weight out of range, and after close', async () => {
    expect(() => routerRig({ endpoints: 'none yet' }).router.pick()).toThrow(/no endpoint/);
    const { router } = routerRig();
    expect(() => router.pick({ weight: 0 })).toThrow(/weight is/);
    await router.close();
    expect(() => router.pick()).toThrow(/draining or closed/);
  });
});

describe('weightOf', () => {
  it.each([
    ['throws', () => JSON.parse('no json')],
    ['tells 0', () => 0],
    ['tells less than 0', () => -1],
    ['tells NaN', () => Number.NaN],
  ])('that %s leaves an endpoint the weight of the list, and the list in use', async (_what, wrong) => {
    const picker = ringHash({ loadFactor: Number.POSITIVE_INFINITY });
    const rig = routerRig({ endpoints: 10, picker, weightOf: ({ id }) => (id === 'a' ? wrong() : 1) });
    for (let i = 0; i < 200; i++) watch(rig.router.call({ path: '/x', affinity: [`key ${i}`] }));
    expect(rig.router.endpoints()).toHaveLength(10);
    const toA = rig.transport.order.filter((id) => id === 'a').length;
    expect(toA).toBeGreaterThan(5);
    expect(toA).toBeLessThan(50);
  });
});
