/** Calls of a guarded transport that wait for their permits. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from 'vitest';
import { HEADERS } from '../../../src/core/index.js';
import { createLimiters, fixedLimit } from '../../../src/limiter/index.js';
import { fakeRuntime } from '../../support/fake-host.js';
import { guardRig, Log, TO } from '../../support/guard-rig.js';
import { PuppetTransport } from '../../support/puppet-transport.js';

const TIMEOUT = HEADERS.timeout.text;

it('a guarded transport that drains serves the calls that wait, and refuses those that come', async () => {
  const { start, transport, wire } = guardRig();
  const running = start();
  const waiting = start();
  let isDrained = false;
  const drained = transport.drain().then(() => {
    isDrained = true;
  });
  const late = start();
  await Promise.resolve();
  expect([late.log.lines, late.log.error?.retryable]).toEqual([['error unavailable'], 'yes']);
  wire.last.answer();
  expect(running.log.lines.at(-1)).toBe('end');
  expect(wire.calls).toHaveLength(2);
  await Promise.resolve();
  expect(isDrained).toBe(false);
  wire.last.answer();
  expect(waiting.log.lines.at(-1)).toBe('end');
  await drained;
});

it('a call that waited begins, and is refused, in the context of its own caller', async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const { limiter, start, wire } = guardRig();
  const begin = wire.start.bind(wire);
  wire.start = (...call) => {
    seen.push(storage.getStore());
    return begin(...call);
  };
  const refused = { onResponse() {}, onData() {}, onEnd() {}, onError: () => seen.push(`refused ${storage.getStore()}`) };
  storage.run('first', () => start());
  storage.run('second', () => start());
  const transport = limiter.guard(wire);
  storage.run('third', () => transport.start(TO, { path: '/' }, refused));
  storage.run('other', () => wire.calls[0]?.answer());
  await storage.run('other', () => transport.close());
  await Promise.resolve();
  expect(seen).toEqual(['first', 'second', 'refused third']);
});

describe('while it waits', () => {
  it.each(['cancelled', 'deadline-exceeded'] as const)(
    'a call that ends as %s leaves the queue, and its sink hears of it once',
    async (code) => {
      const { limiter, start, wire } = guardRig();
      start();
      const { handle, log } = start();
      handle.cancel(code);
      handle.cancel(code);
      expect(limiter.queued).toBe(0);
      expect(log.lines).toEqual([]);
      await Promise.resolve();
      wire.last.answer();
      await Promise.resolve();
      expect(log.lines).toEqual([`error ${code}`]);
      expect(log.error?.retryable).toBe('yes');
      expect(wire.calls).toHaveLength(1);
    },
  );

  it.each([
    [['pause'], true],
    [['pause', 'resume'], false],
  ] as const)('%j holds for the call that begins later', (steps, isPaused) => {
    const { start, wire } = guardRig();
    start();
    const { handle } = start();
    for (const step of steps) handle[step]();
    wire.last.answer();
    expect(wire.calls).toHaveLength(2);
    expect(wire.last.isPaused).toBe(isPaused);
    handle.resume();
    expect(wire.last.isPaused).toBe(false);
  });

  it('its headers are its own, and its timeout is what the wait left', async () => {
    const { clock, start, wire } = guardRig();
    start();
    const headers = [TIMEOUT, '500', 'x-id', '1'];
    start(headers);
    headers.fill('gone');
    await clock.advance(120);
    wire.last.answer();
    expect(wire.last.request.headers).toEqual([TIMEOUT, '380', 'x-id', '1']);
    expect(headers).toEqual(['gone', 'gone', 'gone', 'gone']);
  });

  it('a timeout in the words of gRPC becomes one of ours, and none stays none', async () => {
    const { clock, start, wire } = guardRig();
    start();
    start(['grpc-timeout', '2S']);
    await clock.advance(100);
    wire.last.answer();
    expect(wire.last.request.headers).toEqual(['grpc-timeout', '2S', TIMEOUT, '1900']);
    start(['x-id', '1']);
    await clock.advance(100);
    wire.last.answer();
    expect(wire.last.request.headers).toEqual(['x-id', '1']);
  });

  it('a timeout of many hours is not shortened to one', async () => {
    const { clock, start, wire } = guardRig();
    start();
    start([TIMEOUT, '36000000']);
    await clock.advance(100);
    wire.last.answer();
    expect(wire.last.request.headers).toEqual([TIMEOUT, '35999900']);
  });

  it('a deadline that leaves too little refuses it, not before start has returned', async () => {
    const { clock, limiter, start, wire } = guardRig();
    start();
    const { log } = start([TIMEOUT, '20']);
    const late = start([TIMEOUT, '0']);
    expect(late.log.lines).toEqual([]);
    await Promise.resolve();
    expect(late.log.lines).toEqual(['error deadline-exceeded']);
    await clock.advance(24);
    expect(log.lines).toEqual(['error deadline-exceeded']);
    expect(limiter.queued).toBe(0);
    expect(wire.calls).toHaveLength(1);
  });

  it('the more critical goes first', () => {
    const { start, wire } = guardRig();
    start();
    start(['x-id', 'low', 'baggage', 'evenkeel.criticality=sheddable']);
    start(['x-id', 'high', 'baggage', 'evenkeel.criticality=critical-plus']);
    wire.last.answer();
    expect(wire.last.request.headers?.[1]).toBe('high');
  });
});

describe('when its transport is closed', () => {
  it('it is refused as the transport refuses, and its permit goes to nobody', async () => {
    const { limiter, start, transport, wire } = guardRig();
    start();
    const waiting = [start(), start()];
    const closed = transport.close();
    expect(waiting.map(({ log }) => log.lines)).toEqual([[], []]);
    await closed;
    for (const { handle, log } of waiting) {
      handle.cancel('cancelled');
      expect(log.error).toMatchObject({ code: 'unavailable', retryable: 'yes' });
    }
    wire.last.fail();
    await Promise.resolve();
    expect(waiting.map(({ log }) => log.lines)).toEqual([['error unavailable'], ['error unavailable']]);
    expect(wire.calls).toHaveLength(1);
    expect(limiter).toMatchObject({ inFlight: 0, queued: 0 });
  });

  it('others that wait for the same limiter go on waiting', async () => {
    const { limiter, start, transport, wire } = guardRig();
    start();
    const waiting = start();
    const other = new PuppetTransport();
    limiter.guard(other).start(TO, { path: '/' }, new Log());
    await transport.close();
    expect([waiting.log.lines, limiter.queued]).toEqual([['error unavailable'], 1]);
    wire.last.answer();
    expect([wire.calls.length, other.calls.length]).toEqual([1, 1]);
  });

  it('a call that comes later is refused at once, room or not, and asks for no permit', async () => {
    const { limiter, start, transport, wire } = guardRig();
    start();
    await transport.close();
    await transport.close();
    const full = start();
    wire.last.answer();
    const free = start();
    expect([full.log.lines, free.log.lines]).toEqual([[], []]);
    full.handle.cancel('cancelled');
    full.handle.pause();
    await Promise.resolve();
    expect([full.log.lines, free.log.lines]).toEqual([['error unavailable'], ['error unavailable']]);
    expect([wire.calls.length, limiter.queued, limiter.snapshot().admitted.critical]).toEqual([1, 0, 1]);
  });

  it('one that gets room because another was refused is not begun', async () => {
    const weights = [1, 2, 1];
    const { limiter, start, transport, wire } = guardRig({ limit: fixedLimit(2) }, { weightOf: () => weights.shift() ?? 1 });
    const logs = [start(), start(), start()].map(({ log }) => log);
    expect(limiter).toMatchObject({ inFlight: 1, queued: 2 });
    await transport.close();
    expect(logs.map(({ lines }) => lines)).toEqual([[], ['error unavailable'], ['error unavailable']]);
    expect(wire.calls).toHaveLength(1);
    expect(limiter).toMatchObject({ inFlight: 1, queued: 0 });
  });

  it('holds for limiters by pair, and for calls that began to wait after others were served', async () => {
    const limiters = createLimiters({ limit: fixedLimit(1), queue: { calmWaitMs: 1000 }, runtime: fakeRuntime() });
    const wire = new PuppetTransport();
    const transport = limiters.guard(wire, 'web');
    const start = () => {
      const log = new Log();
      transport.start(TO, { path: '/' }, log);
      return log;
    };
    const logs = [start(), start(), start()];
    wire.calls[0]?.answer();
    await transport.close();
    logs.push(start());
    await Promise.resolve();
    expect(logs.map(({ lines }) => lines)).toEqual([['response 200', 'end'], [], ['error unavailable'], ['error unavailable']]);
    expect(limiters.snapshot().limiters[0]).toMatchObject({ inFlight: 1, queued: 0 });
  });
});
