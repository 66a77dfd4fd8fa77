/** Servers that misbehave, on real sockets: for each a coded error, even counters, and nothing left open. */
import type { Socket } from 'node:net';
import { type ErrorCode, EvenkeelError, type Retryable } from 'evenkeel/core';
import type { RouterOptions, RouterRequest } from 'evenkeel/router';
import { describe, expect, it } from 'vitest';
import { deadAddress, eventually, httpServer, rawServer, resources, type TestServer } from '../support/http-servers.js';
import { liveRouter } from '../support/live-router.js';

const POST: RouterRequest = { path: '/x', method: 'POST', body: 'work' };
const OK = 'HTTP/1.1 200 OK\r\n';

async function errorOf(promise: Promise<unknown>): Promise<EvenkeelError> {
  const error: unknown = await promise.then(
    () => 'it succeeded',
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EvenkeelError);
  return error as EvenkeelError;
}

/** One call to one server; what became of it, after router, transport and server are gone and nothing of them is left. */
async function failsWith(
  server: TestServer,
  request: RouterRequest,
  options: Partial<RouterOptions> = {},
): Promise<EvenkeelError> {
  const before = resources();
  const live = liveRouter([server.address], { retry: false, ...options });
  const error = await errorOf(live.router.call(request).then((response) => response.bytes()));
  await live.balanced();
  expect(live.router.endpoints()).toMatchObject([{ inFlight: 0, weight: 0 }]);
  await live[Symbol.asyncDispose]();
  await eventually('the server has no connection left', async () => (await server.connections()) === 0);
  await server.close();
  await eventually('no socket is left', () => (resources().TCPSocketWrap ?? 0) <= (before.TCPSocketWrap ?? 0));
  await eventually('no timer is left', () => (resources().Timeout ?? 0) <= (before.Timeout ?? 0));
  return error;
}

