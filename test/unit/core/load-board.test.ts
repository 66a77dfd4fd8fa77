import { describe, expect, it } from 'vitest';
import { MAX_ENDPOINTS } from '../../../src/core/endpoint.js';
import { MAX_COUNTERS, modelKey } from '../../../src/core/load-board.js';
import { decodeLoadHeader } from '../../../src/core/orca/header.js';
import { encodeJson } from '../../../src/core/orca/json.js';
import { encodeText } from '../../../src/core/orca/text.js';
import { fakeRuntime } from '../../support/fake-host.js';

function setUp() {
  const { clock, host, load } = fakeRuntime();
  host.processors = 4;
  return { clock, host, load };
}

describe('pressure', () => {
  it('is 0 when nothing is known', () => {
    expect(setUp().load.pressure()).toBe(0);
  });

  it('is the fullest of the host counter and the signals, each by its formula', () => {
    const { load } = setUp();
    const host = load.counter('host', { capacity: 10 });
    host.begin(3);
    expect(load.pressure()).toBeCloseTo(0.3);
    load.signal('gpu', () => 0.5, { kind: 'utilization' });
    expect(load.pressure()).toBeCloseTo(0.5);
    load.signal('kv', () => 0.4, { kind: 'free' });
    expect(load.pressure()).toBeCloseTo(0.6);
    load.signal('queue', () => 12, { kind: 'queue' });
    expect(load.pressure()).toBeCloseTo(0.75);
    host.begin(70);
    expect(load.pressure()).toBe(1);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('no GPU');
      },
    ],
    ['is not a number', () => Number.NaN],
    ['is infinite', () => Number.POSITIVE_INFINITY],
    ['is text', () => '1' as unknown as number],
  ])('leaves out a signal that %s', (_what, read) => {
    const { load } = setUp();
    load.signal('bad', read, { kind: 'utilization' });
    load.signal('good', () => 0.25, { kind: 'utilization' });
    expect(load.pressure()).toBe(0.25);
    expect(load.report().utilization).toEqual({ good: 0.25 });
  });

  it('stays within 0 and 1', () => {
    const { load } = setUp();
    for (const [key, kind] of [
      ['a', 'utilization'],
      ['b', 'free'],
      ['c', 'queue'],
    ] as const) {
      for (const value of [-1e9, -1, 0, 1, 1e9]) {
        const signal = load.signal(key, () => value, { kind });
        expect(load.pressure()).toBeGreaterThanOrEqual(0);
        expect(load.pressure()).toBeLessThanOrEqual(1);
        signal[Symbol.dispose]();
      }
    }
  });
});

describe('signals', () => {
  it('are one a key, and gone when disposed', () => {
    const { load } = setUp();
    const signal = load.signal('gpu', () => 1, { kind: 'utilization' });
    expect(() => load.signal('gpu', () => 0, { kind: 'utilization' })).toThrow('a key that has no signal yet');
    signal[Symbol.dispose]();
    load.signal('gpu', () => 0.5, { kind: 'utilization' });
    signal[Symbol.dispose]();
    expect(load.pressure()).toBe(0.5);
  });

  it('are bounded', () => {
    const { load } = setUp();
    for (let i = 0; i < 256; i++) load.signal(`s${i}`, () => 0, { kind: 'queue' });
    expect(() => load.signal('one more', () => 0, { kind: 'queue' })).toThrow('at most 256');
  });
});

