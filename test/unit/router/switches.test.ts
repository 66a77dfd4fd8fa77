import { expect, it } from 'vitest';
import { polling, ringHash } from '../../../src/router/index.js';
import { assertClosesClean, routerRig, watch } from '../../support/router-rig.js';

it('ejection that is turned off ejects nothing, and lets back what is out', async () => {
  const ejection = { isOn: true };
  const rig = routerRig({ endpoints: 3, retry: false, ejection: { consecutiveFailures: 1 }, switches: { ejection } });
  const states = () => rig.router.endpoints().map(({ state }) => state);
  const fail = () => {
    watch(rig.router.call({ path: '/x' }));
    rig.transport.last.fail();
  };
  fail();
  expect(states().filter((state) => state === 'ejected')).toHaveLength(1);
  ejection.isOn = false;
  fail();
  expect(states()).toEqual(['open', 'open', 'open']);
  ejection.isOn = true;
  fail();
  expect(states().filter((state) => state === 'ejected')).toHaveLength(1);
  await assertClosesClean(rig);
});

it('nobody is asked before a dispatch while probes are off', async () => {
  const probes = { isOn: false };
  const rig = routerRig({ endpoints: 4, loadSources: [polling({ mode: 'before-dispatch' })], switches: { probes } });
  rig.transport.onCall = (call) => call.answer();
  for (let i = 0; i < 10; i++) watch(rig.router.call({ path: '/x' }));
  expect(rig.transport.calls).toHaveLength(10);
  probes.isOn = true;
  watch(rig.router.call({ path: '/x' }));
  expect(rig.transport.calls.filter(({ request }) => request.path === '/load')).toHaveLength(2);
  await assertClosesClean(rig);
});

it('an endpoint on probation is trusted once ejection is off', async () => {
  const ejection = { isOn: true };
  const rig = routerRig({
    endpoints: 2,
    retry: false,
    ejection: { consecutiveFailures: 1, baseMs: 100 },
    switches: { ejection },
  });
  watch(rig.router.call({ path: '/x' }));
  const { to } = rig.transport.last;
  rig.transport.last.fail();
  await rig.clock.advance(101);
  expect(rig.router.endpoints().map(({ state }) => state)).toContain('probation');
  ejection.isOn = false;
  for (let i = 0; i < 10; i++) watch(rig.router.call({ path: '/x' }));
  for (const open of rig.transport.open) open.answer();
  expect(rig.router.endpoints().find(({ endpoint }) => endpoint.id === to)?.state).toBe('open');
  await assertClosesClean(rig);
});

it('uses all endpoints as soon as subsets are turned off', async () => {
  const subsets = { isOn: true };
  const rig = routerRig({ endpoints: 100, subset: { maxEndpoints: 12 }, switches: { subsets } });
  rig.transport.onCall = (call) => call.answer();
  watch(rig.router.call({ path: '/x' }));
  await rig.clock.advance(10);
  subsets.isOn = false;
  for (let i = 0; i < 1000; i++) {
    watch(rig.router.call({ path: '/x' }));
    await rig.clock.advance(10);
  }
  expect(new Set(rig.transport.order).size).toBeGreaterThan(80);
});

it('is not sticky by ringHash while affinity is turned off', async () => {
  const rig = routerRig({ endpoints: 20, picker: ringHash(), switches: { affinity: { isOn: false } } });
  rig.transport.onCall = (call) => call.answer();
  for (let i = 0; i < 100; i++) {
    watch(rig.router.call({ path: '/x', affinity: ['k'] }));
    await rig.clock.advance(10);
  }
  expect(new Set(rig.transport.order).size).toBeGreaterThan(5);
});

it('tells no score, and not NaN, of a picker behind a switch that compares nothing', () => {
  const rig = routerRig({ endpoints: 3, picker: ringHash(), switches: { picker: { isOn: true } } });
  let score: unknown = 'none';
  rig.router.events.on('pick', (e) => {
    score = e.score;
  });
  watch(rig.router.call({ path: '/x' }));
  expect(score).toBe(undefined);
});
