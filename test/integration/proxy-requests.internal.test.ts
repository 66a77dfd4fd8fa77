/** Requests through the proxy: streamed or read first, within their limits, repeated where that is safe. */
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2, constants } from 'node:http2';
import { Readable } from 'node:stream';
import * as undici from 'undici';
import { describe, expect, it } from 'vitest';
import { deadAddress, eventually, httpServer, rawServer } from '../support/http-servers.js';
import { configOf, http2Client, pieces, proxied, rawClient, stalled } from '../support/proxied.internal.js';

const MIB = 1024 * 1024;

describe('a request that streams', () => {
  it('reaches the server piece by piece, held up when the server reads slowly', async () => {
    let received = 0;
    let request: IncomingMessage | undefined;
    await using server = await httpServer((incoming, response) => {
      request = incoming;
      incoming.once('data', (first: Buffer) => {
        received += first.length;
        incoming.pause();
      });
      incoming.on('end', () => response.end(String(received)));
    });
    await using front = await proxied(configOf([server.address]));
    let sent = 0;
    const answer = undici.request(front.origin, {
      method: 'POST',
      body: Readable.from(
        pieces(768, 65_536, () => {
          sent += 65_536;
        }),
      ),
    });
    await stalled(() => (received > 0 ? sent : 0));
    expect(sent).toBeLessThan(32 * MIB);
    request?.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    request?.resume();
    expect(await (await answer).body.text()).toBe(String(768 * 65_536));
  });

  it('is answered 413 when it is said to be too large, and when it turns out to be', async () => {
    let isWhole = false;
    await using server = await httpServer((request, response) => {
      request.resume();
      request.on('end', () => {
        isWhole = true;
        response.end('whole');
      });
    });
    await using front = await proxied(configOf([server.address], { limits: { maxBodyBytes: 100_000 } }));
    const said = await undici.request(front.origin, { method: 'POST', body: Buffer.alloc(200_000) });
    expect([said.statusCode, await said.body.json()]).toEqual([
      413,
      { code: 'out-of-range', message: 'the body of the request is too large' },
    ]);
    // One connection, so that the answer is seen while the rest is still being sent.
    using raw = await rawClient(front.port, 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    const chunk = `8000\r\n${'x'.repeat(0x8000)}\r\n`;
    for (let i = 0; i < 8; i++) raw.socket.write(chunk);
    await eventually('the answer', () => raw.received.startsWith('HTTP/1.1 413 '));
    // Whoever ends the body has a connection for the next request.
    raw.socket.write('0\r\n\r\nPOST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx');
    await eventually('the next answer', () => raw.received.endsWith('whole'));
    isWhole = false;
    await using client = http2Client(front.origin);
    const answer = await client.request({ ':path': '/', ':method': 'POST' }, 'x'.repeat(150_000));
    expect(answer.status).toBe(413);
    expect(isWhole).toBe(false);
  });

  it('is answered 400 when its chunks are none, and broken off when an answer has begun', async () => {
    await using server = await httpServer((request, response) => {
      request.on('error', () => {});
      if (request.url === '/early') response.write('begin');
    });
    await using front = await proxied(configOf([server.address]));
    const head = (path: string) => `POST ${path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n`;
    using late = await rawClient(front.port, `${head('/late')}nonsense\r\n`);
    await eventually('it is closed', () => late.isClosed);
    expect(late.received).toMatch(/^HTTP\/1\.1 400 /);
    using early = await rawClient(front.port, head('/early'));
    await eventually('it has begun', () => early.received.includes('begin'));
    early.socket.write('nonsense\r\n');
    await eventually('it is closed', () => early.isClosed);
    expect(early.received).not.toContain('400');
    await eventually('nothing is in flight', () => front.proxy.health().inFlight === 0);
  });

  it('loses its connection when it goes on and on after a 413', async () => {
    await using server = await httpServer((request) => request.resume());
    await using front = await proxied(configOf([server.address], { limits: { maxBodyBytes: 1000 } }));
    using raw = await rawClient(front.port, 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    const chunk = `800\r\n${'x'.repeat(0x800)}\r\n`;
    await eventually('it is closed', () => {
      if (raw.socket.writable) raw.socket.write(chunk);
      return raw.isClosed;
    });
    expect(raw.received).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('that waits for leave to send its body gets it, or 413 at once', async () => {
    await using server = await httpServer((request, response) => void request.pipe(response));
    await using front = await proxied(configOf([server.address], { limits: { maxBodyBytes: 10 } }));
    using good = await rawClient(front.port, 'PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n');
    await eventually('leave', () => good.received === 'HTTP/1.1 100 Continue\r\n\r\n');
    good.socket.write('ok');
    await eventually('the answer', () => good.received.includes('ok'));
    using bad = await rawClient(front.port, 'PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\nexpect: 100-continue\r\n\r\n');
    await eventually('the refusal', () => bad.received.startsWith('HTTP/1.1 413 '));
  });

  it('is not taken for whole by the server when its caller breaks off', async () => {
    const ends: string[] = [];
    let arrived = 0;
    await using server = await httpServer((request, response) => {
      request.on('error', () => {});
      request.on('end', () => {
        ends.push('whole');
        response.end();
      });
      request.on('close', () => ends.push(request.complete ? 'complete' : 'broken'));
      request.on('data', () => arrived++);
    });
    await using front = await proxied(configOf([server.address]));
    using raw = await rawClient(front.port, 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await eventually('it is there', () => arrived === 1);
    raw.socket.resetAndDestroy();
    await eventually('the server knows', () => ends.length === 1);
    // Node's own client ends a stream before it resets it.
    const session = connectHttp2(front.origin);
    const stream = session.request({ ':path': '/', ':method': 'POST' });
    stream.on('error', () => {});
    stream.write('hello');
    await eventually('it is there', () => arrived === 2);
    stream.close(constants.NGHTTP2_CANCEL);
    await eventually('the server knows', () => ends.length === 2);
    session.destroy();
    expect(ends).toEqual(['broken', 'broken']);
  });
});

describe('a request of stated length up to maxBufferedBytes', () => {
  it('is tried elsewhere though a server broke off', async () => {
    await using bad = await rawServer((socket) => socket.destroy());
    await using good = await httpServer((request, response) => void request.pipe(response));
    const config = configOf([bad.address, good.address], { limits: { maxBufferedBytes: 1000 } }, { picker: 'round-robin' });
    await using front = await proxied(config);
    const put = (body: string) => undici.request(front.origin, { method: 'PUT', body });
    for (let i = 0; i < 4; i++) expect(await (await put('short')).body.text()).toBe('short');
  });

  it('is answered 502 when it is longer, and was read from', async () => {
    await using bad = await rawServer((socket) => setTimeout(() => socket.destroy(), 20));
    await using front = await proxied(configOf([bad.address], { limits: { maxBufferedBytes: 0 } }));
    const { statusCode, headers, body } = await undici.request(front.origin, { method: 'PUT', body: 'short' });
    expect([statusCode, headers['evenkeel-rejected']]).toEqual([502, undefined]);
    expect(await body.json()).toEqual({ code: 'unavailable', message: 'no server could be reached, or it broke off' });
  });

  it('is tried elsewhere though it streams, when no server was reached', async () => {
    const dead = await deadAddress();
    await using good = await httpServer((request, response) => void request.pipe(response));
    const config = configOf([dead, good.address], { limits: { maxBufferedBytes: 0 } }, { picker: 'round-robin' });
    await using front = await proxied(config);
    for (let i = 0; i < 4; i++) {
      const { statusCode, body } = await undici.request(front.origin, { method: 'POST', body: 'x' });
      expect([statusCode, await body.text()]).toEqual([200, 'x']);
    }
  });

  it('is answered 408 when it does not come', async () => {
    await using server = await httpServer((_request, response) => response.end());
    await using front = await proxied(configOf([server.address], { limits: { requestTimeoutMs: 100 } }));
    using raw = await rawClient(front.port, 'PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\nhello');
    await eventually('the refusal', () => raw.received.startsWith('HTTP/1.1 408 '));
    await eventually('it is closed', () => raw.isClosed);
  });
});

describe('the head of a request', () => {
  it('is answered 431 when it is larger than maxHeaderBytes, over both protocols', async () => {
    await using server = await httpServer((_request, response) => response.end('x'));
    await using front = await proxied(
      configOf([server.address], { listen: { addresses: ['127.0.0.1:0'], maxHeaderBytes: 2048 } }),
    );
    const large = { 'x-large': 'x'.repeat(3000) };
    const one = await undici.request(front.origin, { headers: large });
    expect([one.statusCode, ((await one.body.json()) as { code: string }).code]).toEqual([431, 'out-of-range']);
    await using client = http2Client(front.origin);
    expect((await client.request({ ':path': '/', ...large })).status).toBe(431);
    expect((await client.request({ ':path': '/' })).status).toBe(200);
    await expect(client.request({ ':path': '/', 'x-huge': 'x'.repeat(200_000) })).rejects.toThrow();
    expect((await fetch(front.origin)).status).toBe(200);
  });
});
