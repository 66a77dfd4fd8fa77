/** The reporter on node:http, with real callers. */
import { request as httpRequest, type RequestOptions } from 'node:http';
import { connect } from 'node:net';
import { createRuntime, decodeLoadHeader, type Runtime } from 'evenkeel/core';
import { createLoadReporter, type LoadReporterOptions, type NodeHandler, p2c, polling, type ServedCall } from 'evenkeel/router';
import { describe, expect, it } from 'vitest';
import { eventually, httpServer, type TestServer } from '../support/http-servers.js';
import { liveRouter } from '../support/live-router.js';

interface Reported extends AsyncDisposable {
  readonly server: TestServer;
  readonly runtime: Runtime;
  host(): { inFlight: number; weight: number };
  idle(): Promise<void>;
}

async function reported(handler: NodeHandler, options: LoadReporterOptions = {}): Promise<Reported> {
  const runtime = createRuntime();
  const server = await httpServer(createLoadReporter({ runtime, ...options }).node(handler));
  const host = () => runtime.load.counter('host').read();
  return {
    server,
    runtime,
    host,
    idle: () =>
      eventually('the server is idle', () =>
        [...runtime.load.keys()].every((key) => runtime.load.counter(key).read().inFlight === 0),
      ),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

const told = (response: Response) => decodeLoadHeader(response.headers.get('endpoint-load-metrics') ?? '');

describe('a node:http handler', () => {
  const heads: [string, NodeHandler][] = [
    ['an explicit head', (_request, response) => response.writeHead(200, { 'x-a': '1' }).end('x')],
    ['an explicit head with a reason', (_request, response) => response.writeHead(200, 'Fine', { 'x-a': '1' }).end('x')],
    ['an explicit head from a list', (_request, response) => response.writeHead(200, ['x-a', '1']).end('x')],
    ['an implicit head', (_request, response) => response.setHeader('x-a', '1').end('x')],
    [
      'a head flushed early',
      (_request, response) => {
        response.setHeader('x-a', '1').flushHeaders();
        setTimeout(() => response.end('x'), 10);
      },
    ],
    [
      'a streamed body',
      (_request, response) => {
        response.setHeader('x-a', '1').write('x');
        setTimeout(() => response.end(), 10);
      },
    ],
    [
      'an async handler',
      async (_request, response) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        response.setHeader('x-a', '1').end('x');
      },
    ],
  ];

  it.each(heads)('with %s tells the load and keeps its own headers', async (_what, handler) => {
    await using served = await reported(handler, { capacity: 2 });
    const response = await fetch(served.server.address);
    expect(told(response)).toMatchObject({ applicationUtilization: 0.5, namedMetrics: { host: 1 } });
    expect([response.headers.get('x-a'), await response.text()]).toEqual(['1', 'x']);
    await served.idle();
  });

  it('tells the load as of the head, not of the arrival', async () => {
    const waiting: (() => void)[] = [];
    await using served = await reported((_request, response) => void waiting.push(() => response.end('x')));
    const calls = Array.from({ length: 5 }, () => fetch(served.server.address));
    await eventually('five are there', () => waiting.length === 5);
    const hosts: (number | undefined)[] = [];
    for (const [i, release] of waiting.entries()) {
      release();
      await eventually('it is gone', () => served.host().inFlight === 4 - i);
    }
    for (const call of calls) hosts.push(told(await call).namedMetrics?.host);
    expect(hosts.sort()).toEqual([1, 2, 3, 4, 5]);
    await served.idle();
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('broken');
      },
    ],
  ])('that %s answers 500 and stays up', async (_what, handler) => {
    await using served = await reported(handler);
    for (let i = 0; i < 3; i++) expect((await fetch(served.server.address)).status).toBe(500);
    await served.idle();
    expect(served.runtime.load.counter('host').read().errorsPerSecond).toBeGreaterThan(0);
  });

  it('that throws in the middle of its answer breaks it off: half of it is not taken for the whole', async () => {
    await using served = await reported(async (_request, response) => {
      response.write('half');
      await new Promise((resolve) => setTimeout(resolve, 10));
      throw new Error('broken');
    });
    const response = await fetch(served.server.address);
    await expect(response.text()).rejects.toThrow();
    await served.idle();
    expect(served.runtime.load.counter('host').read().errorsPerSecond).toBeGreaterThan(0);
  });

  it('that throws after its answer changes nothing', async () => {
    await using served = await reported((_request, response) => {
      response.end('whole');
      throw new Error('too late');
    });
    expect(await (await fetch(served.server.address)).text()).toBe('whole');
    await served.idle();
  });

  it('whose caller leaves before or during the answer is given back, and not as a failure', async () => {
    const calls: ServedCall[] = [];
    await using served = await reported((request, response, call) => {
      calls.push(call);
      call.model('m');
      if (request.url === '/during') response.write('half');
    });
    for (const path of ['/before', '/during']) {
      const gone = new AbortController();
      const pending = fetch(served.server.address + path, { signal: gone.signal }).then((response) => response.text());
      await eventually('it is there', () => served.host().inFlight === 1);
      gone.abort();
      await expect(pending).rejects.toThrow();
      await served.idle();
    }
    calls[0]?.model('late');
    calls[0]?.reweigh(100);
    await served.idle();
    expect(served.runtime.load.counter('host').read().errorsPerSecond).toBe(0);
  });

  it('whose caller breaks off its own request is given back', async () => {
    await using served = await reported((request, response) => {
      request.on('error', () => {});
      request.resume().on('end', () => response.end());
    });
    const socket = connect(Number(new URL(served.server.address).port), '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf');
    await eventually('it is there', () => served.host().inFlight === 1);
    socket.destroy();
    await served.idle();
  });

  it('with requests one after another on a connection is counted for each', async () => {
    await using served = await reported((_request, response) => response.end('x'));
    for (let i = 0; i < 20; i++) expect(told(await fetch(served.server.address)).namedMetrics?.host).toBe(1);
    await served.idle();
  });
});

