/** What limiters and throttles tell through telemetry. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createLimiter, createThrottle, fixedLimit, type LimiterOptions, type ThrottleOptions } from 'evenkeel/limiter';
import { createMemoryState, memoryStateStore } from 'evenkeel/memory';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/core/random.js';
import type { CallRequest, CallTransport } from '../../../src/core/transport/call.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { FakeTelemetry } from '../../support/fake-telemetry.js';
import { FlakyState } from '../../support/flaky-state.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function observedLimiter(options: LimiterOptions = {}) {
  const telemetry = new FakeTelemetry();
  const runtime = fakeRuntime({ telemetry });
  const limiter = createLimiter({ runtime, limit: fixedLimit(4), leakWarning: false, name: 'search', ...options });
  return { limiter, clock: runtime.clock, read: () => telemetry.read('evenkeel.limiter.', 'search') };
}

function observedThrottle(options: ThrottleOptions = {}) {
  const telemetry = new FakeTelemetry();
  const runtime = fakeRuntime({ telemetry });
  const throttle = createThrottle({ runtime, name: 'search', ...options });
  return { throttle, clock: runtime.clock, read: () => telemetry.read('evenkeel.throttle.', 'search') };
}

describe('a limiter with telemetry', () => {
  it('tells its limit, its queue, its level, and what was admitted and refused', async () => {
    const { limiter, read } = observedLimiter({ limit: fixedLimit(1) });
    const permit = limiter.tryAcquire();
    const waiting = limiter.acquire({ criticality: 'sheddable' });
    expect(limiter.tryAcquire({ criticality: 'critical-plus' })).toBeUndefined();
    expect(read()).toEqual({
      limit: 1,
      queued: 1,
      level: 512,
      'admitted critical-plus': 0,
      'admitted critical': 1,
      'admitted sheddable-plus': 0,
      'admitted sheddable': 0,
      'refused critical-plus limit': 1,
    });
    permit?.end();
    (await waiting).end();
    expect(read()).toMatchObject({ queued: 0, 'admitted sheddable': 1 });
  });

  it('tells the weight of each partition, and that of the calls of none', () => {
    const { limiter, read } = observedLimiter({ partitions: { interactive: 0.5, batch: 0.25 } });
    limiter.tryAcquire({ partition: 'batch' });
    limiter.tryAcquire({ partition: 'interactive', weight: 2 });
    expect(read()).toMatchObject({
      'partition.weight': 0,
      'partition.weight interactive': 2,
      'partition.weight batch': 1,
    });
  });

  it('counts permits that were dropped without an end, where it looks for them', async () => {
    const { limiter, read } = observedLimiter({ leakWarning: true });
    expect(read()).toMatchObject({ leaked: 0 });
    // In a function, so that nothing on the stack holds it.
    const lose = () => void limiter.tryAcquire();
    lose();
    for (let i = 0; i < 100 && limiter.inFlight > 0; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      collectGarbage();
    }
    expect(read()).toMatchObject({ leaked: 1 });
    expect(observedLimiter().read()).not.toHaveProperty('leaked');
  });

  it('tells its share of a quota, and that it lives on the last one while the store is away', async () => {
    const { clock } = fakeRuntime();
    const state = new FlakyState(createMemoryState({ clock, store: memoryStateStore({ random: seededRandom('store') }) }));
    const telemetry = new FakeTelemetry();
    const runtime = fakeRuntime({ clock, telemetry });
    const share = { state, key: 'quotas/search' };
    const limiter = createLimiter({ runtime, limit: fixedLimit(4), queue: false, leakWarning: false, name: 'search', share });
    const read = () => telemetry.read('evenkeel.limiter.', 'search');
    expect(read()).toMatchObject({ share: 0, 'share.state starting': 1, 'share.state shared': 0 });
    for (let i = 0; i < 3; i++) limiter.tryAcquire();
    await clock.advance(5000);
    const shared = limiter.snapshot().share?.share;
    expect(shared).toBeGreaterThan(0);
    expect(read()).toMatchObject({ share: shared, 'share.state starting': 0, 'share.state shared': 1, 'share.state kept': 0 });
    state.fault = 'unavailable';
    state.isDeaf = true;
    await clock.advance(10_000);
    expect(read()).toMatchObject({ share: shared, 'share.state shared': 0, 'share.state kept': 1, 'share.state fallback': 0 });
    await limiter.close();
    expect(read()).toEqual({});
  });

  it('tells nothing after close, and nothing of what it does not have', async () => {
    const { limiter, read } = observedLimiter();
    expect(Object.keys(read()).filter((name) => /^(share|partition|leaked)/.test(name))).toEqual([]);
    await limiter.close();
    expect(read()).toEqual({});
  });
});

describe('a throttle with telemetry', () => {
  it('tells what it let through and held back, and how likely the next is held back', () => {
    const { throttle, read } = observedThrottle();
    for (let i = 0; i < 100; i++)
      if (throttle.allows({ criticality: 'sheddable' })) throttle.record('dropped', { criticality: 'sheddable' });
    throttle.allows();
    const { admitted, classes, refused } = throttle.snapshot();
    expect(admitted).toMatchObject({ critical: 1, 'critical-plus': 0 });
    expect(admitted.sheddable + (refused.refusals?.sheddable ?? 0)).toBe(100);
    expect(read()).toEqual({
      'admitted critical-plus': 0,
      'admitted critical': 1,
      'admitted sheddable-plus': 0,
      'admitted sheddable': admitted.sheddable,
      'refused sheddable refusals': 100 - admitted.sheddable,
      'rejection critical-plus': 0,
      'rejection critical': 0,
      'rejection sheddable-plus': 0,
      'rejection sheddable': classes.sheddable.rejection,
      level: 512,
      pushback: 0,
      'endpoints.held': 0,
    });
    expect(classes.sheddable.rejection).toBeGreaterThan(0.9);
  });

  it('tells how long servers asked to be left alone, in seconds', async () => {
    const { clock, read, throttle } = observedThrottle();
    throttle.begin()?.end('dropped', 3000);
    throttle.allows();
    expect(read()).toMatchObject({ pushback: 3, 'refused critical pushback': 1 });
    await clock.advance(1000);
    expect(read()).toMatchObject({ pushback: 2 });
    await clock.advance(5000);
    expect(read()).toMatchObject({ pushback: 0 });
  });

  it('tells how many endpoints are held back, and not which', async () => {
    const { clock, read, throttle } = observedThrottle();
    const refusing = {
      start: (_to: unknown, _request: CallRequest, sink) => {
        sink.onResponse(503, ['retry-after', '2']);
        sink.onEnd();
        return { cancel() {}, pause() {}, resume() {} };
      },
    } as Pick<CallTransport, 'start'> as CallTransport;
    const transport = throttle.guard(refusing);
    const sink = { onResponse() {}, onData() {}, onEnd() {}, onError() {} };
    for (const id of ['a', 'b', 'b']) transport.start({ id, address: `sim://${id}` }, { path: '/' }, sink);
    expect(read()).toMatchObject({ pushback: 0, 'endpoints.held': 2, 'refused critical endpoint': 1 });
    await clock.advance(2500);
    expect(read()).toMatchObject({ 'endpoints.held': 0 });
  });

  it('tells the level of the servers as last heard', async () => {
    const { clock, read, throttle } = observedThrottle();
    const server = { id: 'a', address: 'sim://a' };
    throttle.extension.response?.(['evenkeel-admission-level', '128'], server);
    await clock.advance(500);
    throttle.extension.response?.(['evenkeel-admission-level', '128'], server);
    const { level } = read();
    expect(level).toBe(throttle.snapshot().level);
    expect(level).toBeLessThan(512);
  });

  it('tells nothing once it is disposed of, twice like once, and goes on working', () => {
    const { read, throttle } = observedThrottle();
    throttle[Symbol.dispose]();
    throttle[Symbol.dispose]();
    expect(read()).toEqual({});
    expect(throttle.allows()).toBe(true);
    expect(throttle.snapshot().admitted.critical).toBe(1);
  });

  it('of one name does not end what the other tells', () => {
    const telemetry = new FakeTelemetry();
    const runtime = fakeRuntime({ telemetry });
    const [first, second] = [createThrottle({ runtime, name: 'search' }), createThrottle({ runtime, name: 'search' })];
    first[Symbol.dispose]();
    second.allows();
    expect(telemetry.read('evenkeel.throttle.', 'search')).toMatchObject({ 'admitted critical': 1 });
  });
});