describe('a server that', () => {
  const faults: [string, (socket: Socket) => void, ErrorCode, Retryable, Partial<RouterOptions>?][] = [
    ['closes before the head', (socket) => socket.end(), 'unavailable', 'unknown'],
    ['resets before the head', (socket) => socket.resetAndDestroy(), 'unavailable', 'unknown'],
    ['closes in the middle of the head', (socket) => socket.end(`${OK}content-le`), 'unavailable', 'unknown'],
    ['closes between head and body', (socket) => socket.end(`${OK}content-length: 10\r\n\r\n`), 'unavailable', 'unknown'],
    ['closes in the middle of the body', (socket) => socket.end(`${OK}content-length: 10\r\n\r\nhalf`), 'unavailable', 'unknown'],
    [
      'resets in the middle of the body',
      (socket) => {
        socket.write(`${OK}content-length: 10\r\n\r\nhalf`);
        setTimeout(() => socket.resetAndDestroy(), 20);
      },
      'unavailable',
      'unknown',
    ],
    [
      'closes in the middle of a chunked body',
      (socket) => socket.end(`${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`),
      'unavailable',
      'unknown',
    ],
    [
      'sends broken chunks',
      (socket) => socket.end(`${OK}transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n`),
      'internal',
      'unknown',
    ],
    ['never answers', () => {}, 'deadline-exceeded', 'unknown', { timeoutMs: 60 }],
    [
      'sends its first byte too late',
      (socket) => {
        setTimeout(() => socket.destroyed || socket.end(`${OK}content-length: 0\r\n\r\n`), 150);
      },
      'deadline-exceeded',
      'unknown',
      { firstByteTimeoutMs: 60 },
    ],
    [
      'answers after the deadline',
      (socket) => {
        setTimeout(() => socket.destroyed || socket.end(`${OK}content-length: 0\r\n\r\n`), 150);
      },
      'deadline-exceeded',
      'unknown',
      { timeoutMs: 60 },
    ],
    [
      'falls silent in the middle of the body',
      (socket) => void socket.write(`${OK}content-length: 10\r\n\r\nhalf`),
      'deadline-exceeded',
      'unknown',
      { idleTimeoutMs: 60 },
    ],
    [
      'drips past the deadline',
      (socket) => {
        socket.write(`${OK}content-length: 1000\r\n\r\n`);
        const timer = setInterval(() => socket.write('x'), 10);
        socket.once('close', () => clearInterval(timer));
      },
      'deadline-exceeded',
      'unknown',
      { timeoutMs: 100 },
    ],
    [
      'sends 10 MB of headers',
      (socket) => {
        socket.write(OK);
        for (let i = 0; i < 160; i++) socket.write(`x-${i}: ${'y'.repeat(65_000)}\r\n`);
        socket.end('\r\n');
      },
      'internal',
      'unknown',
    ],
    [
      'sends a million small headers',
      (socket) => {
        socket.write(OK);
        for (let i = 0; i < 100; i++) socket.write('a: b\r\n'.repeat(10_000));
        socket.end('\r\n');
      },
      'internal',
      'unknown',
    ],
    ['sends garbage', (socket) => socket.end('\u0000\u0001\u0002 what is this\r\n\r\n'), 'internal', 'unknown'],
    ['speaks another protocol', (socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n'), 'internal', 'unknown'],
    ['sends a broken content-length', (socket) => socket.end(`${OK}content-length: ten\r\n\r\n`), 'internal', 'unknown'],
    [
      'sends two content-lengths',
      (socket) => socket.end(`${OK}content-length: 1\r\ncontent-length: 2\r\n\r\nab`),
      'data-loss',
      'unknown',
    ],
    [
      'sends less than its content-length',
      (socket) => socket.end(`${OK}content-length: 10\r\nconnection: close\r\n\r\nshort`),
      'data-loss',
      'unknown',
    ],
    [
      'sends a body without end',
      (socket) => {
        socket.write(`${OK}transfer-encoding: chunked\r\n\r\n`);
        const piece = `10000\r\n${'x'.repeat(65_536)}\r\n`;
        const flood = () => {
          while (socket.writable && socket.write(piece));
        };
        socket.on('drain', flood);
        flood();
      },
      'out-of-range',
      'no',
      { maxResponseBytes: 1_000_000 },
    ],
  ];

  it.each(faults)('%s', async (_what, fault, code, retryable, options) => {
    const error = await failsWith(await rawServer(fault), POST, options);
    expect([error.code, error.retryable, error.attempts]).toEqual([code, retryable, 1]);
    expect(error.endpoint).toMatch(/^http:/);
    expect(error.message.length).toBeLessThan(500);
  });

  it('does not listen is left without a byte: any call goes elsewhere', async () => {
    const dead = await deadAddress();
    await using server = await httpServer((_request, response) => response.end('fine'));
    await using live = liveRouter([dead, server.address]);
    for (let i = 0; i < 20; i++) expect(await (await live.router.call(POST)).text()).toBe('fine');
    await using alone = liveRouter([dead]);
    const error = await errorOf(alone.router.call(POST));
    expect([error.code, error.retryable, error.attempts]).toEqual(['unavailable', 'yes', 3]);
  });

  it('has a name that does not resolve', async () => {
    await using live = liveRouter(['http://no-such-host.invalid:80'], { retry: false });
    const error = await errorOf(live.router.call(POST));
    expect([error.code, error.retryable]).toEqual(['unavailable', 'yes']);
    await live.balanced();
  });

  it('sends more than its content-length gives the length it promised', async () => {
    await using server = await rawServer((socket) => socket.end(`${OK}content-length: 4\r\n\r\nfine and more`));
    await using live = liveRouter([server.address]);
    expect(await (await live.router.call(POST)).text()).toBe('fine');
    await live.balanced();
  });

  it('sends 1xx before its answer is heard', async () => {
    await using server = await rawServer((socket) => {
      socket.end(
        `HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${OK}content-length: 4\r\n\r\nfine`,
      );
    });
    await using live = liveRouter([server.address]);
    const response = await live.router.call(POST);
    expect([response.status, await response.text()]).toEqual([200, 'fine']);
  });

  it.each([600, 799, 999])('answers with status %i is heard by call, and refused with a code by fetch', async (status) => {
    await using server = await rawServer((socket) => socket.end(`HTTP/1.1 ${status} Odd\r\ncontent-length: 1\r\n\r\nx`));
    await using live = liveRouter([server.address], { retry: false, ejection: false });
    expect((await live.router.call(POST)).status).toBe(status);
    expect((await errorOf(live.router.fetch('/x'))).code).toBe('internal');
    await live.balanced();
  });

  it('sends a broken load report is answered for, and the report counted', async () => {
    const values = ['TEXT cpu_utilization=NaN', 'JSON {"cpu', 'BIN !!!', 'x'.repeat(15_000)];
    let n = 0;
    await using server = await httpServer((_request, response) => {
      response.setHeader('endpoint-load-metrics', values[n++ % values.length] ?? '').end('fine');
    });
    await using live = liveRouter([server.address], {}, { maxHeaderBytes: 32_768 });
    for (let i = 0; i < values.length; i++) {
      expect(await (await live.router.call(POST)).text()).toBe('fine');
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    expect(live.router.snapshot().brokenReports).toBe(values.length);
    await live.balanced();
  });
});

describe('a request body that', () => {
  async function* broken(after: number) {
    for (let i = 0; i < after; i++) yield `piece ${i} `;
    throw new Error('the source is gone');
  }

  it.each([0, 1, 5])('breaks after %i pieces cancels the call, and the endpoint is not to blame', async (after) => {
    const server = await httpServer((request, response) => {
      request.on('error', () => {});
      request.resume().on('end', () => response.end());
    });
    const error = await failsWith(server, { path: '/x', method: 'POST', body: broken(after) });
    expect([error.code, (error.cause as Error).message]).toEqual(['cancelled', 'the source is gone']);
  });

  it('yields something that cannot be sent is refused', async () => {
    const server = await httpServer((request, response) => {
      request.on('error', () => {});
      request.resume().on('end', () => response.end());
    });
    async function* odd() {
      yield 'fine';
      yield 5 as unknown as string;
    }
    expect((await failsWith(server, { path: '/x', method: 'POST', body: odd() })).code).toBe('invalid-argument');
  });

  it.each([
    ['a number', 5],
    ['an object', {}],
    ['null', null],
  ])('is %s is refused', async (_what, body) => {
    const server = await httpServer((_request, response) => response.end());
    expect((await failsWith(server, { ...POST, body: body as unknown as string })).code).toBe('invalid-argument');
  });

  it('never ends is stopped by the deadline, and told to return', async () => {
    let isReturned = false;
    async function* endless() {
      try {
        for (;;) {
          yield 'x';
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      } finally {
        isReturned = true;
      }
    }
    const server = await httpServer((request) => {
      request.on('error', () => {});
      request.resume();
    });
    const error = await failsWith(server, { path: '/x', method: 'POST', body: endless() }, { timeoutMs: 80 });
    expect(error.code).toBe('deadline-exceeded');
    await eventually('the source was returned', () => isReturned);
  });
});

describe('request headers that', () => {
  it.each([
    ['have an odd number of items', ['x-a']],
    ['hold a line break', ['x-a', 'b\r\nx-c: d']],
    ['hold a name that is none', ['x a', 'b']],
    ['are not text', [1, 2]],
    ['are null', null],
  ])('%s are refused', async (_what, headers) => {
    const server = await httpServer((_request, response) => response.end());
    const request = { ...POST, headers: headers as unknown as string[] };
    expect((await failsWith(server, request)).code).toBe('invalid-argument');
  });
});
