/** The door of gRPC servers, on real ones of grpc-js, and that of transport.serve under the same clients. */
import { AsyncLocalStorage } from 'node:async_hooks';
import * as grpc from '@grpc/grpc-js';
import { type CallContext, type CallHandler, createRuntime } from 'evenkeel/core';
import { createGrpcTransport } from 'evenkeel/grpc';
import {
  createLimiter,
  type DoorOptions,
  fixedLimit,
  type GrpcDoorRequest,
  grpcLimiter,
  type Limiter,
  limitCalls,
} from 'evenkeel/limiter';
import { afterEach, describe, expect, it } from 'vitest';
import { foreignClient, foreignServer, GrpcRig, type Text, Texts, type TextsHandlers } from '../support/grpc-peers.js';
import { eventually } from '../support/http-servers.js';
import { limiterRig, lowerLevel } from '../support/limiter-doors.js';

const rig = new GrpcRig();
afterEach(() => rig.close());

interface Answer {
  readonly code: grpc.status;
  readonly text: string | undefined;
  readonly trailers: grpc.Metadata;
  readonly head: grpc.Metadata | undefined;
}

interface Asked {
  readonly answer: Promise<Answer>;
  readonly call: grpc.ClientUnaryCall;
}

function asking(client: grpc.Client, headers: Record<string, string> = {}, options: grpc.CallOptions = {}): Asked {
  const { path, requestSerialize, responseDeserialize } = Texts.Unary;
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  let call!: grpc.ClientUnaryCall;
  const answer = new Promise<Answer>((resolve) => {
    let text: string | undefined;
    let head: grpc.Metadata | undefined;
    const onReply = (_error: unknown, reply?: Text) => {
      text = reply?.text;
    };
    call = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { text: 'x' }, metadata, options, onReply);
    call.on('metadata', (received: grpc.Metadata) => {
      head = received;
    });
    call.on('status', ({ code, metadata: trailers }: grpc.StatusObject) => resolve({ code, text, trailers, head }));
  });
  return { answer, call };
}

const ask = (...args: Parameters<typeof asking>) => asking(...args).answer;

const echo: TextsHandlers = { Unary: (call, reply) => reply(null, { text: `${call.request.text}!` }) };

async function limited(limiter: Limiter, handlers: TextsHandlers = echo, options?: DoorOptions<GrpcDoorRequest>) {
  const server = await foreignServer(handlers, { interceptors: [grpcLimiter(limiter, options)] });
  rig.onClose(() => server.kill());
  const client = foreignClient(server.endpoint.address);
  rig.onClose(() => client.close());
  return client;
}

