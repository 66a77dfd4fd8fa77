import { describe, expect, it } from 'vitest';
import { type CallContext, CRITICALITIES } from '../../../src/core/call-context.js';
import {
  DEFAULT_MAX_TIMEOUT_MS,
  parseGrpcTimeout,
  readContextHeaders,
  writeContextHeaders,
} from '../../../src/core/context-headers.js';

const NOW = 1000.5;
const TRUSTED = { now: NOW, isTrusted: true };

function written(context: CallContext, headers: string[] = []): string[] {
  writeContextHeaders(headers, context, NOW);
  return headers;
}

describe('a context on the wire', () => {
  it.each(CRITICALITIES)('comes back with its deadline and criticality %s', (criticality) => {
    const headers = written({ criticality, deadline: NOW + 250 });
    expect(readContextHeaders(headers, TRUSTED)).toEqual({ criticality, deadline: NOW + 250 });
  });

  it('is empty for a default one', () => {
    expect(written({ criticality: 'critical' })).toEqual([]);
    expect(readContextHeaders([], { now: NOW })).toEqual({ criticality: 'critical' });
  });

  it('goes out as whole milliseconds, 0 when it is over, and not at all when it never is', () => {
    expect(written({ criticality: 'critical', deadline: NOW + 10.9 })).toEqual(['evenkeel-timeout-ms', '10']);
    expect(written({ criticality: 'critical', deadline: NOW - 1 })).toEqual(['evenkeel-timeout-ms', '0']);
    expect(written({ criticality: 'critical', deadline: Number.POSITIVE_INFINITY })).toEqual([]);
    const far = written({ criticality: 'critical', deadline: 1e300 });
    expect(readContextHeaders(far, TRUSTED).deadline).toBe(NOW + DEFAULT_MAX_TIMEOUT_MS);
  });
});

describe('baggage', () => {
  it("keeps the application's own members", () => {
    expect(written({ criticality: 'sheddable' }, ['Baggage', 'user=7;p=1, tenant=b'])).toEqual([
      'Baggage',
      'user=7;p=1, tenant=b,evenkeel.criticality=sheddable',
    ]);
  });

  it('from upstream does not speak for this call', () => {
    const upstream = ['baggage', 'a=1, evenkeel.criticality=sheddable;x', 'baggage', 'evenkeel.criticality = sheddable'];
    expect(written({ criticality: 'critical-plus' }, [...upstream])).toEqual([
      'baggage',
      'a=1,evenkeel.criticality=critical-plus',
    ]);
    expect(written({ criticality: 'critical' }, [...upstream])).toEqual(['baggage', 'a=1']);
  });

  it.each([
    ['properties and spaces', ['baggage', ' a=1 , evenkeel.criticality = sheddable ; p=2'], 'sheddable'],
    ['several headers', ['baggage', 'a=1', 'Baggage', 'evenkeel.criticality=sheddable'], 'sheddable'],
    ['an unknown value', ['baggage', 'evenkeel.criticality=urgent'], 'critical'],
    ['a similar name', ['baggage', 'xevenkeel.criticality=sheddable'], 'critical'],
    ['members without a value', ['baggage', ',;=,evenkeel.criticality'], 'critical'],
    ['more than 8 KiB', ['baggage', `a=${'x'.repeat(8200)},evenkeel.criticality=sheddable`], 'critical'],
  ])('is read with %s', (_what, headers, criticality) => {
    expect(readContextHeaders(headers, TRUSTED).criticality).toBe(criticality);
  });
});

describe('what a caller may claim', () => {
  it('is capped for those that are not trusted', () => {
    const headers = written({ criticality: 'critical-plus' });
    expect(readContextHeaders(headers, { now: NOW }).criticality).toBe('critical');
    expect(readContextHeaders(headers, { now: NOW, untrustedCriticality: 'sheddable' }).criticality).toBe('sheddable');
    expect(readContextHeaders(headers, TRUSTED).criticality).toBe('critical-plus');
    const low = written({ criticality: 'sheddable' });
    expect(readContextHeaders(low, { now: NOW }).criticality).toBe('sheddable');
  });

  it('is at most maxTimeoutMs, for everybody', () => {
    const headers = written({ criticality: 'critical', deadline: NOW + 10_000 });
    expect(readContextHeaders(headers, { ...TRUSTED, maxTimeoutMs: 500 }).deadline).toBe(NOW + 500);
  });
});

describe('timeouts', () => {
  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['4m', 4],
    ['5000u', 5],
    ['6000000n', 6],
    ['99999999m', 99_999_999],
    ['0S', 0],
  ])('of gRPC: %s is %d ms', (text, ms) => {
    expect(parseGrpcTimeout(text)).toBeCloseTo(ms, 9);
    expect(readContextHeaders(['grpc-timeout', text], TRUSTED).deadline).toBeCloseTo(NOW + Math.min(ms, 3_600_000), 6);
  });

  it.each(['', '1', 'S', '123456789S', '-1S', '1.5S', '1s', ' 1S'])('of gRPC are refused when %j', (text) => {
    expect(() => parseGrpcTimeout(text)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });

  it.each(['', '-1', '1.5', '1e3', 'abc', '1234567890123'])('of our own are refused when %j', (text) => {
    const read = () => readContextHeaders(['evenkeel-timeout-ms', text], TRUSTED);
    expect(read).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });

  it('of our own win over those of gRPC', () => {
    const headers = ['grpc-timeout', '9S', 'Evenkeel-Timeout-Ms', '7'];
    expect(readContextHeaders(headers, TRUSTED).deadline).toBe(NOW + 7);
  });
});

describe('a timeout that the program passes on from its own caller', () => {
  it('is replaced by the one that holds now', () => {
    const headers = ['x-a', '1', 'Evenkeel-Timeout-Ms', '9000'];
    writeContextHeaders(headers, { criticality: 'critical', deadline: 500 }, 100);
    expect(headers).toEqual(['x-a', '1', 'Evenkeel-Timeout-Ms', '400']);
  });
});
