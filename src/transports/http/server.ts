/** The server side of CallTransport on node:http: streams both ways, trailers, and an AbortSignal when the caller goes away. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { EvenkeelError, invalidArgument } from '../../core/errors.js';
import { drained } from '../../core/internal/drained.js';
import type { CallAnswer, CallBody, CallHandler, Listener, ListenOptions } from '../../core/transport/call.js';

export async function serveHttp(at: ListenOptions, handler: CallHandler): Promise<Listener> {
  const url = parseAddress(at.address);
  const server = createServer();
  const listener = new HttpListener(server, handler);
  server.listen(url.port === '' ? 80 : Number(url.port), url.hostname.replace(/^\[|\]$/g, ''));
  try {
    await once(server, 'listening');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'already-exists' : 'unavailable';
    throw new EvenkeelError(code, `cannot listen at ${at.address}: ${(cause as Error).message}`, { cause });
  }
  const { port } = server.address() as AddressInfo;
  listener.address = `http://${url.hostname}:${port}`;
  return listener;
}

/**
 * When is a drain over? With the last call in flight, not with the last connection: callers keep idle ones for as long as they like.
 * While it runs, idle connections are closed and each answer closes its own.
 */
class HttpListener implements Listener {
  address = '';
  readonly #server: Server;
  /** Of calls in flight: the handler at work, or bytes not yet handed to the operating system. */
  readonly #responses = new Set<ServerResponse>();
  #closed: Promise<void> | undefined;

  constructor(server: Server, handler: CallHandler) {
    this.#server = server;
    server.on('request', (request, response) => {
      this.#responses.add(response);
      response.once('close', () => this.#over(response));
      answer(request, response, handler, () => this.#closed !== undefined).catch(() => response.destroy());
    });
    // The response to a request that was sent ahead, on a connection that is lost, never closes.
    server.on('connection', (socket) => {
      socket.once('close', () => {
        for (const response of this.#responses) if (response.req.socket === socket) this.#over(response);
      });
    });
  }

  drain(): Promise<void> {
    if (this.#closed === undefined) {
      // Not http's own close: it ends connections whose answers are written and not yet sent.
      this.#closed = new Promise((resolve) => NetServer.prototype.close.call(this.#server, () => resolve()));
      this.#closeIdle();
    }
    return this.#closed;
  }

  close(): Promise<void> {
    const closed = this.drain();
    this.#server.closeAllConnections();
    return closed;
  }

  #over(response: ServerResponse): void {
    this.#responses.delete(response);
    if (this.#closed !== undefined) this.#closeIdle();
  }

  #closeIdle(): void {
    if (this.#responses.size === 0) {
      this.#server.closeAllConnections();
      // Also stops its timer.
      this.#server.close();
      return;
    }
    // To node:http a connection is idle once its answer is written. It is closed when that has been sent.
    for (const { writableEnded } of this.#responses) if (writableEnded) return;
    this.#server.closeIdleConnections();
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handler: CallHandler,
  isDraining: () => boolean,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort(new EvenkeelError('cancelled', 'the caller went away'));
  });
  let result: CallAnswer;
  try {
    result = await handler({
      path: request.url ?? '/',
      method: request.method ?? 'GET',
      headers: request.rawHeaders,
      body: request,
      signal: gone.signal,
    });
    if (response.destroyed) return;
    // Trailers need chunked encoding, which a body of known length would not get.
    const isStream = result.trailers !== undefined || isIterable(result.body);
    const headers = headersFor(result, isStream);
    if (isDraining()) closeAfter(headers);
    response.writeHead(result.status, headers);
    // The caller may want to know the status long before the first piece.
    if (isStream) response.flushHeaders();
  } catch {
    if (!response.headersSent) response.writeHead(500);
    response.end();
    return;
  }
  await writeBody(response, result.body, gone.signal);
  const trailers = typeof result.trailers === 'function' ? result.trailers() : result.trailers;
  if (trailers !== undefined) response.addTrailers(pairs(trailers));
  response.end();
  // What is left of the request would block the connection for the next one.
  request.resume();
}

async function writeBody(response: ServerResponse, body: CallBody | undefined, signal: AbortSignal): Promise<void> {
  if (body === undefined) return;
  if (!isIterable(body)) {
    response.write(body);
    return;
  }
  for await (const chunk of body) {
    if (signal.aborted) return;
    if (!response.write(chunk)) await drained(response);
  }
}

function headersFor(result: CallAnswer, isStream: boolean): string[] {
  const headers = [...(result.headers ?? [])];
  if (isStream) return headers;
  headers.push('content-length', String(result.body === undefined ? 0 : Buffer.byteLength(result.body as string | Uint8Array)));
  return headers;
}

/** Whoever keeps the connection would send the next call here. */
function closeAfter(headers: string[]): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) if (headers[i]?.toLowerCase() === 'connection') headers.splice(i, 2);
  headers.push('connection', 'close');
}

function isIterable(body: CallBody | undefined): body is AsyncIterable<Uint8Array | string> {
  return body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array);
}

function pairs(flat: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) list.push([flat[i] as string, flat[i + 1] as string]);
  return list;
}

function parseAddress(address: string): URL {
  if (typeof address === 'string' && /^http:\/\//.test(address)) {
    try {
      return new URL(address);
    } catch {
      // Reported below.
    }
  }
  throw invalidArgument('address', address, 'http://host:port; port 0 takes a free one');
}
