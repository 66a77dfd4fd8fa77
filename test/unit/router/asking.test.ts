/** Polling before dispatch when there is more to do than endpoints take, or when nobody answers. */
import { describe, expect, it } from 'vitest';
import { polling } from '../../../src/router/index.js';
import { assertClosesClean, routerRig, watch } from '../../support/router-rig.js';

const asking = (timeoutMs: number) => [polling({ mode: 'before-dispatch', timeoutMs })];

describe('calls that ask before they go', () => {
  it('ask once each at the most, however many wait for room', async () => {
    const rig = routerRig({ endpoints: 2, loadSources: asking(50), maxInFlightPerEndpoint: 1, maxQueued: 400 });
    let asked = 0;
    rig.transport.onCall = (call) => {
      if (call.request.path === '/load') {
        asked++;
        call.answer(200, '{"server_load": 1}');
      } else rig.clock.timer(10, () => call.answer());
    };
    const results = Array.from({ length: 300 }, () => watch(rig.router.call({ path: '/' })));
    await rig.clock.advance(2000);
    expect(results.filter(({ value }) => value?.status === 200)).toHaveLength(300);
    expect(asked).toBeLessThanOrEqual(600);
    await assertClosesClean(rig);
  });

  it('are bounded: beyond maxQueued the picker chooses', async () => {
    const rig = routerRig({ endpoints: 2, loadSources: asking(50), maxQueued: 3 });
    for (let i = 0; i < 10; i++) watch(rig.router.call({ path: '/' }));
    await rig.clock.settle();
    const paths = rig.transport.open.map(({ request }) => request.path);
    expect(paths.filter((path) => path === '/load')).toHaveLength(6);
    expect(paths.filter((path) => path === '/')).toHaveLength(7);
    await assertClosesClean(rig);
  });

  it('end at their deadline while nobody answers', async () => {
    const rig = routerRig({ endpoints: 2, loadSources: asking(1500), timeoutMs: 100 });
    const result = watch(rig.router.call({ path: '/' }));
    await rig.clock.advance(99);
    expect(result.isSettled).toBe(false);
    await rig.clock.advance(9);
    expect(result.error?.code).toBe('deadline-exceeded');
    await rig.clock.advance(2000);
    expect(rig.transport.calls.filter(({ request }) => request.path === '/')).toEqual([]);
    await assertClosesClean(rig);
  });
});