describe('a gRPC server behind the limiter', () => {
  it('serves while there is room, and holds a permit until the call is over', async () => {
    const { limiter } = limiterRig();
    let release: (() => void) | undefined;
    const client = await limited(limiter, {
      Unary: (_call, reply) => {
        release = () => reply(null, { text: 'done' });
      },
    });
    const answer = ask(client);
    await eventually('the handler has it', () => release !== undefined);
    expect(limiter.inFlight).toBe(1);
    release?.();
    expect(await answer).toMatchObject({ code: grpc.status.OK, text: 'done' });
    await eventually('the permit is back', () => limiter.inFlight === 0);
  });

  it('refuses with RESOURCE_EXHAUSTED and pushback before a message is parsed', async () => {
    const { limiter } = limiterRig({ queue: false });
    let parsed = 0;
    const server = new grpc.Server({ interceptors: [grpcLimiter(limiter, { retryAfterMs: 2500 })] });
    const requestDeserialize = (bytes: Buffer) => {
      parsed++;
      return Texts.Unary.requestDeserialize(bytes);
    };
    server.addService({ Unary: { ...Texts.Unary, requestDeserialize } }, echo as grpc.UntypedServiceImplementation);
    const port = await new Promise<number>((resolve) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_error, bound) => resolve(bound));
    });
    rig.onClose(() => server.forceShutdown());
    const client = foreignClient(`grpc://127.0.0.1:${port}`);
    rig.onClose(() => client.close());
    const held = limiter.tryAcquire();
    const { code, trailers } = await ask(client);
    expect(code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expect(trailers.getMap()).toMatchObject({ 'grpc-retry-pushback-ms': '2500', 'evenkeel-rejected': '1' });
    expect(trailers.getMap()['evenkeel-admission-level']).toBeUndefined();
    expect(parsed).toBe(0);
    held?.end();
    expect((await ask(client)).text).toBe('x!');
    expect(parsed).toBe(1);
  });

  it('answers too short a deadline, a malformed one, and one that comes during a drain', async () => {
    const { limiter } = limiterRig();
    const client = await limited(limiter);
    const late = await ask(client, { 'evenkeel-timeout-ms': '0' });
    expect([late.code, late.trailers.get('evenkeel-rejected')]).toEqual([grpc.status.DEADLINE_EXCEEDED, []]);
    expect((await ask(client, { 'evenkeel-timeout-ms': 'soon' })).code).toBe(grpc.status.INVALID_ARGUMENT);
    await limiter.drain();
    const closed = await ask(client);
    expect([closed.code, closed.trailers.get('evenkeel-rejected')]).toEqual([grpc.status.UNAVAILABLE, ['1']]);
    expect(closed.trailers.get('grpc-retry-pushback-ms')).toEqual([]);
  });

  it('sheds by the criticality and cohort of the baggage, capped for callers that are not trusted', async () => {
    for (const isTrusted of [false, true]) {
      const { limiter } = limiterRig();
      const judged: unknown[] = [];
      const client = await limited(limiter, echo, {
        trusted: ({ address, headers }) => {
          judged.push(address, headers.includes('x-key'));
          return isTrusted;
        },
      });
      await ask(client, { baggage: 'evenkeel.criticality=critical-plus', 'x-key': 'secret' });
      expect(limiter.snapshot().admitted).toMatchObject(isTrusted ? { 'critical-plus': 1 } : { critical: 1 });
      expect(judged).toEqual(['127.0.0.1', true]);
    }
  });

  it('serves a call that waited in the context of that call', async () => {
    const { limiter } = limiterRig();
    const storage = new AsyncLocalStorage<string>();
    // As tracing does: a context for each call, before the door.
    const named = ((_method: unknown, call: grpc.ServerInterceptingCallInterface) =>
      new grpc.ServerInterceptingCall(call, {
        start: (next) =>
          next({ onReceiveMetadata: (metadata, go) => storage.run(String(metadata.get('who')[0]), () => go(metadata)) }),
      })) as grpc.ServerInterceptor;
    const seen: unknown[] = [];
    const chat = (stream: grpc.ServerDuplexStream<Text, Text>) => {
      const who = String(stream.metadata.get('who')[0]);
      seen.push([who, storage.getStore()]);
      stream.on('data', () => {});
      // Its end makes room in a context of its own.
      stream.on('end', () => storage.run('another', () => stream.end()));
    };
    const server = await foreignServer({ Bidi: chat }, { interceptors: [named, grpcLimiter(limiter)] });
    rig.onClose(() => server.kill());
    const client = foreignClient(server.endpoint.address);
    rig.onClose(() => client.close());
    const { path, requestSerialize, responseDeserialize } = Texts.Bidi;
    const open = (who: string) => {
      const metadata = new grpc.Metadata();
      metadata.set('who', who);
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
      stream.on('data', () => {});
      stream.on('error', () => {});
      stream.write({ text: 'x' });
      return stream;
    };
    const first = open('first');
    await eventually('the first is served', () => seen.length === 1);
    const second = open('second');
    await eventually('the second waits', () => limiter.queued === 1);
    first.end();
    await eventually('the second is served', () => seen.length === 2);
    second.end();
    await eventually('the permit is back', () => limiter.inFlight === 0);
    expect(seen).toEqual([
      ['first', 'first'],
      ['second', 'second'],
    ]);
  });

  it('knows callers by their address', async () => {
    const { limiter } = limiterRig();
    const client = await limited(limiter, echo, { trusted: ['127.0.0.1'] });
    await ask(client, { baggage: 'evenkeel.criticality=critical-plus' });
    expect(limiter.snapshot().admitted).toMatchObject({ 'critical-plus': 1 });
  });

  it('takes the deadline of the call, which ends its wait', async () => {
    const limiter = createLimiter({ limit: fixedLimit(1), queue: { calmWaitMs: 60_000 }, runtime: createRuntime() });
    const client = await limited(limiter);
    using _held = limiter.tryAcquire();
    const { code } = await ask(client, {}, { deadline: Date.now() + 60 });
    expect(code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await eventually('nobody waits', () => limiter.queued === 0);
    expect(limiter.snapshot().admitted.critical).toBe(1);
  });

  it.each(['cancels', 'has a deadline'])('holds the permit for a caller that %s until the handler is done', async (how) => {
    const limiter = createLimiter({ limit: fixedLimit(1), leakWarning: false });
    const handled: { call: grpc.ServerUnaryCall<Text, Text>; reply: () => void }[] = [];
    const client = await limited(limiter, {
      Unary: (call, reply) => void handled.push({ call, reply: () => reply(null, { text: 'late' }) }),
    });
    const { answer, call } = asking(client, {}, how === 'cancels' ? {} : { deadline: Date.now() + 100 });
    await eventually('the handler has it', () => handled.length === 1);
    if (how === 'cancels') call.cancel();
    expect((await answer).code).toBe(how === 'cancels' ? grpc.status.CANCELLED : grpc.status.DEADLINE_EXCEEDED);
    await eventually('the handler could know', () => handled[0]?.call.cancelled === true);
    expect(limiter.inFlight).toBe(1);
    handled[0]?.reply();
    await eventually('the permit is back', () => limiter.inFlight === 0);
  });

  it('gives back the permit of a handler that never answers a caller that has gone', async () => {
    const { clock, limiter } = limiterRig();
    const handled: grpc.ServerUnaryCall<Text, Text>[] = [];
    const client = await limited(limiter, { Unary: (call) => void handled.push(call) });
    const { answer, call } = asking(client);
    await eventually('the handler has it', () => handled.length === 1);
    call.cancel();
    await answer;
    await eventually('the handler could know', () => handled[0]?.cancelled === true);
    expect(limiter.inFlight).toBe(1);
    await clock.advance(30_000);
    expect(limiter.inFlight).toBe(0);
  });

  it('takes a caller that cancels out of the queue', async () => {
    const { limiter } = limiterRig();
    let handled = 0;
    const client = await limited(limiter, {
      Unary: (_call, reply) => {
        handled++;
        reply(null, { text: 'done' });
      },
    });
    const held = limiter.tryAcquire();
    const { answer, call } = asking(client);
    const next = asking(client);
    await eventually('both wait', () => limiter.queued === 2);
    call.cancel();
    expect((await answer).code).toBe(grpc.status.CANCELLED);
    await eventually('one waits', () => limiter.queued === 1);
    held?.end();
    expect((await next.answer).text).toBe('done');
    await eventually('the permit is back', () => limiter.inFlight === 0);
    expect(handled).toBe(1);
  });

  const fail = (code: grpc.status, metadata?: grpc.Metadata): TextsHandlers['Unary'] => {
    return (_call, reply) => reply({ code, details: 'x', metadata });
  };
  const pushback = new grpc.Metadata();
  pushback.set('grpc-retry-pushback-ms', '700');
  const outcomes: [string, TextsHandlers['Unary'], object][] = [
    ['NOT_FOUND as ok', fail(grpc.status.NOT_FOUND), { ended: 2, failed: 0, dropped: 0, retryAfterMs: 0 }],
    ['INTERNAL as an error', fail(grpc.status.INTERNAL), { ended: 2, failed: 1, dropped: 0, retryAfterMs: 0 }],
    [
      'a handler that throws as an error',
      () => {
        throw new Error('broken');
      },
      { ended: 2, failed: 1, dropped: 0, retryAfterMs: 0 },
    ],
    ['UNAVAILABLE as dropped', fail(grpc.status.UNAVAILABLE), { ended: 1, failed: 0, dropped: 1, retryAfterMs: 0 }],
    [
      'RESOURCE_EXHAUSTED as dropped, with its pushback',
      fail(grpc.status.RESOURCE_EXHAUSTED, pushback),
      { ended: 1, failed: 0, dropped: 1, retryAfterMs: 700 },
    ],
  ];

  it.each(outcomes)('counts %s', async (_what, first, window) => {
    const { limiter, windows } = limiterRig();
    const handlers = [first, echo.Unary];
    const client = await limited(limiter, { Unary: (call, reply) => handlers.shift()?.(call, reply) });
    for (let i = 0; i < 2; i++) {
      await ask(client);
      await eventually('the permit is back', () => limiter.inFlight === 0);
    }
    expect(windows).toEqual([window]);
  });

  it('holds the permit of a stream until the last message, or until its caller leaves', async () => {
    const { limiter, windows } = limiterRig();
    const streams: grpc.ServerDuplexStream<Text, Text>[] = [];
    const client = await limited(limiter, { Bidi: (call) => void streams.push(call) });
    const { path, requestSerialize, responseDeserialize } = Texts.Bidi;
    const open = () => client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const left = open().on('error', () => {});
    await eventually('it is there', () => streams.length === 1);
    streams[0]?.write({ text: 'a' });
    await eventually('it streams', () => left.read() !== null);
    expect(limiter.inFlight).toBe(1);
    left.cancel();
    await eventually('the permit is back', () => limiter.inFlight === 0);
    for (let i = 1; i <= 2; i++) {
      const whole = open()
        .on('error', () => {})
        .on('data', () => {});
      await eventually('it is there', () => streams.length === i + 1);
      streams[i]?.end();
      whole.end();
      await eventually('the permit is back', () => limiter.inFlight === 0);
    }
    expect(windows).toEqual([{ ended: 2, failed: 0, dropped: 0, retryAfterMs: 0 }]);
  });

  it('tells its level in the head of answers, and in the trailers of refusals', async () => {
    const rig = limiterRig({ queue: { maxQueued: 1 } });
    const client = await limited(rig.limiter, echo, { trusted: ['127.0.0.1'] });
    expect((await ask(client)).head?.get('evenkeel-admission-level')).toEqual([]);
    await eventually('the permit is back', () => rig.limiter.inFlight === 0);
    await lowerLevel(rig);
    const level = [String(rig.limiter.level)];
    const served = await ask(client, { baggage: 'evenkeel.cohort=0' });
    const refused = await ask(client, { baggage: 'evenkeel.criticality=sheddable,evenkeel.cohort=127' });
    expect([served.code, served.head?.get('evenkeel-admission-level')]).toEqual([0, level]);
    expect([refused.code, refused.trailers.get('evenkeel-admission-level')]).toEqual([8, level]);
    expect(refused.trailers.get('grpc-retry-pushback-ms')).toEqual(['1000']);
  });

  it('lets methods that are skipped through, and leaves other interceptors their work', async () => {
    const { limiter } = limiterRig({ queue: false });
    const seen: number[] = [];
    const watching: grpc.ServerInterceptor = (_method, call) =>
      new grpc.ServerInterceptingCall(call, {
        sendStatus: (status, next) => {
          seen.push(status.code ?? 0);
          next(status);
        },
      });
    const door = grpcLimiter(limiter, { skip: ({ path }) => path.endsWith('/Unary') });
    const all = grpcLimiter(limiter);
    using _held = limiter.tryAcquire();
    for (const interceptors of [
      [watching, door],
      [door, watching],
      [watching, all],
      [all, watching],
    ]) {
      const server = await foreignServer(echo, { interceptors });
      const client = foreignClient(server.endpoint.address);
      seen.push(-(await ask(client)).code);
      client.close();
      server.kill();
    }
    expect(seen).toEqual([0, -0, 0, -0, 8, -8, -8]);
  });
});

