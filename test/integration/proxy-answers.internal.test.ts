/** Answers through the proxy: streamed, no faster than they are read, with their trailers, never cut without a word. */
import type { ServerResponse } from 'node:http';
import * as undici from 'undici';
import { describe, expect, it } from 'vitest';
import { eventually, httpServer } from '../support/http-servers.js';
import { configOf, http2Client, pieces, proxied, rawClient, stalled } from '../support/proxied.internal.js';

const MIB = 1024 * 1024;

describe('an answer that streams', () => {
  it('goes out piece by piece, its head ahead of the first', async () => {
    let response: ServerResponse | undefined;
    await using server = await httpServer((_request, answer) => {
      response = answer;
      answer.flushHeaders();
    });
    await using front = await proxied(configOf([server.address]));
    for (const protocol of ['http1', 'http2']) {
      await using client = http2Client(front.origin);
      let text = '';
      let isHere = false;
      if (protocol === 'http1') {
        const { body } = await undici.request(front.origin);
        isHere = true;
        body.on('data', (chunk) => {
          text += chunk;
        });
      } else {
        const stream = client.session.request({ ':path': '/' });
        stream.on('response', () => {
          isHere = true;
        });
        stream.on('data', (chunk) => {
          text += chunk;
        });
      }
      await eventually('the head', () => isHere);
      response?.write('one');
      await eventually('one', () => text === 'one');
      response?.end('two');
      await eventually('two', () => text === 'onetwo');
    }
  });

  it('holds its server up when the caller reads slowly, in bounded memory', async () => {
    const total = 96 * MIB;
    let written = 0;
    await using server = await httpServer(async (_request, response) => {
      for await (const piece of pieces(total / 65_536, 65_536)) {
        written += piece.length;
        if (!response.write(piece)) await new Promise((resolve) => response.once('drain', resolve));
      }
      response.end();
    });
    await using front = await proxied(configOf([server.address]));
    const { body } = await undici.request(front.origin);
    // Not read. What the systems and the pipes between hold is a few MiB.
    await stalled(() => written);
    expect(written).toBeLessThan(32 * MIB);
    let read = 0;
    for await (const chunk of body) read += (chunk as Buffer).length;
    expect(read).toBe(total);
  });

  it('holds its server up over http2, too', async () => {
    let written = 0;
    await using server = await httpServer(async (_request, response) => {
      for await (const piece of pieces(1024, 65_536)) {
        written += piece.length;
        if (!response.write(piece)) await new Promise((resolve) => response.once('drain', resolve));
      }
      response.end();
    });
    await using front = await proxied(configOf([server.address]));
    await using client = http2Client(front.origin);
    const stream = client.session.request({ ':path': '/' });
    await stalled(() => written);
    expect(written).toBeLessThan(32 * MIB);
    let read = 0;
    for await (const chunk of stream) read += chunk.length;
    expect(read).toBe(64 * MIB);
  });

  it('is broken off at the deadline when its caller does not read, whether its server is done or not', async () => {
    await using server = await httpServer((request, response) => {
      response.write(Buffer.alloc(request.url === '/long' ? 64 * MIB : 8 * MIB));
      response.end();
    });
    await using front = await proxied(configOf([server.address], { limits: { requestTimeoutMs: 300 } }));
    for (const path of ['/long', '/short']) {
      using raw = await rawClient(front.port, `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
      raw.socket.pause();
      await using client = http2Client(front.origin);
      const stream = client.session.request({ ':path': path });
      stream.on('error', () => {});
      await eventually('both are in flight', () => front.proxy.health().inFlight === 2);
      await eventually('neither is', () => front.proxy.health().inFlight === 0);
    }
  });

  it('ends with its trailers, over both protocols', async () => {
    await using server = await httpServer((_request, response) => {
      response.writeHead(200, { trailer: 'x-sum' });
      response.write('body');
      response.addTrailers({ 'x-sum': '42' });
      response.end();
    });
    await using front = await proxied(configOf([server.address]));
    const { body, trailers } = await undici.request(front.origin);
    await body.text();
    expect(trailers).toEqual({ 'x-sum': '42' });
    await using client = http2Client(front.origin);
    const answer = await client.request({ ':path': '/' });
    expect([answer.text, answer.trailers['x-sum']]).toEqual(['body', '42']);
    using old = await rawClient(front.port, 'GET / HTTP/1.0\r\n\r\n');
    await eventually('it is closed', () => old.isClosed);
    expect(old.received).toMatch(/\r\n\r\nbody$/);
  });

  it('has no body to HEAD, 204 and 304, and their headers', async () => {
    await using server = await httpServer((request, response) => {
      const status = request.url === '/' ? 200 : Number(request.url?.slice(1));
      response.writeHead(status, status === 200 ? { 'content-length': '5', etag: 'e' } : { etag: 'e' });
      response.end(status === 200 ? 'hello' : undefined);
    });
    await using front = await proxied(configOf([server.address]));
    await using client = http2Client(front.origin);
    for (const [method, path, status] of [
      ['HEAD', '/', 200],
      ['GET', '/204', 204],
      ['GET', '/304', 304],
    ] as const) {
      const one = await fetch(`${front.origin}${path}`, { method });
      expect([one.status, one.headers.get('etag'), await one.text()]).toEqual([status, 'e', '']);
      const two = await client.request({ ':path': path, ':method': method });
      expect([two.status, two.headers.etag, two.text]).toEqual([status, 'e', '']);
    }
    const head = await fetch(front.origin, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe('5');
  });
});
