/** The server side of CallTransport on grpc-js's Server: every method goes to one handler. */
import { EvenkeelError, invalidArgument } from '../../core/errors.js';
import type { CallHandler, Listener, ListenOptions } from '../../core/transport/call.js';
import { parseAddress } from './address.js';
import { HealthService } from './health.js';
import type { Grpc, GrpcServer, ServerStream } from './peer.js';
import { answerCall } from './served-call.js';

export interface ServeOptions {
  credentials: object | undefined;
  maxMessageBytes: number;
}

export interface GrpcListener extends Listener {
  /**
   * What `grpc.health.v1.Health` says of a service, `''` for the whole server, from now until a drain begins; those who watch are told.
   * A service of which nothing was said is as the whole server, and that serves until it is said that it does not.
   */
  setServing(service: string, isServing: boolean): void;
}

export async function serveGrpc(
  grpc: Grpc,
  at: ListenOptions,
  handler: CallHandler,
  options: ServeOptions,
): Promise<GrpcListener> {
  const { isSecure, authority } = parseAddress(at.address);
  const credentials = isSecure ? options.credentials : grpc.ServerCredentials.createInsecure();
  if (credentials === undefined) throw invalidArgument('serverCredentials', undefined, 'credentials to listen at grpcs://');
  const server = new grpc.Server({
    'grpc.max_receive_message_length': options.maxMessageBytes,
    'grpc.max_send_message_length': -1,
    // grpc-js's forceShutdown finds the connections through it.
    'grpc.enable_channelz': 1,
  } as never);
  const health = new HealthService();
  takeEveryMethod(server, (stream) => {
    void answerCall(grpc, stream, (call) => health.answer(call) ?? handler(call));
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(authority, credentials as never, (cause, bound) => {
      if (cause === null) return resolve(bound);
      // Else grpc-js keeps it among its servers.
      server.forceShutdown();
      const code = cause.message.includes('EADDRINUSE') ? 'already-exists' : 'unavailable';
      reject(new EvenkeelError(code, `cannot listen at ${at.address}: ${cause.message}`, { cause }));
    });
  });
  const host = authority.slice(0, authority.lastIndexOf(':'));
  return new ServerListener(`${isSecure ? 'grpcs' : 'grpc'}://${host}:${port}`, server, health);
}

/**
 * grpc-js takes methods by name only, and a handler of calls takes any name. Its server looks a name up in one Map, `handlers`, which
 * `register` fills: a Map that has an answer for every name is the smallest step outside its interface, the same since 1.0. A server
 * of our own on http2 would have to do again what grpc-js does well: credentials, keepalive, framing, deadlines, status.
 */
function takeEveryMethod(server: GrpcServer, func: (stream: ServerStream) => void): void {
  const inner = server as unknown as { handlers: unknown };
  if (!(inner.handlers instanceof Map)) {
    throw new EvenkeelError(
      'unimplemented',
      'this version of @grpc/grpc-js keeps its methods elsewhere; 1.12 to 1.14 are known to work',
    );
  }
  inner.handlers = new EveryMethod(func);
}

class EveryMethod extends Map<string, object> {
  readonly #func: (stream: ServerStream) => void;

  constructor(func: (stream: ServerStream) => void) {
    super();
    this.#func = func;
  }

  override get(path: string): object {
    return { type: 'bidi', path, func: this.#func, serialize: same, deserialize: same };
  }
}

function same(message: Buffer): Buffer {
  return message;
}

/** A drain tells callers to go elsewhere (GOAWAY), which ends connections when the calls on them are over. */
class ServerListener implements GrpcListener {
  readonly address: string;
  readonly #server: GrpcServer;
  readonly #health: HealthService;
  #closed: Promise<void> | undefined;

  constructor(address: string, server: GrpcServer, health: HealthService) {
    this.address = address;
    this.#server = server;
    this.#health = health;
  }

  setServing(service: string, isServing: boolean): void {
    this.#health.set(service, isServing);
  }

  drain(): Promise<void> {
    if (this.#closed === undefined) {
      this.#health.stopServing();
      this.#closed = new Promise((resolve) => this.#server.tryShutdown(() => resolve()));
    }
    return this.#closed;
  }

  close(): Promise<void> {
    const closed = this.drain();
    this.#server.forceShutdown();
    return closed;
  }
}
