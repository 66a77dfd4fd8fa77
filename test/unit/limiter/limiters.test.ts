import type { EvenkeelError } from 'evenkeel/core';
import { aimdLimit, createLimiters, fixedLimit, type LimitersOptions } from 'evenkeel/limiter';
import { describe, expect, it } from 'vitest';
import { parseEndpoint } from '../../../src/core/endpoint.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { PuppetTransport } from '../../support/puppet-transport.js';

function setUp(options: LimitersOptions = {}) {
  const runtime = fakeRuntime();
  return { runtime, limiters: createLimiters({ limit: fixedLimit(2), queue: false, ...options, runtime }) };
}

it('gives each pair a limiter of its own, and the same one each time', () => {
  const { limiters } = setUp();
  const one = limiters.for('a', 'x');
  expect(limiters.for('a', 'x')).toBe(one);
  expect(limiters.for('a', 'y')).not.toBe(one);
  expect(limiters.for('b', 'x')).not.toBe(one);
  expect(limiters.size).toBe(3);
  expect(one.name).toBe('a>x');
});

it('tells pairs apart whose names run together', () => {
  const { limiters } = setUp({ maxIdle: 10 });
  const pairs = [
    ['a', 'bc'],
    ['ab', 'c'],
    ['1:a', 'b'],
    ['1', ':ab'],
  ] as const;
  const found = pairs.map(([caller, downstream]) => limiters.for(caller, downstream));
  limiters.snapshot();
  expect(limiters.snapshot().idle).toBe(4);
  expect(pairs.map(([caller, downstream]) => limiters.for(caller, downstream))).toEqual(found);
});

it('lets one pair be full without the others', () => {
  const { limiters } = setUp();
  limiters.for('a', 'x').tryAcquire();
  limiters.for('a', 'x').tryAcquire();
  expect(limiters.for('a', 'x').tryAcquire()).toBeUndefined();
  expect(limiters.for('a', 'y').tryAcquire()).toBeDefined();
});

it('keeps what an idle one has learned', async () => {
  const { runtime, limiters } = setUp({ limit: aimdLimit({ initial: 8 }) });
  for (let i = 0; i < 40; i++) {
    limiters.for('a', 'x').tryAcquire()?.end('dropped');
    await runtime.clock.advance(100);
  }
  const { limit } = limiters.for('a', 'x');
  expect(limit).toBeLessThan(8);
  expect(limiters.snapshot()).toMatchObject({ inUse: 0, idle: 1 });
  expect(limiters.for('a', 'x').limit).toBe(limit);
});

it('never evicts what has work in flight, and bounds the idle ones and their counters', () => {
  const { runtime, limiters } = setUp({ maxIdle: 10 });
  const permits = Array.from({ length: 200 }, (_, i) => limiters.for('busy', `${i}`).tryAcquire());
  const busy = limiters.for('busy', '7');
  for (let i = 0; i < 5000; i++) limiters.for('idle', `${i}`).tryAcquire()?.end();
  expect(limiters.for('busy', '7')).toBe(busy);
  expect(limiters.snapshot()).toMatchObject({ inUse: 200, idle: 10 });
  expect(limiters.snapshot().limiters).toHaveLength(100);
  expect([...runtime.load.keys()].length).toBe(210);
  for (const permit of permits) permit?.end();
  expect(limiters.snapshot()).toMatchObject({ inUse: 0, idle: 10, evicted: 5190 });
  expect([...runtime.load.keys()].length).toBe(10);
});

it('holds at most twice those in use, and 64, until it looks for idle ones', () => {
  const { limiters } = setUp({ maxIdle: 10 });
  for (let i = 0; i < 5000; i++) {
    limiters.for('idle', `${i}`);
    expect(limiters.size).toBeLessThanOrEqual(74);
  }
});

it('closes the evicted', () => {
  const { limiters } = setUp({ maxIdle: 1 });
  const first = limiters.for('a', '1');
  limiters.for('a', '2');
  limiters.snapshot();
  expect(() => first.tryAcquire()).not.toThrow();
  expect(first.tryAcquire()).toBeUndefined();
  expect(limiters.for('a', '1')).not.toBe(first);
});

