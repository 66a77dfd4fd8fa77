import { describe, expect, it } from 'vitest';
import { MAX_COUNTERS } from '../../../src/core/load-board.js';
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

  it('is bounded', () => {
    const { load } = setUp();
    for (let i = 0; i <= MAX_COUNTERS; i++) load.setRemote(`e${i}`, {});
    expect(load.remote(`e${MAX_COUNTERS}`)).toBeUndefined();
  });
});