/** node:http, since fetch does not send every header as it is given. */
function ask(server: TestServer, headers: RequestOptions['headers'], localAddress?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(server.address, { headers, localAddress, agent: false }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    });
    request.on('error', reject).end();
  });
}

describe('who calls', () => {
  const CLAIM = { baggage: 'evenkeel.criticality=critical-plus' };

  it('is believed when its address is listed, and only then', async () => {
    const criticalities: string[] = [];
    const handler: NodeHandler = (_request, response, call) => {
      criticalities.push(call.context.criticality);
      response.end();
    };
    await using served = await reported(handler, { trusted: ['127.0.0.2'] });
    await ask(served.server, CLAIM, '127.0.0.1');
    await ask(served.server, CLAIM, '127.0.0.2');
    expect(criticalities).toEqual(['critical', 'critical-plus']);
  });

  it('is judged by a function; one that throws does not take the server down', async () => {
    let judge: () => boolean = () => true;
    const criticalities: string[] = [];
    await using served = await reported(
      (_request, response, call) => {
        criticalities.push(call.context.criticality);
        response.end();
      },
      { trusted: () => judge(), modelOf: () => JSON.parse('no json') },
    );
    await ask(served.server, CLAIM);
    judge = () => {
      throw new Error('broken judge');
    };
    await ask(served.server, CLAIM);
    expect(criticalities).toEqual(['critical-plus', 'critical']);
    await served.idle();
  });

  it('with a malformed deadline is answered 400 and counted nowhere', async () => {
    await using served = await reported((_request, response) => response.end());
    expect(await ask(served.server, { 'evenkeel-timeout-ms': 'soon' })).toBe(400);
    expect(await ask(served.server, { 'grpc-timeout': '99999999999S' })).toBe(400);
    expect(served.host()).toMatchObject({ inFlight: 0 });
  });
});

describe('with a router in front', () => {
  it('tells the router, by header and by route, and the less loaded server gets the call', async () => {
    await using busy = await reported((_request, response) => response.end());
    await using idle = await reported((_request, response) => response.end());
    const work = busy.runtime.load.counter('host').begin(50);
    await using live = liveRouter([busy.server.address, idle.server.address], {
      picker: p2c({ load: 'reported' }),
      loadSources: [polling({ mode: 'background', intervalMs: 50 })],
    });
    const isPolled = () => live.router.endpoints().filter(({ reportAgeMs }) => reportAgeMs !== undefined).length === 2;
    await eventually('both are polled', isPolled);
    const to = new Set<string>();
    for (let i = 0; i < 20; i++) to.add((await live.router.call({ path: '/x' })).endpoint);
    expect([...to]).toEqual([idle.server.address]);
    expect(live.runtime.load.remote(busy.server.address)?.report.namedMetrics?.host).toBe(50);
    work.end();
  });

  it('is understood by it after a thousand models', async () => {
    await using served = await reported((_request, response) => response.end());
    for (let i = 0; i < 1000; i++) served.runtime.load.counter(`model:${i}`).begin().end();
    const work = [3, 500, 999].map((i) => served.runtime.load.counter(`model:${i}`).begin(i));
    await using live = liveRouter([served.server.address], {
      loadSources: [polling({ mode: 'background', intervalMs: 20 })],
    });
    const remote = () => live.runtime.load.remote(served.server.address)?.report.namedMetrics;
    await eventually('it is polled', () => remote() !== undefined);
    expect(remote()).toEqual({
      host: 0,
      'model:3': 3,
      'model:500': 500,
      'model:999': 999,
      'evenkeel-version': expect.any(Number),
    });
    for (const one of work) one.end();
  });

  it('is asked before each dispatch, by the model of the call', async () => {
    const servers = [
      await reported((_request, response) => response.end()),
      await reported((_request, response) => response.end()),
    ];
    const [a, b] = servers as [Reported, Reported];
    const work = [a.runtime.load.counter('model:m').begin(9), b.runtime.load.counter('model:n').begin(9)];
    b.runtime.load.counter('model:m').begin(1);
    a.runtime.load.counter('model:n').begin(1);
    await using live = liveRouter([a.server.address, b.server.address], {
      loadSources: [polling({ mode: 'before-dispatch', timeoutMs: 2000 })],
    });
    await eventually('the list is there', () => live.router.endpoints().length === 2);
    for (let i = 0; i < 5; i++) {
      expect((await live.router.call({ path: '/x', model: 'm' })).endpoint).toBe(b.server.address);
      expect((await live.router.call({ path: '/x', model: 'n' })).endpoint).toBe(a.server.address);
    }
    for (const one of work) one.end();
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  });

  it('hears the deadline of the call', async () => {
    const left: number[] = [];
    const runtime = createRuntime();
    const reporter = createLoadReporter({ runtime });
    await using server = await httpServer(
      reporter.node((_request, response, call) => {
        left.push((call.context.deadline ?? Number.NaN) - runtime.clock.now());
        response.end();
      }),
    );
    await using live = liveRouter([server.address]);
    await live.router.call({ path: '/x' }, { criticality: 'critical', deadline: live.runtime.clock.now() + 2000 });
    expect(left[0]).toBeGreaterThan(1000);
    expect(left[0]).toBeLessThanOrEqual(2000);
  });
});
