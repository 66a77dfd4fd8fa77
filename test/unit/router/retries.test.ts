import { describe, expect, it } from 'vitest';
import type { ErrorCode, Retryable } from '../../../src/core/index.js';
import type { RouterRequest } from '../../../src/router/index.js';
import { rounds } from '../../support/rounds.js';
import { assertBalanced, assertClosesClean, type RigOptions, routerRig, watch } from '../../support/router-rig.js';

const POST: RouterRequest = { path: '/x', method: 'POST', body: 'work' };
const GET: RouterRequest = { path: '/x' };

/** One call whose first attempt ends in `first`; then time for a second. */
async function afterFirst(request: RouterRequest, first: (rig: ReturnType<typeof routerRig>) => void, options: RigOptions = {}) {
  const rig = routerRig({ endpoints: 3, ...options });
  const call = watch(rig.router.call(request));
  first(rig);
  await rig.clock.advance(40);
  return { rig, call, attempts: rig.transport.calls.length };
}

describe('a failed attempt', () => {
  const fails = (code: ErrorCode, retryable: Retryable) => (rig: ReturnType<typeof routerRig>) =>
    rig.transport.last.fail(code, retryable);
  const answers =
    (status: number, headers: string[] = []) =>
    (rig: ReturnType<typeof routerRig>) =>
      rig.transport.last.answer(status, '', headers);
  const REJECTED = ['evenkeel-rejected', '1'];

  it.each([
    ['that sent nothing, whatever the method', POST, fails('unavailable', 'yes')],
    ['of a GET that may have been seen', GET, fails('unavailable', 'unknown')],
    ['of a POST said to be idempotent', { ...POST, idempotent: true }, fails('unavailable', 'unknown')],
    ['with 500 to a GET', GET, answers(500)],
    ['with 502 to a PUT', { ...POST, method: 'PUT' }, answers(502)],
    ['with 503 to a DELETE', { ...GET, method: 'DELETE' }, answers(503)],
    ['with 504 to a GET', GET, answers(504)],
    ['with 429 to a GET', GET, answers(429)],
    ['with 503 to a POST that the server did not begin', POST, answers(503, REJECTED)],
    ['with 429 to a POST that the server did not begin', POST, answers(429, REJECTED)],
    ['of bytes that can be sent again', { ...POST, body: new Uint8Array(3), idempotent: true }, fails('unavailable', 'unknown')],
  ])('%s is repeated elsewhere', async (_what, request, first) => {
    const { rig, call, attempts } = await afterFirst(request, first);
    expect(attempts).toBe(2);
    expect(rig.transport.order[1]).not.toBe(rig.transport.order[0]);
    rig.transport.last.answer(200, 'done');
    await assertBalanced(rig);
    expect(call.get().attempts).toBe(2);
    expect(call.get().endpoint).toBe(rig.transport.order[1]);
    expect(rig.router.snapshot()).toMatchObject({ attempts: 2, retries: 1, calls: { ok: 1 } });
    await assertClosesClean(rig);
  });

  it.each([
    ['of a POST that may have been seen', POST, fails('unavailable', 'unknown')],
    ['that says it cannot help', GET, fails('invalid-argument', 'no')],
    ['cancelled by its own body', { ...POST, idempotent: true }, fails('cancelled', 'unknown')],
    ['with 500 to a POST', POST, answers(500)],
    ['with 503 to a POST without the word of the server', POST, answers(503)],
    ['with 501 to a GET', GET, answers(501)],
    ['with 404 to a GET', GET, answers(404)],
    ['of a GET said not to be idempotent', { ...GET, idempotent: false }, fails('unavailable', 'unknown')],
    ['with 500 and the word of the server for a call that is no matter of room', POST, answers(400, REJECTED)],
  ])('%s is not', async (_what, request, first) => {
    const { rig, call, attempts } = await afterFirst(request, first);
    expect(attempts).toBe(1);
    expect(call.isSettled).toBe(true);
    await assertBalanced(rig);
  });

  it('is not repeated after a byte of the response has reached the caller', async () => {
    const rig = routerRig({ endpoints: 3 });
    const call = watch(rig.router.call({ ...GET, response: 'stream' }));
    rig.transport.last.respond(200);
    await rig.clock.settle();
    const read = watch(call.get().bytes());
    rig.transport.last.data('half');
    rig.transport.last.fail('unavailable', 'unknown');
    await rig.clock.advance(100);
    expect(rig.transport.calls).toHaveLength(1);
    expect(read.error?.code).toBe('unavailable');
    await assertBalanced(rig);
  });

  it('is not repeated when a buffered response breaks midway and the call is not idempotent', async () => {
    const { rig, call, attempts } = await afterFirst(POST, ({ transport }) => {
      transport.last.respond(200);
      transport.last.data('half');
      transport.last.fail('unavailable', 'unknown');
    });
    expect(attempts).toBe(1);
    expect(call.error).toMatchObject({ code: 'unavailable', retryable: 'unknown', attempts: 1 });
    await assertBalanced(rig);
  });

  it('does not leave half of its body in the next response', async () => {
    const { rig, call } = await afterFirst(GET, ({ transport }) => {
      transport.last.respond(200, ['x-from', 'first']);
      transport.last.data('half');
      transport.last.fail('unavailable', 'unknown');
    });
    rig.transport.last.answer(200, 'whole');
    await rig.clock.settle();
    expect(await call.get().text()).toBe('whole');
    expect(call.get().header('x-from')).toBeUndefined();
  });
});

