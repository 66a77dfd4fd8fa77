/** What a caller of the proxy sees when something fails, and what a server sees when its caller leaves. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect as connectHttp2, constants } from 'node:http2';
import { createServer } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import * as undici from 'undici';
import { describe, expect, it } from 'vitest';
import { deadAddress, eventually, httpServer, rawServer } from '../support/http-servers.js';
import { configOf, http2Client, proxied, rawClient } from '../support/proxied.internal.js';

/** Of one request: status, the header that says nothing was sent, the body. */
async function refusalOf(origin: string, init: RequestInit = {}) {
  const response = await fetch(origin, init);
  const text = await response.text();
  return { status: response.status, rejected: response.headers.get('evenkeel-rejected'), body: JSON.parse(text), text };
}

describe('a caller that leaves', () => {
  it('ends the call to the server, before the answer and in the middle of it', async () => {
    let started = 0;
    let closed = 0;
    await using server = await httpServer((request, response) => {
      started++;
      response.on('close', () => closed++);
      if (request.url === '/streams') response.write('begin');
    });
    await using front = await proxied(configOf([server.address]));
    for (const path of ['/hangs', '/streams']) {
      using raw = await rawClient(front.port, `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
      const before = started;
      await eventually('it has begun', () => (path === '/hangs' ? started > 0 : raw.received.includes('begin')));
      raw.socket.destroy();
      await eventually('the server knows', () => closed >= started && started >= before);
    }
    expect([started, closed]).toEqual([2, 2]);
    const session = connectHttp2(front.origin);
    for (const path of ['/hangs', '/streams']) {
      const stream = session.request({ ':path': path });
      stream.on('error', () => {});
      const before = started;
      await eventually('it has begun', () => started > before);
      stream.close(constants.NGHTTP2_CANCEL);
      await eventually('the server knows', () => closed === before + 1);
    }
    const stream = session.request({ ':path': '/hangs' });
    stream.on('error', () => {});
    await eventually('it has begun', () => started === 5);
    session.destroy();
    await eventually('the server knows', () => closed === 5);
    await eventually('nothing is in flight', () => front.proxy.health().inFlight === 0);
  });

  it('by closing its half of the connection is taken as gone', async () => {
    let closed = 0;
    await using server = await httpServer((_request, response) => void response.on('close', () => closed++));
    await using front = await proxied(configOf([server.address]));
    using raw = await rawClient(front.port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await eventually('it is in flight', () => front.proxy.health().inFlight === 1);
    raw.socket.end();
    await eventually('the server knows', () => closed === 1);
  });

  it('with requests sent ahead takes all of them along', async () => {
    await using server = await httpServer(() => {});
    await using front = await proxied(configOf([server.address]));
    using raw = await rawClient(front.port, 'GET /1 HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(3));
    await eventually('all are in flight', () => front.proxy.health().inFlight === 3);
    raw.socket.destroy();
    await eventually('none is', () => front.proxy.health().inFlight === 0);
  });
});

describe('a server that breaks off in the middle of its answer', () => {
  it('never makes an answer that looks whole', async () => {
    await using server = await rawServer((socket, head) => {
      const framing = head.startsWith('GET /length') ? 'content-length: 100' : 'transfer-encoding: chunked';
      socket.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n5\r\nhello\r\n`);
      setTimeout(() => socket.destroy(), 30);
    });
    await using front = await proxied(configOf([server.address]));
    for (const path of ['/length', '/chunked']) {
      const { statusCode, body } = await undici.request(`${front.origin}${path}`);
      expect(statusCode).toBe(200);
      await expect(body.text()).rejects.toThrow();
      await using client = http2Client(front.origin);
      await expect(client.request({ ':path': path })).rejects.toThrow(/INTERNAL_ERROR/);
    }
  });
});

