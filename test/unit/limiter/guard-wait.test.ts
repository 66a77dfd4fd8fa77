/** Calls of a guarded transport that wait for their permits. */
import { describe, expect, it } from 'vitest';
import { HEADERS } from '../../../src/core/index.js';
import { guardRig } from '../../support/guard-rig.js';

const TIMEOUT = HEADERS.timeout.text;

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

  it('a call is refused when its transport is closed, and one that has its permit is the transport’s to end', async () => {
    const { limiter, start, transport, wire } = guardRig();
    const running = start();
    const { log } = start();
    await transport.close();
    expect(limiter.queued).toBe(0);
    expect(log.lines).toEqual(['error failed-precondition']);
    expect(wire.calls).toHaveLength(1);
    running.handle.cancel('cancelled');
    await Promise.resolve();
    expect(log.lines).toHaveLength(1);
    expect(limiter.inFlight).toBe(0);
  });

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
