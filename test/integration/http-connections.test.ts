/** Connections of the http transport: reused, bounded, dropped when forgotten, and raced by servers that close them. */
import { once } from 'node:events';
import { Agent, get as httpGet, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { CallTransport, Endpoint, EvenkeelError } from 'evenkeel/core';
import { createHttpTransport, type HttpTransportOptions, type Undici } from 'evenkeel/http';
import * as undici7 from 'undici';
import { afterAll, describe, expect, it } from 'vitest';
import { eventually, httpServer, rawServer, type TestServer } from '../support/http-servers.js';
import { liveRouter } from '../support/live-router.js';

/** undici 8 needs Node 22.19. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const canRunUndici8 = major > 22 || (major === 22 && minor >= 19);
const versions: [string, Undici][] = [['undici 7', undici7]];
if (canRunUndici8) versions.push(['undici 8', (await import('undici8')) as unknown as Undici]);

const open: { close(): Promise<void> }[] = [];
afterAll(async () => {
  for (const one of open) await one.close();
});

interface Outcome {
  status?: number;
  text: string;
  error?: EvenkeelError;
}

function call(transport: CallTransport, to: Endpoint, method = 'GET', body?: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const outcome: Outcome = { text: '' };
    transport.start(
      to,
      { path: '/x', method, body },
      {
        onResponse: (status) => {
          outcome.status = status;
        },
        onData: (chunk) => {
          outcome.text += Buffer.from(chunk).toString();
        },
        onEnd: () => resolve(outcome),
        onError: (error) => resolve({ ...outcome, error }),
      },
    );
  });
}

const endpointOf = ({ address }: TestServer): Endpoint => ({ id: address, address });

describe.each(versions)('http connections on %s', (_name, undici) => {
  const make = (options: Partial<HttpTransportOptions> = {}) => {
    const transport = createHttpTransport({ undici, ...options });
    open.push(transport);
    return transport;
  };

  it('are reused by calls one after another', async () => {
    await using server = await httpServer((_request, response) => response.end('x'));
    const transport = make();
    for (let i = 0; i < 20; i++) expect((await call(transport, endpointOf(server))).text).toBe('x');
    // undici rests a connection for one turn of the event loop after each answer, so the next call may open a second.
    expect(await server.connections()).toBeLessThanOrEqual(2);
    await transport.close();
    await eventually('it is closed', async () => (await server.connections()) === 0);
  });

  it('are no more than asked for', async () => {
    await using server = await httpServer((_request, response) => void setTimeout(() => response.end('x'), 10));
    const transport = make({ connections: 3 });
    const calls = Array.from({ length: 30 }, () => call(transport, endpointOf(server)));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await server.connections()).toBeLessThanOrEqual(3);
    for (const outcome of await Promise.all(calls)) expect(outcome.text).toBe('x');
    await transport.close();
  });

  it('to an endpoint that is forgotten are closed when idle, and after their calls when busy', async () => {
    const release: (() => void)[] = [];
    await using server = await httpServer((request, response) => {
      if (request.url === '/x') release.push(() => response.end('x'));
    });
    const transport = make();
    const busy = call(transport, endpointOf(server));
    await eventually('it is there', () => release.length === 1);
    transport.forget(endpointOf(server));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(await server.connections()).toBe(1);
    release[0]?.();
    expect((await busy).text).toBe('x');
    await eventually('it is closed', async () => (await server.connections()) === 0);
    await transport.close();
  });

  it('that cannot be set up in time fail as unsent', async () => {
    // A connection to this address of TEST-NET-1 is never answered, or refused outright where there is no route.
    const transport = make({ connectTimeoutMs: 100 });
    const { error } = await call(transport, { id: 'far', address: 'http://192.0.2.1:81' }, 'POST', 'work');
    expect(error).toMatchObject({ code: 'unavailable', retryable: 'yes', endpoint: 'far' });
    await transport.close();
  });

  it('that the server closes as the next request is written give `unknown`, and a GET is simply sent again', async () => {
    // Closes each connection some time after its answer, without a word of it in the head.
    let connections = 0;
    await using server = await rawServer((socket) => {
      connections++;
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx');
      socket.once('data', () => socket.resetAndDestroy());
    });
    const transport = make();
    const to = endpointOf(server);
    const errors: EvenkeelError[] = [];
    for (let i = 0; i < 6; i++) {
      const { error, text } = await call(transport, to, 'POST', 'work');
      if (error !== undefined) errors.push(error);
      else expect(text).toBe('x');
    }
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) expect(error).toMatchObject({ code: 'unavailable', retryable: 'unknown' });
    await using live = liveRouter([server.address], { transport });
    for (let i = 0; i < 6; i++) expect(await (await live.router.call({ path: '/x' })).text()).toBe('x');
    expect(connections).toBeGreaterThan(2);
    await live.balanced();
  });

  it('closed by a server after its keep-alive time lose no call', async () => {
    await using server = await httpServer((_request, response) => response.end('x'), { keepAliveTimeout: 20 });
    await using live = liveRouter([server.address], { transport: make() });
    for (let i = 0; i < 40; i++) {
      expect(await (await live.router.call({ path: '/x' })).text()).toBe('x');
      await new Promise((resolve) => setTimeout(resolve, i % 25));
    }
    await live.balanced();
  });

  it('cancelled while they are set up leave nothing', async () => {
    await using server = await httpServer((_request, response) => response.end('x'));
    const transport = make();
    let error: EvenkeelError | undefined;
    const handle = transport.start(
      endpointOf(server),
      { path: '/x' },
      {
        onResponse() {},
        onData() {},
        onEnd() {},
        onError: (told) => {
          error = told;
        },
      },
    );
    handle.cancel('cancelled');
    handle.cancel('deadline-exceeded');
    expect(error).toMatchObject({ code: 'cancelled', retryable: 'yes' });
    await transport.drain();
    await eventually('nothing is connected', async () => (await server.connections()) === 0);
  });

  it('of a router that is drained are closed with its transport', async () => {
    await using server = await httpServer((_request, response) => response.end('x'));
    const transport = make();
    const live = liveRouter([server.address], { transport });
    await live.router.call({ path: '/x' });
    await live.router.drain();
    await eventually('they are closed', async () => (await server.connections()) === 0);
    await live[Symbol.asyncDispose]();
  });
});

describe('the server side', () => {
  const transport = createHttpTransport({ undici: undici7 });
  open.push(transport);
  const serve = async (
    ...[handler]: Parameters<NonNullable<CallTransport['serve']>> extends [unknown, infer H] ? [H] : never
  ) => {
    const listener = await transport.serve?.({ address: 'http://127.0.0.1:0' }, handler);
    if (listener === undefined) throw new Error('cannot serve');
    open.push(listener);
    return listener;
  };

  it('answers, with the length of a whole body and without one of a stream', async () => {
    const listener = await serve(({ path }) => ({
      status: 200,
      body:
        path === '/whole'
          ? 'caf\u00e9'
          : (async function* () {
              yield 'one ';
              yield new Uint8Array([116, 119, 111]);
            })(),
    }));
    const whole = await fetch(`${listener.address}/whole`);
    expect([whole.headers.get('content-length'), await whole.text()]).toEqual(['5', 'caf\u00e9']);
    const streamed = await fetch(`${listener.address}/stream`);
    expect([streamed.headers.get('content-length'), await streamed.text()]).toEqual([null, 'one two']);
  });

  it('tells its handler when the caller goes away', async () => {
    let isGone = false;
    const listener = await serve(async ({ signal }) => {
      await once(signal, 'abort');
      isGone = true;
      return { status: 200 };
    });
    const left = new AbortController();
    const pending = fetch(listener.address, { signal: left.signal });
    await new Promise((resolve) => setTimeout(resolve, 30));
    left.abort();
    await expect(pending).rejects.toThrow();
    await eventually('the handler knows', () => isGone);
  });

  it('breaks off an answer whose body breaks', async () => {
    const listener = await serve(() => ({
      status: 200,
      body: (async function* () {
        yield 'half';
        throw new Error('broken');
      })(),
    }));
    await expect(fetch(listener.address).then((response) => response.text())).rejects.toThrow();
  });

  describe('while it drains', () => {
    /** A server with one call at work, and agents whose connections are idle. */
    async function draining() {
      const release: (() => void)[] = [];
      const listener = await serve(async ({ path }) => {
        if (path === '/held') await new Promise<void>((resolve) => release.push(resolve));
        return { status: 200, headers: ['Connection', 'keep-alive'], body: 'x' };
      });
      const agent = new Agent({ keepAlive: true });
      const get = (path: string) =>
        new Promise<{ text: string; connection: string | undefined }>((resolve, reject) => {
          const request = httpGet(listener.address + path, { agent }, async (response) => {
            let text = '';
            for await (const chunk of response) text += chunk;
            resolve({ text, connection: response.headers.connection });
          });
          request.on('error', reject);
        });
      const end = async () => {
        agent.destroy();
        await listener.close();
      };
      return { listener, get, release, end };
    }

    it('ends with its last call, and no kept connection holds it up', async () => {
      const { listener, get, release, end } = await draining();
      expect((await get('/x')).connection).toBe('keep-alive');
      const held = [get('/held'), get('/held')];
      await eventually('both are there', () => release.length === 2);
      // Connected, and silent.
      const silent = connect(Number(new URL(listener.address).port), '127.0.0.1');
      silent.on('error', () => {});
      await once(silent, 'connect');
      let isDrained = false;
      const from = performance.now();
      const drained = listener.drain().then(() => {
        isDrained = true;
      });
      release[0]?.();
      expect(await held[0]).toEqual({ text: 'x', connection: 'close' });
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(isDrained).toBe(false);
      release[1]?.();
      expect(await held[1]).toEqual({ text: 'x', connection: 'close' });
      await drained;
      // Node keeps idle connections for five seconds.
      expect(performance.now() - from).toBeLessThan(2000);
      await expect(get('/x')).rejects.toThrow();
      silent.destroy();
      await end();
    });

    it('closes connections that are idle at once', async () => {
      const { listener, get, release, end } = await draining();
      const held = get('/held');
      await eventually('it is there', () => release.length === 1);
      await get('/x');
      const drained = listener.drain();
      await expect(get('/x')).rejects.toThrow();
      release[0]?.();
      expect((await held).text).toBe('x');
      await drained;
      await end();
    });

    it('cuts no answer that is written but not yet sent', async () => {
      const size = 32 * 1024 * 1024;
      let isAnswered = false;
      const listener = await serve(async () => {
        setTimeout(() => {
          isAnswered = true;
        }, 50);
        return { status: 200, body: new Uint8Array(size) };
      });
      const response = await new Promise<IncomingMessage>((resolve) => httpGet(listener.address, { agent: false }, resolve));
      await eventually('it is written', () => isAnswered);
      const drained = listener.drain();
      await new Promise((resolve) => setTimeout(resolve, 50));
      let bytes = 0;
      for await (const chunk of response) bytes += chunk.length;
      expect(bytes).toBe(size);
      await drained;
    });

    it('is not held up by requests sent ahead on a connection that was lost', async () => {
      let calls = 0;
      const listener = await serve(async ({ signal }) => {
        calls++;
        if (!signal.aborted) await once(signal, 'abort', { signal: AbortSignal.timeout(300) }).catch(() => {});
        return { status: 200 };
      });
      const socket = connect(Number(new URL(listener.address).port), '127.0.0.1');
      socket.on('error', () => {});
      socket.write('GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n');
      await eventually('both are there', () => calls === 2);
      socket.destroy();
      await listener.drain();
    });
  });

  it('refuses addresses that it cannot have', async () => {
    const listener = await serve(() => ({ status: 200 }));
    const again = transport.serve?.({ address: listener.address }, () => ({ status: 200 }));
    await expect(again).rejects.toMatchObject({ code: 'already-exists' });
    for (const address of ['https://127.0.0.1:0', 'memory://a', '', 'http://']) {
      await expect(transport.serve?.({ address }, () => ({ status: 200 }))).rejects.toMatchObject({ code: 'invalid-argument' });
    }
  });
});
