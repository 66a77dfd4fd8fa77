/** A router over gRPC: the same calls as over HTTP, typed calls, health checks. */
import * as grpc from '@grpc/grpc-js';
import { type CallHandler, createRuntime, decodeLoadHeader } from 'evenkeel/core';
import { createGrpcTransport, grpcMethod } from 'evenkeel/grpc';
import { createHttpTransport } from 'evenkeel/http';
import { createLoadReporter, p2c, polling, type Router } from 'evenkeel/router';
import * as undici from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { GrpcRig, Texts } from '../support/grpc-peers.js';
import { eventually } from '../support/http-servers.js';

const rig = new GrpcRig();
afterEach(() => rig.close());

const wires = [
  { name: 'http', scheme: 'http', create: () => createHttpTransport({ undici }) },
  { name: 'grpc', scheme: 'grpc', create: () => createGrpcTransport({ grpc }) },
];

describe.each(wires)('a program written against any wire, over $name', ({ scheme, create }) => {
  async function system(handlers: CallHandler[]): Promise<Router> {
    const transport = create();
    const addresses: string[] = [];
    for (const handler of handlers) {
      const listener = await rig.serve(transport, handler, scheme);
      addresses.push(listener.address);
    }
    return rig.router(transport, addresses);
  }

  it('gets status, headers, body and trailers as the handler gave them', async () => {
    const router = await system([
      async ({ path, method, headers, body }) => {
        const chunks: Uint8Array[] = [];
        for await (const chunk of body) chunks.push(chunk);
        const ask = headers.map(String).includes('why');
        return {
          status: 201,
          headers: ['x-a', '1'],
          body: `${method} ${path} ${ask} ${Buffer.concat(chunks)}`,
          trailers: ['x-t', '2'],
        };
      },
    ]);
    const response = await router.call({ path: '/v1/things?x=1', method: 'PUT', headers: ['x-ask', 'why'], body: 'hello' });
    expect([response.status, response.ok, response.header('x-a')]).toEqual([201, true, '1']);
    expect(await response.text()).toBe('PUT /v1/things?x=1 true hello');
    expect(response.trailers).toContainEqual(['x-t', '2']);
  });

  it('gets a refusal of the program with its body', async () => {
    const router = await system([() => ({ status: 404, body: 'no such thing' })]);
    const response = await router.call({ path: '/v1/things' });
    expect([response.status, response.ok, await response.text()]).toEqual([404, false, 'no such thing']);
  });

  it('is tried elsewhere when a server turns it away', async () => {
    let refusals = 0;
    const router = await system([
      () => {
        refusals++;
        return { status: 503, headers: ['evenkeel-rejected', '1'] };
      },
      () => ({ status: 200, body: 'served' }),
    ]);
    for (let i = 0; i < 20; i++) {
      const response = await router.call({ path: '/x', method: 'POST', body: 'work' });
      expect(await response.text()).toBe('served');
    }
    expect(refusals).toBeGreaterThan(0);
  });

  it('streams a response', async () => {
    const router = await system([
      () => ({
        status: 200,
        body: (async function* () {
          for (const piece of ['a', 'b', 'c']) yield piece;
        })(),
      }),
    ]);
    const response = await router.call({ path: '/x', response: 'stream' });
    let text = '';
    for await (const chunk of response.stream ?? []) text += Buffer.from(chunk).toString();
    expect(text).toBe('abc');
  });

  it('runs over fetch', async () => {
    const router = await system([({ path }) => ({ status: 200, body: path })]);
    const response = await router.fetch('http://test/v1/x?y=1');
    expect([response.status, await response.text()]).toEqual([200, '/v1/x?y=1']);
  });

  it('is told the load by a server that reports it, and counts balance', async () => {
    const runtime = createRuntime();
    const reporter = createLoadReporter({ runtime, capacity: 4 });
    const contexts: unknown[] = [];
    const router = await system([
      reporter.calls((_call, work) => {
        work.model('m');
        contexts.push(work.context.criticality, work.context.deadline !== undefined);
        return { status: 200, body: 'x' };
      }),
    ]);
    const response = await router.call({ path: '/x' }, { criticality: 'sheddable', deadline: undefined });
    expect(decodeLoadHeader(response.header('endpoint-load-metrics') ?? '')).toMatchObject({ namedMetrics: { host: 1 } });
    expect(contexts).toEqual(['sheddable', true]);
    await eventually('it is over', () => runtime.load.counter('host').read().inFlight === 0);
    expect(router.endpoints()[0]?.reportAgeMs).toBeDefined();
  });

  it('is polled for its load', async () => {
    const runtime = createRuntime();
    const handler = createLoadReporter({ runtime }).calls(() => ({ status: 200, body: 'x' }));
    const transport = create();
    const listener = await rig.serve(transport, handler, scheme);
    const router = rig.router(transport, [listener.address], {
      picker: p2c(),
      loadSources: [polling({ mode: 'background', intervalMs: 20 })],
    });
    await eventually('a report is there', () => router.endpoints()[0]?.reportAgeMs !== undefined);
  });
});

