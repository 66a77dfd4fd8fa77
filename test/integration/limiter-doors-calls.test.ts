/** The doors of handlers that return promises: fetch's, and those of transport.serve over HTTP. */
import { type CallContext, type CallHandler, cohortOf, EvenkeelError } from 'evenkeel/core';
import { createHttpTransport } from 'evenkeel/http';
import { fetchLimiter, type Limiter, limitCalls } from 'evenkeel/limiter';
import * as undici from 'undici';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/http-servers.js';
import { ask, asking, limiterRig, lowerLevel } from '../support/limiter-doors.js';

const URL_ = 'http://service.test/';

describe('a handler in the style of fetch', () => {
  it('holds a permit until its body is read', async () => {
    const { limiter } = limiterRig();
    const limited = fetchLimiter(limiter)(() => new Response('hello', { headers: { 'x-a': '1' } }));
    const response = await limited(new Request(URL_));
    expect([limiter.inFlight, response.headers.get('x-a')]).toEqual([1, '1']);
    expect(await response.text()).toBe('hello');
    expect(limiter.inFlight).toBe(0);
  });

  it.each([
    ['without a body', () => new Response(null, { status: 204 }), 'GET'],
    ['to a HEAD request, whose body nobody reads', () => new Response('hello'), 'HEAD'],
  ])('gives its permit back with a response %s', async (_what, handler, method) => {
    const { limiter } = limiterRig();
    await fetchLimiter(limiter)(handler)(new Request(URL_, { method }));
    expect(limiter.inFlight).toBe(0);
  });

  it('is not called when there is no room, nor is the body of its request touched', async () => {
    const { limiter } = limiterRig({ queue: false });
    let handled = 0;
    const limited = fetchLimiter(limiter, { status: 429, retryAfterMs: 2000 })(() => {
      handled++;
      return new Response();
    });
    using _held = limiter.tryAcquire();
    const request = new Request(URL_, { method: 'POST', body: 'x' });
    const response = await limited(request);
    expect([response.status, response.headers.get('retry-after'), response.headers.get('evenkeel-rejected')]).toEqual([
      429,
      '2',
      '1',
    ]);
    expect(await response.json()).toMatchObject({ code: 'resource-exhausted' });
    expect([handled, request.bodyUsed]).toEqual([0, false]);
  });

  it('answers 504 and 400 as the other doors do, and lets through what is skipped', async () => {
    const { limiter } = limiterRig({ queue: false });
    const limited = fetchLimiter(limiter, { skip: ({ url }) => url.endsWith('/healthz') })(() => new Response('x'));
    const statusOf = async (timeout: string) =>
      (await limited(new Request(URL_, { headers: { 'evenkeel-timeout-ms': timeout } }))).status;
    expect([await statusOf('0'), await statusOf('soon')]).toEqual([504, 400]);
    using _held = limiter.tryAcquire();
    expect((await limited(new Request(`${URL_}healthz`))).status).toBe(200);
  });

  it('gets the context, capped', async () => {
    const { clock, limiter } = limiterRig();
    const contexts: CallContext[] = [];
    const limited = fetchLimiter(limiter, {
      userOf: ({ headers }) => headers.get('x-user') ?? undefined,
      trusted: ({ address, headers }) => address === undefined && headers.includes('s3cret'),
    })((_request, context) => {
      contexts.push(context);
      return new Response();
    });
    const claim = {
      baggage: 'evenkeel.criticality=critical-plus,evenkeel.cohort=5',
      'x-user': 'bob',
      'evenkeel-timeout-ms': '50',
    };
    await limited(new Request(URL_, { headers: claim }));
    await limited(new Request(URL_, { headers: { ...claim, 'x-key': 's3cret' } }));
    await limited(new Request(URL_, { headers: { baggage: 'evenkeel.cohort=5' } }));
    const deadline = clock.now() + 50;
    expect(contexts).toEqual([
      { criticality: 'critical', cohort: cohortOf('bob', clock.wallTime()), deadline },
      { criticality: 'critical-plus', cohort: 5, deadline },
      { criticality: 'critical' },
    ]);
  });

  it('throws on what it throws, and counts it', async () => {
    const { limiter, windows } = limiterRig();
    const full = Object.assign(new Error('full'), { status: 503 });
    const limited = fetchLimiter(limiter)(() => {
      throw full;
    });
    await expect(limited(new Request(URL_))).rejects.toBe(full);
    limiter.tryAcquire()?.end();
    expect([limiter.inFlight, windows[0]?.dropped]).toEqual([0, 1]);
  });

  it.each([
    [
      'its own 503 as dropped',
      () => new Response(null, { status: 503, headers: { 'retry-after': '3' } }),
      { dropped: 1, retryAfterMs: 3000 },
    ],
    ['500 as an error', () => new Response('x', { status: 500 }), { failed: 1, dropped: 0 }],
    [
      'a body that breaks as an error',
      () =>
        new Response(
          new ReadableStream({
            pull(controller) {
              controller.error(new Error('broken'));
            },
          }),
        ),
      { failed: 1, dropped: 0 },
    ],
  ])('counts %s', async (_what, handler, window) => {
    const { limiter, windows } = limiterRig();
    await (await fetchLimiter(limiter)(handler)(new Request(URL_))).text().catch(() => {});
    limiter.tryAcquire()?.end();
    expect(windows).toMatchObject([window]);
  });

  it('counts a body that its reader leaves as ignored', async () => {
    const { limiter, windows } = limiterRig();
    const response = await fetchLimiter(limiter)(() => new Response('hello'))(new Request(URL_));
    await response.body?.cancel();
    expect(limiter.inFlight).toBe(0);
    limiter.tryAcquire()?.end();
    limiter.tryAcquire()?.end();
    expect(windows).toEqual([{ ended: 2, failed: 0, dropped: 0, retryAfterMs: 0 }]);
  });

  it('leaves the queue with its caller', async () => {
    const { limiter } = limiterRig();
    let handled = 0;
    const limited = fetchLimiter(limiter)(() => {
      handled++;
      return new Response();
    });
    const held = limiter.tryAcquire();
    const gone = new AbortController();
    const left = limited(new Request(URL_, { signal: gone.signal }));
    const waiting = limited(new Request(URL_));
    expect(limiter.queued).toBe(2);
    gone.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    await expect(limited(new Request(URL_, { signal: gone.signal }))).rejects.toMatchObject({ code: 'cancelled' });
    held?.end();
    expect((await waiting).status).toBe(200);
    expect([handled, limiter.inFlight, limiter.queued]).toEqual([1, 0, 0]);
  });

  it('is told that it waited in vain, as a refusal like any other', async () => {
    const { clock, limiter } = limiterRig({ queue: { calmWaitMs: 50 } });
    const limited = fetchLimiter(limiter)(() => new Response());
    using _held = limiter.tryAcquire();
    const waiting = limited(new Request(URL_));
    await clock.advance(100);
    expect((await waiting).status).toBe(503);
  });

  it('tells the level, on responses whose headers cannot be changed, too', async () => {
    const rig = limiterRig({ queue: { maxQueued: 1 } });
    const limited = fetchLimiter(rig.limiter, { trusted: () => true })(() => Response.redirect(URL_, 302));
    await lowerLevel(rig);
    const level = String(rig.limiter.level);
    const served = await limited(new Request(URL_, { headers: { baggage: 'evenkeel.cohort=0' } }));
    expect([served.status, served.headers.get('evenkeel-admission-level'), served.headers.get('location')]).toEqual([
      302,
      level,
      URL_,
    ]);
    const baggage = 'evenkeel.criticality=sheddable,evenkeel.cohort=127';
    const refused = await limited(new Request(URL_, { headers: { baggage } }));
    expect([refused.status, refused.headers.get('evenkeel-admission-level')]).toEqual([503, level]);
  });
});

