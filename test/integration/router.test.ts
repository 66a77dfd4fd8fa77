/** The router on real servers: good days, lists of endpoints that are wrong, fleets that fail, and ends under load. */
import { getEventListeners } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRuntime, dnsResolver, fileResolver, type Resolver, staticResolver } from 'evenkeel/core';
import type { CallResponse } from 'evenkeel/router';
import * as undici from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deadAddress, eventually, httpServer, resources, type TestServer } from '../support/http-servers.js';
import { liveRouter } from '../support/live-router.js';

const hello: RequestListener = (_request, response) => response.end('hello');
const slow =
  (ms: number): RequestListener =>
  (_request, response) =>
    void setTimeout(() => response.end('slow'), ms);
const never: RequestListener = () => {};

let servers: TestServer[] = [];
let before = resources();

async function serve(...listeners: RequestListener[]): Promise<string[]> {
  const started = await Promise.all(listeners.map((listener) => httpServer(listener)));
  servers.push(...started);
  return started.map(({ address }) => address);
}

beforeEach(() => {
  before = resources();
});

/** After each test nothing is left: no connection, no socket, no timer. */
afterEach(async () => {
  for (const server of servers) await eventually('connections are gone', async () => (await server.connections()) === 0);
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
  await eventually('sockets are gone', () => (resources().TCPSocketWrap ?? 0) <= (before.TCPSocketWrap ?? 0));
  await eventually('timers are gone', () => (resources().Timeout ?? 0) <= (before.Timeout ?? 0));
});

describe('a router in front of real servers', () => {
  it('spreads calls, and buffers or streams what comes back', async () => {
    await using live = liveRouter(await serve(hello, hello, hello));
    const answers = await Promise.all(Array.from({ length: 60 }, () => live.router.call({ path: '/x', body: 'abc' })));
    expect(new Set(answers.map(({ endpoint }) => endpoint)).size).toBe(3);
    for (const answer of answers) expect(await answer.text()).toBe('hello');
    const streamed = await live.router.call({ path: '/x', response: 'stream' });
    expect([streamed.ok, await streamed.text()]).toEqual([true, 'hello']);
    expect(live.router.snapshot()).toMatchObject({ calls: { ok: 61 }, attempts: 61, retries: 0 });
    await live.balanced();
  });

  it('keeps the connections over which servers refused', async () => {
    const busy: RequestListener = (_request, response) => response.writeHead(503).end('busy');
    const addresses = await serve(busy, busy);
    await using live = liveRouter(addresses, { ejection: false });
    for (let i = 0; i < 10; i++) await live.router.call({ path: '/x' });
    expect(live.router.snapshot().attempts).toBeGreaterThan(20);
    const connections = await Promise.all(servers.map((server) => server.connections()));
    expect(connections.reduce((a, b) => a + b)).toBeLessThanOrEqual(4);
    await live.balanced();
  });

  it('sends a POST elsewhere when an endpoint took no connection within the time of an attempt', async () => {
    const [good = ''] = await serve(hello);
    const silent = 'http://127.0.0.1:9';
    const pool = (origin: string) => new undici.Pool(origin, origin === silent ? { connect: () => {} } : {});
    await using live = liveRouter([silent, good], { attemptTimeoutMs: 100 }, { pool });
    const answers = await Promise.all(Array.from({ length: 8 }, () => live.router.call({ path: '/x', body: 'b' })));
    expect(answers.map(({ endpoint }) => endpoint)).toEqual(new Array(8).fill(good));
    await live.balanced();
  });

  it('reads trailers once the body has ended', async () => {
    const [address = ''] = await serve((_request, response) => {
      response.writeHead(200, { trailer: 'x-t' });
      response.write('body');
      response.addTrailers({ 'x-t': 'last' });
      response.end();
    });
    await using live = liveRouter([address]);
    for (const response of ['buffer', 'stream'] as const) {
      const answer = await live.router.call({ path: '/x', response });
      await answer.bytes();
      expect(answer.trailers).toEqual([['x-t', 'last']]);
    }
  });

  it('holds a server back while nobody reads', async () => {
    let written = 0;
    const [address = ''] = await serve((_request, response) => {
      const piece = Buffer.alloc(65_536);
      const fill = () => {
        while (written < 64 * 1024 * 1024 && response.write(piece)) written += piece.length;
      };
      response.on('drain', fill);
      fill();
    });
    await using live = liveRouter([address]);
    const { stream } = await live.router.call({ path: '/x', response: 'stream' });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const held = written;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(written).toBe(held);
    expect(held).toBeLessThan(32 * 1024 * 1024);
    stream?.cancel();
    await live.balanced();
  });

  it('leaves no listener on a signal that serves many calls', async () => {
    const gone = new AbortController();
    await using live = liveRouter(await serve(hello, never));
    const calls = Array.from({ length: 40 }, () => live.router.call({ path: '/x', body: 'b', signal: gone.signal }));
    await eventually('some have ended', () => (live.router.snapshot().calls.ok ?? 0) > 0);
    gone.abort();
    const results = await Promise.allSettled(calls);
    for (const result of results) if (result.status === 'rejected') expect(result.reason.code).toBe('cancelled');
    expect(results.some(({ status }) => status === 'rejected')).toBe(true);
    expect(getEventListeners(gone.signal, 'abort')).toEqual([]);
    await live.balanced();
  });

  it('is not harmed by listeners that throw', async () => {
    const dead = await deadAddress();
    await using live = liveRouter([...(await serve(hello)), dead], { runtime: createRuntime({ host: quietHost() }) });
    for (const name of ['pick', 'retry', 'eject', 'endpoints', 'return'] as const) {
      live.router.events.on(name, () => {
        throw new Error(`broken ${name}`);
      });
    }
    const answers = await Promise.all(Array.from({ length: 30 }, () => live.router.call({ path: '/x', body: 'b' })));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(live.runtime.diagnostics.total).toBeGreaterThan(30);
    await live.balanced();
  });
});