describe('a streamed request body', () => {
  async function* body() {
    yield 'piece';
  }

  it('is sent again while nothing of it was read', async () => {
    const { attempts } = await afterFirst({ ...POST, body: body() }, ({ transport }) =>
      transport.last.fail('unavailable', 'yes'),
    );
    expect(attempts).toBe(2);
  });

  it.each([
    ['a failure that may have read it', (rig: ReturnType<typeof routerRig>) => rig.transport.last.fail('unavailable', 'unknown')],
    ['a status', (rig: ReturnType<typeof routerRig>) => rig.transport.last.answer(503, '', ['evenkeel-rejected', '1'])],
  ])('is not after %s', async (_what, first) => {
    const { attempts } = await afterFirst({ ...POST, body: body(), idempotent: true }, first);
    expect(attempts).toBe(1);
  });
});

describe('bounds of repeating', () => {
  it('three attempts a call, and the last answer is handed on', async () => {
    const rig = routerRig({ endpoints: 5 });
    const call = watch(rig.router.call(GET));
    rig.transport.onCall = (one) => one.answer(503, 'full', ['retry-after', '7']);
    rig.transport.last.answer(503);
    await rig.clock.advance(1000);
    expect(rig.transport.calls).toHaveLength(3);
    expect(call.get()).toMatchObject({ status: 503, attempts: 3 });
    expect(await call.get().text()).toBe('full');
  });

  it('as many as asked for, none at 1 or false', async () => {
    for (const [retry, expected] of [
      [{ maxAttempts: 5 }, 5],
      [{ maxAttempts: 1 }, 1],
      [false, 1],
    ] as const) {
      const rig = routerRig({ endpoints: 8, retry });
      rig.transport.onCall = (one) => one.fail('unavailable', 'yes');
      const call = watch(rig.router.call(GET));
      await rig.clock.advance(5000);
      expect(rig.transport.calls).toHaveLength(expected);
      expect(call.error?.attempts).toBe(expected);
    }
  });

  it('the budget: twenty per cent of the calls and ten a second, then failures are told as they are', async () => {
    const rig = routerRig({ endpoints: 10, ejection: false });
    rig.transport.onCall = (one) => one.fail('unavailable', 'unknown');
    for (let i = 0; i < 1000; i++) watch(rig.router.call(GET));
    await rig.clock.advance(3000);
    // 200 for a thousand calls and 10 x 10 s for the window.
    expect(rig.transport.calls).toHaveLength(1300);
    expect(rig.router.snapshot()).toMatchObject({ retries: 300, retriesAvailable: 0 });
    expect(rig.router.snapshot().retriesRefused).toBeGreaterThanOrEqual(700);
    await assertBalanced(rig);
  });

  it('the deadline spans all attempts and the waits between them', async () => {
    const rig = routerRig({ endpoints: 3, timeoutMs: 300, retry: { maxAttempts: 10, baseMs: 200, maxMs: 200 } });
    rig.transport.onCall = (one) => one.fail('unavailable', 'unknown');
    const call = watch(rig.router.call(GET));
    await rig.clock.advance(310);
    expect(call.error?.code).toMatch(/deadline-exceeded|unavailable/);
    expect(call.error?.retryable).toBe('unknown');
    const { length } = rig.transport.calls;
    await rig.clock.advance(5000);
    expect(rig.transport.calls).toHaveLength(length);
    await assertClosesClean(rig);
  });

  it('a wait is between 0 and 25 ms, then 50, never above its longest', async () => {
    const waits: number[][] = [[], [], []];
    for (let seed = 0; seed < rounds(40); seed++) {
      const rig = routerRig({ endpoints: 6, seed, retry: { maxAttempts: 4, maxMs: 60 } });
      watch(rig.router.call(GET));
      for (let attempt = 1; attempt <= 3; attempt++) {
        const failedAt = rig.clock.now();
        rig.transport.last.fail('unavailable', 'unknown');
        while (rig.transport.calls.length === attempt) await rig.clock.advance(1);
        waits[attempt - 1]?.push(rig.clock.now() - failedAt);
      }
    }
    // At most one tick of the wheel late, and one step of this test.
    const slack = 8 + 1;
    [25, 50, 60].forEach((most, i) => {
      const found = waits[i] ?? [];
      expect(Math.max(...found)).toBeLessThanOrEqual(most + slack);
      expect(Math.max(...found)).toBeGreaterThan(most * 0.6);
      expect(Math.min(...found)).toBeLessThan(most * 0.4 + slack);
    });
  });

  it('what was not sent goes elsewhere at once, a second time after a wait', () => {
    const rig = routerRig({ endpoints: 3 });
    watch(rig.router.call(POST));
    rig.transport.last.fail('unavailable', 'yes');
    expect(rig.transport.calls).toHaveLength(2);
    rig.transport.last.fail('unavailable', 'yes');
    expect(rig.transport.calls).toHaveLength(2);
  });

  it('with one endpoint that one is tried again', async () => {
    const { attempts } = await afterFirst(GET, ({ transport }) => transport.last.fail(), { endpoints: 1 });
    expect(attempts).toBe(2);
  });

  it('a call cancelled while it waits for its next attempt is not sent again', async () => {
    const rig = routerRig({ endpoints: 3 });
    const gone = new AbortController();
    const call = watch(rig.router.call({ ...GET, signal: gone.signal }));
    rig.transport.last.fail();
    gone.abort();
    await rig.clock.advance(1000);
    expect(call.error).toMatchObject({ code: 'cancelled', attempts: 1 });
    expect(rig.transport.calls).toHaveLength(1);
    await assertClosesClean(rig);
  });

  it('an attempt that may have acted is not forgotten when the next one was not even sent', async () => {
    const rig = routerRig({ endpoints: 3, retry: { maxAttempts: 2 } });
    const call = watch(rig.router.call(GET));
    rig.transport.last.fail('unavailable', 'unknown');
    await rig.clock.advance(40);
    rig.transport.last.fail('unavailable', 'yes');
    await rig.clock.settle();
    expect(call.error).toMatchObject({ retryable: 'unknown', attempts: 2 });
  });
});

it.each([{ maxAttempts: 0 }, { maxAttempts: 11 }, { baseMs: -1 }, { baseMs: 100, maxMs: 50 }, { budget: { ratio: -1 } }])(
  'refuses %o',
  (retry) => {
    expect(() => routerRig({ retry })).toThrow(/retry/);
  },
);