describe('a caller without an answer', () => {
  it('is told 502 when no server is reached, and that nothing was sent', async () => {
    await using front = await proxied(configOf([await deadAddress()]));
    const { status, rejected, body, text } = await refusalOf(front.origin, { method: 'POST', body: 'x' });
    expect([status, rejected]).toEqual([502, '1']);
    expect(body).toEqual({ code: 'unavailable', message: 'no server could be reached, or it broke off' });
    expect(text).not.toMatch(/127\.0\.0\.1|ECONN/);
  });

  it('is told 502 when the server speaks no HTTP', async () => {
    await using server = await rawServer((socket) => socket.end('SSH-2.0-none\r\n\r\n'));
    await using front = await proxied(configOf([server.address], {}, { retry: { maxAttempts: 1 } }));
    const { status, rejected, body } = await refusalOf(front.origin);
    expect([status, rejected, body.code]).toEqual([502, null, 'internal']);
  });

  it('is told 502 when its protocol cannot carry the answer', async () => {
    await using server = await rawServer((socket) => socket.end('HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n'));
    await using front = await proxied(configOf([server.address]));
    await using client = http2Client(front.origin);
    const { status, text } = await client.request({ ':path': '/' });
    expect([status, JSON.parse(text).code]).toEqual([502, 'internal']);
  });

  it('is told 503 at once when every server is full, and that nothing was sent', async () => {
    const held: ServerResponse[] = [];
    await using server = await httpServer((_request, response) => void held.push(response));
    await using front = await proxied(configOf([server.address], {}, { maxInFlightPerEndpoint: 1, maxQueued: 0 }));
    const first = fetch(front.origin);
    await eventually('it is there', () => held.length === 1);
    const { status, rejected, body } = await refusalOf(front.origin);
    expect([status, rejected, body.code]).toEqual([503, '1', 'resource-exhausted']);
    held[0]?.end('done');
    expect(await (await first).text()).toBe('done');
  });

  it('is told 404 without a route', async () => {
    await using server = await httpServer((_request, response) => response.end());
    await using front = await proxied(configOf([server.address], { routes: [{ pathPrefix: '/v1', service: 'main' }] }));
    const { status, rejected, body } = await refusalOf(`${front.origin}/v10`);
    expect([status, rejected, body.code]).toEqual([404, '1', 'not-found']);
    expect((await fetch(`${front.origin}/v1/x`)).status).toBe(200);
  });

  it('is told 508 when its request goes round and round', async () => {
    const place = createServer();
    place.listen(0, '127.0.0.1');
    await once(place, 'listening');
    const { port } = place.address() as { port: number };
    await new Promise((resolve) => place.close(resolve));
    await using front = await proxied(configOf([`http://127.0.0.1:${port}`], { listen: { addresses: [`127.0.0.1:${port}`] } }));
    expect((await refusalOf(front.origin)).status).toBe(508);
  });

  it('of gRPC is told UNIMPLEMENTED', async () => {
    await using server = await httpServer((_request, response) => response.end());
    await using front = await proxied(configOf([server.address]));
    const client = new grpc.Client(`127.0.0.1:${front.port}`, grpc.credentials.createInsecure());
    const identity = (bytes: Buffer) => bytes;
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      client.makeUnaryRequest('/pkg.Service/Method', identity, identity, Buffer.from('x'), resolve);
    });
    client.close();
    expect([error?.code, error?.details]).toEqual([12, 'gRPC cannot be passed on: it needs HTTP/2 to the server']);
    const { status } = await refusalOf(front.origin, {
      method: 'POST',
      body: 'x',
      headers: { 'content-type': 'application/grpc' },
    });
    expect(status).toBe(501);
    const web = await fetch(front.origin, { method: 'POST', body: 'x', headers: { 'content-type': 'application/grpc-web' } });
    expect(web.status).toBe(200);
  });
});

