/** What each framework does of its own behind its door: errors, parsers, hooks, scopes, HTTP/2. */
import { once } from 'node:events';
import { connect, createServer, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { callContextOf, expressLimiter, fastifyLimiter, httpLimiter } from 'evenkeel/limiter';
import express, { type Request as ExpressRequest } from 'express';
import fastify, { type FastifyRequest } from 'fastify';
import { describe, expect, it } from 'vitest';
import { eventually, httpServer } from '../support/http-servers.js';
import { ask, asking, limiterRig } from '../support/limiter-doors.js';

const JSON_TYPE = { 'content-type': 'application/json' };

describe('node:http', () => {
  it.each([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
  ])('answers 500 for a handler that %s, and counts an error', async (_what, broken) => {
    const { limiter, windows } = limiterRig();
    const handlers = [broken, (_request: unknown, response: { end(): void }) => response.end()];
    await using server = await httpServer(
      httpLimiter(limiter)((request, response) => (handlers.shift() as (...args: unknown[]) => unknown)(request, response)),
    );
    for (const status of [500, 200]) {
      expect((await ask(server)).status).toBe(status);
      await eventually('the permit is back', () => limiter.inFlight === 0);
    }
    expect(windows).toEqual([{ ended: 2, failed: 1, dropped: 0, retryAfterMs: 0 }]);
  });

  it('breaks off an answer whose handler throws in the middle of it', async () => {
    const { limiter } = limiterRig();
    await using server = await httpServer(
      httpLimiter(limiter)((_request, response) => {
        response.write('half');
        throw new Error('broken');
      }),
    );
    await expect(ask(server)).rejects.toThrow();
    await eventually('the permit is back', () => limiter.inFlight === 0);
  });

  it('runs a handler that waited and throws without harm to the request that made room', async () => {
    const { limiter } = limiterRig();
    await using server = await httpServer(
      httpLimiter(limiter)(({ url }, response) => {
        if (url === '/broken') throw new Error('broken');
        response.end('whole');
      }),
    );
    const held = limiter.tryAcquire();
    const broken = ask(server, { path: '/broken' });
    await eventually('it waits', () => limiter.queued === 1);
    expect(() => held?.end()).not.toThrow();
    expect([(await broken).status, (await ask(server)).body]).toEqual([500, 'whole']);
  });

  it('serves the HTTP/2 compatibility API, unread bodies and callers that leave included', async () => {
    const { limiter } = limiterRig({ queue: { maxQueued: 1 } });
    const server = createServer(
      {},
      httpLimiter(limiter)((_request, response) => response.end('hello')) as unknown as Parameters<typeof createServer>[1],
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const post = (path: string, length: number) => {
      const stream = client.request({ ':path': path, ':method': 'POST' });
      stream.on('error', () => {}).end(Buffer.alloc(length));
      const answer = new Promise<[status: unknown, retryAfter: unknown]>((resolve) => {
        stream.on('response', (headers: IncomingHttpHeaders) => {
          resolve([headers[':status'], headers['retry-after']]);
        });
      });
      stream.resume();
      return { stream, answer };
    };
    expect(await post('/', 10).answer).toEqual([200, undefined]);
    await eventually('the permit is back', () => limiter.inFlight === 0);
    const held = limiter.tryAcquire();
    const waiting = post('/waiting', 10);
    await eventually('it waits', () => limiter.queued === 1);
    waiting.stream.close(8);
    await eventually('it left', () => limiter.queued === 0);
    const filler = limiter.acquire({ criticality: 'critical-plus' });
    for (let i = 0; i < 5; i++) expect(await post('/', 1_000_000).answer).toEqual([503, '1']);
    held?.end();
    (await filler).end();
    expect(await post('/', 10).answer).toEqual([200, undefined]);
    await eventually('the permit is back', () => limiter.inFlight === 0);
    client.destroy();
    server.close();
  });
});

describe('express', () => {
  it('refuses before express.json() has seen the body, and lets it parse what is admitted', async () => {
    const { limiter } = limiterRig({ queue: false });
    const app = express();
    app.use(expressLimiter(limiter));
    app.use(express.json());
    app.post('/', (request, response) => void response.json({ got: request.body, by: callContextOf(request).criticality }));
    await using server = await httpServer(app);
    const malformed = { headers: JSON_TYPE, body: Buffer.from('{ no json') };
    const held = limiter.tryAcquire();
    expect((await ask(server, malformed)).status).toBe(503);
    held?.end();
    expect((await ask(server, malformed)).status).toBe(400);
    await eventually('the permit is back', () => limiter.inFlight === 0);
    const { body } = await ask(server, { headers: JSON_TYPE, body: Buffer.from('{"a":1}') });
    expect(JSON.parse(body)).toEqual({ got: { a: 1 }, by: 'critical' });
  });

  it('admits nobody who left while something before the door took its time', async () => {
    const { limiter } = limiterRig();
    const app = express();
    let arrived = 0;
    let goOn: (() => void) | undefined;
    let handled = 0;
    app.use((_request, response, next) => {
      arrived++;
      response.once('close', () => {
        goOn = next;
      });
    });
    app.use(expressLimiter(limiter), (_request, response) => {
      handled++;
      response.end();
    });
    await using server = await httpServer(app);
    const { answer, leave } = asking(server);
    answer.catch(() => {});
    await eventually('it is there', () => arrived === 1);
    leave();
    await eventually('it left', () => goOn !== undefined);
    goOn?.();
    expect([handled, limiter.inFlight, limiter.queued]).toEqual([0, 0, 0]);
  });

  it.each(['throws', 'rejects'])('leaves a handler that %s to Express, and counts an error', async (what) => {
    const { limiter, windows } = limiterRig();
    const app = express();
    app.use(expressLimiter(limiter));
    app.get('/broken', () => {
      if (what === 'throws') throw new Error('broken');
      return Promise.reject(new Error('broken'));
    });
    app.get('/', (_request, response) => void response.send('whole'));
    app.use((error: Error, _request: unknown, response: express.Response, _next: unknown) => {
      response.status(500).send(`by express: ${error.message}`);
    });
    await using server = await httpServer(app);
    expect(await ask(server, { path: '/broken' })).toMatchObject({ status: 500, body: 'by express: broken' });
    await eventually('the permit is back', () => limiter.inFlight === 0);
    await ask(server);
    await eventually('the window is over', () => windows.length === 1);
    expect(windows).toEqual([{ ended: 2, failed: 1, dropped: 0, retryAfterMs: 0 }]);
  });

  it('limits one route, by weights and partitions that are read from its own requests', async () => {
    const { limiter } = limiterRig({ queue: { maxQueued: 1 }, partitions: { gold: 0.5 } });
    const app = express();
    const weights: number[] = [];
    const limited = expressLimiter(limiter, {
      weightOf: (request: ExpressRequest) => Number(request.query.tokens),
      partitionOf: ({ query }) => String(query.plan),
    });
    app.get('/tokens', limited, (_request, response) => {
      weights.push(limiter.weight, limiter.snapshot().partitions.find(({ name }) => name === 'gold')?.weight ?? 0);
      response.end();
    });
    app.get('/free', (_request, response) => void response.end());
    await using server = await httpServer(app);
    expect((await ask(server, { path: '/tokens?tokens=40&plan=gold' })).status).toBe(200);
    await eventually('the permit is back', () => limiter.inFlight === 0);
    using _held = limiter.tryAcquire();
    const waiting = limiter.acquire({ criticality: 'critical-plus' });
    expect((await ask(server, { path: '/tokens?tokens=1' })).status).toBe(503);
    expect((await ask(server, { path: '/free' })).status).toBe(200);
    expect(weights).toEqual([40, 40]);
    await limiter.close();
    await expect(waiting).rejects.toMatchObject({ code: 'failed-precondition' });
  });
});

describe('fastify', () => {
  it('limits all routes of its instance and those within, and none outside', async () => {
    const { limiter } = limiterRig({ queue: false });
    await using app = fastify();
    await app.register(async (inside) => {
      await inside.register(fastifyLimiter(limiter, { userOf: (request: FastifyRequest) => request.ip }));
      inside.get('/inside', async () => 'x');
      await inside.register(async (deeper) => {
        deeper.get('/deeper', async () => 'x');
      });
    });
    app.get('/outside', async () => 'x');
    using _held = limiter.tryAcquire();
    const statusOf = async (path: string) => (await app.inject(path)).statusCode;
    expect([await statusOf('/inside'), await statusOf('/deeper'), await statusOf('/outside')]).toEqual([503, 503, 200]);
  });

  it('refuses before the body is parsed, by a reply that hooks see', async () => {
    const { limiter } = limiterRig({ queue: false });
    await using app = fastify();
    const sent: number[] = [];
    await app.register(fastifyLimiter(limiter));
    app.addHook('onSend', async (_request, reply) => {
      reply.header('x-hook', 'seen');
    });
    app.addHook('onResponse', async (_request, reply) => {
      sent.push(reply.statusCode);
    });
    app.post('/', async (request) => ({ got: request.body, by: callContextOf(request).criticality }));
    const server = { address: await app.listen({ port: 0, host: '127.0.0.1' }) };
    const malformed = { headers: JSON_TYPE, body: Buffer.from('{ no json') };
    const held = limiter.tryAcquire();
    const refused = await ask(server, malformed);
    held?.end();
    expect([refused.status, refused.headers['x-hook']]).toEqual([503, 'seen']);
    expect((await ask(server, malformed)).status).toBe(400);
    await eventually('the permit is back', () => limiter.inFlight === 0);
    const { body } = await ask(server, { headers: JSON_TYPE, body: Buffer.from('{"a":1}') });
    expect(JSON.parse(body)).toEqual({ got: { a: 1 }, by: 'critical' });
    await eventually('hooks have run', () => sent.length === 3);
    expect(sent).toEqual([503, 400, 200]);
  });

  it('leaves a handler that throws to Fastify, and counts an error', async () => {
    const { limiter, windows } = limiterRig();
    await using app = fastify();
    await app.register(fastifyLimiter(limiter));
    app.get('/broken', async () => {
      throw new Error('broken');
    });
    app.get('/', async () => 'whole');
    const server = { address: await app.listen({ port: 0, host: '127.0.0.1' }) };
    const answer = await ask(server, { path: '/broken' });
    expect([answer.status, JSON.parse(answer.body).message]).toEqual([500, 'broken']);
    await eventually('the permit is back', () => limiter.inFlight === 0);
    await ask(server);
    await eventually('the window is over', () => windows.length === 1);
    expect(windows).toEqual([{ ended: 2, failed: 1, dropped: 0, retryAfterMs: 0 }]);
  });

  it('gives back the permits of injected requests', async () => {
    const { limiter } = limiterRig();
    await using app = fastify();
    await app.register(fastifyLimiter(limiter));
    app.get('/', async () => 'whole');
    for (let i = 0; i < 5; i++) {
      expect((await app.inject('/')).body).toBe('whole');
      await eventually('the permit is back', () => limiter.inFlight === 0);
    }
  });
});
