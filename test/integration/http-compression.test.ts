/** Compressed calls over real sockets: node's own zlib is on both ends. */
import { brotliCompressSync, createGzip, gzipSync } from 'node:zlib';
import { type CallHandler, headerName, headerValue, staticResolver } from 'evenkeel/core';
import { type CompressionOptions, createCompression, createHttpTransport } from 'evenkeel/http';
import { createLatencyTax, createRouter, type Router, type RouterOptions } from 'evenkeel/router';
import * as undici from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { httpServer } from '../support/http-servers.js';

const TEXT = 'a sentence that is said again. '.repeat(2000);
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function routerTo(address: string, options: CompressionOptions = {}, more: Partial<RouterOptions> = {}): Router {
  const transport = createHttpTransport({ undici });
  const router = createRouter({
    service: 's',
    resolver: staticResolver([address]),
    transport,
    compression: createCompression(options),
    timeoutMs: 10_000,
    retry: false,
    ...more,
  });
  closing.push(async () => {
    await router.close();
    await transport.close();
  });
  return router;
}

async function serving(handler: CallHandler): Promise<string> {
  const transport = createHttpTransport({ undici });
  const listener = await transport.serve({ address: 'http://127.0.0.1:0' }, handler);
  closing.push(async () => {
    await listener.close();
    await transport.close();
  });
  return listener.address;
}

/** A server whose answers are these bytes, said to be in that coding. */
async function answering(encoding: string, bytes: Buffer, headers: Record<string, string> = {}): Promise<string> {
  const server = await httpServer((_request, response) => {
    response.writeHead(200, { 'content-encoding': encoding, 'content-length': String(bytes.length), ...headers });
    response.end(bytes);
  });
  closing.push(() => server.close());
  return server.address;
}

