import { describe, expect, it } from 'vitest';
import { DECAY_MS, FAILURE_PENALTY_MS, FAILURE_SLOWDOWN, MAX_RETRY_AFTER_MS } from '../../../src/router/candidate.js';
import { candidate } from './pickers/candidates.js';

const MOST = 1 + FAILURE_SLOWDOWN;

describe('the latency estimate', () => {
  it('is unknown before the first success, and its first value is that', () => {
    const one = candidate('a');
    one.onEnd('error', 5, 0, 10);
    expect(one.latencyMs).toBe(0);
    one.onEnd('ok', 40, 0, 20);
    expect([one.latencyMs, one.peakLatencyMs]).toEqual([40, 40]);
  });

  it('moves by 1 - 1/e over one time constant', () => {
    const one = candidate('a', { latencyMs: 100 });
    one.onEnd('ok', 200, 0, DECAY_MS);
    expect(one.latencyMs).toBeCloseTo(100 + 100 * (1 - Math.exp(-1)));
  });

  it('follows a change within some hundred answers at any rate', () => {
    const one = candidate('a', { latencyMs: 10 });
    for (let i = 1; i <= 1500; i++) one.onEnd('ok', 100, 0, i * 0.01);
    expect(one.latencyMs).toBeGreaterThan(90);
  });

  it('ignores attempts that say nothing of the server', () => {
    const one = candidate('a', { latencyMs: 10 });
    one.onEnd('ignored', 5000, 0, 100);
    expect([one.latencyMs, one.consecutiveFailures, one.slowdown(100)]).toEqual([10, 0, 1]);
  });

  it('fades as the exponential does while nothing is sent, down to a millionth and never to 0', () => {
    const one = candidate('a', { latencyMs: 100 });
    const values = [0, 1000, 10_000, 30_000, 60_000].map((now) => one.latencyNow(now));
    expect(values[0]).toBe(100);
    expect(values[2]).toBeCloseTo(100 / Math.E, -1);
    values.slice(1).forEach((value, i) => {
      expect(value).toBeLessThan(values[i] ?? 0);
      expect(value).toBeGreaterThan(0);
    });
    expect(one.latencyNow(1e9)).toBeGreaterThan(0);
    expect(one.latencyNow(1e9)).toBeLessThan(1e-3);
    expect(one.latencyNow(-50)).toBe(100);
  });
});

describe('the slowdown after failures', () => {
  it('is full for five seconds after one, and gone from that with the next success', () => {
    const one = candidate('a', { latencyMs: 10 });
    for (let i = 1; i <= 500; i++) one.onEnd('ok', 10, 0, i * 10);
    one.onEnd('error', 1, 0, 5010);
    expect(one.slowdown(5010 + FAILURE_PENALTY_MS - 1)).toBe(MOST);
    one.onEnd('ok', 10, 0, 5020);
    // One failure in a hundred: a few times slower, not two hundred and fifty.
    expect(one.slowdown(5020)).toBeLessThan(5);
  });

  it('does not depend on how long the process has run', () => {
    const afterOne = (start: number) => {
      const one = candidate('a');
      for (let i = 0; i < 500; i++) one.onEnd('ok', 10, 0, start + i * 10);
      one.onEnd('error', 1, 0, start + 5000);
      one.onEnd('ok', 10, 0, start + 5010);
      return one.slowdown(start + 5010);
    };
    expect(afterOne(3_600_000)).toBeCloseTo(afterOne(0), 6);
    const first = (start: number) => {
      const one = candidate('a');
      one.onEnd('error', 1, 0, start);
      return one.slowdown(start + FAILURE_PENALTY_MS);
    };
    expect(first(3_600_000)).toBeCloseTo(first(1), 6);
  });

  it('lasts as long as the server asks, capped at five minutes', () => {
    const one = candidate('a');
    one.onEnd('dropped', 1, 60_000, 0);
    expect(one.slowdown(59_999)).toBe(MOST);
    expect(one.slowdown(60_100)).toBeLessThan(MOST);
    const greedy = candidate('b');
    greedy.onEnd('dropped', 1, 1e9, 0);
    expect(greedy.slowdown(MAX_RETRY_AFTER_MS - 1)).toBe(MOST);
    expect(greedy.slowdown(MAX_RETRY_AFTER_MS + 100)).toBeLessThan(MOST);
  });

  it('grows with the share of failures and stays within its bounds', () => {
    const one = candidate('a', { latencyMs: 10 });
    for (let i = 1; i <= 2000; i++) {
      one.onEnd(i % 2 === 0 ? 'ok' : 'error', 10, 0, i);
      const slowdown = one.slowdown(i);
      expect(slowdown).toBeGreaterThanOrEqual(1);
      expect(slowdown).toBeLessThanOrEqual(MOST + 1e-9);
    }
    expect(one.slowdown(2000)).toBeGreaterThan(MOST * 0.4);
    for (let i = 2001; i <= 6000; i++) one.onEnd('ok', 10, 0, i);
    expect(one.slowdown(6000)).toBe(1);
  });

  it('is forgotten with the latency when the endpoint gets a second chance', () => {
    const one = candidate('a', { latencyMs: 10 });
    one.onEnd('error', 1, 60_000, 5);
    one.forgive();
    expect([one.slowdown(6), one.latencyMs, one.peakLatencyMs, one.consecutiveFailures]).toEqual([1, 0, 0, 0]);
  });
});

describe('a report', () => {
  it('is kept with its time and our own work at that time', () => {
    const one = candidate('a', { inFlight: 3 });
    const report = { namedMetrics: { host: 4 } };
    one.onReport(report, 77);
    expect([one.report, one.reportAtMs, one.others]).toEqual([report, 77, 1]);
  });
});
