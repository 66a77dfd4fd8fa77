/** What holds at every door on node:http: the plain one, Express's and Fastify's, each on the real server. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { type CallContext, cohortOf } from 'evenkeel/core';
import { expressLimiter, httpLimiter } from 'evenkeel/limiter';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { eventually, httpServer } from '../support/http-servers.js';
import { ask, asking, DOOR_KINDS, limitedServer, limiterRig, lowerLevel, type RawHandler } from '../support/limiter-doors.js';

const MEGABYTE = Buffer.alloc(1_000_000);
const hello: RawHandler = (_request, response) => response.end('hello');

describe.each(DOOR_KINDS)('the door of %s', (kind) => {
  it('holds a permit from admission to the end of the response', async () => {
    const { limiter } = limiterRig();
    let response: ServerResponse | undefined;
    await using server = await limitedServer(kind, limiter, (_request, answer) => {
      response = answer;
      answer.write('hel');
    });
    const answer = ask(server, { body: Buffer.from('x') });
    await eventually('the handler has it', () => response !== undefined);
    expect(limiter.inFlight).toBe(1);
    response?.end('lo');
    expect((await answer).body).toBe('hello');
    await eventually('the permit is back', () => limiter.inFlight === 0);
    expect(server.parsed()).toBe(1);
  });

  it('refuses with 503 before the body is parsed', async () => {
    const { limiter } = limiterRig({ queue: false });
    await using server = await limitedServer(kind, limiter, hello);
    using _held = limiter.tryAcquire();
    const { body, headers, status } = await ask(server, { body: Buffer.from('x') });
    expect(status).toBe(503);
    expect(headers).toMatchObject({
      'retry-after': '1',
      'evenkeel-rejected': '1',
      'content-type': 'application/json; charset=utf-8',
    });
    expect(headers['evenkeel-admission-level']).toBeUndefined();
    expect(JSON.parse(body)).toEqual({ code: 'resource-exhausted', message: expect.any(String) });
    expect(server.parsed()).toBe(0);
  });

  it('refuses with the status and the advice it is told to', async () => {
    const { limiter } = limiterRig({ queue: false });
    await using server = await limitedServer(kind, limiter, hello, { status: 429, retryAfterMs: 2500 });
    using _held = limiter.tryAcquire();
    const { headers, status } = await ask(server);
    expect([status, headers['retry-after']]).toEqual([429, '3']);
  });

  it('answers a deadline in the past with 504, and does not advise to come again', async () => {
    const { limiter } = limiterRig();
    await using server = await limitedServer(kind, limiter, hello);
    const { headers, status } = await ask(server, { headers: { 'evenkeel-timeout-ms': '0' }, body: Buffer.from('x') });
    expect([status, headers['retry-after'], headers['evenkeel-rejected']]).toEqual([504, undefined, undefined]);
    expect(server.parsed()).toBe(0);
    expect(limiter.snapshot().refused).toMatchObject({ deadline: { critical: 1 } });
  });

  it('answers a malformed deadline with 400, and counts nothing', async () => {
    const { limiter } = limiterRig();
    await using server = await limitedServer(kind, limiter, hello);
    const { body, status } = await ask(server, { headers: { 'evenkeel-timeout-ms': 'soon' }, body: Buffer.from('x') });
    expect([status, JSON.parse(body).code, server.parsed()]).toEqual([400, 'invalid-argument', 0]);
    expect(limiter.snapshot()).toMatchObject({ refused: {}, admitted: { critical: 0 } });
  });

  it('caps what callers say that are not listed, and believes those that are', async () => {
    const { clock, limiter } = limiterRig();
    const contexts: CallContext[] = [];
    await using server = await limitedServer(
      kind,
      limiter,
      (_request, response, context) => {
        contexts.push(context);
        response.end();
      },
      { trusted: ['127.0.0.2'], maxTimeoutMs: 5000, untrustedCriticality: 'sheddable-plus', user: 'alice' },
    );
    const headers = { baggage: 'evenkeel.criticality=critical-plus,evenkeel.cohort=3', 'evenkeel-timeout-ms': '60000' };
    await ask(server, { headers, localAddress: '127.0.0.1' });
    await eventually('the permit is back', () => limiter.inFlight === 0);
    await ask(server, { headers, localAddress: '127.0.0.2' });
    const deadline = clock.now() + 5000;
    expect(contexts).toEqual([
      { criticality: 'sheddable-plus', cohort: cohortOf('alice', clock.wallTime()), deadline },
      { criticality: 'critical-plus', cohort: 3, deadline },
    ]);
  });

  it('takes a caller that leaves out of the queue: no permit is ever granted to it', async () => {
    const { limiter } = limiterRig();
    let handled = 0;
    await using server = await limitedServer(kind, limiter, (_request, response) => {
      handled++;
      response.end();
    });
    const held = limiter.tryAcquire();
    const { answer, leave } = asking(server, { body: Buffer.from('x') });
    answer.catch(() => {});
    await eventually('it waits', () => limiter.queued === 1);
    leave();
    await eventually('it is gone', () => limiter.queued === 0);
    held?.end();
    expect((await ask(server)).status).toBe(200);
    await eventually('the permit is back', () => limiter.inFlight === 0);
    expect([handled, limiter.snapshot().admitted.critical]).toEqual([1, 2]);
    expect(limiter.snapshot().refused).toEqual({
      cancelled: { 'critical-plus': 0, critical: 1, 'sheddable-plus': 0, sheddable: 0 },
    });
  });

  it('serves those that wait as permits come free, in the context of their own request', async () => {
    const { limiter } = limiterRig();
    await using server = await limitedServer(kind, limiter, hello);
    const held = limiter.tryAcquire();
    const answers = [ask(server, { body: MEGABYTE }), ask(server)];
    await eventually('both wait', () => limiter.queued === 2);
    expect(server.parsed()).toBe(0);
    held?.end();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
    await eventually('the permits are back', () => limiter.inFlight === 0);
  });

  const outcomes: [string, RawHandler, object][] = [
    ['200 as ok', hello, { ended: 2, failed: 0, dropped: 0, retryAfterMs: 0 }],
    ['404 as ok', (_q, response) => response.writeHead(404).end(), { ended: 2, failed: 0, dropped: 0, retryAfterMs: 0 }],
    ['500 as an error', (_q, response) => response.writeHead(500).end(), { ended: 2, failed: 1, dropped: 0, retryAfterMs: 0 }],
    [
      'its own 429 as dropped, with what it advises',
      (_q, response) => response.setHeader('retry-after', '7').writeHead(429).end(),
      { ended: 1, failed: 0, dropped: 1, retryAfterMs: 7000 },
    ],
    [
      'its own 503 as dropped',
      (_q, response) => response.writeHead(503).end(),
      { ended: 1, failed: 0, dropped: 1, retryAfterMs: 0 },
    ],
  ];

  it.each(outcomes)('counts %s', async (_what, first, window) => {
    const { limiter, windows } = limiterRig();
    const handlers = [first, hello];
    await using server = await limitedServer(kind, limiter, (...args) => handlers.shift()?.(...args));
    for (let i = 0; i < 2; i++) {
      await ask(server);
      await eventually('the permit is back', () => limiter.inFlight === 0);
    }
    expect(windows).toEqual([window]);
  });

  it('counts a caller that leaves during the answer as ignored', async () => {
    const { limiter, windows } = limiterRig();
    let begun = 0;
    await using server = await limitedServer(kind, limiter, (_request, response) => {
      if (begun++ === 0) response.write('half');
      else response.end();
    });
    const { answer, leave } = asking(server);
    answer.catch(() => {});
    await eventually('it is being served', () => begun === 1);
    leave();
    for (let i = 0; i < 2; i++) {
      await eventually('the permit is back', () => limiter.inFlight === 0);
      expect(windows).toEqual([]);
      await ask(server);
    }
    await eventually('the window is over', () => windows.length === 1);
    expect(windows).toEqual([{ ended: 2, failed: 0, dropped: 0, retryAfterMs: 0 }]);
  });

  it('tells its level with every answer while not everybody is admitted', async () => {
    const rig = limiterRig({ queue: { maxQueued: 1 } });
    await using server = await limitedServer(kind, rig.limiter, hello, { trusted: ['127.0.0.1'] });
    expect((await ask(server)).headers['evenkeel-admission-level']).toBeUndefined();
    await eventually('the permit is back', () => rig.limiter.inFlight === 0);
    await lowerLevel(rig);
    const level = String(rig.limiter.level);
    expect(rig.limiter.level).toBeLessThan(512);
    const served = await ask(server, { headers: { baggage: 'evenkeel.cohort=0' } });
    const refused = await ask(server, { headers: { baggage: 'evenkeel.criticality=sheddable,evenkeel.cohort=127' } });
    expect([served.status, served.headers['evenkeel-admission-level']]).toEqual([200, level]);
    expect([refused.status, refused.headers['evenkeel-admission-level']]).toEqual([503, level]);
    const late = await ask(server, { headers: { 'evenkeel-timeout-ms': '0' } });
    expect([late.status, late.headers['evenkeel-admission-level']]).toEqual([504, level]);
  });

  it('lets requests that are skipped through while it is full, and counts them nowhere', async () => {
    const { limiter } = limiterRig({ queue: false });
    await using server = await limitedServer(kind, limiter, hello, { skipPath: '/healthz' });
    using _held = limiter.tryAcquire();
    expect((await ask(server, { path: '/healthz' })).status).toBe(200);
    expect((await ask(server, { path: '/other' })).status).toBe(503);
    expect(limiter.snapshot().admitted.critical).toBe(1);
  });

  it('finishes those in flight in a drain, and sends the others elsewhere', async () => {
    const { limiter } = limiterRig();
    let response: ServerResponse | undefined;
    await using server = await limitedServer(kind, limiter, (_request, answer) => {
      response = answer;
    });
    const first = ask(server);
    await eventually('the handler has it', () => response !== undefined);
    let isDrained = false;
    const drained = limiter.drain().then(() => {
      isDrained = true;
    });
    const agent = new Agent({ keepAlive: true });
    const { headers, status } = await ask(server, { agent });
    expect([status, headers['evenkeel-rejected'], headers.connection, isDrained]).toEqual([503, '1', 'close', false]);
    response?.end('whole');
    expect((await first).body).toBe('whole');
    await drained;
    agent.destroy();
  });

  it('goes on without a function of its options that throws', async () => {
    const { limiter } = limiterRig();
    await using server = await limitedServer(kind, limiter, hello, {
      trusted: () => {
        throw new Error('broken judge');
      },
    });
    expect((await ask(server, { headers: { baggage: 'evenkeel.criticality=critical-plus' } })).status).toBe(200);
    expect(limiter.snapshot().admitted).toMatchObject({ critical: 1, 'critical-plus': 0 });
  });

  it('does not serve requests that were sent ahead on a connection that is lost', async () => {
    const { limiter } = limiterRig();
    let handled = 0;
    await using server = await limitedServer(kind, limiter, () => {
      handled++;
    });
    const socket = connect(Number(new URL(server.address).port), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(30));
    await eventually('one is served, the others wait', () => handled === 1 && limiter.queued === 29);
    socket.destroy();
    await eventually('all are gone', () => limiter.inFlight === 0 && limiter.queued === 0);
    expect(handled).toBe(1);
  });
});

describe('a request that waited', () => {
  const asked = new AsyncLocalStorage<string | undefined>();

  it.each(['node:http', 'express'])('runs in its own asynchronous context, not in that of the one before (%s)', async (kind) => {
    const { limiter } = limiterRig();
    const seen: [string | undefined, string | undefined][] = [];
    const releases: (() => void)[] = [];
    const handler: RawHandler = ({ url }, response) => {
      seen.push([url, asked.getStore()]);
      releases.push(() => response.end());
    };
    const limited = httpLimiter(limiter)(handler);
    const app = express();
    app.use(expressLimiter(limiter), (request, response) => void handler(request, response, { criticality: 'critical' }));
    const listener = kind === 'express' ? app : limited;
    await using server = await httpServer((request, response) => asked.run(request.url, () => listener(request, response)));
    const first = ask(server, { path: '/1' });
    await eventually('one is served', () => seen.length === 1);
    const second = ask(server, { path: '/2' });
    await eventually('one waits', () => limiter.queued === 1);
    releases[0]?.();
    await first;
    await eventually('the next is served', () => seen.length === 2);
    releases[1]?.();
    await second;
    expect(seen).toEqual([
      ['/1', '/1'],
      ['/2', '/2'],
    ]);
  });
});

describe('a handler of node:http whose caller has gone', () => {
  it('keeps its permit for half a minute at most', async () => {
    const { clock, limiter } = limiterRig();
    let isClosed = false;
    await using server = await limitedServer('node:http', limiter, (_request, response) => {
      response.once('close', () => {
        isClosed = true;
      });
      return new Promise(() => {});
    });
    const { answer, leave } = asking(server);
    answer.catch(() => {});
    await eventually('it is being served', () => limiter.inFlight === 1);
    await eventually('its head is read', () => server.parsed() === 1);
    leave();
    await eventually('the handler could know', () => isClosed);
    await clock.advance(29_999);
    expect(limiter.inFlight).toBe(1);
    await clock.advance(1);
    expect(limiter.inFlight).toBe(0);
  });
});