describe('counters', () => {
  it('are one a key', () => {
    const { load } = setUp();
    const counter = load.counter('model:a', { unit: 'tokens' });
    expect(load.counter('model:a')).toBe(counter);
    load.counter('model:a', { capacity: 7 });
    expect(counter.capacity).toBe(7);
    expect(() => load.counter('model:a', { unit: 'bytes' })).toThrow('tokens, as it was first given');
  });

  it.each(['', 'x'.repeat(301)])('refuse the key %j', (key) => {
    expect(() => setUp().load.counter(key)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });

  it('refuse a capacity of 0 or less, and take an unknown one', () => {
    const { load } = setUp();
    expect(() => load.counter('a', { capacity: 0 })).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(load.counter('b', { capacity: Number.POSITIVE_INFINITY }).capacity).toBe(Number.POSITIVE_INFINITY);
  });

  it('share one beyond the bound', () => {
    const { load } = setUp();
    for (let i = 0; i < MAX_COUNTERS + 100; i++) load.counter(`model:${i}`).begin();
    expect([...load.keys()].length).toBe(MAX_COUNTERS + 1);
    expect(load.counter('other').read().inFlight).toBe(100);
  });

  it('take the place of a model without work before they share', () => {
    const { load } = setUp();
    load.counter('model:own', { capacity: 4 });
    load.counter('limiter:idle');
    const busy = Array.from({ length: MAX_COUNTERS - 2 }, (_, i) => load.counter(`model:${i}`).begin());
    busy[7000]?.end();
    load.counter('model:new').begin();
    expect([...load.keys()].length).toBe(MAX_COUNTERS);
    expect([...load.keys()]).not.toContain('model:7000');
    load.counter('model:newer').begin();
    expect(load.counter('other').read().inFlight).toBe(1);
    for (let round = 0; round < 3; round++) {
      busy[round]?.end();
      load.counter(`model:late ${round}`).begin();
    }
    expect(load.counter('other').read().inFlight).toBe(1);
    expect([...load.keys()]).toEqual(expect.arrayContaining(['model:own', 'limiter:idle']));
  });

  it('of endpoints never share, however many others there are', () => {
    const { load } = setUp();
    for (let i = 0; i < MAX_COUNTERS; i++) load.counter(`model:${i}`).begin();
    load.counter('endpoint:a').begin(3);
    load.useEndpoint('b').begin(5);
    expect([load.counter('endpoint:a').read().weight, load.counter('endpoint:b').read().weight]).toEqual([3, 5]);
    expect([...load.keys()]).not.toContain('other');
  });

  it('of endpoints have a bound of their own, which those of a list pass', () => {
    const { load } = setUp();
    for (let i = 0; i < MAX_ENDPOINTS; i++) load.counter(`endpoint:${i}`);
    expect(() => load.counter('endpoint:one more')).toThrow(expect.objectContaining({ code: 'resource-exhausted' }));
    load.useEndpoint('one more').begin();
    expect(load.counter('endpoint:one more').read().inFlight).toBe(1);
    load.counter('model:a').begin();
    expect(load.counter('model:a').key).toBe('model:a');
  });
});

describe('the key of a model', () => {
  it('is cut to what a report can carry', () => {
    expect(modelKey('llama')).toBe('model:llama');
    expect(modelKey('x'.repeat(400))).toBe(`model:${'x'.repeat(250)}`);
    expect(modelKey('x'.repeat(250))).toHaveLength(256);
  });

  it('is cut at a whole character', () => {
    for (const lead of ['', 'x', 'xy', 'xyz']) {
      const key = modelKey(lead + '\u{1f40b}'.repeat(200));
      expect(key).not.toMatch(/\p{Surrogate}/u);
      expect(key.length).toBeGreaterThanOrEqual(255);
      expect(key.length).toBeLessThanOrEqual(256);
    }
  });
});

describe('a report', () => {
  it('has the host, its rates, its signals and the outstanding weights, endpoints aside', async () => {
    const { load, clock, host } = setUp();
    const counter = load.counter('host', { capacity: 8 });
    load.counter('model:a').begin(5);
    load.counter('endpoint:x').begin(9);
    load.signal('kv', () => 0.25, { kind: 'free' });
    for (let i = 0; i < 10; i++) counter.begin().end(i < 5 ? 'ok' : 'error');
    counter.begin(2);
    host.cpuMs += 2000;
    await clock.advance(1000);
    const report = load.report();
    expect(report).toMatchObject({ cpuUtilization: 0.5, rps: 10, eps: 5, applicationUtilization: 0.25 });
    expect(report.utilization).toEqual({ kv: 0.75 });
    expect(report.namedMetrics).toEqual({ host: 2, 'model:a': 5 });
  });

  it('has the keys asked for only, and the host', () => {
    const { load } = setUp();
    load.counter('host').begin(1);
    load.counter('model:a').begin(2);
    load.counter('model:b').begin(3);
    load.counter('__proto__').begin(4);
    expect(load.report(['model:b', 'unknown']).namedMetrics).toEqual({ host: 1, 'model:b': 3 });
    expect(Object.entries(load.report(['__proto__']).namedMetrics ?? {})).toEqual([
      ['host', 1],
      ['__proto__', 4],
    ]);
  });

  it('leaves out idle models and tells the 128 largest of the others', () => {
    const { load } = setUp();
    load.counter('host').begin(1);
    for (let i = 0; i < 1000; i++) load.counter(`model:idle ${i}`).begin().end();
    for (let i = 1; i <= 200; i++) load.counter(`model:${i}`).begin(i);
    const metrics = load.report().namedMetrics ?? {};
    expect(Object.keys(metrics)).toHaveLength(129);
    expect([metrics.host, metrics['model:200'], metrics['model:73'], metrics['model:72']]).toEqual([1, 200, 73, undefined]);
  });

  it('of everything is one that our own reader takes, in any encoding', () => {
    const { load } = setUp();
    load.counter('host', { capacity: 3 }).begin(1.23456789e-7);
    for (let i = 0; i < 256; i++) load.signal(`signal ${i} ${'\u20ac'.repeat(i % 40)}`, () => 1 / 3, { kind: 'utilization' });
    for (let i = 0; i < 500; i++)
      load.counter(modelKey(`${i}${['\0', '\u00e9', '\u{1f40b}', '"', '~'][i % 5]?.repeat(i)}`)).begin(1 / 3 + i);
    load.counter('knob:half \ud800').begin(9999);
    load.counter(`knob:${'long'.repeat(70)}`).begin(9999);
    const report = load.report();
    for (const text of [encodeJson(report), encodeText(report)]) {
      expect(text.length).toBeLessThanOrEqual(16 * 1024);
      expect(Object.keys(decodeLoadHeader(text).namedMetrics ?? {}).length).toBeGreaterThan(4);
    }
    expect(report.namedMetrics?.host).toBe(1.23456789e-7);
  });

  it('says nothing of what is unknown', () => {
    expect(Object.keys(setUp().load.report())).toEqual(['namedMetrics']);
  });
});

describe('remote load', () => {
  it('has the age of its last report, and is forgotten with its endpoint', async () => {
    const { load, clock } = setUp();
    expect(load.remote('a')).toBeUndefined();
    load.setRemote('a', { rps: 1 });
    load.counter('endpoint:a').begin();
    await clock.advance(500);
    expect(load.remote('a')).toEqual({ report: { rps: 1 }, ageMs: 500 });
    load.setRemote('a', { rps: 2 });
    expect(load.remote('a')).toEqual({ report: { rps: 2 }, ageMs: 0 });
    load.forgetEndpoint('a');
    expect(load.remote('a')).toBeUndefined();
    expect([...load.keys()]).toEqual([]);
  });

  it('stays, as the counter does, until the last user of the endpoint forgets it', () => {
    const { load } = setUp();
    const counter = load.useEndpoint('a');
    expect(load.useEndpoint('a')).toBe(counter);
    load.setRemote('a', { rps: 1 });
    counter.begin();
    load.forgetEndpoint('a');
    expect(load.counter('endpoint:a').read().inFlight).toBe(1);
    expect(load.remote('a')?.report).toEqual({ rps: 1 });
    load.forgetEndpoint('a');
    expect([[...load.keys()], load.remote('a')]).toEqual([[], undefined]);
    expect(load.useEndpoint('a').read().inFlight).toBe(0);
  });

  it('is bounded', () => {
    const { load } = setUp();
    for (let i = 0; i <= MAX_ENDPOINTS; i++) load.setRemote(`e${i}`, {});
    expect(load.remote(`e${MAX_ENDPOINTS}`)).toBeUndefined();
  });
});

it('forgets a counter that its owner gives up, unless something is in flight in it', () => {
  const { load } = fakeRuntime();
  const work = load.counter('limiter:search').begin();
  load.counter('endpoint:a');
  expect(load.forget('limiter:search')).toBe(false);
  work.end();
  expect([load.forget('limiter:search'), load.forget('limiter:search'), load.forget('endpoint:a')]).toEqual([true, false, false]);
  expect([...load.keys()]).toEqual(['endpoint:a']);
});
