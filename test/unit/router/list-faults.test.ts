/** Lists that behave badly: huge, flapping, or with a whole ring dead. */
import { describe, expect, it } from 'vitest';
import { prefixAffinity, probePool, ringHash } from '../../../src/router/index.js';
import {
  assertBalanced,
  assertClosesClean,
  endpointsNamed,
  type RigOptions,
  routerRig,
  watch,
} from '../../support/router-rig.js';

const GET = { path: '/x' };

const setups = {
  'the defaults': {},
  'a hash ring': { picker: ringHash() },
  'prefix affinity': { picker: prefixAffinity() },
  probes: { picker: probePool() },
  rings: { locality: 'eu/west/a' },
  'a subset': { subset: { maxEndpoints: 50 } },
} satisfies Record<string, RigOptions>;

/** Of every second endpoint in another region. */
const placed = (endpoints: readonly { id: string; address: string }[]) =>
  endpoints.map((endpoint, i) => ({ ...endpoint, locality: i % 2 === 0 ? 'eu/west/a' : 'us/east/a' }));

describe.each(Object.entries(setups))('with %s a resolver that', (name, setup) => {
  /** Probes are answered as well; calls have keys of their own. */
  const call = (i: number) => ({ ...GET, affinity: [`key ${i}`] });

  it('adds 10,000 endpoints at once has all of them used or left out by choice, and no call is lost', async () => {
    const rig = routerRig({ endpoints: placed(endpointsNamed(3)), subset: false, ...setup });
    const names = placed(Array.from({ length: 10_000 }, (_, i) => ({ id: `e${i}`, address: `memory://e${i}` })));
    rig.transport.onCall = (open) => open.answer();
    const calls = Array.from({ length: 50 }, (_, i) => watch(rig.router.call(call(i))));
    await rig.clock.settle();
    rig.resolver.push(names);
    const before = rig.transport.calls.length;
    for (let i = 0; i < 500; i++) calls.push(watch(rig.router.call(call(i))));
    await rig.clock.advance(10);
    expect(calls.every((one) => one.get().status === 200)).toBe(true);
    const used = new Set(rig.transport.order.slice(before));
    if (name === 'a subset') expect(used.size).toBe(50);
    else expect(used.size).toBeGreaterThan(400);
    if (name === 'rings') expect([...used].every((id) => Number(id.slice(1)) % 2 === 0)).toBe(true);
    await assertClosesClean(rig);
  });

  it('flaps 100 endpoints a second costs no call, and calls go to none that is gone', async () => {
    const rig = routerRig({ endpoints: 'none yet', retry: false, ...setup });
    const names = placed(endpointsNamed(200));
    let listed = new Set<string>();
    let strays = 0;
    rig.transport.onCall = (open) => {
      if (!listed.has(open.to)) strays++;
      void rig.clock.sleep(5).then(() => open.answer());
    };
    const calls: ReturnType<typeof watch>[] = [];
    for (let tick = 0; tick < 200; tick++) {
      // Ten flaps each tenth of a second.
      const now = names.filter((_, i) => (i + tick * 10) % 200 >= 100);
      listed = new Set(now.map(({ id }) => id));
      rig.resolver.push(now);
      for (let i = 0; i < 10; i++) {
        calls.push(watch(rig.router.call(call(i))));
      }
      await rig.clock.advance(100);
    }
    expect(strays).toBe(0);
    expect(calls.every((one) => (one.get() as { status: number }).status === 200)).toBe(true);
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
