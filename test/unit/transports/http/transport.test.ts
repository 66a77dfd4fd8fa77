import * as undici from 'undici';
import { describe, expect, it } from 'vitest';
import { type CallRequest, type Endpoint, type EvenkeelError, virtualClock } from '../../../../src/core/index.js';
import { createHttpTransport, type Undici } from '../../../../src/transports/http/index.js';

/** Pools that keep what they are given. */
function fakeUndici() {
  const pools: { origin: string; options: unknown; dispatched: object[]; isClosed: boolean }[] = [];
  class Pool {
    readonly #record;
    constructor(origin: string, options?: object) {
      this.#record = { origin, options, dispatched: [] as object[], isClosed: false };
      pools.push(this.#record);
    }
    dispatch(options: object): boolean {
      this.#record.dispatched.push(options);
      return true;
    }
    async close() {
      this.#record.isClosed = true;
    }
    async destroy() {
      this.#record.isClosed = true;
    }
  }
  return { pools, undici: { Pool } satisfies Undici };
}

const at = (address: string): Endpoint => ({ id: address, address });

function start(transport: ReturnType<typeof createHttpTransport>, to: Endpoint, request: CallRequest) {
  const errors: EvenkeelError[] = [];
  const sink = { onResponse() {}, onData() {}, onEnd() {}, onError: (error: EvenkeelError) => errors.push(error) };
  const handle = transport.start(to, request, sink);
  return { errors, handle };
}

describe('options of the http transport', () => {
  it.each([
    ['undici', { undici: undefined as unknown as Undici }],
    ['undici', { undici: {} as unknown as Undici }],
    ['connections', { undici, connections: 0 }],
    ['connections', { undici, connections: 65_536 }],
    ['connectTimeoutMs', { undici, connectTimeoutMs: 0 }],
    ['keepAliveMs', { undici, keepAliveMs: Number.NaN }],
    ['maxHeaderBytes', { undici, maxHeaderBytes: 100 }],
  ])('%s out of range is refused by name', (name, options) => {
    expect(() => createHttpTransport(options)).toThrow(name);
  });

  it('reach the pools, one an address; their own timeouts are off', () => {
    const fake = fakeUndici();
    const transport = createHttpTransport({ undici: fake.undici, connections: 7, keepAliveMs: 5, clock: virtualClock() });
    for (const address of ['http://a:1', 'http://b:1', 'http://a:1']) start(transport, at(address), { path: '/x' });
    expect(fake.pools.map(({ origin, dispatched }) => [origin, dispatched.length])).toEqual([
      ['http://a:1', 2],
      ['http://b:1', 1],
    ]);
    expect(fake.pools[0]?.options).toMatchObject({
      connections: 7,
      keepAliveTimeout: 5,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: 16_384,
      connectTimeout: 3000,
    });
  });

  it("may bring pools of one's own", async () => {
    const fake = fakeUndici();
    const made: string[] = [];
    const transport = createHttpTransport({
      undici: fake.undici,
      pool: (origin) => {
        made.push(origin);
        return new fake.undici.Pool(origin);
      },
    });
    start(transport, at('http://a:1'), { path: '/x' }).handle.cancel('cancelled');
    expect(made).toEqual(['http://a:1']);
    await transport.close();
    expect(fake.pools[0]?.isClosed).toBe(true);
  });
});

describe('a request', () => {
  it('goes out with its own method, GET, or POST with a body', () => {
    const fake = fakeUndici();
    const transport = createHttpTransport({ undici: fake.undici });
    for (const request of [{ path: '/x' }, { path: '/x', body: '' }, { path: '/x', method: 'PUT', body: 'b' }]) {
      start(transport, at('http://a:1'), request);
    }
    expect(fake.pools[0]?.dispatched).toMatchObject([{ method: 'GET' }, { method: 'POST' }, { method: 'PUT', body: 'b' }]);
  });

  it.each([
    ['no path', {}],
    ['a path without a slash', { path: 'x' }],
    ['a line break in the path', { path: '/x\r\ny' }],
    ['headers that are no list', { path: '/x', headers: {} }],
    ['a header that is no text', { path: '/x', headers: ['a', 5] }],
    ['a body that cannot be sent', { path: '/x', body: 5 }],
  ])('with %s is refused, later and with a code', async (_what, request) => {
    const fake = fakeUndici();
    const transport = createHttpTransport({ undici: fake.undici });
    const { errors } = start(transport, at('http://a:1'), request as unknown as CallRequest);
    expect(errors).toEqual([]);
    await Promise.resolve();
    expect(errors).toMatchObject([{ code: 'invalid-argument', retryable: 'no' }]);
    await transport.drain();
  });

  it('to no endpoint at all is refused, open or closed', async () => {
    const transport = createHttpTransport({ undici: fakeUndici().undici });
    const first = start(transport, undefined as unknown as Endpoint, { path: '/x' });
    await transport.close();
    const second = start(transport, undefined as unknown as Endpoint, { path: '/x' });
    await Promise.resolve();
    expect([first.errors[0]?.code, second.errors[0]?.code]).toEqual(['invalid-argument', 'unavailable']);
  });

  it('after drain is refused as unsent; forgetting an unknown endpoint is nothing', async () => {
    const transport = createHttpTransport({ undici: fakeUndici().undici });
    transport.forget(at('http://nobody:1'));
    await transport.drain();
    const { errors } = start(transport, at('http://a:1'), { path: '/x' });
    await Promise.resolve();
    expect(errors).toMatchObject([{ code: 'unavailable', retryable: 'yes' }]);
    await Promise.all([transport.close(), transport.drain(), transport.close()]);
  });
});
