/** Calls of a guarded transport: their permits, and what is said of them. */
import { describe, expect, it } from 'vitest';
import { type CallTransport, HEADERS } from '../../../src/core/index.js';
import { aimdLimit, fixedLimit, type GuardOptions } from '../../../src/limiter/index.js';
import { guardRig, Log, TO } from '../../support/guard-rig.js';
import { limiterOf } from '../../support/limiter-rig.js';
import { PuppetTransport } from '../../support/puppet-transport.js';

const TIMEOUT = HEADERS.timeout.text;

/** Calls that ended, and those among them that failed or were dropped; ignored ones are neither. */
function ends({ runtime }: ReturnType<typeof guardRig>): number[] {
  const { errorsPerSecond, ratePerSecond } = runtime.load.counter('limiter:test').read();
  return [ratePerSecond, errorsPerSecond];
}

describe('a permit', () => {
  it('is held to the last byte', () => {
    const { limiter, start, wire } = guardRig();
    const { log } = start();
    start();
    wire.last.respond(200);
    wire.last.data('piece');
    expect(limiter).toMatchObject({ inFlight: 1, queued: 1 });
    expect(wire.calls).toHaveLength(1);
    wire.last.end();
    expect(log.lines).toEqual(['response 200', 'data piece', 'end']);
    expect(limiter).toMatchObject({ inFlight: 1, queued: 0 });
    expect(wire.calls).toHaveLength(2);
  });

  it('comes back when the wire fails, and when a body breaks off', () => {
    const { limiter, start, wire } = guardRig();
    start();
    wire.last.fail('unavailable');
    start();
    wire.last.respond(200);
    wire.last.fail('unavailable');
    expect(limiter.inFlight).toBe(0);
    expect(wire.calls).toHaveLength(2);
  });

  it('comes back when the transport throws, and the others are served', async () => {
    const { limiter } = limiterOf({ limit: fixedLimit(1) });
    let starts = 0;
    const wire: CallTransport = {
      ...new PuppetTransport(),
      start: () => {
        starts++;
        throw new Error('no transport');
      },
      forget() {},
      drain: async () => {},
      close: async () => {},
    };
    const transport = limiter.guard(wire);
    const running = limiter.tryAcquire();
    const logs = [new Log(), new Log()];
    for (const log of logs) transport.start(TO, { path: '/' }, log);
    expect(() => running?.end()).not.toThrow();
    expect(logs.map(({ lines }) => lines.length)).toEqual([0, 0]);
    await Promise.resolve();
    expect(logs.map(({ lines }) => lines)).toEqual([['error internal'], ['error internal']]);
    expect([starts, limiter.inFlight, limiter.weight]).toEqual([2, 0, 0]);
  });
});

describe('outcomes', () => {
  const rejected = [HEADERS.rejected.text, '1'];
  it.each([
    ['429', (wire: PuppetTransport) => wire.last.answer(429)],
    ['503', (wire: PuppetTransport) => wire.last.answer(503)],
    ['a rejection in the headers', (wire: PuppetTransport) => wire.last.answer(500, '', rejected)],
    [
      'a rejection in the trailers',
      (wire: PuppetTransport) => {
        wire.last.respond(200);
        wire.last.end(rejected);
      },
    ],
    [
      'resource-exhausted in the trailers',
      (wire: PuppetTransport) => {
        wire.last.respond(200);
        wire.last.end(['grpc-status', '8']);
      },
    ],
    ['resource-exhausted from the wire', (wire: PuppetTransport) => wire.last.fail('resource-exhausted')],
    [
      '503 whose body breaks off',
      (wire: PuppetTransport) => {
        wire.last.respond(503);
        wire.last.fail('unavailable');
      },
    ],
  ])('%s is dropped, and lowers a limit that follows refusals', async (_what, answer) => {
    const { clock, limiter, start, wire } = guardRig({ limit: aimdLimit({ initial: 10 }) });
    await clock.advance(1000);
    start();
    answer(wire);
    expect(limiter.limit).toBe(7);
    expect(limiter.explain().last.reason).toBe('the downstream turned calls away');
  });

  it.each([200, 404, 500])('an answer of %i is none of a full server', async (status) => {
    const rig = guardRig({ limit: aimdLimit({ initial: 1 }) });
    await rig.clock.advance(1000);
    rig.start();
    rig.wire.last.answer(status);
    expect(rig.limiter.limit).toBe(2);
    expect(ends(rig)).toEqual([1, status === 500 ? 1 : 0]);
  });

  it('the wait that a refusal asks for holds the limit', async () => {
    const { clock, limiter, start, wire } = guardRig({ limit: aimdLimit({ initial: 2 }) });
    await clock.advance(1000);
    start();
    wire.last.answer(429, '', ['retry-after', '5']);
    expect(limiter.explain().last.window?.retryAfterMs).toBe(5000);
    const { limit } = limiter;
    for (let i = 0; i < 4; i++) {
      await clock.advance(1000);
      start();
      wire.last.answer();
      expect(limiter.limit).toBe(limit);
    }
    await clock.advance(1000);
    start();
    wire.last.answer();
    expect(limiter.limit).toBe(limit + 1);
  });

  it('a call that is cancelled while it runs is ignored', () => {
    const rig = guardRig();
    const { handle, log } = rig.start();
    rig.wire.last.respond(200);
    handle.cancel('cancelled');
    expect(rig.wire.last.cancelled).toBe('cancelled');
    expect(log.lines).toEqual(['response 200', 'error cancelled']);
    expect(ends(rig)).toEqual([0, 0]);
    expect(rig.limiter.inFlight).toBe(0);
    handle.cancel('cancelled');
    expect(log.lines).toHaveLength(2);
  });
});

