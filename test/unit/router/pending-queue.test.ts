import { describe, expect, it } from 'vitest';
import { assertBalanced, assertClosesClean, endpointsNamed, routerRig, watch } from '../../support/router-rig.js';

const GET = { path: '/x' };

describe('calls beyond what the endpoints take', () => {
  it('wait, and are sent first come, first served', async () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 2 });
    const calls = ['1', '2', '3', '4', '5', '6'].map((name) => watch(rig.router.call({ path: `/${name}` })));
    expect(rig.transport.calls).toHaveLength(2);
    expect(rig.router.snapshot().queued).toBe(4);
    while (rig.transport.open.length > 0) rig.transport.open[0]?.answer();
    expect(rig.transport.calls.map(({ request }) => request.path)).toEqual(['/1', '/2', '/3', '/4', '/5', '/6']);
    await assertBalanced(rig);
    for (const call of calls) expect(call.get().status).toBe(200);
    await assertClosesClean(rig);
  });

  it('are not overtaken by one that comes when room appears', () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1 });
    for (const name of ['1', '2']) watch(rig.router.call({ path: `/${name}` }));
    rig.transport.last.answer();
    watch(rig.router.call({ path: '/3' }));
    rig.transport.last.answer();
    expect(rig.transport.calls.map(({ request }) => request.path)).toEqual(['/1', '/2', '/3']);
  });

  it('fill every endpoint to its limit, whichever the picker prefers', () => {
    const rig = routerRig({ endpoints: 4, maxInFlightPerEndpoint: 3, maxQueued: 1 });
    for (let i = 0; i < 13; i++) watch(rig.router.call(GET));
    expect(rig.router.endpoints().map(({ inFlight }) => inFlight)).toEqual([3, 3, 3, 3]);
    expect(rig.router.snapshot().queued).toBe(1);
  });

  it('are refused when the queue is full, as safe to send elsewhere', async () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1, maxQueued: 2 });
    const calls = Array.from({ length: 4 }, () => watch(rig.router.call(GET)));
    await rig.clock.settle();
    expect(calls.map(({ isSettled }) => isSettled)).toEqual([false, false, false, true]);
    expect(calls[3]?.error).toMatchObject({ code: 'resource-exhausted', retryable: 'yes', rejected: true, attempts: 0 });
  });

  it('never wait with maxQueued 0', async () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1, maxQueued: 0 });
    watch(rig.router.call(GET));
    await expect(rig.router.call(GET)).rejects.toMatchObject({ code: 'resource-exhausted' });
  });

  it('wait no longer than their deadline', async () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1, timeoutMs: 60_000 });
    watch(rig.router.call(GET));
    const waiting = watch(rig.router.call(GET, { criticality: 'critical', deadline: rig.clock.now() + 100 }));
    await rig.clock.advance(95);
    expect(waiting.isSettled).toBe(false);
    await rig.clock.advance(13);
    expect(waiting.error).toMatchObject({ code: 'deadline-exceeded', retryable: 'yes', rejected: true, attempts: 0 });
    expect(rig.router.snapshot().queued).toBe(0);
    expect(rig.transport.calls).toHaveLength(1);
  });

  it('leave the queue when cancelled', async () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1 });
    const gone = new AbortController();
    watch(rig.router.call(GET));
    const waiting = watch(rig.router.call({ ...GET, signal: gone.signal }));
    gone.abort(new Error('no longer wanted'));
    await rig.clock.settle();
    expect(waiting.error).toMatchObject({ code: 'cancelled', cause: { message: 'no longer wanted' } });
    rig.transport.last.answer();
    expect(rig.transport.calls).toHaveLength(1);
    await assertBalanced(rig);
  });

  it('go to a new endpoint as soon as it is listed', async () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1 });
    for (let i = 0; i < 4; i++) watch(rig.router.call(GET));
    rig.resolver.push(endpointsNamed(3));
    expect([...rig.transport.order].sort()).toEqual(['a', 'b', 'c']);
    expect(rig.router.snapshot().queued).toBe(1);
  });

  it('go where work of `pick` has ended', () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1 });
    const picked = rig.router.pick();
    watch(rig.router.call(GET));
    expect(rig.transport.calls).toHaveLength(0);
    picked.end();
    expect(rig.transport.calls).toHaveLength(1);
  });
});

describe('before the first list of endpoints', () => {
  it('calls wait for it', async () => {
    const rig = routerRig({ endpoints: 'none yet' });
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(1000);
    expect(rig.router.snapshot()).toMatchObject({ queued: 1, tableAgeMs: 0 });
    rig.resolver.push(endpointsNamed(1));
    rig.transport.last.answer();
    await assertBalanced(rig);
    expect(call.get().status).toBe(200);
  });

  it('calls end at their deadline when it never comes', async () => {
    const rig = routerRig({ endpoints: 'none yet', timeoutMs: 500 });
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(510);
    expect(call.error).toMatchObject({ code: 'deadline-exceeded', rejected: true });
    await assertClosesClean(rig);
  });

  it('the queue is bounded all the same', async () => {
    const rig = routerRig({ endpoints: 'none yet', maxQueued: 3 });
    const calls = Array.from({ length: 5 }, () => watch(rig.router.call(GET)));
    await rig.clock.settle();
    expect(calls.filter(({ error }) => error?.code === 'resource-exhausted')).toHaveLength(2);
    await assertClosesClean(rig);
  });
});

describe('with an empty list of endpoints', () => {
  it('calls fail at once', async () => {
    const rig = routerRig({ endpoints: [] });
    await expect(rig.router.call(GET)).rejects.toMatchObject({ code: 'unavailable', retryable: 'yes', rejected: true });
  });

  it('calls that waited for it fail at once, too', async () => {
    const rig = routerRig({ endpoints: 'none yet' });
    const calls = [watch(rig.router.call(GET)), watch(rig.router.call(GET))];
    rig.resolver.push([]);
    await assertBalanced(rig);
    for (const call of calls) expect(call.error?.code).toBe('unavailable');
  });

  it('a call in flight ends well', async () => {
    const rig = routerRig({ endpoints: 1 });
    const call = watch(rig.router.call(GET));
    rig.resolver.push([]);
    rig.transport.last.answer();
    await assertBalanced(rig);
    expect(call.get().status).toBe(200);
  });

  it('a call that was tried once is told what may have happened there', async () => {
    const rig = routerRig({ endpoints: 1, retry: { baseMs: 100, maxMs: 100 } });
    const call = watch(rig.router.call(GET));
    rig.transport.last.fail('unavailable', 'unknown');
    rig.resolver.push([]);
    await rig.clock.advance(120);
    expect(call.error).toMatchObject({ code: 'unavailable', retryable: 'unknown', rejected: false, attempts: 1 });
  });
});

it('waiting costs O(1) a call: ten thousand calls wait and leave one by one', async () => {
  const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1, maxQueued: 10_000 });
  for (let i = 0; i < 10_000; i++) watch(rig.router.call(GET));
  while (rig.transport.last.isOver === false) rig.transport.last.answer();
  expect(rig.transport.calls).toHaveLength(10_000);
  await assertBalanced(rig);
});
