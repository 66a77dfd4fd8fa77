/** Both protocols on one port, and what is neither of them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as undici from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, httpServer, type TestServer } from '../support/http-servers.js';
import { configOf, http2Client, proxied, rawClient } from '../support/proxied.internal.js';

let server: TestServer;
beforeAll(async () => {
  server = await httpServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    response.setHeader('set-cookie', ['a=1', 'b=2']);
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body }));
  });
});
afterAll(() => server.close());

describe('one port of the proxy', () => {
  it('answers fetch, undici and http2 clients alike', async () => {
    await using front = await proxied(configOf([server.address]));
    const init = { method: 'POST', body: 'hello', headers: { 'x-mine': '1' } };
    const fetched = (await fetch(`${front.origin}/a?q=1`, init).then((response) => response.json())) as Record<string, unknown>;
    const requested = (await undici
      .request(`${front.origin}/a?q=1`, { ...init, method: 'POST' })
      .then(({ body }) => body.json())) as Record<string, unknown>;
    await using client = http2Client(front.origin);
    const answer = await client.request({ ':path': '/a?q=1', ':method': 'POST', 'x-mine': '1' }, 'hello');
    const second = JSON.parse(answer.text);
    for (const seen of [fetched, requested, second]) {
      expect(seen).toMatchObject({ method: 'POST', url: '/a?q=1', body: 'hello' });
      expect(seen.headers).toMatchObject({ 'x-mine': '1', host: `127.0.0.1:${front.port}` });
    }
    expect((fetched.headers as Record<string, string>).via).toBe('1.1 evenkeel');
    expect(second.headers.via).toBe('2 evenkeel');
    expect(answer.headers.via).toBe('1.1 evenkeel');
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
  });

  it('keeps a connection for the next request, of either protocol', async () => {
    await using front = await proxied(configOf([server.address]));
    using raw = await rawClient(front.port, 'GET /1 HTTP/1.1\r\nhost: x\r\n\r\n');
    await eventually('the first answer', () => raw.received.includes('"url":"/1"'));
    raw.socket.write('GET /2 HTTP/1.1\r\nhost: x\r\n\r\n');
    await eventually('the second answer', () => raw.received.includes('"url":"/2"'));
    await using client = http2Client(front.origin);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => client.request({ ':path': `/${i}` })));
    expect(answers.map(({ text }) => JSON.parse(text).url)).toEqual(answers.map((_, i) => `/${i}`));
  });

  it('answers requests that were sent ahead, in their order', async () => {
    await using front = await proxied(configOf([server.address]));
    using raw = await rawClient(front.port, 'GET /1 HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\n');
    await eventually('both answers', () => raw.received.includes('"url":"/2"'));
    expect(raw.received.indexOf('"url":"/1"')).toBeLessThan(raw.received.indexOf('"url":"/2"'));
  });

  it('knows the protocol when the first bytes come one by one', async () => {
    await using front = await proxied(configOf([server.address]));
    using raw = await rawClient(front.port);
    raw.socket.setNoDelay(true);
    // The preface and empty settings: the server answers with its own, whose frame has type 4.
    const bytes = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]);
    for (const byte of bytes) {
      await new Promise<void>((resolve) => raw.socket.write(Uint8Array.of(byte), () => resolve()));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually('settings', () => raw.received.charCodeAt(3) === 4);
    using other = await rawClient(front.port, 'P');
    await new Promise((resolve) => setImmediate(resolve));
    other.socket.write('UT / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx');
    await eventually('an answer', () => other.received.includes('"method":"PUT"'));
  });

  it('answers 400 to garbage, and closes', async () => {
    await using front = await proxied(configOf([server.address]));
    using text = await rawClient(front.port, 'what is this\r\n\r\n');
    await eventually('it is closed', () => text.isClosed);
    expect(text.received).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(text.received).toContain('{"code":"invalid-argument","message":"this is not HTTP"}');
    using binary = await rawClient(
      front.port,
      Uint8Array.from({ length: 512 }, (_, i) => (i * 37) & 255),
    );
    await eventually('it is closed', () => binary.isClosed);
    using half = await rawClient(front.port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nbut then no frames at all, only words');
    await eventually('it is closed', () => half.isClosed);
    expect((await fetch(front.origin)).status).toBe(200);
  });

  it('closes connections that say nothing, or half a head, and keeps those that idle within their time', async () => {
    await using front = await proxied(
      configOf([server.address], { listen: { addresses: ['127.0.0.1:0'], headersTimeoutMs: 200, idleTimeoutMs: 5000 } }),
    );
    using silent = await rawClient(front.port);
    using half = await rawClient(front.port, 'GET / HTTP/1.1\r\nhost: x\r\n');
    using preface = await rawClient(front.port, 'PRI * HT');
    await eventually('all are closed', () => silent.isClosed && half.isClosed && preface.isClosed);
    expect(silent.received).toBe('');
    expect(half.received).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('closes idle connections of both protocols after idleTimeoutMs', async () => {
    await using front = await proxied(configOf([server.address], { listen: { addresses: ['127.0.0.1:0'], idleTimeoutMs: 100 } }));
    using raw = await rawClient(front.port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await using client = http2Client(front.origin);
    await client.request({ ':path': '/' });
    await eventually('the http1 connection is closed', () => raw.isClosed);
    await eventually('the http2 connection is closed', () => client.session.closed || client.session.destroyed);
  });

  it('lets a client go that closes its half before it has said anything, or in the middle of a head', async () => {
    await using front = await proxied(configOf([server.address]));
    using silent = await rawClient(front.port);
    silent.socket.end();
    using half = await rawClient(front.port, 'GET / HT');
    half.socket.end();
    await eventually('both are closed', () => silent.isClosed && half.isClosed);
  });

  it('takes absolute targets by their own host, and refuses what is no path', async () => {
    const config = configOf([server.address], { routes: [{ host: 'right.test', service: 'main' }] });
    await using front = await proxied(config);
    const statusOf = async (target: string) => {
      using raw = await rawClient(front.port, `GET ${target} HTTP/1.1\r\nhost: right.test\r\nconnection: close\r\n\r\n`);
      await eventually('it is closed', () => raw.isClosed);
      return Number(/^HTTP\/1\.1 (\d+)/.exec(raw.received)?.[1]);
    };
    expect(await statusOf('/x')).toBe(200);
    expect(await statusOf('http://right.test:80/x')).toBe(200);
    expect(await statusOf('http://wrong.test/x')).toBe(404);
    expect(await statusOf('/a/../b')).toBe(400);
    expect(await statusOf('/a/%2e%2e/b')).toBe(400);
    expect(await statusOf('*')).toBe(400);
  });

  it('listens at a unix socket, and replaces one that a killed process left', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
    try {
      const path = join(folder, 'proxy.sock');
      const config = configOf([server.address], { listen: { addresses: [`unix:${path}`, '127.0.0.1:0'] } });
      await using front = await proxied(config);
      expect(front.proxy.addresses).toHaveLength(2);
      const client = new undici.Client('http://localhost', { socketPath: path });
      const { statusCode, body } = await client.request({ path: '/x', method: 'GET' });
      expect([statusCode, ((await body.json()) as { url: string }).url]).toEqual([200, '/x']);
      await client.destroy();
      await expect(proxied(config)).rejects.toMatchObject({ code: 'already-exists' });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('closes connections beyond maxConnections as they come', async () => {
    await using front = await proxied(configOf([server.address], { listen: { addresses: ['127.0.0.1:0'], maxConnections: 1 } }));
    using first = await rawClient(front.port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await eventually('it is answered', () => first.received.includes('200 OK'));
    using second = await rawClient(front.port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await eventually('it is closed', () => second.isClosed);
    expect([second.received, first.isClosed]).toEqual(['', false]);
  });

  it('says who is in its place', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    const config = configOf([server.address], { listen: { addresses: [`127.0.0.1:${port}`] } });
    await expect(proxied(config)).rejects.toMatchObject({
      code: 'already-exists',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    await new Promise((resolve) => other.close(resolve));
  });
});
