import { Metadata } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { EvenkeelError } from '../../../src/core/index.js';
import { createThrottle, type LimitWindow } from '../../../src/limiter/index.js';
import { acceptanceOf, outcomeOf, outcomeOfResult } from '../../../src/limiter/outcome.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { limiterOf } from '../../support/limiter-rig.js';

const error = (fields: object): Error => Object.assign(new Error('x'), fields);
const pushback = new Metadata();
pushback.set('grpc-retry-pushback-ms', '250');

const ERRORS: [string, unknown, string, number][] = [
  ['a refusal', new EvenkeelError('unavailable', 'x', { rejected: true, retryAfterMs: 40 }), 'dropped', 40],
  ['no room', new EvenkeelError('resource-exhausted', 'x'), 'dropped', 0],
  ['a cancellation', new EvenkeelError('cancelled', 'x'), 'ignored', 0],
  ['a failure', new EvenkeelError('internal', 'x'), 'error', 0],
  ['an abort', new DOMException('x', 'AbortError'), 'ignored', 0],
  ['status 429', error({ status: 429 }), 'dropped', 0],
  ['statusCode 503', error({ statusCode: 503 }), 'dropped', 0],
  ['status 500', error({ status: 500 }), 'error', 0],
  ['a status with Headers', error({ status: 429, headers: new Headers({ 'Retry-After': '2' }) }), 'dropped', 2000],
  ['the response of axios', error({ response: { status: 503, headers: { 'retry-after': '3' } } }), 'dropped', 3000],
  ['the response of got', error({ response: { statusCode: 429, headers: { 'retry-after': ['4'] } } }), 'dropped', 4000],
  [
    'a date, which is not compared with our clock',
    error({ status: 429, headers: { 'retry-after': 'Fri, 31 Dec' } }),
    'dropped',
    0,
  ],
  ["gRPC's RESOURCE_EXHAUSTED", error({ code: 8, details: 'full', metadata: pushback }), 'dropped', 250],
  ["gRPC's INTERNAL", error({ code: 13, metadata: pushback }), 'error', 0],
  ['a code 8 that is not of gRPC', error({ code: 8 }), 'error', 0],
  ['an error without a response', error({ response: null }), 'error', 0],
  ['a text', 'text', 'error', 0],
  ['nothing', undefined, 'error', 0],
];

it.each(ERRORS)('an error: %s', (_, thrown, outcome, retryAfterMs) => {
  expect(outcomeOf(thrown)).toEqual({ outcome, retryAfterMs });
});

it('an error with a getter that throws is an error', () => {
  const hostile = {
    get status() {
      throw new Error('a trap');
    },
  };
  expect(outcomeOf(hostile)).toEqual({ outcome: 'error', retryAfterMs: 0 });
});

it('to a caller, a call without an answer was not taken', () => {
  expect(acceptanceOf(new EvenkeelError('unavailable', 'x')).outcome).toBe('dropped');
  expect(acceptanceOf(new DOMException('x', 'TimeoutError')).outcome).toBe('dropped');
  expect(acceptanceOf(new EvenkeelError('internal', 'x')).outcome).toBe('error');
});

const RESULTS: [string, unknown, string, number][] = [
  ['200', new Response('x'), 'ok', 0],
  ['404', new Response('x', { status: 404 }), 'ok', 0],
  ['500', new Response('x', { status: 500 }), 'error', 0],
  ['429', new Response('x', { status: 429, headers: { 'retry-after': '1' } }), 'dropped', 1000],
  ['503', new Response('x', { status: 503 }), 'dropped', 0],
  ['what is no Response', { status: 503, headers: new Headers() }, 'ok', 0],
  ['nothing', undefined, 'ok', 0],
  ['null', null, 'ok', 0],
];

it.each(RESULTS)('a result: %s', (_, result, outcome, retryAfterMs) => {
  expect(outcomeOfResult(result)).toEqual({ outcome, retryAfterMs });
});

describe('work that fetches', () => {
  const full = () => Promise.resolve(new Response('full', { status: 503, headers: { 'retry-after': '2' } }));

  it('tells the limit that those behind are full', async () => {
    const windows: Partial<LimitWindow>[] = [];
    const next = ({ dropped, ended, limit, retryAfterMs }: LimitWindow) => {
      windows.push({ dropped, ended, retryAfterMs });
      return limit;
    };
    const { limiter } = limiterOf({
      limit: () => ({ initial: 2, min: 1, max: 9, windowMs: 0, windowCalls: 1, quantile: 0.5, reason: '', next }),
    });
    expect((await limiter.run(full)).status).toBe(503);
    expect(windows).toEqual([{ dropped: 1, ended: 0, retryAfterMs: 2000 }]);
  });

  it('tells the throttle', async () => {
    const throttle = createThrottle({ runtime: fakeRuntime() });
    expect((await throttle.run(full)).status).toBe(503);
    expect(throttle.snapshot().classes.critical).toMatchObject({ asked: 1, accepted: 0 });
  });
});