it('keeps a counter that pairs share by their name until the last of them is gone', () => {
  const { runtime, limiters } = setUp({ maxIdle: 1, nameOf: (_caller, downstream) => downstream });
  limiters.for('a', 'x');
  limiters.for('b', 'x');
  limiters.snapshot();
  expect([...runtime.load.keys()]).toEqual(['limiter:x']);
  limiters.for('a', 'y');
  limiters.snapshot();
  expect([...runtime.load.keys()]).toEqual(['limiter:y']);
});

it('cuts names that are too long, and tells them apart', () => {
  const { limiters } = setUp();
  const long = 'x'.repeat(300);
  const names = [limiters.for(long, `${long.slice(1)}a`).name, limiters.for(long, `${long.slice(1)}b`).name];
  expect(names.every((name) => name.length <= 200)).toBe(true);
  expect(new Set(names).size).toBe(2);
});

it.each([
  ['', 'x'],
  ['x', ''],
  ['x'.repeat(301), 'x'],
  [7 as unknown as string, 'x'],
])('refuses the pair %j %j', (caller, downstream) => {
  expect(() => setUp().limiters.for(caller, downstream)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

it('refuses a bound of no limiters, and a shared quota', () => {
  const invalid = expect.objectContaining({ code: 'invalid-argument' });
  expect(() => createLimiters({ maxIdle: 0 })).toThrow(invalid);
  expect(() => createLimiters({ share: {} } as LimitersOptions)).toThrow(invalid);
});

describe('guard', () => {
  const A = parseEndpoint({ id: 'a', address: 'http://10.0.0.1:80' });
  const B = parseEndpoint({ id: 'b', address: 'http://10.0.0.2:80' });
  const sink = (errors: string[]) => ({
    onResponse() {},
    onData() {},
    onEnd() {},
    onError: (error: EvenkeelError) => void errors.push(error.code),
  });

  it('takes the endpoint for the downstream', async () => {
    const { runtime, limiters } = setUp();
    const wire = new PuppetTransport();
    const transport = limiters.guard(wire, 'me');
    const errors: string[] = [];
    for (const to of [A, A, A, B]) transport.start(to, { path: '/' }, sink(errors));
    await runtime.clock.settle();
    expect([wire.order, errors]).toEqual([['a', 'a', 'b'], ['resource-exhausted']]);
    wire.calls[0]?.answer();
    expect(limiters.for('me', 'a').inFlight).toBe(1);
  });

  it('takes what downstreamOf names, and fails the call when that throws', async () => {
    const { runtime, limiters } = setUp();
    const wire = new PuppetTransport();
    const errors: string[] = [];
    limiters.guard(wire, 'me', { downstreamOf: () => 'search' }).start(A, { path: '/' }, sink(errors));
    expect(limiters.for('me', 'search').inFlight).toBe(1);
    const broken = limiters.guard(wire, 'me', {
      downstreamOf: () => {
        throw new Error('bug');
      },
    });
    broken.start(A, { path: '/' }, sink(errors)).cancel('cancelled');
    expect(errors).toEqual([]);
    await runtime.clock.settle();
    expect(errors).toEqual(['internal']);
  });
});

describe('the end', () => {
  it('drain refuses new limiters and resolves when nothing is in flight', async () => {
    const { limiters } = setUp();
    const permit = limiters.for('a', 'x').tryAcquire();
    let isDrained = false;
    const drained = limiters.drain().then(() => {
      isDrained = true;
    });
    expect(() => limiters.for('a', 'y')).toThrow(expect.objectContaining({ code: 'failed-precondition' }));
    await Promise.resolve();
    expect(isDrained).toBe(false);
    permit?.end();
    await drained;
    await limiters.drain();
  });

  it('close ends all and leaves no counter, twice is as good as once', async () => {
    const { runtime, limiters } = setUp();
    const { limiters: disposed } = setUp();
    limiters.for('a', 'x');
    await limiters.close();
    await limiters.close();
    await disposed[Symbol.asyncDispose]();
    expect([...runtime.load.keys()]).toEqual([]);
    expect(limiters.size).toBe(0);
  });
});