describe('transport.serve over HTTP, behind the limiter', () => {
  async function serve(limiter: Limiter, handler: CallHandler) {
    const transport = createHttpTransport({ undici });
    const listener = await transport.serve?.({ address: 'http://127.0.0.1:0' }, limitCalls(limiter)(handler));
    if (listener === undefined) throw new Error('the transport has no server');
    const close = async () => {
      await listener.close();
      await transport.close();
    };
    return { address: listener.address, [Symbol.asyncDispose]: close };
  }

  it('holds the permit until the body of the answer is out', async () => {
    const { limiter } = limiterRig();
    let release: (() => void) | undefined;
    const body = async function* () {
      yield 'hel';
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      yield 'lo';
    };
    await using server = await serve(limiter, () => ({ status: 200, body: body() }));
    const answer = ask(server);
    await eventually('it streams', () => release !== undefined);
    expect(limiter.inFlight).toBe(1);
    release?.();
    expect((await answer).body).toBe('hello');
    await eventually('the permit is back', () => limiter.inFlight === 0);
  });

  it('refuses before the body is read, and goes on', async () => {
    const { limiter } = limiterRig({ queue: false });
    let handled = 0;
    await using server = await serve(limiter, () => {
      handled++;
      return { status: 200, body: 'hello' };
    });
    const held = limiter.tryAcquire();
    const { body, headers, status } = await ask(server, { body: Buffer.alloc(1_000_000) });
    expect([status, headers['retry-after'], headers['evenkeel-rejected']]).toEqual([503, '1', '1']);
    expect([JSON.parse(body).code, handled]).toEqual(['resource-exhausted', 0]);
    expect((await ask(server, { headers: { 'evenkeel-timeout-ms': '0' } })).status).toBe(504);
    expect((await ask(server, { headers: { 'evenkeel-timeout-ms': 'x' } })).status).toBe(400);
    held?.end();
    expect((await ask(server)).body).toBe('hello');
    await limiter.drain();
    expect((await ask(server)).status).toBe(503);
  });

  it('takes a caller that leaves out of the queue, and holds the permit of one that leaves later until its handler is done', async () => {
    const { clock, limiter, windows } = limiterRig();
    const handled: { signal: AbortSignal; answer: () => void }[] = [];
    await using server = await serve(
      limiter,
      ({ signal }) => new Promise((resolve) => handled.push({ signal, answer: () => resolve({ status: 200 }) })),
    );
    const held = limiter.tryAcquire();
    const first = asking(server);
    first.answer.catch(() => {});
    await eventually('it waits', () => limiter.queued === 1);
    first.leave();
    await eventually('it is gone', () => limiter.queued === 0);
    held?.end('ignored');
    for (const end of [() => handled[0]?.answer(), () => clock.advance(30_000)]) {
      const { length } = handled;
      const second = asking(server);
      second.answer.catch(() => {});
      await eventually('it is served', () => handled.length === length + 1);
      second.leave();
      await eventually('the handler could know', () => handled[length]?.signal.aborted === true);
      expect(limiter.inFlight).toBe(1);
      await end();
      await eventually('the permit is back', () => limiter.inFlight === 0);
    }
    expect(windows).toEqual([]);
  });

  it('counts what the handler throws and answers', async () => {
    const { limiter, windows } = limiterRig();
    const answers: CallHandler[] = [
      () => {
        throw new EvenkeelError('resource-exhausted', 'full', { retryAfterMs: 40 });
      },
      () => ({ status: 503, headers: ['retry-after', '2'] }),
      () => ({ status: 1000 }),
      () => ({ status: 200 }),
    ];
    await using server = await serve(limiter, (call) => (answers.shift() as CallHandler)(call));
    for (let i = 0; i < 4; i++) {
      await ask(server);
      expect(limiter.inFlight).toBe(0);
    }
    expect(windows).toEqual([
      { ended: 0, failed: 0, dropped: 2, retryAfterMs: 2000 },
      { ended: 2, failed: 1, dropped: 0, retryAfterMs: 0 },
    ]);
  });

  it('tells the level', async () => {
    const rig = limiterRig({ queue: { maxQueued: 1 } });
    await using server = await serve(rig.limiter, () => ({ status: 200, headers: ['x-a', '1'] }));
    await lowerLevel(rig);
    const level = String(rig.limiter.level);
    const { headers } = await ask(server, { headers: { baggage: 'evenkeel.cohort=0' } });
    expect([headers['x-a'], headers['evenkeel-admission-level']]).toEqual(['1', level]);
    const baggage = 'evenkeel.criticality=sheddable,evenkeel.cohort=127';
    expect((await ask(server, { headers: { baggage } })).headers['evenkeel-admission-level']).toBe(level);
  });
});
