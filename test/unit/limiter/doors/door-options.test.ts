import { expect, it } from 'vitest';
import { Door } from '../../../../src/limiter/doors/door.js';
import { type DoorOptions, resolveDoorOptions } from '../../../../src/limiter/doors/door-options.js';
import { callContextOf, createLimiter, httpLimiter } from '../../../../src/limiter/index.js';

it('fills in what is not said', () => {
  const { isTrusted, ...settings } = resolveDoorOptions();
  expect(settings).toMatchObject({
    status: 503,
    retryAfterMs: 1000,
    maxTimeoutMs: 3_600_000,
    untrustedCriticality: 'critical',
  });
  expect(isTrusted({ address: '127.0.0.1', headers: [] })).toBe(false);
});

const wrong: DoorOptions<unknown>[] = [
  { status: 500 as never },
  { retryAfterMs: 999 },
  { retryAfterMs: Number.NaN },
  { maxTimeoutMs: 0 },
  { untrustedCriticality: 'urgent' as never },
  { trusted: '10.0.0.1' as never },
  { weightOf: 3 as never },
  { partitionOf: 'gold' as never },
  { userOf: {} as never },
  { skip: '/healthz' as never },
];

it.each(wrong)('refuses %o at once', (options) => {
  expect(() => resolveDoorOptions(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

it('takes nothing but a limiter and a handler', () => {
  expect(() => new Door({} as never, undefined)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  expect(() => httpLimiter(createLimiter())(undefined as never)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

it('knows a plain context for requests that came through no door', () => {
  expect(callContextOf({})).toEqual({ criticality: 'critical' });
});
