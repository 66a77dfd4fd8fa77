/** The listener of the gRPC transport as plain grpc-js clients see it. */
import * as grpc from '@grpc/grpc-js';
import { type CallHandler, headerEntries } from 'evenkeel/core';
import type { GrpcTransportOptions } from 'evenkeel/grpc';
import { afterEach, describe, expect, it } from 'vitest';
import { callOnce, foreignClient, GrpcRig, type Text, Texts } from '../support/grpc-peers.js';
import { eventually, resources } from '../support/http-servers.js';
import { LOOPBACK_CERTIFICATE, LOOPBACK_KEY } from '../support/loopback-tls.js';

const rig = new GrpcRig();
afterEach(() => rig.close());

async function serve(handler: CallHandler, options?: Partial<GrpcTransportOptions>) {
  const listener = await rig.serve(rig.transport(options), handler);
  const client = foreignClient(listener.address);
  rig.onClose(() => client.close());
  return { listener, client };
}

interface Answer {
  error: grpc.ServiceError | null;
  text?: string;
  head?: grpc.Metadata;
  status?: grpc.StatusObject;
}

function ask(client: grpc.Client, text: string, metadata = new grpc.Metadata(), options: grpc.CallOptions = {}): Promise<Answer> {
  const { path, requestSerialize, responseDeserialize } = Texts.Unary;
  return new Promise((resolve) => {
    const answer: Answer = { error: null };
    const call = client.makeUnaryRequest<Text, Text>(
      path,
      requestSerialize,
      responseDeserialize,
      { text },
      metadata,
      options,
      (error, reply) => Object.assign(answer, { error, text: reply?.text }),
    );
    call.on('metadata', (head: grpc.Metadata) => Object.assign(answer, { head }));
    call.on('status', (status: grpc.StatusObject) => resolve(Object.assign(answer, { status })));
  });
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  for await (const message of body) return (JSON.parse(Buffer.from(message).toString()) as Text).text;
  return '';
}

const message = (text: string) => JSON.stringify({ text });