describe('a typed call', () => {
  it('is two lines: a body encoded, a body decoded', async () => {
    const { endpoint } = await rig.foreign({
      Unary: ({ request }, reply) => reply(null, { text: request.text.toUpperCase() }),
    });
    const router = rig.router(rig.transport(), [endpoint.address]);
    const shout = grpcMethod(Texts.Unary);

    const response = await router.call({ path: shout.path, body: shout.encode({ text: 'hello' }) });
    expect(shout.decode(await response.bytes())).toEqual({ text: 'HELLO' });
  });

  it('streams: each chunk is a message', async () => {
    const { endpoint } = await rig.foreign({
      ServerStream: (stream) => {
        for (const text of stream.request.text) stream.write({ text });
        stream.end();
      },
    });
    const router = rig.router(rig.transport(), [endpoint.address]);
    const spell = grpcMethod(Texts.ServerStream);
    const response = await router.call({ path: spell.path, body: spell.encode({ text: 'abc' }), response: 'stream' });
    const texts: string[] = [];
    for await (const bytes of response.stream ?? []) texts.push(spell.decode(bytes).text);
    expect(texts).toEqual(['a', 'b', 'c']);
  });
});

describe('health checks over gRPC', () => {
  const health = { path: '/grpc.health.v1.Health/Check', intervalMs: 20 };
  const state = (router: Router) => router.endpoints()[0]?.state;

  /** A foreign health service that says what the test says. */
  async function foreignHealth(): Promise<{ address: string; says: { status: number; asked: number } }> {
    const says = { status: 1, asked: 0 };
    const server = new grpc.Server();
    const same = (bytes: Buffer) => bytes;
    const check: grpc.handleUnaryCall<Buffer, Buffer> = (call, reply) => {
      says.asked++;
      expect(call.request.length).toBe(0);
      reply(null, Buffer.from([8, says.status]));
    };
    server.register('/grpc.health.v1.Health/Check', check as grpc.UntypedHandleCall as never, same, same, 'unary');
    rig.onClose(() => server.forceShutdown());
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    return { address: `grpc://127.0.0.1:${port}`, says };
  }

  it('take a server out that says NOT_SERVING, and back when it serves', async () => {
    const { address, says } = await foreignHealth();
    const router = rig.router(rig.transport(), [address], { health });
    await eventually('it was asked', () => says.asked > 2);
    expect(state(router)).toBe('open');
    says.status = 2;
    await eventually('it is out', () => state(router) === 'unhealthy');
    says.status = 1;
    await eventually('it is back', () => state(router) === 'open');
  });

  it('are answered by a listener of ours, past its handler', async () => {
    const transport = rig.transport();
    let isAsked = false;
    const listener = await rig.serve(transport, () => {
      isAsked = true;
      return { status: 500 };
    });
    const said: unknown[] = [];
    const isHealthy = (status: number, body: Uint8Array) => said.push(status, [...body]) > 0;
    rig.router(transport, [listener.address], { health: { ...health, isHealthy } });
    await eventually('it was asked twice', () => said.length >= 4);
    expect([said.slice(0, 4), isAsked]).toEqual([[200, [8, 1], 200, [8, 1]], false]);
  });
});
