/** A proxy of the cli in front of real servers, in this process. */

import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { connect, type Socket } from 'node:net';
import * as undici from 'undici';
import { formatFault, parseConfig } from '../../src/cli/proxy/config.js';
import type { ProxyConfig } from '../../src/cli/proxy/config-schema.js';
import { type ProxyOptions, type RunningProxy, startProxy } from '../../src/cli/proxy/proxy.js';
import { eventually } from './http-servers.js';

export interface Proxied extends AsyncDisposable {
  readonly proxy: RunningProxy;
  /** Of the first address: `http://127.0.0.1:port`. */
  readonly origin: string;
  readonly port: number;
}

/** A config with one service `main` over `endpoints`, and what `more` says otherwise. */
export function configOf(
  endpoints: readonly string[],
  more: Record<string, unknown> = {},
  service: Record<string, unknown> = {},
): ProxyConfig {
  const parsed = parseConfig({
    listen: { addresses: ['127.0.0.1:0'] },
    services: { main: { resolver: { static: endpoints }, ...service } },
    routes: [{ service: 'main' }],
    ...more,
  });
  if ('faults' in parsed) throw new Error(parsed.faults.map(formatFault).join('\n'));
  return parsed.config;
}

export async function proxied(config: ProxyConfig, options: Partial<ProxyOptions> = {}): Promise<Proxied> {
  const proxy = await startProxy(config, { undici, ...options });
  const port = Number(/\d+$/.exec(proxy.addresses[0] ?? '')?.[0] ?? 0);
  return {
    proxy,
    port,
    origin: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => proxy.close(),
  };
}

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Http2Client extends AsyncDisposable {
  readonly session: ClientHttp2Session;
  request(headers: Record<string, string>, body?: string): Promise<Http2Answer>;
}

/** A client that speaks HTTP/2 with prior knowledge. */
export function http2Client(origin: string): Http2Client {
  const session = connectHttp2(origin);
  session.on('error', () => {});
  return {
    session,
    request: (headers, body) =>
      new Promise((resolve, reject) => {
        const stream = session.request(headers, { endStream: body === undefined });
        let answer: { headers: IncomingHttpHeaders } = { headers: {} };
        let trailers: IncomingHttpHeaders = {};
        let text = '';
        stream.setEncoding('utf8');
        stream.on('response', (received) => {
          answer = { headers: received };
        });
        stream.on('trailers', (received) => {
          trailers = received;
        });
        stream.on('data', (piece: string) => {
          text += piece;
        });
        stream.on('error', reject);
        stream.on('end', () => resolve({ status: Number(answer.headers[':status']), headers: answer.headers, trailers, text }));
        if (body !== undefined) stream.end(body);
      }),
    [Symbol.asyncDispose]: async () => {
      session.destroy();
    },
  };
}

export interface RawClient extends Disposable {
  readonly socket: Socket;
  /** All that has come. */
  readonly received: string;
  readonly isClosed: boolean;
}

/** A connection that sends whatever it is told to. */
export async function rawClient(port: number, bytes: string | Uint8Array = ''): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let received = '';
  let isClosed = false;
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.on('end', () => socket.end());
  socket.on('close', () => {
    isClosed = true;
  });
  await once(socket, 'connect');
  if (bytes.length > 0) socket.write(bytes);
  return {
    socket,
    get received() {
      return received;
    },
    get isClosed() {
      return isClosed;
    },
    [Symbol.dispose]: () => socket.destroy(),
  };
}

/** A long body, piece by piece. */
export async function* pieces(count: number, size: number, onPiece: (i: number) => void = () => {}): AsyncGenerator<Uint8Array> {
  const piece = Buffer.alloc(size, 'x');
  for (let i = 0; i < count; i++) {
    onPiece(i);
    yield piece;
  }
}

/** Resolves when a count above 0 has stood still for many looks. */
export async function stalled(count: () => number): Promise<void> {
  let last = 0;
  let looks = 0;
  await eventually('it stands still', () => {
    looks = count() === last && last > 0 ? looks + 1 : 0;
    last = count();
    return looks >= 20;
  });
}
