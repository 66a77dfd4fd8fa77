/** Foreign gRPC servers and clients: plain grpc-js with a service of texts, as generated code would have it. */
import * as grpc from '@grpc/grpc-js';
import type { CallHandler, CallTransport, Endpoint, EvenkeelError, HeaderList, Listener, ListenOptions } from 'evenkeel/core';
import { headerEntries } from 'evenkeel/core';
import { createGrpcTransport, type GrpcTransport, type GrpcTransportOptions } from 'evenkeel/grpc';
import type { Router, RouterOptions } from 'evenkeel/router';
import { eventually } from './http-servers.js';
import { liveRouter } from './live-router.js';

export interface Text {
  text: string;
}

const toBytes = (message: Text): Buffer => Buffer.from(JSON.stringify(message));
const fromBytes = (bytes: Buffer): Text => JSON.parse(bytes.toString()) as Text;

function method(name: string, requestStream: boolean, responseStream: boolean): grpc.MethodDefinition<Text, Text> {
  return {
    path: `/test.Texts/${name}`,
    requestStream,
    responseStream,
    requestSerialize: toBytes,
    requestDeserialize: fromBytes,
    responseSerialize: toBytes,
    responseDeserialize: fromBytes,
  };
}

/** What generated code gives. */
export const Texts = {
  Unary: method('Unary', false, false),
  ServerStream: method('ServerStream', false, true),
  ClientStream: method('ClientStream', true, false),
  Bidi: method('Bidi', true, true),
} as const;

export type TextsHandlers = Partial<{
  Unary: grpc.handleUnaryCall<Text, Text>;
  ServerStream: grpc.handleServerStreamingCall<Text, Text>;
  ClientStream: grpc.handleClientStreamingCall<Text, Text>;
  Bidi: grpc.handleBidiStreamingCall<Text, Text>;
}>;

export interface ForeignServer extends AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly server: grpc.Server;
  /** At once, calls in flight included. */
  kill(): void;
}

export async function foreignServer(handlers: TextsHandlers, options: grpc.ServerOptions = {}): Promise<ForeignServer> {
  const server = new grpc.Server(options);
  server.addService(Texts, handlers as grpc.UntypedServiceImplementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const address = `grpc://127.0.0.1:${port}`;
  return {
    endpoint: { id: address, address },
    server,
    kill: () => server.forceShutdown(),
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

/** What a test opens, closed last first. */
export class GrpcRig {
  readonly #open: (() => unknown)[] = [];

  /** Leaves the rig as new. */
  async close(): Promise<void> {
    for (const close of this.#open.splice(0).reverse()) await close();
  }

  onClose(close: () => unknown): void {
    this.#open.push(close);
  }

  transport(options: Partial<GrpcTransportOptions> = {}): GrpcTransport {
    const transport = createGrpcTransport({ grpc, ...options });
    this.onClose(() => transport.close());
    return transport;
  }

  /** Over any transport. */
  router(transport: CallTransport, addresses: readonly string[], options: Partial<RouterOptions> = {}): Router {
    const live = liveRouter(addresses, { transport, ...options });
    this.onClose(() => live[Symbol.asyncDispose]());
    return live.router;
  }

  /** A listener of ours. */
  async serve(
    transport: { serve(at: ListenOptions, handler: CallHandler): Promise<Listener> },
    handler: CallHandler,
    scheme = 'grpc',
  ): Promise<Listener> {
    const listener = await transport.serve({ address: `${scheme}://127.0.0.1:0` }, handler);
    this.onClose(() => listener.close());
    return listener;
  }

  async foreign(handlers: TextsHandlers, options: grpc.ServerOptions = {}): Promise<ForeignServer> {
    const server = await foreignServer(handlers, options);
    this.onClose(() => server.kill());
    return server;
  }
}

/** A plain client of an address `grpc://host:port`. */
export function foreignClient(address: string): grpc.Client & Disposable {
  const client = new grpc.Client(address.replace('grpc://', ''), grpc.credentials.createInsecure());
  return Object.assign(client, { [Symbol.dispose]: () => client.close() });
}

/** What a call told its sink. */
export class CallLog {
  status: number | undefined;
  headers: HeaderList = [];
  trailers: HeaderList = [];
  readonly chunks: Buffer[] = [];
  readonly log: string[] = [];
  error: EvenkeelError | undefined;
  isOver = false;
  cancel: (code: 'cancelled' | 'deadline-exceeded') => void = () => {};
  pause: () => void = () => {};
  resume: () => void = () => {};

  onResponse(status: number, headers: HeaderList): void {
    this.log.push('response');
    this.status = status;
    this.headers = headers;
  }

  onData(chunk: Uint8Array): void {
    this.log.push('data');
    this.chunks.push(Buffer.from(chunk));
  }

  onEnd(trailers: HeaderList = []): void {
    this.log.push('end');
    this.trailers = trailers;
    this.isOver = true;
  }

  onError(error: EvenkeelError): void {
    this.log.push('error');
    this.error = error;
    this.isOver = true;
  }

  get texts(): string[] {
    return this.chunks.map((chunk) => fromBytes(chunk).text);
  }

  values(name: string, list: HeaderList = this.headers): string[] {
    return headerEntries(list)
      .filter(([key]) => key === name)
      .map(([, value]) => value);
  }
}

export function startCall(transport: CallTransport, to: Endpoint, request: Parameters<CallTransport['start']>[1]): CallLog {
  const log = new CallLog();
  const handle = transport.start(to, request, log);
  log.cancel = (code) => handle.cancel(code);
  log.pause = () => handle.pause();
  log.resume = () => handle.resume();
  return log;
}

export async function callOnce(
  transport: CallTransport,
  to: Endpoint,
  request: Parameters<CallTransport['start']>[1],
): Promise<CallLog> {
  const log = startCall(transport, to, request);
  await eventually('the call is over', () => log.isOver);
  return log;
}
