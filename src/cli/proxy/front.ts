/**
 * The side of the callers: ports that take HTTP/1.1 and HTTP/2 with prior knowledge alike, and hand each request over as an Inbound.
 *
 * When is a drain over? With the last exchange, not with the last connection: callers keep idle ones for as long as they like. While it
 * runs, idle connections are closed, each HTTP/1.1 answer closes its own, and HTTP/2 connections are told to send nothing new.
 */
import { createServer as createHttp1, type Server as Http1Server, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { Server as NetServer, type Socket } from 'node:net';
import type { Clock } from '../../core/clock.js';
import { listenAt } from './address.js';
import type { ListenConfig } from './config-schema.js';
import { Http1Inbound } from './http1-inbound.js';
import { Http2Inbound } from './http2-inbound.js';
import type { InboundHandler } from './inbound.js';
import { clientFault } from './refusal.js';
import { sniff } from './sniff.js';

/** How often node looks for requests whose head does not come; a timeout fires up to this much late. */
const LEAST_CHECK_MS = 50;
const LONGEST_CHECK_MS = 5000;
/** nghttp2 counts 32 bytes a header, and resets the stream where an answer would be kinder: so it is told a larger limit than holds. */
const HTTP2_HEADER_SLACK = 64 * 1024;
const END_STREAM = 1;

export class Front {
  /** With real ports. */
  readonly addresses: string[] = [];
  readonly #config: ListenConfig;
  readonly #clock: Clock;
  readonly #handle: InboundHandler;
  readonly #servers: Http1Server[] = [];
  readonly #http2: Http2Server;
  readonly #sessions = new Map<ServerHttp2Session, { streams: number }>();
  readonly #unknown = new Set<Socket>();
  readonly #exchanges = new Map<Socket, Set<Http1Inbound>>();
  #isLeaving = false;
  #isStopped = false;

  constructor(config: ListenConfig, clock: Clock, handle: InboundHandler) {
    this.#config = config;
    this.#clock = clock;
    this.#handle = handle;
    const { maxStreams, maxHeaderBytes } = config;
    this.#http2 = createHttp2({
      settings: { maxConcurrentStreams: maxStreams, maxHeaderListSize: maxHeaderBytes + HTTP2_HEADER_SLACK },
    });
    this.#http2.on('session', (session) => this.#onSession(session));
    this.#http2.on('sessionError', () => {});
  }

  /** @throws {EvenkeelError} as `listenAt`. Then nothing listens. */
  async listen(): Promise<void> {
    try {
      for (const address of this.#config.addresses) {
        const server = this.#makeServer();
        this.#servers.push(server);
        this.addresses.push(await listenAt(server, address));
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** From now on each answer says that its connection ends; new ones are still taken. */
  announceEnd(): void {
    this.#isLeaving = true;
  }

  /** Takes no more connections, and ends those that nobody waits for. */
  stopListening(): void {
    this.#isLeaving = true;
    this.#isStopped = true;
    // Not http's own close: it ends connections whose answers are written and not yet sent.
    for (const server of this.#servers) NetServer.prototype.close.call(server);
    for (const socket of this.#unknown) socket.destroy();
    for (const session of this.#sessions.keys()) session.close();
    this.#closeIdle();
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    this.stopListening();
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const session of this.#sessions.keys()) session.destroy();
    for (const server of this.#servers) server.closeAllConnections();
    await Promise.all(closed);
  }

  #makeServer(): Http1Server {
    const { maxHeaderBytes, headersTimeoutMs, idleTimeoutMs, maxConnections } = this.#config;
    const server = createHttp1({
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      // Of the whole request: that is a matter of the exchange, which knows of deadlines.
      requestTimeout: 0,
      keepAliveTimeout: idleTimeoutMs,
      connectionsCheckingInterval: Math.min(Math.max(headersTimeoutMs / 4, LEAST_CHECK_MS), LONGEST_CHECK_MS),
    });
    server.maxConnections = maxConnections;
    const takeHttp1 = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket) => {
      this.#unknown.add(socket);
      socket.once('close', () => this.#unknown.delete(socket));
      sniff(socket, this.#clock, headersTimeoutMs, (protocol) => {
        this.#unknown.delete(socket);
        if (protocol === 'http1') for (const take of takeHttp1) take.call(server, socket);
        else {
          // As in node's own http2 servers: a client that closes its half is gone, with its streams.
          socket.allowHalfOpen = false;
          this.#http2.emit('connection', socket);
        }
      });
    });
    server.on('request', (request, response) => this.#onRequest(request, response, false));
    // Without a listener node would ask for the body of a request that is too large.
    server.on('checkContinue', (request, response) => this.#onRequest(request, response, true));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#refuse(error, socket as Socket));
    return server;
  }

  #onRequest(request: IncomingMessage, response: ServerResponse, waitsForContinue: boolean): void {
    const { socket } = request;
    const inbound = new Http1Inbound(request, response, this.#clock, () => this.#isLeaving, waitsForContinue);
    let exchanges = this.#exchanges.get(socket);
    if (exchanges === undefined) {
      exchanges = new Set();
      this.#exchanges.set(socket, exchanges);
      socket.once('close', () => this.#onSocketClose(socket));
    }
    exchanges.add(inbound);
    response.once('close', () => {
      this.#exchanges.get(socket)?.delete(inbound);
      if (this.#isStopped) this.#closeIdle();
    });
    this.#handle(inbound);
  }

  /** What is no HTTP, or too much of it, or came too slowly. Node has no response for it, and closes nothing by itself. */
  #refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    const exchanges = [...(this.#exchanges.get(socket) ?? [])];
    // An answer in the middle of another is worse than none.
    const isAnswering = exchanges.length > 1 || exchanges.some(({ hasBegun }) => hasBegun);
    if (isAnswering || !socket.writable || error.code === 'ECONNRESET') socket.destroy();
    else socket.end(clientFault(error.code), () => socket.destroySoon());
  }

  /** The response to a request that was sent ahead, on a connection that is lost, never closes. */
  #onSocketClose(socket: Socket): void {
    const exchanges = this.#exchanges.get(socket) ?? [];
    this.#exchanges.delete(socket);
    for (const inbound of exchanges) inbound.over();
  }

  #onSession(session: ServerHttp2Session): void {
    const open = { streams: 0 };
    this.#sessions.set(session, open);
    session.on('error', () => {});
    session.once('close', () => this.#sessions.delete(session));
    session.setTimeout(this.#config.idleTimeoutMs, () => {
      // It is also quiet while an answer takes long.
      if (open.streams === 0) session.close();
    });
    session.on('stream', (stream, _headers, flags, rawHeaders?: string[]) => {
      open.streams++;
      stream.once('close', () => open.streams--);
      this.#handle(new Http2Inbound(stream, rawHeaders ?? [], (flags & END_STREAM) === 0, this.#clock));
    });
    if (this.#isStopped) session.close();
  }

  /** To node:http a connection is idle once its answer is written. It is closed when that has been sent. */
  #closeIdle(): void {
    for (const exchanges of this.#exchanges.values()) {
      for (const { isWritten } of exchanges) if (isWritten) return;
    }
    for (const server of this.#servers) server.closeIdleConnections();
  }
}