describe('a compressed response', () => {
  it.each([
    ['gzip', gzipSync(TEXT)],
    ['x-gzip', gzipSync(TEXT)],
    ['br', brotliCompressSync(TEXT)],
  ])('in %s is decoded, and its headers tell of what the caller has', async (encoding, bytes) => {
    const tax = createLatencyTax();
    const router = routerTo(await answering(encoding, bytes, { 'x-other': 'kept' }), {}, { tax });
    const response = await router.call({ path: '/' });
    expect(await response.text()).toBe(TEXT);
    expect(response.header('content-encoding')).toBeUndefined();
    expect(response.header('content-length')).toBeUndefined();
    expect(response.header('x-other')).toBe('kept');
    const streamed = await router.call({ path: '/', response: 'stream' });
    expect(await streamed.text()).toBe(TEXT);
    expect(tax.report().cpuUs.compression).toBeGreaterThan(0);
  });

  it('in a coding that was not asked for is handed on as it is', async () => {
    const router = routerTo(await answering('br', brotliCompressSync(TEXT)), { encodings: ['gzip'] });
    const response = await router.call({ path: '/' });
    expect(response.header('content-encoding')).toBe('br');
    expect(response.body).toEqual(brotliCompressSync(TEXT));
  });

  it('is handed on as it is to a caller who asks for it', async () => {
    const router = routerTo(await answering('gzip', gzipSync(TEXT)));
    const response = await router.call({ path: '/', headers: { 'Accept-Encoding': 'gzip' } });
    expect(response.body).toEqual(gzipSync(TEXT));
  });

  it('that unpacks into more than the limit is refused, long before it is unpacked', async () => {
    const bomb = await new Promise<Buffer>((resolve) => {
      const packed: Buffer[] = [];
      const gzip = createGzip();
      gzip.on('data', (chunk: Buffer) => packed.push(chunk));
      gzip.on('end', () => resolve(Buffer.concat(packed)));
      for (let i = 0; i < 100; i++) gzip.write(Buffer.alloc(1024 * 1024));
      gzip.end();
    });
    const router = routerTo(await answering('gzip', bomb), {}, { maxResponseBytes: 200_000 });
    await expect(router.call({ path: '/' })).rejects.toMatchObject({ code: 'out-of-range' });
    expect(router.snapshot()).toMatchObject({ inFlight: 0 });
  });

  it('is unpacked no faster than its reader reads', async () => {
    const router = routerTo(await answering('gzip', gzipSync(Buffer.alloc(30 * 1024 * 1024))));
    const { stream } = await router.call({ path: '/', response: 'stream' });
    let bytes = 0;
    for await (const chunk of stream ?? []) {
      bytes += chunk.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(bytes).toBe(30 * 1024 * 1024);
  });

  it.each([
    ['cut short', gzipSync(TEXT).subarray(0, 100)],
    ['garbage', Buffer.from('this is no gzip at all')],
  ])('that is %s fails with data-loss', async (_what, bytes) => {
    const router = routerTo(await answering('gzip', bytes));
    await expect(router.call({ path: '/' })).rejects.toMatchObject({ code: 'data-loss' });
    const streamed = await router.call({ path: '/', response: 'stream' });
    await expect(streamed.bytes()).rejects.toMatchObject({ code: 'data-loss' });
  });

  it('to a HEAD has no body to decode', async () => {
    const router = routerTo(await answering('gzip', gzipSync(TEXT)));
    expect((await router.call({ path: '/', method: 'HEAD' })).body).toHaveLength(0);
  });

  it('ends when its reader leaves in the middle', async () => {
    const router = routerTo(await answering('gzip', gzipSync(Buffer.alloc(30 * 1024 * 1024))));
    const { stream } = await router.call({ path: '/', response: 'stream' });
    await stream?.next();
    stream?.cancel();
    await router.drain();
    expect(router.snapshot().inFlight).toBe(0);
  });
});

describe('both ends', () => {
  const LENGTH = headerName('content-length');
  const ENCODING = headerName('content-encoding');

  it.each(['gzip', 'br'] as const)('requests and answers travel in %s and arrive as they were', async (encoding) => {
    const compression = createCompression({ encodings: [encoding] });
    const heads: (string | undefined)[] = [];
    const inner = compression.answers(async (call) => {
      let text = '';
      for await (const chunk of call.body) text += Buffer.from(chunk).toString();
      expect(headerValue(call.headers, ENCODING)).toBeUndefined();
      return { status: 200, body: text };
    });
    const address = await serving((call) => {
      heads.push(headerValue(call.headers, ENCODING), headerValue(call.headers, LENGTH));
      return inner(call);
    });
    const router = routerTo(address, { encodings: [encoding], requests: encoding });
    const large = TEXT.repeat(4);
    const pieces = async function* () {
      for (let i = 0; i < 10; i++) yield 'piece ';
    };
    for (const [body, expected] of [
      [TEXT.slice(0, 20_000), TEXT.slice(0, 20_000)],
      [Buffer.from(large), large],
      [pieces(), 'piece '.repeat(10)],
      ['short', 'short'],
    ] as const) {
      const response = await router.call({ path: '/', body });
      expect(await response.text()).toBe(expected);
    }
    expect([heads[0], heads[2], heads[4], heads[6]]).toEqual([encoding, encoding, encoding, undefined]);
    expect(Number(heads[1])).toBeLessThan(2000);
  });

  it('an answer is compressed only for a caller that takes it, when it is long enough and not packed already', async () => {
    const compression = createCompression({ encodings: ['gzip'] });
    const address = await serving(
      compression.answers(({ path }) => ({
        status: 200,
        headers: path === '/png' ? ['content-type', 'image/png'] : [],
        body: path === '/short' ? 'short' : TEXT,
      })),
    );
    const transport = createHttpTransport({ undici });
    const plain = createRouter({ service: 's', resolver: staticResolver([address]), transport });
    closing.push(async () => {
      await plain.close();
      await transport.close();
    });
    const coding = async (path: string, accept: string) =>
      (await plain.call({ path, headers: ['accept-encoding', accept] })).header('content-encoding');
    expect(await coding('/', 'br, gzip')).toBe('gzip');
    expect(await coding('/', 'gzip;q=0, identity')).toBeUndefined();
    expect(await coding('/', 'br')).toBeUndefined();
    expect(await coding('/short', 'gzip')).toBeUndefined();
    expect(await coding('/png', 'gzip')).toBeUndefined();
    const bare = await plain.call({ path: '/' });
    expect(bare.header('vary')).toBe('accept-encoding');
    expect(await bare.text()).toBe(TEXT);
  });

  it('a request that unpacks into more than the limit is not read further', async () => {
    let bytes = 0;
    const compression = createCompression({ maxDecodedBytes: 100_000 });
    const address = await serving(
      compression.answers(async (call) => {
        for await (const chunk of call.body) bytes += chunk.length;
        return { status: 200 };
      }),
    );
    const router = routerTo(address, { requests: 'gzip' });
    const response = await router.call({ path: '/', body: Buffer.alloc(20 * 1024 * 1024) }).catch((error) => error);
    expect(response.status === 500 || response.code === 'unavailable').toBe(true);
    expect(bytes).toBeLessThanOrEqual(100_000);
  });
});

it.each([{ encodings: [] }, { encodings: ['lzma'] }, { requests: 'deflate' }, { minBytes: -1 }])(
  'options that cannot be are refused: %j',
  (options) => {
    expect(() => createCompression(options as CompressionOptions)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  },
);