describe('one that does not wait', () => {
  it('leaves the headers of its caller alone, though time passes before it is sent', () => {
    const { clock, start, wire } = guardRig();
    let now = 0;
    clock.now = () => now++;
    start(Object.freeze([TIMEOUT, '500']) as string[]);
    expect(wire.last.request.headers).toEqual([TIMEOUT, '500']);
  });

  it('is told of its refusal once, after start has returned', async () => {
    const { start, wire } = guardRig({ queue: false });
    start();
    const { handle, log } = start();
    handle.cancel('cancelled');
    expect(log.lines).toEqual([]);
    await Promise.resolve();
    expect(log.lines).toEqual(['error resource-exhausted']);
    expect(log.error).toMatchObject({ rejected: true, retryable: 'yes' });
    expect(wire.calls).toHaveLength(1);
  });

  it('is refused after close, and one that waited as well', async () => {
    const { limiter, start } = guardRig();
    start();
    const waiting = start();
    await limiter.close();
    const late = start();
    await Promise.resolve();
    expect([waiting.log.lines, late.log.lines]).toEqual([['error failed-precondition'], ['error failed-precondition']]);
  });
});

describe('options', () => {
  it('weigh a call and say whose it is', () => {
    const { limiter, start, wire } = guardRig(
      { limit: fixedLimit(10), partitions: { a: 0.5 } },
      { weightOf: () => 3, partitionOf: () => 'a' },
    );
    start();
    expect(limiter.snapshot()).toMatchObject({ weight: 3, partitions: [{ weight: 0 }, { name: 'a', weight: 3 }] });
    wire.last.answer();
    expect(limiter.weight).toBe(0);
  });

  const thrower = () => {
    throw new Error('own');
  };
  it.each([
    [{ weightOf: thrower }, 'internal'],
    [{ partitionOf: thrower }, 'internal'],
    [{ weightOf: () => Number.NaN }, 'invalid-argument'],
    [{ weightOf: () => 0 }, 'invalid-argument'],
    [{ weightOf: () => 1e308 }, 'invalid-argument'],
  ] as [GuardOptions, string][])('that fail, fail the call: %o', async (options, code) => {
    const { limiter, start, wire } = guardRig({}, options);
    const { handle, log } = start();
    handle.pause();
    handle.cancel('cancelled');
    expect(log.lines).toEqual([]);
    await Promise.resolve();
    expect(log.lines).toEqual([`error ${code}`]);
    expect(wire.calls).toEqual([]);
    expect(limiter).toMatchObject({ inFlight: 0, queued: 0 });
  });

  it('a malformed timeout fails the call', async () => {
    const { start } = guardRig();
    const { log } = start([TIMEOUT, 'soon']);
    await Promise.resolve();
    expect(log.lines).toEqual(['error invalid-argument']);
  });
});

it('passes on what is no call', async () => {
  const told: unknown[] = [];
  const { limiter } = limiterOf();
  const inner: CallTransport = {
    start: () => ({ cancel() {}, pause() {}, resume() {} }),
    serve: async (at) => {
      told.push(at.address);
      return { address: at.address, drain: async () => {}, close: async () => {} };
    },
    forget: (to) => told.push(to.id),
    drain: async () => void told.push('drain'),
    close: async () => void told.push('close'),
  };
  const transport = limiter.guard(inner);
  transport.forget(TO);
  await transport.serve?.({ address: 'here' }, () => ({ status: 200 }));
  await transport.drain();
  await transport.close();
  expect(told).toEqual(['a', 'here', 'drain', 'close']);
  expect(limiter.guard(new PuppetTransport()).serve).toBeUndefined();
  expect(limiter.tryAcquire()).toBeDefined();
});
