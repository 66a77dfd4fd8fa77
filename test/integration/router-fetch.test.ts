/** `router.fetch` beside the platform's fetch, against the same server. */
import type { RequestListener } from 'node:http';
import { EvenkeelError } from 'evenkeel/core';
import type { RouterFetch } from 'evenkeel/router';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, httpServer, type TestServer } from '../support/http-servers.js';
import { type LiveRouter, liveRouter } from '../support/live-router.js';

const seen = { open: 0 };

const serve: RequestListener = async (request, response) => {
  seen.open++;
  response.once('close', () => seen.open--);
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x');
  const chunks: Buffer[] = [];
  request.on('error', () => {});
  if (pathname === '/duplex') {
    request.pipe(response);
    return;
  }
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return;
  }
  const body = Buffer.concat(chunks);
  if (pathname === '/echo') {
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        method: request.method,
        url: request.url,
        type: (request.headers['content-type'] ?? '').replace(/boundary=.*/, 'boundary'),
        a: request.headers['x-a'],
        body: body.toString().replaceAll(/-{3,}[\w-]*\d+/g, 'boundary'),
      }),
    );
  } else if (pathname === '/status') {
    response.writeHead(Number(searchParams.get('is')), { 'x-status': 'yes' });
    response.end();
  } else if (pathname === '/cookies') {
    response.writeHead(200, [
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2; Path=/',
      'X-Many',
      '1',
      'X-Many',
      '2',
      'x-latin',
      'caf\xe9',
    ]);
    response.end();
  } else if (pathname === '/drip') {
    response.write('first');
    if (searchParams.get('then') === 'end') setTimeout(() => response.end('last'), 20);
    if (searchParams.get('then') === 'break') setTimeout(() => response.destroy(), 20);
  } else {
    response.end('hello');
  }
};

let server: TestServer;
let live: LiveRouter;
/** The two, by name. Both get whole URLs; the router's takes bare paths as well. */
const both: [string, (path: string, init?: RequestInit) => Promise<Response>][] = [
  ['the platform', (path, init) => fetch(server.address + path, init)],
  ['the router', (path, init) => live.router.fetch(`http://any-host${path}`, init)],
];

beforeAll(async () => {
  server = await httpServer(serve);
  live = liveRouter([server.address]);
});

afterAll(async () => {
  await live[Symbol.asyncDispose]();
  await server.close();
});

/** Everything of a response that code may look at. */
async function shown(response: Response) {
  const { status, ok, statusText: _reason, redirected, bodyUsed } = response;
  const headers = [...response.headers].filter(
    ([name]) => !['date', 'connection', 'keep-alive', 'transfer-encoding'].includes(name),
  );
  return { status, ok, redirected, bodyUsed, headers, text: await response.text() };
}

describe('what the platform does, the router does', () => {
  const form = () => {
    const data = new FormData();
    data.set('name', 'value');
    data.set('file', new Blob(['content'], { type: 'text/csv' }), 'file.csv');
    return data;
  };
  const stream = () =>
    new ReadableStream<Uint8Array>({
      start(controller) {
        for (const piece of ['one ', 'two ', 'three']) controller.enqueue(new TextEncoder().encode(piece));
        controller.close();
      },
    });
  const cases: [string, string, () => RequestInit & { duplex?: 'half' }][] = [
    ['a GET', '/echo?q=1&q=2#fragment', () => ({})],
    ['headers as an object', '/echo', () => ({ headers: { 'X-A': 'one' } })],
    [
      'headers as pairs',
      '/echo',
      () => ({
        headers: [
          ['x-a', 'one'],
          ['x-a', 'two'],
        ],
      }),
    ],
    ['headers as Headers', '/echo', () => ({ headers: new Headers({ 'x-a': 'one' }) })],
    ['a lower-case method', '/echo', () => ({ method: 'post', body: 'text' })],
    ['a text body', '/echo', () => ({ method: 'POST', body: 'caf\u00e9' })],
    ['a text body of a type', '/echo', () => ({ method: 'PUT', body: '{}', headers: { 'content-type': 'application/json' } })],
    ['bytes', '/echo', () => ({ method: 'POST', body: new Uint8Array([65, 66]) })],
    ['an ArrayBuffer', '/echo', () => ({ method: 'POST', body: new TextEncoder().encode('ab').buffer })],
    ['a part of a buffer', '/echo', () => ({ method: 'POST', body: new TextEncoder().encode('abcdef').subarray(2, 4) })],
    ['a DataView', '/echo', () => ({ method: 'POST', body: new DataView(new TextEncoder().encode('abc').buffer, 1) })],
    ['URLSearchParams', '/echo', () => ({ method: 'POST', body: new URLSearchParams({ a: '1', b: 'x y' }) })],
    ['a Blob', '/echo', () => ({ method: 'POST', body: new Blob(['blob'], { type: 'text/x' }) })],
    ['a form', '/echo', () => ({ method: 'POST', body: form() })],
    ['a stream', '/echo', () => ({ method: 'POST', body: stream(), duplex: 'half' })],
    ['an empty text', '/echo', () => ({ method: 'POST', body: '' })],
    ['a null body', '/echo', () => ({ method: 'POST', body: null })],
    ['HEAD', '/echo', () => ({ method: 'HEAD' })],
    ['DELETE', '/echo', () => ({ method: 'DELETE' })],
    ['headers that stand twice', '/cookies', () => ({})],
    ...[200, 201, 204, 205, 304, 400, 404, 418, 500, 503].map((status): (typeof cases)[number] => [
      `status ${status}`,
      `/status?is=${status}`,
      () => ({ method: 'POST' }),
    ]),
  ];

  it.each(cases)('with %s', async (_what, path, init) => {
    const [platform, router] = [await fetch(server.address + path, init()), await live.router.fetch(`http://any${path}`, init())];
    expect(router.headers.getSetCookie()).toEqual(platform.headers.getSetCookie());
    expect(await shown(router)).toEqual(await shown(platform));
    await live.balanced();
  });

  it('with a Request, and an init that overrides parts of it', async () => {
    const request = () =>
      new Request(`${server.address}/echo`, { method: 'POST', body: 'from the request', headers: { 'x-a': 'request' } });
    for (const init of [undefined, { method: 'PUT' }, { body: 'from init' }, { headers: { 'x-a': 'init' } }]) {
      const [platform, router] = [await fetch(request(), init), await live.router.fetch(request(), init)];
      expect(await shown(router)).toEqual(await shown(platform));
    }
  });
});