/** The machine, without its voice. */
function quietHost() {
  const host = createRuntime().host;
  return new Proxy(host, {
    get: (target, name) => {
      const value = name === 'warn' ? () => {} : Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('lists of endpoints', () => {
  it.each([
    ['no list', 'a' as unknown as string[]],
    ['empty', []],
    ['an address without a scheme', ['10.0.0.1:80']],
    ['an address with a path', ['http://a/b']],
    ['an address with credentials', ['http://u:p@a']],
    ['a port out of range', ['http://a:70000']],
    ['an id twice', ['http://a', 'http://a']],
    ['a weight of 0', [{ id: 'a', address: 'http://a', weight: 0 }]],
    ['null', [null as unknown as string]],
  ])('that are malformed (%s) are refused at once', (_what, list) => {
    expect(() => staticResolver(list)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });

  it('of an unknown scheme fail their calls with a code', async () => {
    await using live = liveRouter(['gopher://127.0.0.1:70'], { retry: false });
    await expect(live.router.call({ path: '/x' })).rejects.toMatchObject({ code: 'invalid-argument' });
    await live.balanced();
  });

  it('in a file that becomes malformed or empty keep the last good one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-'));
    const path = join(folder, 'endpoints.json');
    const put = async (text: string) => {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    };
    const [a = '', b = ''] = await serve(hello, hello);
    await put(JSON.stringify([a]));
    const runtime = createRuntime({ host: quietHost() });
    await using live = liveRouter([], { resolver: fileResolver({ path, intervalMs: 100 }), runtime });
    expect((await live.router.call({ path: '/x' })).endpoint).toBe(a);
    for (const text of ['{ half', '[]', '["no address"]', '{"endpoints": 5}']) {
      await put(text);
      const reported = runtime.diagnostics.total;
      await eventually('the fault is seen', () => runtime.diagnostics.total > reported);
      expect((await live.router.call({ path: '/x' })).endpoint).toBe(a);
    }
    await put(JSON.stringify({ endpoints: [b] }));
    await eventually('the new one is in force', () => live.router.endpoints()[0]?.endpoint.id === b, 1000);
    expect((await live.router.call({ path: '/x' })).endpoint).toBe(b);
    await rm(folder, { recursive: true });
  });

  const nobody: Resolver = {
    name: 'nobody',
    start: (_runtime, listener) => {
      queueMicrotask(() => listener.onEndpoints([], { source: 'live' }));
      return { ageMs: 0, refresh() {}, close() {} };
    },
  };

  it('that are empty fail calls at once; that never come, at their deadline', async () => {
    await using empty = liveRouter([], { resolver: nobody });
    await expect(empty.router.call({ path: '/x' })).rejects.toMatchObject({ code: 'unavailable', retryable: 'yes' });
    const runtime = createRuntime({ host: quietHost() });
    const resolver = dnsResolver({ name: 'no-such-name.invalid', port: 80 });
    await using silent = liveRouter([], { resolver, runtime, timeoutMs: 100 });
    await expect(silent.router.call({ path: '/x' })).rejects.toMatchObject({
      code: expect.stringMatching(/^(deadline-exceeded|unavailable)$/),
    });
    await Promise.all([empty.balanced(), silent.balanced()]);
  });
});

describe('a fleet of which every endpoint fails', () => {
  it('is still asked, and its own answers are handed on', async () => {
    const failing: RequestListener = (_request, response) => response.writeHead(500).end('sorry');
    await using live = liveRouter(await serve(failing, failing, failing), { ejection: { consecutiveFailures: 1, maxShare: 1 } });
    const answers: CallResponse[] = [];
    for (let i = 0; i < 10; i++) answers.push(await live.router.call({ path: '/x', body: 'b' }));
    expect(answers.map(({ status }) => status)).toEqual(new Array(10).fill(500));
    const { isPanicking, endpoints } = live.router.snapshot();
    expect([isPanicking, endpoints.map(({ state }) => state)]).toEqual([true, ['ejected', 'ejected', 'ejected']]);
    await live.balanced();
  });
});

describe('under load', () => {
  const load = (live: ReturnType<typeof liveRouter>, count: number) =>
    Promise.allSettled(
      Array.from({ length: count }, (_, i) =>
        live.router.call({ path: '/x', body: i % 2 === 0 ? 'b' : undefined }).then((response) => response.text()),
      ),
    );
  const codes = (results: PromiseSettledResult<string>[]) =>
    new Set(results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)));

  it('a router that is closed ends every call with a code', async () => {
    const live = liveRouter(await serve(never, never, never), { maxInFlightPerEndpoint: 20 });
    const calls = load(live, 100);
    await eventually('they are on their way', () => live.router.snapshot().queued === 40);
    await live.router.close();
    expect([...codes(await calls)]).toEqual(['unavailable']);
    await live[Symbol.asyncDispose]();
  });

  it('a router that drains finishes them', async () => {
    const live = liveRouter(await serve(slow(30), slow(30)), { maxInFlightPerEndpoint: 20 });
    const calls = load(live, 100);
    await eventually('they are on their way', () => live.router.snapshot().inFlight === 100);
    await live.router.drain();
    expect([...codes(await calls)]).toEqual(['slow']);
    await live[Symbol.asyncDispose]();
  });

  it('a transport that is closed ends them, and calls after it fail with a code', async () => {
    const live = liveRouter(await serve(never, never, never));
    const calls = load(live, 60);
    await eventually('they are on their way', () => live.router.snapshot().inFlight === 60);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await live.transport.close();
    expect([...codes(await calls)]).toEqual(['unavailable']);
    await expect(live.router.call({ path: '/x' })).rejects.toMatchObject({ code: 'unavailable', retryable: 'yes' });
    await live[Symbol.asyncDispose]();
  });

  it('servers that die and come back cost a caller of GET nothing', async () => {
    const addresses = await serve(slow(5), slow(5), slow(5));
    await using live = liveRouter(addresses, { attemptTimeoutMs: 2000 });
    let stop = false;
    let served = 0;
    const client = async () => {
      while (!stop) {
        expect(await (await live.router.call({ path: '/x' })).text()).toBe('slow');
        served++;
      }
    };
    const clients = Array.from({ length: 8 }, client);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await servers[0]?.close();
    const [atDeath] = [served];
    await new Promise((resolve) => setTimeout(resolve, 300));
    stop = true;
    await Promise.all(clients);
    expect(served).toBeGreaterThan(atDeath);
    servers = servers.slice(1);
    await live.balanced();
  });

  it('callers that come and go leave nothing behind', async () => {
    await using live = liveRouter(await serve(slow(20), hello, never), { timeoutMs: 200 });
    const calls = Array.from({ length: 200 }, (_, i) => {
      const signal = AbortSignal.timeout(1 + (i % 60));
      const response = i % 3 === 0 ? ('stream' as const) : ('buffer' as const);
      return live.router.call({ path: '/x', body: 'b', signal, response }).then((answer) => answer.bytes());
    });
    const results = await Promise.allSettled(calls);
    for (const result of results) {
      if (result.status === 'rejected') expect(['cancelled', 'deadline-exceeded']).toContain(result.reason.code);
    }
    await live.balanced();
  });
});
