/** The gRPC transport against plain grpc-js servers, which know nothing of it. */
import * as grpc from '@grpc/grpc-js';
import { grpcMethod } from 'evenkeel/grpc';
import { afterEach, describe, expect, it } from 'vitest';
import { callOnce, GrpcRig, startCall, type Text, Texts } from '../support/grpc-peers.js';
import { eventually } from '../support/http-servers.js';

const unary = grpcMethod(Texts.Unary);
const serverStream = grpcMethod(Texts.ServerStream);
const clientStream = grpcMethod(Texts.ClientStream);
const bidi = grpcMethod(Texts.Bidi);

const rig = new GrpcRig();
afterEach(() => rig.close());

const upper: grpc.handleUnaryCall<Text, Text> = ({ request }, reply) => reply(null, { text: request.text.toUpperCase() });
const failing =
  (status: Partial<grpc.StatusObject>): grpc.handleUnaryCall<Text, Text> =>
  (_call, reply) =>
    reply(status as grpc.ServerErrorResponse);

describe('a foreign gRPC server', () => {
  it('answers a unary call with one message', async () => {
    const { endpoint } = await rig.foreign({ Unary: upper });
    const call = await callOnce(rig.transport(), endpoint, { path: unary.path, body: unary.encode({ text: 'hello' }) });
    expect(call.error).toBeUndefined();
    expect([call.status, call.texts]).toEqual([200, ['HELLO']]);
  });

  it('streams messages, each one piece of the body', async () => {
    const { endpoint } = await rig.foreign({
      ServerStream: (stream) => {
        for (const letter of stream.request.text) stream.write({ text: letter });
        stream.end();
      },
    });
    const call = await callOnce(rig.transport(), endpoint, {
      path: serverStream.path,
      body: serverStream.encode({ text: 'abc' }),
    });
    expect([call.log, call.texts]).toEqual([
      ['response', 'data', 'data', 'data', 'end'],
      ['a', 'b', 'c'],
    ]);
  });

  it('takes a stream of messages, each one piece of the body', async () => {
    const { endpoint } = await rig.foreign({
      ClientStream: (stream, reply) => {
        const texts: string[] = [];
        stream.on('data', ({ text }: Text) => texts.push(text));
        stream.on('end', () => reply(null, { text: texts.join('+') }));
      },
    });
    const body = (async function* () {
      for (const text of ['a', 'b', 'c']) yield clientStream.encode({ text });
    })();
    const call = await callOnce(rig.transport(), endpoint, { path: clientStream.path, body });
    expect(call.texts).toEqual(['a+b+c']);
  });

  it('streams both ways at the same time', async () => {
    const { endpoint } = await rig.foreign({
      Bidi: (stream) => {
        stream.on('data', ({ text }: Text) => stream.write({ text: `${text}!` }));
        stream.on('end', () => stream.end());
      },
    });
    let next = () => {};
    const body = (async function* () {
      for (const text of ['a', 'b']) {
        const isEchoed = new Promise<void>((resolve) => {
          next = resolve;
        });
        yield bidi.encode({ text });
        await isEchoed;
      }
    })();
    const call = startCall(rig.transport(), endpoint, { path: bidi.path, body });
    for (const count of [1, 2]) {
      await eventually(`echo ${count}`, () => call.chunks.length === count);
      next();
    }
    await eventually('it is over', () => call.isOver);
    expect(call.texts).toEqual(['a!', 'b!']);
  });

  it('sees headers as metadata, repeated names in order and -bin as bytes, and its own come back so', async () => {
    let seen: grpc.Metadata | undefined;
    const { endpoint } = await rig.foreign({
      Unary: (call, reply) => {
        seen = call.metadata;
        const head = new grpc.Metadata();
        head.add('x-many', 'c');
        head.add('x-many', 'd');
        head.add('x-data-bin', Buffer.from([0, 255]));
        call.sendMetadata(head);
        const tail = new grpc.Metadata();
        tail.set('x-tail', 't');
        reply(null, { text: '' }, tail);
      },
    });
    const headers = ['X-Many', 'a', 'x-many', 'b', 'x-data-bin', '/wA=', 'te', 'x', 'grpc-status', '3', 'connection', 'close'];
    const call = await callOnce(rig.transport(), endpoint, { path: unary.path, headers, body: unary.encode({ text: '' }) });
    expect(call.error).toBeUndefined();
    expect(seen?.get('x-many').join(', ')).toBe('a, b');
    expect(seen?.get('x-data-bin')).toEqual([Buffer.from([255, 0])]);
    expect([seen?.get('grpc-status'), seen?.get('connection')]).toEqual([[], []]);
    expect(call.values('x-many').join(', ')).toBe('c, d');
    expect(call.values('x-data-bin')).toEqual(['AP8=']);
    expect(call.values('x-tail', call.trailers)).toEqual(['t']);
  });

  it.each([
    ['a value beyond ASCII', ['x-a', 'grün']],
    ['bytes that are not base64', ['x-a-bin', '***']],
    ['a name of HTTP only', ['x!a', '1']],
  ])('never sees %s: invalid-argument', async (_what, headers) => {
    const { endpoint } = await rig.foreign({ Unary: upper });
    const call = await callOnce(rig.transport(), endpoint, { path: unary.path, headers, body: unary.encode({ text: '' }) });
    expect(call.error).toMatchObject({ code: 'invalid-argument', retryable: 'no' });
  });

  it('survives a request with a header twice that may stand once', async () => {
    const { endpoint } = await rig.foreign({ Unary: upper });
    const headers = ['authorization', 'one', 'authorization', 'two'];
    const call = await callOnce(rig.transport(), endpoint, { path: unary.path, headers, body: unary.encode({ text: 'x' }) });
    expect([call.error, call.texts]).toEqual([undefined, ['X']]);
  });

  it('sees the deadline of evenkeel-timeout-ms as its own, and a call past it is deadline-exceeded', async () => {
    let deadline = 0;
    let isCancelled = false;
    const { endpoint } = await rig.foreign({
      Unary: (call) => {
        deadline = Number(call.getDeadline());
        call.on('cancelled', () => {
          isCancelled = true;
        });
      },
    });
    const headers = ['evenkeel-timeout-ms', '200'];
    const before = Date.now();
    const call = await callOnce(rig.transport(), endpoint, { path: unary.path, headers, body: unary.encode({ text: '' }) });
    expect(deadline).toBeGreaterThan(before);
    expect(deadline).toBeLessThan(before + 5000);
    // Whoever was first: our own timer is an error, the server's status is an answer.
    expect(call.error?.code ?? call.status).toBeOneOf(['deadline-exceeded', 504]);
    await eventually('the server knows', () => isCancelled);
  });

  it.each(['cancelled', 'deadline-exceeded'] as const)('sees a call that ends with %s as cancelled', async (code) => {
    let isCancelled = false;
    let isRunning = false;
    const { endpoint } = await rig.foreign({
      Unary: (call) => {
        isRunning = true;
        call.on('cancelled', () => {
          isCancelled = true;
        });
      },
    });
    const call = startCall(rig.transport(), endpoint, { path: unary.path, body: unary.encode({ text: '' }) });
    await eventually('the handler runs', () => isRunning);
    call.cancel(code);
    await eventually('the server knows', () => isCancelled);
    expect(call.error).toMatchObject({ code, retryable: 'unknown' });
  });

  it.each([
    [grpc.status.NOT_FOUND, 404],
    [grpc.status.RESOURCE_EXHAUSTED, 429],
    [grpc.status.UNAVAILABLE, 503],
    [grpc.status.INVALID_ARGUMENT, 400],
    [grpc.status.UNAUTHENTICATED, 401],
    [grpc.status.CANCELLED, 499],
    [grpc.status.INTERNAL, 500],
  ])('that says status %i before any message is an answer of HTTP status %i', async (code, status) => {
    const metadata = new grpc.Metadata();
    metadata.set('evenkeel-rejected', '1');
    metadata.set('grpc-retry-pushback-ms', '70');
    const { endpoint } = await rig.foreign({ Unary: failing({ code, details: 'not today', metadata }) });
    const call = await callOnce(rig.transport(), endpoint, { path: unary.path, body: unary.encode({ text: '' }) });
    expect([call.error, call.status, call.log]).toEqual([undefined, status, ['response', 'end']]);
    expect(call.values('grpc-status')).toEqual([String(code)]);
    expect(call.values('grpc-message')).toEqual(['not today']);
    expect([call.values('evenkeel-rejected'), call.values('grpc-retry-pushback-ms')]).toEqual([['1'], ['70']]);
    expect(call.values('grpc-status', call.trailers)).toEqual([String(code)]);
  });

  it('that says a bare status behind its headers is an answer, too', async () => {
    const { endpoint } = await rig.foreign({
      Unary: (call, reply) => {
        const head = new grpc.Metadata();
        head.set('x-head', 'h');
        call.sendMetadata(head);
        reply({ code: grpc.status.UNAVAILABLE, details: 'busy' });
      },
    });
    const call = await callOnce(rig.transport(), endpoint, { path: unary.path, body: unary.encode({ text: '' }) });
    expect([call.error, call.status, call.values('x-head')]).toEqual([undefined, 503, ['h']]);
  });

  it('that fails after a message is an error of its code, and may have acted', async () => {
    const { endpoint } = await rig.foreign({
      ServerStream: (stream) => {
        stream.write({ text: 'half' });
        stream.emit('error', { code: grpc.status.DATA_LOSS, details: 'gone' });
      },
    });
    const call = await callOnce(rig.transport(), endpoint, { path: serverStream.path, body: serverStream.encode({ text: '' }) });
    expect(call.error).toMatchObject({ code: 'data-loss', retryable: 'unknown' });
    expect([call.status, call.texts, call.log.filter((what) => what === 'end')]).toEqual([200, ['half'], []]);
  });

  it('without the method answers 501', async () => {
    const { endpoint } = await rig.foreign({ Unary: upper });
    const call = await callOnce(rig.transport(), endpoint, { path: '/test.Texts/Nothing', body: '' });
    expect([call.status, call.values('grpc-status')]).toEqual([501, ['12']]);
  });

  it('with a message too large for us ends the call with resource-exhausted', async () => {
    const { endpoint } = await rig.foreign({ Unary: (_call, reply) => reply(null, { text: 'x'.repeat(10_000) }) });
    const transport = rig.transport({ maxMessageBytes: 1000 });
    const call = await callOnce(transport, endpoint, { path: unary.path, body: unary.encode({ text: '' }) });
    expect(call.error).toMatchObject({ code: 'resource-exhausted', retryable: 'no' });
  });

  it('that finds a message too large answers 429', async () => {
    const { endpoint } = await rig.foreign({ Unary: upper }, { 'grpc.max_receive_message_length': 1000 });
    const call = await callOnce(rig.transport(), endpoint, {
      path: unary.path,
      body: unary.encode({ text: 'x'.repeat(10_000) }),
    });
    expect([call.status, call.values('grpc-status')]).toEqual([429, ['8']]);
  });

  it('that is not there is unavailable at once, again and again, and is found when it comes back', async () => {
    const gone = await rig.foreign({ Unary: upper });
    const port = gone.endpoint.address.split(':').at(-1);
    gone.kill();
    const transport = rig.transport();
    const request = { path: unary.path, body: unary.encode({ text: 'x' }) };
    for (let i = 0; i < 3; i++) {
      const before = performance.now();
      const { error } = await callOnce(transport, gone.endpoint, request);
      expect(error).toMatchObject({ code: 'unavailable', retryable: 'yes' });
      expect(error?.message).toContain('ECONNREFUSED');
      expect(performance.now() - before).toBeLessThan(1000);
    }
    const back = new grpc.Server();
    back.addService(Texts, { Unary: upper } as unknown as grpc.UntypedServiceImplementation);
    rig.onClose(() => back.forceShutdown());
    await new Promise<void>((resolve, reject) => {
      const at = `127.0.0.1:${port}`;
      back.bindAsync(at, grpc.ServerCredentials.createInsecure(), (error) => (error === null ? resolve() : reject(error)));
    });
    await eventually('a call succeeds', async () => (await callOnce(transport, gone.endpoint, request)).status === 200);
  });

  it('killed midway ends its calls with unavailable, and they may have been acted on', async () => {
    const server = await rig.foreign({
      ServerStream: (stream) => {
        stream.write({ text: 'half' });
      },
    });
    const request = { path: serverStream.path, body: serverStream.encode({ text: '' }) };
    const call = startCall(rig.transport(), server.endpoint, request);
    await eventually('half of it is there', () => call.chunks.length === 1);
    server.kill();
    await eventually('it is over', () => call.isOver);
    expect(call.error).toMatchObject({ code: 'unavailable', retryable: 'unknown' });
  });

  it('feels the back-pressure of a reader that pauses', async () => {
    let written = 0;
    const total = 400;
    const { endpoint } = await rig.foreign({
      ServerStream: (stream) => {
        const more = () => {
          while (written < total) {
            written++;
            if (!stream.write({ text: 'x'.repeat(64 * 1024) })) {
              stream.once('drain', more);
              return;
            }
          }
          stream.end();
        };
        more();
      },
    });
    const call = startCall(rig.transport(), endpoint, { path: serverStream.path, body: serverStream.encode({ text: '' }) });
    call.pause();
    let last = -1;
    await eventually('the server stops', async () => {
      const isStill = written === last && written > 0;
      last = written;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return isStill;
    });
    expect(written).toBeLessThan(total);
    expect(call.chunks.length).toBeLessThanOrEqual(1);
    call.resume();
    await eventually('it is over', () => call.isOver);
    expect([call.error, call.chunks.length]).toEqual([undefined, total]);
  });
});
