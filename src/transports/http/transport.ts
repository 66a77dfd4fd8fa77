/**
 * CallTransport over HTTP/1.1 (and 2, where undici is told to), on undici 7 or 8.
 *
 * undici's own header and body timeouts are off: the caller's deadline is the one timeout. Connections are bounded per endpoint;
 * beyond that calls wait inside undici, which is why a router bounds its calls in flight.
 */
import { type Clock, liveClock } from '../../core/clock.js';
import type { Endpoint } from '../../core/endpoint.js';
import { checkInteger, checkNumber, EvenkeelError, invalidArgument } from '../../core/errors.js';
import { CALL_PATH, checkBody } from '../../core/internal/call-message.js';
import { Lifecycle } from '../../core/lifecycle.js';
import type {
  CallBody,
  CallHandle,
  CallHandler,
  CallRequest,
  CallSink,
  CallTransport,
  Listener,
  ListenOptions,
} from '../../core/transport/call.js';
import { ControllerCall, type HttpCall, type HttpCallOwner, RawHeadersCall } from './http-call.js';
import { serveHttp } from './server.js';

/** The part of undici that is used; `import * as undici from 'undici'` fits. */
export interface Undici {
  readonly Pool: new (origin: string, options?: object) => UndiciDispatcher;
  /** Present from undici 8 on. */
  readonly Dispatcher1Wrapper?: unknown;
}

/** A Pool, Client or Agent. */
export interface UndiciDispatcher {
  dispatch(options: object, handler: object): boolean;
  close(): Promise<void>;
  destroy(error?: Error | null): Promise<void>;
}

export interface HttpTransportOptions {
  /** The peer: `import * as undici from 'undici'`, version 7 or 8. */
  undici: Undici;
  /** Connections per endpoint. Default 1024, as many as a router sends at once; 1 to 65,535. */
  connections?: number;
  /** Milliseconds to set a connection up. Default 3000. */
  connectTimeoutMs?: number;
  /** Milliseconds an idle connection is kept. Default 30,000. A server's own `Keep-Alive` hint is honoured when shorter. */
  keepAliveMs?: number;
  /** Largest block of response headers. Default 16,384 bytes. */
  maxHeaderBytes?: number;
  /** Makes the pool of one endpoint, instead of the options above: TLS, HTTP/2, a unix socket. It is closed with the transport. */
  pool?: (origin: string) => UndiciDispatcher;
  /** Default: the process's. */
  clock?: Clock;
}

export const DEFAULT_CONNECTIONS = 1024;
export const DEFAULT_CONNECT_TIMEOUT_MS = 3000;
export const DEFAULT_KEEP_ALIVE_MS = 30_000;
export const DEFAULT_MAX_HEADER_BYTES = 16 * 1024;

/** A call transport with a server side. */
export interface HttpTransport extends CallTransport, AsyncDisposable {
  /** Listens at `http://host:port` with node:http; port 0 takes a free one. */
  serve(at: ListenOptions, handler: CallHandler): Promise<Listener>;
}

/**
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts
 * import { createHttpTransport } from 'evenkeel/http';
 * import * as undici from 'undici';
 *
 * const transport = createHttpTransport({ undici });
 * ```
 */
export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  return new UndiciTransport(options);
}