describe('deadline and criticality', () => {
  it('go on to the server, within what the proxy allows', async () => {
    await using server = await httpServer((request, response) => response.end(JSON.stringify(request.headers)));
    const seen = async (origin: string, headers: Record<string, string>) =>
      (await (await fetch(origin, { headers })).json()) as Record<string, string>;
    await using front = await proxied(configOf([server.address], { limits: { requestTimeoutMs: 5000 } }));
    const own = await seen(front.origin, { 'evenkeel-timeout-ms': '900' });
    expect(Number(own['evenkeel-timeout-ms'])).toBeGreaterThan(500);
    expect(Number(own['evenkeel-timeout-ms'])).toBeLessThanOrEqual(900);
    expect(Number((await seen(front.origin, { 'grpc-timeout': '2S' }))['evenkeel-timeout-ms'])).toBeLessThanOrEqual(2000);
    expect(Number((await seen(front.origin, {}))['evenkeel-timeout-ms'])).toBeGreaterThan(2000);
    expect((await seen(front.origin, { baggage: 'a=1,evenkeel.criticality=sheddable' })).baggage).toBe(
      'a=1,evenkeel.criticality=sheddable',
    );
    expect((await seen(front.origin, { baggage: 'evenkeel.criticality=critical-plus' })).baggage).toBeUndefined();
    await using trusting = await proxied(configOf([server.address], { trustCallers: true }));
    expect((await seen(trusting.origin, { baggage: 'evenkeel.criticality=critical-plus' })).baggage).toContain('critical-plus');
    expect((await refusalOf(front.origin, { headers: { 'evenkeel-timeout-ms': 'soon' } })).status).toBe(400);
  });

  it('is 504 when it passes, and the server is told', async () => {
    let closed = 0;
    await using server = await httpServer((_request, response) => void response.on('close', () => closed++));
    await using front = await proxied(configOf([server.address]));
    const { status, rejected, body } = await refusalOf(front.origin, { headers: { 'evenkeel-timeout-ms': '50' } });
    expect([status, rejected, body]).toEqual([504, null, { code: 'deadline-exceeded', message: 'no answer in time' }]);
    await eventually('the server knows', () => closed === 1);
  });
});

describe('headers', () => {
  it('of one connection stay there, both ways', async () => {
    let seen: NodeJS.Dict<string | string[]> = {};
    await using server = await httpServer((request, response) => {
      seen = request.headers;
      response.setHeader('connection', 'x-private');
      response.setHeader('x-private', '1');
      response.setHeader('proxy-connection', 'keep-alive');
      response.setHeader('x-public', '2');
      response.end('x');
    });
    await using front = await proxied(configOf([server.address]));
    using raw = await rawClient(
      front.port,
      'GET / HTTP/1.1\r\nhost: h.test\r\nconnection: close, x-secret\r\nx-secret: 1\r\nkeep-alive: 5\r\nte: trailers\r\nupgrade: x\r\nx-mine: 2\r\n\r\n',
    );
    await eventually('it is closed', () => raw.isClosed);
    expect(seen).toMatchObject({ host: 'h.test', 'x-mine': '2', via: '1.1 evenkeel' });
    for (const name of ['x-secret', 'keep-alive', 'te', 'upgrade', 'x-forwarded-for']) expect(seen).not.toHaveProperty(name);
    expect(raw.received).toContain('x-public: 2');
    expect(raw.received).not.toMatch(/x-private|proxy-connection/i);
  });

  it('tell the server of the caller, when asked to', async () => {
    await using server = await httpServer((request, response) => response.end(JSON.stringify(request.headers)));
    const seen = async (forwarded: string) => {
      await using front = await proxied(configOf([server.address], { forwarded }));
      const response = await fetch(front.origin, { headers: { 'x-forwarded-for': '10.0.0.1' } });
      return [front.port, (await response.json()) as Record<string, string>] as const;
    };
    expect((await seen('off'))[1]['x-forwarded-for']).toBe('10.0.0.1');
    expect((await seen('x-forwarded-for'))[1]['x-forwarded-for']).toBe('10.0.0.1, 127.0.0.1');
    const [port, headers] = await seen('forwarded');
    expect(headers.forwarded).toBe(`for=127.0.0.1;proto=http;host="127.0.0.1:${port}"`);
  });
});
