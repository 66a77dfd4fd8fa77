import { describe, expect, it } from 'vitest';
import { outstandingOf } from '../../../../src/router/candidate.js';
import { costThere, expectedTime, ownLoad, reportedLoad } from '../../../../src/router/pickers/load.js';
import { candidate, request } from './candidates.js';

describe('outstanding work of the host', () => {
  it.each([
    ['its counter', { 'model:a': 7, host: 9 }, 9],
    ["vLLM's queue when the host says nothing", { num_requests_waiting: 3 }, 3],
    ['unknown when nothing is told', { other: 3 }, undefined],
    ['unknown, not 0, in a report without named metrics', undefined, undefined],
  ])('is %s', (_what, namedMetrics, expected) => {
    expect(outstandingOf({ namedMetrics })).toBe(expected);
  });
});

describe('reported load of a model', () => {
  const told = (model: number | undefined, host: number) => {
    const one = candidate('a');
    one.onReport({ namedMetrics: model === undefined ? { host } : { 'model:m': model, host } }, 0);
    return reportedLoad(one, request(0, { loadKey: 'model:m' }));
  };

  it('is that of its own counter, whatever else the host does', () => {
    expect(told(0, 20)).toBeLessThan(told(5, 20));
    expect(told(1, 50)).toBeLessThan(told(4, 5));
  });

  it('is told apart by the host where the model has next to none', () => {
    expect(told(0, 2)).toBeLessThan(told(0, 20));
  });

  it('is that of the host where nobody tells of the model', () => {
    expect(told(undefined, 9)).toBe(10);
  });

  it('stays as it was told while reports name other models, until it is stale', () => {
    const one = candidate('a');
    one.onReport({ namedMetrics: { 'model:m': 6, host: 6 } }, 0);
    one.onReport({ namedMetrics: { 'model:other': 1, host: 7 } }, 0);
    expect(reportedLoad(one, request(0, { loadKey: 'model:m' }))).toBeCloseTo(1 + 6 + 0.5 * (7 / 8), 9);
    expect(reportedLoad(one, request(10_001, { loadKey: 'model:m' }))).toBe(1);
  });

  it('is bounded by what a later report tells of the host, and is that of the host once it is stale', () => {
    const idle = candidate('a');
    idle.onReport({ namedMetrics: { 'model:m': 10, host: 10 } }, 0);
    idle.onReport({ namedMetrics: { host: 0 } }, 500);
    expect(reportedLoad(idle, request(500, { loadKey: 'model:m' }))).toBe(1);
    const busy = candidate('b');
    busy.onReport({ namedMetrics: { 'model:m': 0, host: 0 } }, 0);
    busy.onReport({ namedMetrics: { host: 500 } }, 20_000);
    expect(reportedLoad(busy, request(20_000, { loadKey: 'model:m' }))).toBe(501);
  });

  it('is remembered of every model that a report may name, and of those told last when there are more', () => {
    const one = candidate('a');
    const report = (from: number, count: number) => ({
      namedMetrics: Object.fromEntries(Array.from({ length: count }, (_, i) => [`model:m${from + i}`, 2])),
    });
    one.onReport(report(0, 128), 0);
    one.onReport(report(0, 128), 10);
    const known = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => one.modelLoad(`model:m${from + i}`)).filter((load) => load !== undefined).length;
    expect(known(0, 128)).toBe(128);
    one.onReport(report(128, 128), 20);
    one.onReport(report(256, 100), 30);
    expect([known(0, 128), known(128, 128), known(256, 100)]).toEqual([28, 128, 100]);
    one.onReport(report(1000, 500), 40);
    expect(known(1000, 500)).toBe(256);
  });

  it("counts others' work, and ours as we know it", () => {
    const one = candidate('a');
    one.begin(1, 0, 'model:m');
    one.onReport({ namedMetrics: { 'model:m': 4, host: 4 } }, 0);
    one.begin(1, 0, 'model:m');
    expect(reportedLoad(one, request(0, { loadKey: 'model:m' }))).toBeCloseTo(2 + 3 + 1 + 0.5 * (5 / 6), 9);
  });
});

