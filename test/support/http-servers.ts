/** Real servers on the loopback: well-behaved ones of node:http, and raw sockets for everything a server should not do. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';

export interface TestServer extends AsyncDisposable {
  /** http://127.0.0.1:port */
  readonly address: string;
  /** Connections open now. */
  connections(): Promise<number>;
  close(): Promise<void>;
}

class Listening implements TestServer {
  readonly address: string;
  readonly #server: Server | TcpServer;
  readonly #sockets = new Set<Socket>();

  constructor(server: Server | TcpServer) {
    this.#server = server;
    this.address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export async function httpServer(listener: RequestListener, options: { keepAliveTimeout?: number } = {}): Promise<TestServer> {
  const server = createHttpServer(options, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return new Listening(server);
}

/** @param onRequest - Called once a connection, when the head of its first request is there. */
export async function rawServer(onRequest: (socket: Socket, head: string) => void): Promise<TestServer> {
  const server = createTcpServer((socket) => {
    let head = '';
    const onData = (chunk: Buffer) => {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', onData);
      socket.resume();
      onRequest(socket, head);
    };
    socket.on('data', onData);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return new Listening(server);
}

/** An address where nobody listens. */
export async function deadAddress(): Promise<string> {
  const server = await rawServer(() => {});
  const { address } = server;
  await server.close();
  return address;
}

/** Waits for what another socket or timer has yet to do. */
export async function eventually(what: string, check: () => boolean | Promise<boolean>, withinMs = 5000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await check())) {
    assert(performance.now() < end, `not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What keeps the process busy: sockets and timers, by kind. */
export function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
