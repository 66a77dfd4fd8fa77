/** Limiters under a clock that stands, the three servers on node:http that have a door, and callers that see all of an answer. */
import { Agent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type CallContext, type Criticality, createRuntime, type VirtualClock, virtualClock } from 'evenkeel/core';
import {
  callContextOf,
  createLimiter,
  type DoorOptions,
  expressLimiter,
  fastifyLimiter,
  httpLimiter,
  type Limiter,
  type LimiterOptions,
  type LimitWindow,
} from 'evenkeel/limiter';
import express from 'express';
import fastify from 'fastify';
import { httpServer, type TestServer } from './http-servers.js';

export interface LimiterRig {
  readonly limiter: Limiter;
  readonly clock: VirtualClock;
  /** What the limit saw, two calls a window. */
  readonly windows: { ended: number; failed: number; dropped: number; retryAfterMs: number }[];
}

/** One call at a time. Nobody's time in the queue is up before the test moves the clock. */
export function limiterRig(options: LimiterOptions = {}): LimiterRig {
  const clock = virtualClock({ wallTimeMs: Date.now() });
  const windows: LimiterRig['windows'] = [];
  const next = ({ dropped, ended, failed, retryAfterMs }: LimitWindow) => {
    windows.push({ ended, failed, dropped, retryAfterMs });
    return 1;
  };
  const limit = () => ({ initial: 1, min: 1, max: 1, windowMs: 0, windowCalls: 2, quantile: 0.5, next, reason: 'recorded' });
  const limiter = createLimiter({ limit, runtime: createRuntime({ clock }), ...options });
  return { limiter, clock, windows };
}

/** Refuses so many sheddable calls, or calls of `criticality`, that they are turned away at the door. */
export async function lowerLevel(
  { clock, limiter }: Pick<LimiterRig, 'clock' | 'limiter'>,
  criticality: Criticality = 'sheddable',
): Promise<void> {
  for (let period = 0; period < 8 && limiter.level === 512; period++) {
    const held = limiter.tryAcquire();
    const waiting = limiter.acquire();
    const refused = Array.from({ length: 400 }, () => limiter.acquire({ criticality }).catch(() => {}));
    await Promise.all(refused);
    held?.end();
    (await waiting).end();
    for (let i = 0; i < 70; i++) limiter.tryAcquire()?.end();
    await clock.advance(300);
    // The period is over with the first call after it.
    limiter.tryAcquire({ cohort: 0 })?.end();
  }
}

export type RawHandler = (request: IncomingMessage, response: ServerResponse, context: CallContext) => unknown;
export type DoorKind = 'node:http' | 'express' | 'fastify';
export const DOOR_KINDS: readonly DoorKind[] = ['node:http', 'express', 'fastify'];

/** Whose bodies a parser saw. */
export interface LimitedServer extends TestServer {
  parsed(): number;
}

export interface CommonOptions extends Omit<DoorOptions<never>, 'weightOf' | 'partitionOf' | 'userOf' | 'skip'> {
  skipPath?: string;
  user?: string;
}

/** A server whose bodies are parsed before the handler has them, behind a door. */
export async function limitedServer(
  kind: DoorKind,
  limiter: Limiter,
  handler: RawHandler,
  { skipPath, user, ...common }: CommonOptions = {},
): Promise<LimitedServer> {
  let parsed = 0;
  const options = {
    ...common,
    ...(skipPath === undefined ? {} : { skip: ({ url }: { url?: string }) => url === skipPath }),
    ...(user === undefined ? {} : { userOf: () => user }),
  };
  if (kind === 'fastify') {
    const app = fastify({ forceCloseConnections: true, bodyLimit: 2 ** 24 });
    await app.register(fastifyLimiter(limiter, options));
    app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) => {
      parsed++;
      done(null, body);
    });
    app.all('*', (request, reply) => {
      reply.hijack();
      handler(request.raw, reply.raw, callContextOf(request));
    });
    const address = await app.listen({ port: 0, host: '127.0.0.1' });
    const connections = () =>
      new Promise<number>((resolve, reject) =>
        app.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
      );
    const close = () => app.close();
    return { address, parsed: () => parsed, connections, close, [Symbol.asyncDispose]: close };
  }
  const parse = (request: IncomingMessage, done: () => void) => {
    request
      .on('data', () => {})
      .on('end', () => {
        parsed++;
        done();
      });
  };
  let server: TestServer;
  if (kind === 'express') {
    const app = express();
    app.use(expressLimiter(limiter, options));
    app.use((request, _response, next) => parse(request, next));
    app.use((request, response) => handler(request, response, callContextOf(request)));
    server = await httpServer(app);
  } else {
    const limited = httpLimiter(limiter, options);
    const parsedBody = (request: IncomingMessage) => new Promise<void>((resolve) => parse(request, resolve));
    server = await httpServer(
      limited((request, response, context) => parsedBody(request).then(() => handler(request, response, context))),
    );
  }
  const close = () => server.close();
  const connections = () => server.connections();
  return { address: server.address, parsed: () => parsed, connections, close, [Symbol.asyncDispose]: close };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Of the caller's end of the connection. */
  readonly port: number | undefined;
}

export interface Question {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
  body?: Buffer;
  /** Sends the body without saying how long it is. */
  isChunked?: boolean;
  agent?: Agent;
  localAddress?: string;
}

const guarded = new WeakSet<Socket>();

/**
 * A connection that is reset after the answer, with the body still on its way, may hand its error to nobody: node's client takes its own
 * listener off when it takes the request for done ("Between here and emitFreeNT the socket has no 'error' handler", its _http_client.js says).
 */
function guard(socket: Socket): void {
  if (guarded.has(socket)) return;
  guarded.add(socket);
  socket.on('error', () => {});
}

const CLOSING = new Agent({ keepAlive: false });

export function ask(server: { readonly address: string }, question: Question = {}): Promise<Answer> {
  return asking(server, question).answer;
}

/** `leave` is what a caller does that hangs up. */
export function asking(
  server: { readonly address: string },
  { agent = CLOSING, body, headers, isChunked, localAddress, method, path = '/' }: Question = {},
): { answer: Promise<Answer>; leave: () => void } {
  const isPost = body !== undefined;
  const length = isPost && !isChunked ? { 'content-length': String(body.length) } : {};
  const type = isPost ? { 'content-type': 'application/octet-stream' } : {};
  const request = httpRequest(server.address + path, {
    method: method ?? (isPost ? 'POST' : 'GET'),
    headers: { ...type, ...length, ...headers },
    agent,
    localAddress,
  });
  request.on('socket', guard);
  const answer = new Promise<Answer>((resolve, reject) => {
    request.on('error', reject).on('response', (response) => {
      const port = response.socket.localPort;
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, port }));
    });
  });
  if (isPost) request.write(body);
  request.end();
  return { answer, leave: () => request.destroy() };
}