describe('a listener', () => {
  it('hands any method to its handler, with metadata, deadline and the type of the wire', async () => {
    let seen: Record<string, string> = {};
    let path = '';
    const { client } = await serve(async (call) => {
      path = call.path;
      seen = Object.fromEntries(headerEntries(call.headers));
      return {
        status: 200,
        headers: ['x-head', 'h', 'x-data-bin', 'AP8='],
        body: message(await textOf(call.body)),
        trailers: ['x-tail', 't'],
      };
    });
    const metadata = new grpc.Metadata();
    metadata.set('x-ask', 'why');
    metadata.set('x-data-bin', Buffer.from([1, 2]));
    const { error, text, head, status } = await ask(client, 'hello', metadata, { deadline: Date.now() + 60_000 });
    expect([error, text, path]).toEqual([null, 'hello', Texts.Unary.path]);
    expect(seen).toMatchObject({ 'x-ask': 'why', 'x-data-bin': 'AQI=', 'content-type': 'application/grpc' });
    expect(seen['grpc-timeout']).toMatch(/^[1-9]\d{4}m$/);
    expect([head?.get('x-head'), head?.get('x-data-bin')]).toEqual([['h'], [Buffer.from([0, 255])]]);
    expect(status?.metadata.get('x-tail')).toEqual(['t']);
  });

  it.each([
    [404, grpc.status.NOT_FOUND],
    [429, grpc.status.RESOURCE_EXHAUSTED],
    [503, grpc.status.UNAVAILABLE],
    [400, grpc.status.INVALID_ARGUMENT],
    [418, grpc.status.FAILED_PRECONDITION],
  ])('says HTTP status %i as code %i, with its headers', async (status, code) => {
    const { client } = await serve(() => ({ status, headers: ['grpc-retry-pushback-ms', '50'] }));
    const { error } = await ask(client, '');
    expect(error?.code).toBe(code);
    expect(error?.metadata.get('grpc-retry-pushback-ms')).toEqual(['50']);
  });

  it('says a handler that throws as INTERNAL, and nothing of why', async () => {
    const { client } = await serve(() => {
      throw new Error('a secret of the server');
    });
    const { error } = await ask(client, '');
    expect([error?.code, error?.details]).toEqual([grpc.status.INTERNAL, 'internal error']);
  });

  it('refuses a message that is too large', async () => {
    const answer: CallHandler = async (call) => ({ status: 200, body: message(await textOf(call.body)) });
    const { client } = await serve(answer, { maxMessageBytes: 1000 });
    expect((await ask(client, 'x'.repeat(10_000))).error?.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    expect((await ask(client, 'x')).text).toBe('x');
  });

  it('aborts the handler’s signal when the caller cancels, read or not', async () => {
    const aborted: string[] = [];
    let running = 0;
    const { client } = await serve(async (call) => {
      running++;
      if (running === 1) await textOf(call.body);
      const which = running === 1 ? 'read' : 'unread';
      await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve(), { once: true }));
      aborted.push(which);
      return { status: 200 };
    });
    for (const count of [1, 2]) {
      const { path, requestSerialize, responseDeserialize } = Texts.Unary;
      const call = client.makeUnaryRequest<Text, Text>(path, requestSerialize, responseDeserialize, { text: 'x' }, () => {});
      await eventually('the handler runs', () => running === count);
      call.cancel();
      await eventually('it heard', () => aborted.length === count);
    }
    expect(aborted).toEqual(['read', 'unread']);
  });

  it('aborts the handler’s signal when the caller’s deadline passes', async () => {
    let isAborted = false;
    const { client } = await serve(async (call) => {
      await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve(), { once: true }));
      isAborted = true;
      return { status: 200 };
    });
    const { error } = await ask(client, '', new grpc.Metadata(), { deadline: Date.now() + 100 });
    expect(error?.code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await eventually('it heard', () => isAborted);
  });

  it('streams both ways', async () => {
    const { client } = await serve((call) => ({
      status: 200,
      body: (async function* () {
        for await (const bytes of call.body) yield bytes;
      })(),
    }));
    const { path, requestSerialize, responseDeserialize } = Texts.Bidi;
    const stream = client.makeBidiStreamRequest<Text, Text>(path, requestSerialize, responseDeserialize);
    const texts: string[] = [];
    let code: number | undefined;
    stream.on('data', ({ text }: Text) => texts.push(text));
    stream.on('status', (status: grpc.StatusObject) => {
      code = status.code;
    });
    for (const text of ['a', 'b', 'c']) {
      stream.write({ text });
      await eventually(`echo ${text}`, () => texts.at(-1) === text);
    }
    stream.end();
    await eventually('it is over', () => code !== undefined);
    expect([code, texts]).toEqual([grpc.status.OK, ['a', 'b', 'c']]);
  });

  it.each([
    ['before the first piece', 0],
    ['while the first is awaited', 1],
    ['after the first', 2],
  ])('returns the body of its answer once when the caller leaves %s', async (_when, pulls) => {
    let [returned, pulled, texts] = [0, 0, 0];
    let isAsked = false;
    const body: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          pulled++;
          return pulled < pulls ? Promise.resolve({ done: false, value: message('first') }) : new Promise(() => {});
        },
        return: async () => {
          returned++;
          return { done: true, value: undefined };
        },
      }),
    };
    const { client } = await serve(async ({ signal }) => {
      isAsked = true;
      if (pulls === 0) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      return { status: 200, body };
    });
    const { path, requestSerialize, responseDeserialize } = Texts.ServerStream;
    const stream = client.makeServerStreamRequest<Text, Text>(path, requestSerialize, responseDeserialize, { text: '' });
    stream.on('error', () => {});
    stream.on('data', () => texts++);
    await eventually('it is as far', () => isAsked && pulled === pulls && texts === Math.max(0, pulls - 1));
    stream.cancel();
    await eventually('it is returned', () => returned > 0);
    // Whoever would return it again does so within a turn.
    await new Promise((resolve) => setImmediate(resolve));
    expect([returned, pulled]).toEqual([1, pulls]);
  });

  it('is not made on a closed transport, nor without a handler', async () => {
    const transport = rig.transport();
    const at = { address: 'grpc://127.0.0.1:0' };
    await expect(transport.serve(at, undefined as never)).rejects.toMatchObject({ code: 'invalid-argument' });
    await transport.close();
    await expect(transport.serve(at, () => ({ status: 200 }))).rejects.toMatchObject({ code: 'failed-precondition' });
  });

  it('cuts what it says of a failure to what the wire carries', async () => {
    const { client } = await serve(() => ({ status: 500, headers: ['grpc-message', 'é'.repeat(20_000)] }));
    const { error } = await ask(client, '');
    expect([error?.code, error?.details]).toEqual([grpc.status.INTERNAL, 'é'.repeat(4000)]);
  });

  it('returns the body of an answer that is none', async () => {
    let returned = 0;
    const body: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        async return() {
          returned++;
          return { done: true, value: undefined };
        },
      }),
    };
    const { client } = await serve(() => ({ status: 99, body }));
    expect((await ask(client, '')).error?.code).toBe(grpc.status.INTERNAL);
    await eventually('it is returned', () => returned === 1);
  });

  it('where somebody listens already is already-exists', async () => {
    const { listener } = await serve(() => ({ status: 200 }));
    const transport = rig.transport();
    await expect(transport.serve({ address: listener.address }, () => ({ status: 200 }))).rejects.toMatchObject({
      code: 'already-exists',
    });
    await expect(transport.serve({ address: 'http://127.0.0.1:0' }, () => ({ status: 200 }))).rejects.toMatchObject({
      code: 'invalid-argument',
    });
    await expect(transport.serve({ address: 'grpcs://127.0.0.1:0' }, () => ({ status: 200 }))).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });
});

