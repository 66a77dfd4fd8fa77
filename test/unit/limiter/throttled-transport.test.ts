import { HEADERS } from 'evenkeel/core';
import { createThrottle } from 'evenkeel/limiter';
import { expect, it } from 'vitest';
import { parseEndpoint } from '../../../src/core/endpoint.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { Log } from '../../support/guard-rig.js';
import { PuppetTransport } from '../../support/puppet-transport.js';

const A = parseEndpoint({ id: 'a', address: 'http://10.0.0.1:80' });
const B = parseEndpoint({ id: 'b', address: 'http://10.0.0.2:80' });

function setUp() {
  const runtime = fakeRuntime();
  const wire = new PuppetTransport();
  const throttle = createThrottle({ name: 'search', runtime });
  const transport = throttle.guard(wire);
  const start = (to = A, headers: string[] = []) => {
    const log = new Log();
    const handle = transport.start(to, { path: '/', headers }, log);
    return { log, handle };
  };
  return { runtime, wire, throttle, transport, start };
}

it('hands a call on as it is, and what comes back', () => {
  const { wire, start, throttle } = setUp();
  const { log, handle } = start();
  wire.last.answer(200, 'hi');
  handle.cancel('cancelled');
  expect(log.lines).toEqual(['response 200', 'data hi', 'end']);
  expect(throttle.snapshot().classes.critical).toMatchObject({ asked: 1, accepted: 1 });
});

it('counts by the criticality in the headers', () => {
  const { start, throttle } = setUp();
  start(A, ['baggage', 'evenkeel.criticality=sheddable']);
  expect(throttle.snapshot().classes.sheddable.asked).toBe(1);
});

it.each([
  ['429', (wire: PuppetTransport) => wire.last.answer(429)],
  ['503', (wire: PuppetTransport) => wire.last.answer(503)],
  ['a rejection in the headers', (wire: PuppetTransport) => wire.last.answer(500, '', [HEADERS.rejected.text, '1'])],
  ['no connection', (wire: PuppetTransport) => wire.last.fail('unavailable')],
  ['no answer in time', (wire: PuppetTransport) => wire.last.fail('deadline-exceeded')],
])('takes %s for a refusal', (_what, answer) => {
  const { wire, start, throttle } = setUp();
  start();
  answer(wire);
  expect(throttle.snapshot().classes.critical).toMatchObject({ asked: 1, accepted: 0 });
});

it('takes an answer of 500, and a stream that broke off, for accepted', () => {
  const { wire, start, throttle } = setUp();
  start();
  wire.last.answer(500);
  start();
  wire.last.respond(200);
  wire.last.fail('unavailable');
  expect(throttle.snapshot().classes.critical).toMatchObject({ asked: 2, accepted: 2 });
});

it('takes a call that its caller cancelled for nothing', () => {
  const { start, throttle } = setUp();
  start().handle.cancel('cancelled');
  expect(throttle.snapshot().classes.critical).toMatchObject({ asked: 0, accepted: 0 });
});

it('tells of a call held back after start has returned, and sends nothing', async () => {
  const { wire, start } = setUp();
  for (let i = 0; i < 200; i++) {
    start();
    wire.last.answer(503);
  }
  const before = wire.calls.length;
  const calls = Array.from({ length: 20 }, () => start());
  expect(calls.every(({ log }) => log.lines.length === 0)).toBe(true);
  await Promise.resolve();
  const refused = calls.filter(({ log }) => log.error !== undefined);
  expect(refused.length).toBeGreaterThan(15);
  expect(wire.calls.length - before).toBe(20 - refused.length);
  expect(refused[0]?.log.error).toMatchObject({ code: 'resource-exhausted', rejected: true, retryable: 'no' });
  refused[0]?.handle.pause();
  refused[0]?.handle.resume();
  refused[0]?.handle.cancel('cancelled');
});

it.each([
  ['retry-after', '3', 3000],
  ['grpc-retry-pushback-ms', '700', 700],
])('leaves the endpoint alone that asked for it by %s, and no other', async (name, value, ms) => {
  const { runtime, wire, start, throttle } = setUp();
  start();
  wire.last.answer(503, '', [name, value]);
  expect(throttle.snapshot()).toMatchObject({ endpoints: { a: ms }, pushbackMs: 0 });
  const held = start();
  start(B);
  expect(wire.order).toEqual(['a', 'b']);
  await runtime.clock.settle();
  // Another endpoint may have room: that one is for a retry.
  expect(held.log.error).toMatchObject({ code: 'resource-exhausted', retryable: 'yes', details: { reason: 'endpoint' } });
  await runtime.clock.advance(ms);
  start();
  expect(wire.order).toEqual(['a', 'b', 'a']);
  expect(throttle.snapshot().endpoints).toEqual({});
});

it('forgets what an endpoint asked for with the endpoint', () => {
  const { wire, start, throttle, transport } = setUp();
  start();
  wire.last.answer(503, '', ['retry-after', '3']);
  transport.forget(A);
  expect(throttle.snapshot().endpoints).toEqual({});
  expect(wire.forgotten).toEqual([A.address]);
});

it('reads the level of the servers off their answers', () => {
  const { wire, start, throttle } = setUp();
  start();
  wire.last.answer(200, '', [HEADERS.admissionLevel.text, '128']);
  expect(throttle.snapshot().level).toBeLessThan(512);
});

it('fails a call whose headers do not parse', async () => {
  const { wire, start } = setUp();
  const { log } = start(A, [HEADERS.timeout.text, 'soon']);
  await Promise.resolve();
  expect([log.lines, wire.calls]).toEqual([['error invalid-argument'], []]);
});

it('counts nothing for a transport that throws, and tells the sink', async () => {
  const { throttle } = setUp();
  const broken = new PuppetTransport();
  broken.start = () => {
    throw new Error('broken');
  };
  const log = new Log();
  throttle.guard(broken).start(A, { path: '/', headers: [] }, log);
  await Promise.resolve();
  expect(log.lines).toEqual(['error internal']);
  expect(throttle.snapshot().classes.critical).toMatchObject({ asked: 0, accepted: 0 });
});
