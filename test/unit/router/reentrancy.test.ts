/** Listeners, extensions and load sources that act on the router from the inside of one of its calls. */
import { describe, expect, it } from 'vitest';
import { type CallSink, type CallTransport, EvenkeelError } from '../../../src/core/index.js';
import { polling } from '../../../src/router/index.js';
import { assertBalanced, assertClosesClean, routerRig, watch } from '../../support/router-rig.js';

describe('a listener of the pick', () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed))(
    'that ends other calls does not make a waiting one be sent twice (seed %i)',
    async (seed) => {
      const rig = routerRig({ endpoints: 3, maxInFlightPerEndpoint: 1, seed });
      const stop = new AbortController();
      const first = watch(rig.router.call({ path: '/a' }));
      for (const path of ['/b', '/b2']) watch(rig.router.call({ path, signal: stop.signal }));
      const waiting = watch(rig.router.call({ path: '/c', method: 'POST', body: 'pay' }));
      await rig.clock.settle();
      rig.router.events.on('pick', () => stop.abort());
      rig.transport.calls.find(({ request }) => request.path === '/a')?.answer();
      await rig.clock.settle();
      expect(rig.transport.calls.filter(({ request }) => request.path === '/c')).toHaveLength(1);
      for (const call of rig.transport.open) call.answer();
      await assertBalanced(rig);
      expect([first.value?.status, waiting.value?.status]).toEqual([200, 200]);
    },
  );

  it('that makes a call of its own does not lead two calls to an endpoint with room for one', async () => {
    const rig = routerRig({ endpoints: 2, maxInFlightPerEndpoint: 1 });
    for (const path of ['/0', '/1', '/2']) watch(rig.router.call({ path }));
    await rig.clock.settle();
    let hasCalled = false;
    rig.router.events.on('pick', () => {
      if (hasCalled) return;
      hasCalled = true;
      watch(rig.router.call({ path: '/own' }));
    });
    for (let i = 0; i < 4; i++) {
      expect(rig.router.endpoints().map(({ inFlight }) => inFlight)).toEqual([1, 1]);
      rig.transport.open[0]?.answer();
      await rig.clock.settle();
      if (rig.transport.calls.length === 4 && rig.transport.open.length < 2) break;
    }
    for (const call of rig.transport.open) call.answer();
    await rig.clock.settle();
    expect(rig.transport.calls.map(({ request }) => request.path).sort()).toEqual(['/0', '/1', '/2', '/own']);
    await assertClosesClean(rig);
  });
});

describe('a listener of the retry', () => {
  it.each([
    ['a picker', undefined],
    ['asking first', [polling({ mode: 'before-dispatch' })]],
  ])('that aborts the call leaves nothing armed, with %s', async (_name, loadSources) => {
    const rig = routerRig({ endpoints: 3, ejection: false, ...(loadSources === undefined ? undefined : { loadSources }) });
    rig.transport.onCall = (call) => {
      if (call.request.path === '/load') call.answer(200, '{"server_load": 1}');
    };
    const stop = new AbortController();
    rig.router.events.on('retry', () => stop.abort());
    const result = watch(rig.router.call({ path: '/', signal: stop.signal }));
    await rig.clock.advance(1);
    rig.transport.open[0]?.fail('unavailable', 'unknown');
    await rig.clock.settle();
    expect(result.error?.code).toBe('cancelled');
    await assertClosesClean(rig);
  });

  it('that closes the router ends the call at once, with its own failure', async () => {
    const rig = routerRig({ endpoints: 3 });
    rig.router.events.on('retry', () => void rig.router.close());
    const result = watch(rig.router.call({ path: '/' }));
    await rig.clock.settle();
    rig.transport.last.fail('unavailable', 'yes');
    await rig.clock.settle();
    expect(result.error).toMatchObject({ code: 'unavailable', attempts: 1 });
    await assertClosesClean(rig);
  });
});

describe('a load source whose choose throws', () => {
  it('is as good as none: the picker chooses, and the failure is told', async () => {
    const broken = {
      name: 'broken',
      start: () => ({
        choose() {
          throw new Error('boom');
        },
        close() {},
      }),
    };
    const rig = routerRig({ endpoints: 2, loadSources: [broken] });
    const result = watch(rig.router.call({ path: '/' }));
    await rig.clock.settle();
    rig.transport.last.answer();
    await rig.clock.settle();
    expect(result.get().status).toBe(200);
    expect(rig.router.snapshot().brokenReports).toBe(1);
    await assertClosesClean(rig);
  });
});

describe('a transport that breaks its contract', () => {
  it('by telling an end and throwing from start ends one attempt, not two', async () => {
    const sinks: CallSink[] = [];
    const transport: CallTransport = {
      start(to, _request, sink) {
        sinks.push(sink);
        if (sinks.length > 1) return { cancel() {}, pause() {}, resume() {} };
        queueMicrotask(() => sink.onError(new EvenkeelError('unavailable', 'gone', { retryable: 'yes', endpoint: to.id })));
        throw new Error('and throws');
      },
      forget() {},
      async drain() {},
      async close() {},
    };
    const rig = routerRig({ endpoints: 2, transport });
    const result = watch(rig.router.call({ path: '/' }));
    await rig.clock.settle();
    expect(sinks).toHaveLength(2);
    expect(rig.router.snapshot().inFlight).toBe(1);
    sinks[1]?.onResponse(200, []);
    sinks[1]?.onEnd();
    sinks[1]?.onEnd();
    await rig.clock.settle();
    expect(result.get().attempts).toBe(2);
    await assertBalanced(rig);
  });
});
