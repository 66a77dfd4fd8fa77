import { describe, expect, it } from 'vitest';
import { outstandingOf } from '../../../../src/router/candidate.js';
import { costThere, expectedTime, ownLoad, reportedLoad } from '../../../../src/router/pickers/load.js';
import { candidate, request } from './candidates.js';

describe('outstanding work in a report', () => {
  it.each([
    ['the model asked for', { 'model:a': 7, host: 9 }, 'model:a', 7],
    ['the host when the model stands at 0', { 'model:a': 0, host: 9 }, 'model:a', 9],
    ['the host when the model is absent', { host: 9 }, 'model:a', 9],
    ['the host when no model is asked for', { 'model:a': 7, host: 9 }, undefined, 9],
    ["vLLM's queue when the host says nothing", { num_requests_waiting: 3 }, undefined, 3],
    ['nothing when nothing is told', { other: 3 }, 'model:a', undefined],
  ])('is that of %s', (_what, namedMetrics, key, expected) => {
    expect(outstandingOf({ namedMetrics }, key)).toBe(expected);
  });

  it('is unknown, not 0, in a report without named metrics', () => {
    expect(outstandingOf({ cpuUtilization: 0.5 }, undefined)).toBeUndefined();
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