describe('over TLS', () => {
  const serverCredentials = grpc.ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(LOOPBACK_CERTIFICATE), private_key: Buffer.from(LOOPBACK_KEY) },
  ]);

  async function secure(credentials?: grpc.ChannelCredentials) {
    const transport = rig.transport({
      credentials,
      serverCredentials,
      channelOptions: { 'grpc.ssl_target_name_override': 'localhost' },
    });
    const listener = await transport.serve({ address: 'grpcs://127.0.0.1:0' }, async ({ body }) => ({
      status: 200,
      body: message(await textOf(body)),
    }));
    rig.onClose(() => listener.close());
    expect(listener.address).toMatch(/^grpcs:/);
    const endpoint = { id: 'secure', address: listener.address };
    return callOnce(transport, endpoint, { path: Texts.Unary.path, body: message('hello') });
  }

  it('a call reaches a server whose certificate it trusts', async () => {
    const call = await secure(grpc.credentials.createSsl(Buffer.from(LOOPBACK_CERTIFICATE)));
    expect([call.error, call.texts]).toEqual([undefined, ['hello']]);
  });

  it('a call to a server whose certificate it does not trust is unavailable, and nothing of it was sent', async () => {
    const call = await secure();
    expect(call.error).toMatchObject({ code: 'unavailable', retryable: 'yes' });
  });
});

describe('a transport that is closed', () => {
  it('leaves no socket and no timer', async () => {
    const before = resources();
    const { listener, client } = await serve(async ({ body }) => ({ status: 200, body: message(await textOf(body)) }));
    client.close();
    const transport = rig.transport();
    const dead = { id: 'dead', address: 'grpc://127.0.0.1:1' };
    const request = { path: Texts.Unary.path, headers: ['evenkeel-timeout-ms', '60000'], body: message('x') };
    await callOnce(transport, { id: 'a', address: listener.address }, request);
    await callOnce(transport, dead, request);
    await transport.close();
    await listener.close();
    for (const kind of ['TCPSocketWrap', 'TCPServerWrap', 'Timeout']) {
      await eventually(`no ${kind} is left`, () => (resources()[kind] ?? 0) <= (before[kind] ?? 0));
    }
  });
});

describe('the health service of a listener', () => {
  const CHECK = '/grpc.health.v1.Health/Check';
  const WATCH = '/grpc.health.v1.Health/Watch';
  const same = (bytes: Buffer) => bytes;

  it('says SERVING to who asks', async () => {
    const { client } = await serve(() => ({ status: 500 }));
    const reply = await new Promise<Buffer | undefined>((resolve, reject) => {
      const done = (error: grpc.ServiceError | null, bytes?: Buffer) => (error === null ? resolve(bytes) : reject(error));
      client.makeUnaryRequest(CHECK, same, same, Buffer.alloc(0), done);
    });
    expect([...(reply ?? [])]).toEqual([8, 1]);
  });

  it('says SERVING to who watches, and NOT_SERVING from the start of a drain, with a call still in flight', async () => {
    let finish = () => {};
    let isRunning = false;
    const { client, listener } = await serve(async () => {
      isRunning = true;
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return { status: 200, body: message('done') };
    });
    const said: number[] = [];
    let code: number | undefined;
    const watch = client.makeServerStreamRequest(WATCH, same, same, Buffer.alloc(0));
    watch.on('error', () => {});
    watch.on('data', (bytes: Buffer) => said.push(bytes[1] ?? 0));
    watch.on('status', (status: grpc.StatusObject) => {
      code = status.code;
    });
    await eventually('it serves', () => said.length === 1);
    const old = ask(client, 'x');
    await eventually('a call is in flight', () => isRunning);
    const drained = listener.drain();
    await eventually('it says so', () => said.length === 2);
    finish();
    expect((await old).text).toBe('done');
    await drained;
    expect([said, code]).toEqual([[1, 2], grpc.status.OK]);
  });
});
