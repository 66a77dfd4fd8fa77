/**
 * CallTransport over gRPC, on @grpc/grpc-js.
 *
 * grpc-js's own retries, service configuration and proxies are off: a transport sends a call once, to the endpoint it was given. Its
 * messages are the pieces of a body: one for a body of bytes or text, one for no body, one for each piece of a stream.
 */
import { type Clock, liveClock } from '../../core/clock.js';
import type { Endpoint } from '../../core/endpoint.js';
import { checkInteger, checkNumber, EvenkeelError, invalidArgument } from '../../core/errors.js';
import { HEADERS, headerValue } from '../../core/headers.js';
import { checkRequest } from '../../core/internal/call-message.js';
import { Lifecycle } from '../../core/lifecycle.js';
import type { CallHandle, CallHandler, CallRequest, CallSink, CallTransport, ListenOptions } from '../../core/transport/call.js';
import { parseAddress } from './address.js';
import { KeptChannel } from './channels.js';
import { GrpcCall, type GrpcCallOwner, type GrpcRequest } from './grpc-call.js';
import { addHeaders, BODY_NAME, METHOD_NAME } from './metadata.js';
import type { Grpc } from './peer.js';
import { type GrpcListener, serveGrpc } from './server.js';

export interface GrpcTransportOptions {
  /** The peer: `import * as grpc from '@grpc/grpc-js'`, version 1.12 or later. */
  grpc: Grpc;
  /** `grpc.credentials.createSsl(...)`, for addresses of `grpcs://`. Default: TLS with the system's authorities. */
  credentials?: object;
  /** `grpc.ServerCredentials.createSsl(...)`, for listening at `grpcs://`; no default. */
  serverCredentials?: object;
  /** Of grpc-js, over those of this transport: keepalive, windows, names. */
  channelOptions?: Readonly<Record<string, string | number | undefined>>;
  /** Largest message that is received, on both sides; a larger one ends its call with `resource-exhausted`. Default 4 MiB, as gRPC's. */
  maxMessageBytes?: number;
  /** Milliseconds to set a connection up, TLS and HTTP/2 included; calls that wait longer are `unavailable`. Default 3000. */
  connectTimeoutMs?: number;
  /** Default: the process's. */
  clock?: Clock;
}

export const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
export const DEFAULT_CONNECT_TIMEOUT_MS = 3000;
/** grpc-js keeps a time until then in a timer and a 32-bit number; to it a longer one is over at once. */
const LONGEST_DEADLINE_MS = 2 ** 31 - 1;
/** A dead endpoint is the router's to avoid; one that is back is found within a second. */
const MIN_RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 1000;

/** A call transport with a server side. */
export interface GrpcTransport extends CallTransport, AsyncDisposable {
  /**
   * Listens at `grpc://host:port`, or `grpcs://` with `serverCredentials`; port 0 takes a free one. Every method goes to the handler,
   * except those of `grpc.health.v1.Health`, which the listener answers.
   */
  serve(at: ListenOptions, handler: CallHandler): Promise<GrpcListener>;
}

/**
 * Unary and streaming calls over gRPC: the path names the method, each piece of a body is a message, headers are metadata, and a call
 * written against HTTP runs by changing the transport.
 *
 * A status other than OK that the server sends before any message is a response with the HTTP status of its meaning (`unavailable` 503,
 * `resource-exhausted` 429, `not-found` 404, ...) and `grpc-status` and `grpc-message` among its headers; after a message it is an
 * error of that code. `evenkeel-timeout-ms` also sets the call's gRPC deadline.
 *
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts
 * import * as grpc from '@grpc/grpc-js';
 * import { createGrpcTransport } from 'evenkeel/grpc';
 *
 * const transport = createGrpcTransport({ grpc });
 * ```
 */
export function createGrpcTransport(options: GrpcTransportOptions): GrpcTransport {
  return new GrpcJsTransport(options);
}

class GrpcJsTransport implements GrpcTransport, GrpcCallOwner {
  readonly #grpc: Grpc;
  readonly #clock: Clock;
  readonly #credentials: object | undefined;
  readonly #serverCredentials: object | undefined;
  readonly #channelOptions: Readonly<Record<string, string | number>>;
  readonly #connectTimeoutMs: number;
  readonly #channels = new Map<string, KeptChannel<GrpcCall>>();
  /** Of forgotten endpoints, until their calls are over. */
  readonly #retiring = new Set<KeptChannel<GrpcCall>>();
  readonly #lifecycle = new Lifecycle('grpc transport');
  #closed: Promise<void> | undefined;

