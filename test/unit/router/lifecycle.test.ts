import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { polling } from '../../../src/router/index.js';
import { assertBalanced, assertClosesClean, endpointsNamed, routerRig, watch } from '../../support/router-rig.js';

const GET = { path: '/x' };

describe('drain', () => {
  it('finishes what is in flight and what waits, refuses the new, then closes', async () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1 });
    const [flying, waiting] = [watch(rig.router.call(GET)), watch(rig.router.call(GET))];
    const drained = watch(rig.router.drain().then(() => true));
    await expect(rig.router.call(GET)).rejects.toMatchObject({ code: 'failed-precondition', retryable: 'yes' });
    rig.transport.last.answer();
    await rig.clock.settle();
    expect(drained.isSettled).toBe(false);
    rig.transport.last.answer();
    await rig.clock.settle();
    expect(drained.get()).toBe(true);
    expect([flying.get().status, waiting.get().status]).toEqual([200, 200]);
    expect(rig.resolver.isClosed).toBe(true);
    await assertClosesClean(rig);
  });

  it('repeats what fails meanwhile', async () => {
    const rig = routerRig({ endpoints: 2 });
    const call = watch(rig.router.call(GET));
    const drained = rig.router.drain();
    rig.transport.last.fail();
    await rig.clock.advance(40);
    rig.transport.last.answer();
    await drained;
    expect(call.get().attempts).toBe(2);
  });

  it('waits for a streamed response to be read', async () => {
    const rig = routerRig();
    const call = watch(rig.router.call({ ...GET, response: 'stream' }));
    rig.transport.last.respond(200);
    const drained = watch(rig.router.drain().then(() => true));
    await rig.clock.advance(10_000);
    expect(drained.isSettled).toBe(false);
    call.get().stream?.cancel();
    await rig.clock.settle();
    expect(drained.get()).toBe(true);
  });

  it('is what `await using` does', async () => {
    const rig = routerRig();
    await rig.router[Symbol.asyncDispose]();
    expect(rig.resolver.isClosed).toBe(true);
  });
});

describe('close', () => {
  it('ends every call at once, in flight, waiting, or between two attempts', async () => {
    const rig = routerRig({ endpoints: 2, maxInFlightPerEndpoint: 1, retry: { baseMs: 1000, maxMs: 1000 } });
    const calls = Array.from({ length: 4 }, () => watch(rig.router.call(GET)));
    rig.transport.calls[0]?.fail();
    const streaming = watch(rig.router.call({ ...GET, response: 'stream' }));
    const closed = watch(rig.router.close().then(() => true));
    await rig.clock.settle();
    expect(closed.get()).toBe(true);
    for (const call of [...calls, streaming]) {
      expect(call.error).toMatchObject({ code: 'unavailable', message: 'router s was closed' });
    }
    expect(rig.transport.open).toEqual([]);
    await assertClosesClean(rig);
  });

  it('breaks streams that are being read', async () => {
    const rig = routerRig();
    const call = watch(rig.router.call({ ...GET, response: 'stream' }));
    rig.transport.last.respond(200);
    await rig.clock.settle();
    const read = watch(call.get().bytes());
    await rig.router.close();
    await rig.clock.settle();
    expect(read.error).toMatchObject({ code: 'unavailable', message: 'router s was closed' });
  });

  it('does not repeat what it ends', async () => {
    const rig = routerRig({ endpoints: 3, retry: { baseMs: 0 } });
    const calls = Array.from({ length: 20 }, () => watch(rig.router.call(GET)));
    await rig.router.close();
    await rig.clock.advance(1000);
    expect(rig.transport.calls).toHaveLength(20);
    for (const call of calls) expect(call.error?.attempts).toBe(1);
  });

  it('ends a drain', async () => {
    const rig = routerRig();
    const call = watch(rig.router.call(GET));
    const drained = watch(rig.router.drain().then(() => true));
    await rig.router.close();
    await rig.clock.settle();
    expect([drained.get(), call.error?.code]).toEqual([true, 'unavailable']);
  });

  it('comes twice without harm', async () => {
    const rig = routerRig();
    await Promise.all([rig.router.close(), rig.router.close(), rig.router.drain()]);
    await rig.router.close();
    await assertClosesClean(rig);
  });

  it('stops health checks, polls and ejections', async () => {
    const rig = routerRig({
      endpoints: 6,
      health: {},
      loadSources: [polling({ mode: 'background' })],
      ejection: { consecutiveFailures: 1 },
      retry: false,
    });
    rig.transport.onCall = (call) => {
      if (call.request.path === '/x') call.fail();
    };
    for (let i = 0; i < 6; i++) watch(rig.router.call(GET));
    await rig.clock.advance(6000);
    expect(rig.clock.pending).toBeGreaterThan(0);
    await rig.router.close();
    await rig.clock.settle();
    expect(rig.transport.open).toEqual([]);
    await assertClosesClean(rig);
  });

  it('ends calls whose endpoints are being asked', async () => {
    const rig = routerRig({ endpoints: 3, loadSources: [polling({ mode: 'before-dispatch' })] });
    const call = watch(rig.router.call(GET));
    await rig.router.close();
    await rig.clock.settle();
    expect(call.error?.code).toBe('unavailable');
    expect(rig.transport.calls.every(({ request }) => request.path === '/load')).toBe(true);
    await assertClosesClean(rig);
  });

  it('tells the transport that the connections are no longer needed', async () => {
    const rig = routerRig({ endpoints: 2 });
    await rig.router.close();
    expect([...rig.transport.forgotten].sort()).toEqual(['memory://a', 'memory://b']);
  });

  it('is deaf to lists that come later', async () => {
    const rig = routerRig();
    await rig.router.close();
    rig.resolver.push(endpointsNamed(5));
    expect(rig.router.endpoints()).toEqual([]);
  });
});