describe('transport.serve over gRPC, behind the limiter', () => {
  const answer: CallHandler = () => ({ status: 200, body: JSON.stringify({ text: 'done' }) });

  async function serve(limiter: Limiter, handler: Parameters<ReturnType<typeof limitCalls>>[0] = answer) {
    const listener = await rig.serve(createGrpcTransport({ grpc }), limitCalls(limiter)(handler));
    const client = foreignClient(listener.address);
    rig.onClose(() => client.close());
    return client;
  }

  it('refuses in the words of gRPC', async () => {
    const { limiter } = limiterRig({ queue: false });
    const client = await serve(limiter);
    const held = limiter.tryAcquire();
    const { code, trailers } = await ask(client);
    expect(code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expect(trailers.getMap()).toMatchObject({ 'grpc-retry-pushback-ms': '1000', 'evenkeel-rejected': '1' });
    held?.end();
    expect((await ask(client)).text).toBe('done');
    expect((await ask(client, { 'evenkeel-timeout-ms': '0' })).code).toBe(grpc.status.DEADLINE_EXCEEDED);
    expect((await ask(client, { 'evenkeel-timeout-ms': 'x' })).code).toBe(grpc.status.INVALID_ARGUMENT);
    await limiter.drain();
    expect((await ask(client)).code).toBe(grpc.status.UNAVAILABLE);
  });

  it('hands on the deadline of the call', async () => {
    const { clock, limiter } = limiterRig();
    const contexts: CallContext[] = [];
    const client = await serve(limiter, (_call, context) => {
      contexts.push(context);
      return { status: 200, body: JSON.stringify({ text: 'done' }) };
    });
    await ask(client, {}, { deadline: Date.now() + 5000 });
    expect((contexts[0]?.deadline ?? 0) - clock.now()).toBeGreaterThan(4000);
  });
});