  constructor(options: GrpcTransportOptions) {
    const { grpc, credentials, serverCredentials } = options;
    if (typeof grpc?.Channel !== 'function' || typeof grpc.Server !== 'function')
      throw invalidArgument('grpc', grpc, 'the module @grpc/grpc-js');
    const maxMessageBytes = checkInteger('maxMessageBytes', options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES, 1, 2 ** 31 - 1);
    this.#connectTimeoutMs = checkNumber('connectTimeoutMs', options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS, 1);
    this.#grpc = grpc;
    this.#clock = options.clock ?? liveClock();
    this.#credentials = credentials;
    this.#serverCredentials = serverCredentials;
    const channelOptions: Record<string, string | number> = {
      'grpc.enable_retries': 0,
      // Else a message counts as sent while it waits to be sent again.
      'grpc.per_rpc_retry_buffer_size': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_channelz': 0,
      // Else channels of other transports share the connection, and closing one closes nothing.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': MIN_RECONNECT_MS,
      'grpc.max_reconnect_backoff_ms': MAX_RECONNECT_MS,
      'grpc.max_receive_message_length': maxMessageBytes,
    };
    for (const [name, value] of Object.entries(options.channelOptions ?? {})) {
      if (value !== undefined) channelOptions[name] = value;
    }
    this.#channelOptions = channelOptions;
  }

  now(): number {
    return this.#clock.now();
  }

  onCallEnd(): void {
    this.#lifecycle.leave();
  }

  start(to: Endpoint, request: CallRequest, sink: CallSink): CallHandle {
    const call = new GrpcCall(this, to?.id ?? '', sink);
    this.#lifecycle.enter();
    if (!this.#lifecycle.isOpen) {
      call.refuse(
        new EvenkeelError('unavailable', 'the grpc transport is draining or closed', { retryable: 'yes', endpoint: to?.id }),
      );
      return call;
    }
    try {
      if (typeof to?.address !== 'string') throw invalidArgument('endpoint', to, 'an endpoint with an address');
      call.begin(this.#channelOf(to.address), this.#toSend(request));
    } catch (error) {
      call.refuse(unsendable(error, to?.id));
    }
    return call;
  }

  async serve(at: ListenOptions, handler: CallHandler): Promise<GrpcListener> {
    if (!this.#lifecycle.isOpen) throw this.#lifecycle.refusal;
    if (typeof handler !== 'function') throw invalidArgument('handler', handler, 'a function');
    return serveGrpc(this.#grpc, at, handler, {
      credentials: this.#serverCredentials,
      maxMessageBytes: this.#channelOptions['grpc.max_receive_message_length'] as number,
    });
  }

  forget(to: Endpoint): void {
    const kept = this.#channels.get(to.address);
    if (kept !== undefined) this.#retire(to.address, kept);
  }

  async drain(): Promise<void> {
    await this.#lifecycle.drain();
    await this.close();
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }

  async #end(): Promise<void> {
    this.#lifecycle.close();
    const reason = new EvenkeelError('unavailable', 'the grpc transport was closed', { retryable: 'unknown' });
    for (const kept of [...this.#channels.values(), ...this.#retiring]) {
      for (const call of [...kept.members]) call.abort(reason);
      kept.close();
    }
    this.#channels.clear();
    this.#retiring.clear();
    await this.#lifecycle.idle();
  }

  /** Reads all that `start` must have read before it returns. */
  #toSend(request: CallRequest): GrpcRequest {
    checkRequest(request);
    const { path, headers = [], body } = request;
    const metadata = new this.#grpc.Metadata();
    const method = request.method ?? (body === undefined ? 'GET' : 'POST');
    addHeaders(metadata, headers, path.length + method.length);
    if (method !== 'POST') metadata.set(METHOD_NAME, method);
    if (typeof body === 'object' && !(body instanceof Uint8Array)) metadata.set(BODY_NAME, 'stream');
    const timeoutMs = headerValue(headers, HEADERS.timeout);
    const leftMs = timeoutMs === undefined ? Number.POSITIVE_INFINITY : Number(timeoutMs);
    if (Number.isNaN(leftMs)) throw invalidArgument(HEADERS.timeout.text, timeoutMs, 'whole milliseconds');
    const deadline = leftMs > LONGEST_DEADLINE_MS ? Number.POSITIVE_INFINITY : this.#clock.now() + leftMs;
    return { path, metadata, deadline, body };
  }

  #channelOf(address: string): KeptChannel<GrpcCall> {
    let kept = this.#channels.get(address);
    if (kept === undefined) {
      kept = this.#open(address);
      this.#channels.set(address, kept);
    }
    return kept;
  }

  #open(address: string): KeptChannel<GrpcCall> {
    const { isSecure, target } = parseAddress(address);
    const { credentials } = this.#grpc;
    const plan = {
      target,
      credentials: isSecure ? (this.#credentials ?? credentials.createSsl()) : credentials.createInsecure(),
      options: this.#channelOptions,
      connectTimeoutMs: this.#connectTimeoutMs,
      clock: this.#clock,
    };
    const owner = { onStuck: () => this.#retire(address, kept), onOver: () => this.#retiring.delete(kept) };
    const kept: KeptChannel<GrpcCall> = new KeptChannel<GrpcCall>(this.#grpc, plan, owner);
    return kept;
  }

  /** Kept in sight until its calls are over, for `close`. */
  #retire(address: string, kept: KeptChannel<GrpcCall>): void {
    if (this.#channels.get(address) === kept) this.#channels.delete(address);
    this.#retiring.add(kept);
    kept.retire();
  }
}

function unsendable(cause: unknown, endpoint: string | undefined): EvenkeelError {
  if (cause instanceof EvenkeelError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new EvenkeelError('invalid-argument', `the request cannot be sent to ${endpoint}: ${why}`, { cause, endpoint });
}
