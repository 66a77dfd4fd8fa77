/** Lists that behave badly: huge, flapping, or with a whole ring dead. */
import { describe, expect, it } from 'vitest';
import { assertBalanced, assertClosesClean, endpointsNamed, routerRig, watch } from '../../support/router-rig.js';

const GET = { path: '/x' };

describe('a resolver that', () => {
  it('adds 10,000 endpoints at once has all of them used or left out by choice, and no call is lost', async () => {
    const rig = routerRig({ endpoints: 3, subset: false });
    const names = Array.from({ length: 10_000 }, (_, i) => ({ id: `e${i}`, address: `memory://e${i}` }));
    rig.transport.onCall = (call) => call.answer();
    const calls = Array.from({ length: 50 }, () => watch(rig.router.call(GET)));
    rig.resolver.push(names);
    for (let i = 0; i < 500; i++) calls.push(watch(rig.router.call(GET)));
    await rig.clock.advance(10);
    expect(calls.every((call) => call.get().status === 200)).toBe(true);
    expect(new Set(rig.transport.order).size).toBeGreaterThan(400);
    await assertClosesClean(rig);
  });

  it('flaps 100 endpoints a second costs no call, and calls go to none that is gone', async () => {
    const rig = routerRig({ endpoints: 'none yet', retry: false });
    const names = endpointsNamed(200);
    let listed = new Set<string>();
    let strays = 0;
    rig.transport.onCall = (call) => void rig.clock.sleep(5).then(() => call.answer());
    const calls: ReturnType<typeof watch>[] = [];
    for (let tick = 0; tick < 200; tick++) {
      // Ten flaps each tenth of a second.
      const now = names.filter((_, i) => (i + tick * 10) % 200 >= 100);
      listed = new Set(now.map(({ id }) => id));
      rig.resolver.push(now);
      for (let i = 0; i < 10; i++) {
        calls.push(watch(rig.router.call(GET)));
        if (!listed.has(rig.transport.last.to)) strays++;
      }
      await rig.clock.advance(100);
    }
    expect(strays).toBe(0);
    expect(calls.every((call) => (call.get() as { status: number }).status === 200)).toBe(true);
    await assertBalanced(rig);
    expect([...rig.runtime.load.keys()].filter((key) => key.startsWith('endpoint:'))).toHaveLength(100);
    await assertClosesClean(rig);
  });
});

describe('a ring of which every endpoint is dead', () => {
  const endpoints = [
    ...Array.from({ length: 4 }, (_, i) => ({ id: `near${i}`, address: `memory://near${i}`, locality: 'eu/west/a' })),
    ...Array.from({ length: 12 }, (_, i) => ({ id: `far${i}`, address: `memory://far${i}`, locality: 'us/east/a' })),
  ];

  it('is left for the next one, and taken again when it lives', async () => {
    const rig = routerRig({ endpoints, locality: 'eu/west/a', ejection: { maxShare: 0.5 } });
    let isDead = true;
    rig.transport.onCall = (call) => {
      if (isDead && call.to.startsWith('near')) call.fail('unavailable', 'yes');
      else call.answer();
    };
    const outcomes: ReturnType<typeof watch>[] = [];
    const send = async (count: number) => {
      const from = rig.transport.calls.length;
      for (let i = 0; i < count; i++) {
        outcomes.push(watch(rig.router.call(GET)));
        await rig.clock.advance(20);
      }
      return rig.transport.order.slice(from);
    };
    await send(200);
    const later = await send(50);
    expect(later.filter((id) => id.startsWith('far')).length).toBeGreaterThan(40);
    const failed = outcomes.filter((outcome) => outcome.error !== undefined).length;
    // Three attempts a call, until each of the four has failed five times in a row.
    expect(failed).toBeLessThan(10);
    isDead = false;
    await send(2000);
    const again = await send(100);
    expect(again.filter((id) => id.startsWith('near')).length).toBeGreaterThan(60);
    await assertClosesClean(rig);
  });
});