describe("the caller's signal", () => {
  it('is left without a listener after every kind of end', async () => {
    const rig = routerRig({ endpoints: 2, maxInFlightPerEndpoint: 2, maxQueued: 2, retry: false });
    const [mine, theirs] = [new AbortController(), new AbortController()];
    const context = { criticality: 'critical', signal: theirs.signal } as const;
    const calls = Array.from({ length: 10 }, () => watch(rig.router.call({ ...GET, signal: mine.signal }, context)));
    expect(getEventListeners(mine.signal, 'abort').length).toBe(6);
    rig.transport.calls[0]?.answer();
    rig.transport.calls[1]?.fail();
    await rig.router.close();
    await rig.clock.settle();
    expect(calls.every(({ isSettled }) => isSettled)).toBe(true);
    expect(getEventListeners(mine.signal, 'abort')).toEqual([]);
    expect(getEventListeners(theirs.signal, 'abort')).toEqual([]);
  });

  it('serves a hundred calls at once without a warning of Node', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const rig = routerRig({ endpoints: 3, loadSources: [polling({ mode: 'before-dispatch' })] });
    const { signal } = new AbortController();
    for (let i = 0; i < 100; i++) watch(rig.router.call({ ...GET, signal }));
    await rig.clock.settle();
    await rig.router.close();
    await rig.clock.settle();
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  it('cancels a call in flight and tells the transport', async () => {
    const rig = routerRig();
    const gone = new AbortController();
    const call = watch(rig.router.call({ ...GET, signal: gone.signal }));
    gone.abort();
    await rig.clock.settle();
    expect(call.error).toMatchObject({ code: 'cancelled', endpoint: 'a' });
    expect(rig.transport.last.cancelled).toBe('cancelled');
    expect(rig.router.endpoints()[0]?.failureShare).toBe(0);
    await assertBalanced(rig);
  });

  it('that has aborted lets nothing be sent', async () => {
    const rig = routerRig();
    await expect(rig.router.call({ ...GET, signal: AbortSignal.abort('early') })).rejects.toMatchObject({
      code: 'cancelled',
      cause: 'early',
    });
    expect(rig.transport.calls).toEqual([]);
    await assertBalanced(rig);
  });
});
