/** Calls that must not go out, and calls of which nothing went out. */
import { describe, expect, it } from 'vitest';
import { type CallTransport, EvenkeelError } from '../../../src/core/index.js';
import { polling, type RouterRequest } from '../../../src/router/index.js';
import { assertBalanced, assertClosesClean, routerRig, watch } from '../../support/router-rig.js';

describe('a waiting call', () => {
  it('whose signal has aborted is not sent when the end of another makes room', async () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1 });
    const stop = new AbortController();
    const calls = Array.from({ length: 5 }, () => watch(rig.router.call({ path: '/', signal: stop.signal })));
    await rig.clock.settle();
    stop.abort();
    await rig.clock.settle();
    expect(rig.transport.calls).toHaveLength(1);
    expect(calls.map(({ error }) => error?.code)).toEqual(new Array(5).fill('cancelled'));
    expect(calls.slice(1).map(({ error }) => error?.attempts)).toEqual([0, 0, 0, 0]);
    await assertClosesClean(rig);
  });

  it('is not sent by the closing of the router, and its error says that it was not', async () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1 });
    const sent = watch(rig.router.call({ path: '/' }));
    await rig.clock.advance(20);
    const waiting = watch(rig.router.call({ path: '/', method: 'POST', body: 'x' }));
    await rig.clock.settle();
    await rig.router.close();
    expect(rig.transport.calls).toHaveLength(1);
    expect(sent.error).toMatchObject({ code: 'unavailable', retryable: 'unknown', attempts: 1 });
    expect(waiting.error).toMatchObject({ code: 'unavailable', retryable: 'yes', attempts: 0 });
    await assertClosesClean(rig);
  });

  it('past its deadline is not sent, though the wheel has not come to it', async () => {
    const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1 });
    watch(rig.router.call({ path: '/' }));
    const deadline = rig.clock.now() + 10;
    const late = watch(rig.router.call({ path: '/late' }, { criticality: 'critical', deadline }));
    await rig.clock.advance(14);
    rig.transport.calls[0]?.answer();
    await rig.clock.settle();
    expect(rig.transport.calls).toHaveLength(1);
    expect(late.error).toMatchObject({ code: 'deadline-exceeded', retryable: 'yes', attempts: 0 });
    await assertClosesClean(rig);
  });
});

it('a call whose deadline passes while endpoints are asked is not sent', async () => {
  const rig = routerRig({ endpoints: 2, loadSources: [polling({ mode: 'before-dispatch', timeoutMs: 500 })] });
  const deadline = rig.clock.now() + 10;
  const late = watch(rig.router.call({ path: '/late' }, { criticality: 'critical', deadline }));
  await rig.clock.advance(14);
  for (const call of rig.transport.open) call.answer(200, '{"server_load": 1}');
  await rig.clock.advance(16);
  expect(rig.transport.calls.filter(({ request }) => request.path === '/late')).toEqual([]);
  expect(late.error?.code).toBe('deadline-exceeded');
  await assertClosesClean(rig);
});

it('with every endpoint ejected and no panic a call waits, and ends with a code at its deadline', async () => {
  const ejection = { consecutiveFailures: 1, maxShare: 1, baseMs: 60_000 };
  const rig = routerRig({ endpoints: 2, panicThreshold: 0, ejection, retry: false, timeoutMs: 1000 });
  for (let i = 0; i < 2; i++) {
    watch(rig.router.call({ path: '/' }));
    await rig.clock.settle();
    rig.transport.last.answer(500);
    await rig.clock.settle();
  }
  expect(rig.router.endpoints().map(({ state }) => state)).toEqual(['ejected', 'ejected']);
  const result = watch(rig.router.call({ path: '/' }));
  await rig.clock.settle();
  expect(rig.router.snapshot().queued).toBe(1);
  await rig.clock.advance(1008);
  expect(result.error).toMatchObject({ code: 'deadline-exceeded', rejected: true, attempts: 0 });
  await assertClosesClean(rig);
});

describe('an attempt of which nothing was written', () => {
  /** As http: cancelled before there was a connection. */
  const unconnected = (started: string[]): CallTransport => ({
    start(to, _request, sink) {
      started.push(to.id);
      let isOver = false;
      return {
        cancel(code) {
          if (isOver) return;
          isOver = true;
          sink.onError(new EvenkeelError(code, 'never connected', { retryable: 'yes', endpoint: to.id }));
        },
        pause() {},
        resume() {},
      };
    },
    forget() {},
    async drain() {},
    async close() {},
  });

  it('and that ran into its timeout lets even a POST go elsewhere', async () => {
    const started: string[] = [];
    const rig = routerRig({ endpoints: 2, transport: unconnected(started), attemptTimeoutMs: 100, timeoutMs: 150 });
    const result = watch(rig.router.call({ path: '/', method: 'POST', body: 'x' }));
    await rig.clock.advance(170);
    expect(new Set(started).size).toBe(2);
    expect(result.error).toMatchObject({ code: 'deadline-exceeded', retryable: 'yes', attempts: 2 });
    await assertBalanced(rig);
  });
});

it('calls that were refused earn no retries', async () => {
  const rig = routerRig({ endpoints: 1, maxInFlightPerEndpoint: 1, maxQueued: 0 });
  for (let i = 0; i <= 1000; i++) watch(rig.router.call({ path: '/' }));
  await rig.clock.settle();
  expect(rig.router.snapshot()).toMatchObject({ attempts: 1, retriesAvailable: 100 });
  rig.transport.last.answer();
  await assertClosesClean(rig);
});

it.each<[string, Partial<RouterRequest>]>([
  ['a signal that is none', { signal: new AbortController() as unknown as AbortSignal }],
  ['a model that is no string', { model: 42 as unknown as string }],
])('%s is refused with a code, and nothing stays in flight', async (_name, part) => {
  const rig = routerRig({ endpoints: 1 });
  const result = watch(rig.router.call({ path: '/', ...part }));
  await rig.clock.settle();
  expect(result.error?.code).toBe('invalid-argument');
  expect(rig.router.snapshot().inFlight).toBe(0);
  await assertClosesClean(rig);
});

describe('work at an endpoint that router.pick chose', () => {
  it('is in flight, and a drain waits for it', async () => {
    const rig = routerRig({ endpoints: 1 });
    const work = rig.router.pick();
    expect(rig.router.snapshot().inFlight).toBe(1);
    const drained = watch(rig.router.drain());
    await rig.clock.settle();
    expect(drained.isSettled).toBe(false);
    work.end();
    await rig.clock.settle();
    expect(drained.isSettled).toBe(true);
    await assertClosesClean(rig);
  });

  it('does not keep a router from closing, nor a drain after that', async () => {
    const rig = routerRig({ endpoints: 1 });
    const work = rig.router.pick();
    const drained = watch(rig.router.drain());
    await rig.router.close();
    await rig.clock.settle();
    expect(drained.isSettled).toBe(true);
    work.end();
    await assertClosesClean(rig);
  });
});