describe('load metrics', () => {
  it('own load is the work in flight with this call, by weight', () => {
    expect(ownLoad(candidate('a', { inFlight: 3, weight: 2 }), request(0, { weight: 5 }))).toBe(4);
  });

  it("reported load adds what other callers have there, not this one's own calls twice", () => {
    const one = candidate('a', { inFlight: 4 });
    one.onReport({ namedMetrics: { host: 10 } }, 0);
    expect(reportedLoad(one, request(0))).toBe(4 + 6 + 1);
    one.onReport({ namedMetrics: { host: 2 } }, 0);
    expect(reportedLoad(one, request(0))).toBe(5);
  });

  it('a report fades: half of it after half a second', () => {
    const one = candidate('a');
    one.onReport({ namedMetrics: { host: 8 } }, 1000);
    expect(reportedLoad(one, request(1500))).toBeCloseTo(5);
    expect(reportedLoad(one, request(1_000_000))).toBeLessThan(1.01);
  });

  it('a stale report counts for nothing, and nothing of it looks like load or the lack of it', () => {
    const stale = candidate('a', { inFlight: 1 });
    stale.onReport({ namedMetrics: { host: 100 } }, 0);
    expect(reportedLoad(stale, request(9_000))).toBeGreaterThan(5);
    expect(reportedLoad(stale, request(10_001))).toBe(ownLoad(stale, request(10_001)));
    const told = candidate('b');
    told.onReport({ requestCost: { ms: 2 }, namedMetrics: { 'outstanding-ms': 500 } }, 0);
    told.fleet.othersMs = 40;
    told.fleet.othersPerOwn = 0;
    expect(costThere(told, request(10_001))).toBe(40 + 2);
  });

  it('a call costs what its model costs there, and those in flight what theirs do', () => {
    const one = candidate('a');
    const tell = (loadKey: string, ms: number) =>
      one.onReport({ requestCost: { ms }, namedMetrics: { 'outstanding-ms': 0 } }, 0, 'response-header', loadKey);
    tell('model:large', 50);
    tell('model:small', 1);
    one.fleet.othersPerOwn = 0;
    expect(costThere(one, request(0, { loadKey: 'model:large' }))).toBe(50);
    expect(costThere(one, request(0, { loadKey: 'model:small' }))).toBe(1);
    for (let i = 0; i < 3; i++) one.begin(1, 0, 'model:large');
    one.begin(1, 0, 'model:small');
    expect(costThere(one, request(0, { loadKey: 'model:small' }))).toBeCloseTo(151 + 1, 9);
    tell('model:large', 60);
    expect(costThere(one, request(0, { loadKey: 'model:small' }))).toBeCloseTo(181 + 1, 9);
    for (let i = 0; i < 3; i++) one.end('ignored', 1, 'model:large', 0, 0, 0);
    expect(costThere(one, request(0, { loadKey: 'model:small' }))).toBeCloseTo(1 + 1, 9);
    // A kind that nobody has told of costs what any does.
    expect(one.unitMsOf('model:new')).toBe(one.unitMs);
  });

  it('costs of more kinds than are remembered are learned anew, and the sums stay right', () => {
    const one = candidate('a');
    const tell = (loadKey: string, ms: number) => one.onReport({ requestCost: { ms } }, 0, 'response-header', loadKey);
    one.begin(1, 0, 'model:0');
    for (let i = 0; i < 65; i++) tell(`model:${i}`, 10);
    expect(one.ownUnitMs).toBeCloseTo(10, 9);
    tell('model:0', 30);
    expect(one.ownUnitMs).toBeCloseTo(30, 9);
    one.end('ignored', 1, 'model:0', 0, 0, 0);
    expect(one.ownUnitMs).toBe(one.unitMs);
  });

  it('expected time is latency times all known work, with this call', () => {
    const one = candidate('a', { latencyMs: 20, inFlight: 2 });
    one.onReport({ namedMetrics: { host: 5 } }, 0);
    expect(expectedTime(one, request(0, { weight: 2 }))).toBe(20 * (2 + 3 * 2 + 2));
  });

  it('is finite and positive after years of silence', () => {
    const one = candidate('a', { latencyMs: 20 });
    const score = expectedTime(one, request(1e12));
    expect(score).toBeGreaterThan(0);
    expect(Number.isFinite(score)).toBe(true);
  });
});