describe.each(both)('a response of %s', (_name, send) => {
  it('streams: the first piece is there before the last is sent', async () => {
    const response = await send('/drip?then=end');
    const reader = response.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('first');
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('last');
    expect((await reader?.read())?.done).toBe(true);
  });

  it('can be cloned, and read as JSON, bytes, and a blob', async () => {
    expect(await (await send('/echo')).json()).toMatchObject({ method: 'GET' });
    const response = await send('/');
    const copy = response.clone();
    expect(await response.text()).toBe('hello');
    expect((await copy.arrayBuffer()).byteLength).toBe(5);
    expect((await (await send('/')).blob()).size).toBe(5);
    await expect(response.text()).rejects.toThrow(TypeError);
  });

  it('that breaks midway fails its reader', async () => {
    const response = await send('/drip?then=break');
    await expect(response.text()).rejects.toThrow();
  });

  it('whose body is cancelled ends at the server', async () => {
    const response = await send('/drip');
    await eventually('the server has the call', () => seen.open === 1);
    await response.body?.cancel();
    await eventually('the server is rid of it', () => seen.open === 0);
  });

  it('whose signal aborts while the body comes fails its reader and ends at the server', async () => {
    const gone = new AbortController();
    const response = await send('/drip', { signal: gone.signal });
    const text = response.text();
    gone.abort();
    await expect(text).rejects.toThrow();
    await eventually('the server is rid of it', () => seen.open === 0);
  });

  it('does not come when the signal has aborted', async () => {
    await expect(send('/', { signal: AbortSignal.abort() })).rejects.toThrow();
  });

  it('streams both ways at once', async () => {
    let push: (text: string) => void = () => {};
    let end = () => {};
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        push = (text) => controller.enqueue(new TextEncoder().encode(text));
        end = () => controller.close();
      },
    });
    const pending = send('/duplex', { method: 'POST', body, duplex: 'half' } as RequestInit);
    push('ping');
    const reader = (await pending).body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('ping');
    push('pong');
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('pong');
    end();
    expect((await reader?.read())?.done).toBe(true);
  });
});

describe("the router's fetch", () => {
  const code = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(EvenkeelError);
    return (error as EvenkeelError).code;
  };

  it('fails with coded errors', async () => {
    const { fetch: send } = live.router;
    expect(await code(send('http://[broken'))).toBe('invalid-argument');
    expect(await code(send('/', { context: { criticality: 'critical', deadline: 0 } }))).toBe('deadline-exceeded');
    const broken = await send('/drip?then=break');
    expect(await code(broken.text())).toBe('unavailable');
    await live.balanced();
  });

  it('tells who aborts their own reason, as the platform does', async () => {
    const reason = new Error('enough');
    await expect(live.router.fetch('/', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const stop = new AbortController();
    const response = await live.router.fetch('/drip?then=end', { signal: stop.signal });
    stop.abort(reason);
    await expect(response.text()).rejects.toBe(reason);
    await live.balanced();
  });

  it('takes a bare path, the context, the weight and the model', async () => {
    const options: Parameters<RouterFetch>[1] = { weight: 7, model: 'm', context: { criticality: 'sheddable' } };
    const response = await live.router.fetch('/drip?then=end', options);
    expect(live.router.endpoints()[0]?.weight).toBe(7);
    expect(await response.text()).toBe('firstlast');
    await live.balanced();
  });

  it('holds the call in flight until its body was read, not longer', async () => {
    const response = await live.router.fetch('/drip?then=end');
    expect(live.router.snapshot().inFlight).toBe(1);
    await response.text();
    expect(live.router.snapshot().inFlight).toBe(0);
  });

  it('does not follow redirects', async () => {
    expect((await live.router.fetch('/status?is=302')).status).toBe(302);
  });
});