class UndiciTransport implements HttpTransport, HttpCallOwner {
  readonly #clock: Clock;
  readonly #makePool: (origin: string) => UndiciDispatcher;
  readonly #Call: new (
    owner: HttpCallOwner,
    endpoint: string,
    sink: CallSink,
  ) => HttpCall;
  readonly #pools = new Map<string, UndiciDispatcher>();
  /** Of forgotten endpoints, until their calls are over. */
  readonly #retiring = new Set<UndiciDispatcher>();
  readonly #lifecycle = new Lifecycle('http transport');
  #closed: Promise<void> | undefined;
  #lastPath = '/';

  constructor(options: HttpTransportOptions) {
    const { undici } = options;
    if (typeof undici?.Pool !== 'function') throw invalidArgument('undici', undici, 'the module undici, version 7 or 8');
    const poolOptions = {
      connections: checkInteger('connections', options.connections ?? DEFAULT_CONNECTIONS, 1, 65_535),
      connectTimeout: checkNumber('connectTimeoutMs', options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS, 1),
      keepAliveTimeout: checkNumber('keepAliveMs', options.keepAliveMs ?? DEFAULT_KEEP_ALIVE_MS, 1),
      maxHeaderSize: checkInteger('maxHeaderBytes', options.maxHeaderBytes ?? DEFAULT_MAX_HEADER_BYTES, 1024),
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    this.#clock = options.clock ?? liveClock();
    this.#makePool = options.pool ?? ((origin) => new undici.Pool(origin, poolOptions));
    this.#Call = 'Dispatcher1Wrapper' in undici ? ControllerCall : RawHeadersCall;
  }

  now(): number {
    return this.#clock.now();
  }

  onCallEnd(): void {
    this.#lifecycle.leave();
  }

  start(to: Endpoint, request: CallRequest, sink: CallSink): CallHandle {
    const call = new this.#Call(this, to?.id ?? '', sink);
    this.#lifecycle.enter();
    if (!this.#lifecycle.isOpen) {
      call.refuse(
        new EvenkeelError('unavailable', 'the http transport is draining or closed', { retryable: 'yes', endpoint: to?.id }),
      );
      return call;
    }
    const { path, body } = request;
    try {
      this.#checkHead(to, request);
      this.#poolOf(to.address).dispatch(
        {
          path,
          method: request.method ?? (body === undefined ? 'GET' : 'POST'),
          headers: request.headers,
          body: isWhole(body) ? body : call.guardBody(body),
        },
        call,
      );
    } catch (error) {
      call.refuse(unsendable(error, to?.id));
    }
    call.started();
    return call;
  }

  serve(at: ListenOptions, handler: CallHandler): Promise<Listener> {
    return serveHttp(at, handler);
  }

  forget(to: Endpoint): void {
    const pool = this.#pools.get(to.address);
    if (pool === undefined) return;
    this.#pools.delete(to.address);
    this.#retiring.add(pool);
    // Pool.close ends idle connections now and busy ones after their calls.
    pool
      .close()
      .catch(() => {})
      .finally(() => this.#retiring.delete(pool));
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
    const reason = new EvenkeelError('unavailable', 'the http transport was closed', { retryable: 'unknown' });
    const pools = [...this.#pools.values(), ...this.#retiring];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy(reason).catch(() => {})));
    await this.#lifecycle.idle();
  }

  /** What undici does not refuse, or refuses in other words. Bodies of one piece and the syntax of headers are left to it. */
  #checkHead(to: Endpoint, { path, headers, body }: CallRequest): void {
    if (typeof to?.address !== 'string') throw invalidArgument('endpoint', to, 'an endpoint with an address');
    // Paths come from a few places of the program: the last good one mostly comes again.
    if (path !== this.#lastPath) {
      if (typeof path !== 'string' || !CALL_PATH.test(path))
        throw invalidArgument('request.path', path, 'a slash, then visible ASCII');
      this.#lastPath = path;
    }
    if (headers !== undefined) checkStrings(headers);
    if (!isWhole(body)) checkBody('request.body', body);
  }

  #poolOf(address: string): UndiciDispatcher {
    let pool = this.#pools.get(address);
    if (pool === undefined) {
      pool = this.#makePool(address);
      this.#pools.set(address, pool);
    }
    return pool;
  }
}

function checkStrings(headers: readonly string[]): void {
  if (!Array.isArray(headers)) throw invalidArgument('request.headers', headers, 'names and values in turn');
  for (let i = 0; i < headers.length; i++) {
    if (typeof headers[i] !== 'string') throw invalidArgument('an item of request.headers', headers[i], 'a string');
  }
}

function isWhole(body: CallBody | undefined): body is string | Uint8Array | undefined {
  return body === undefined || typeof body === 'string' || body instanceof Uint8Array;
}

function unsendable(cause: unknown, endpoint: string | undefined): EvenkeelError {
  if (cause instanceof EvenkeelError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new EvenkeelError('invalid-argument', `the request cannot be sent to ${endpoint}: ${why}`, { cause, endpoint });
}
