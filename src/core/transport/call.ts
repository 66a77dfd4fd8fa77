/**
 * CallTransport: one request and one response to one endpoint, either of which may stream.
 *
 * When is a call over? When `onEnd` or `onError` has been called, exactly one of them, exactly once; nothing is called after
 * that, and until then the call is in flight, however long its body streams. A transport never retries, queues beyond its
 * connections, logs, or counts load: its caller does, once.
 *
 * The shape is callbacks because it is the hot path: a start that returns a promise, and an AbortController a call, cost more
 * than the routing they would carry.
 */
import type { CallContext } from '../call-context.js';
import type { Endpoint } from '../endpoint.js';
import type { EvenkeelError } from '../errors.js';
import type { HeaderList } from '../headers.js';

/**
 * What can be sent as a body. A stream is pulled no faster than the wire takes it. Once pulled, its iterator is returned when the
 * call ends early; before, it is left alone and can be sent elsewhere. What the stream itself throws ends the call with
 * `cancelled`, the thrown value as its cause: the endpoint is not to blame. Bytes belong to the transport once they are given:
 * do not write to them again.
 */
export type CallBody = string | Uint8Array | AsyncIterable<Uint8Array | string>;

export interface CallRequest {
  /** Names the operation on every transport: `/v1/chat/completions?x=1`, `/pkg.Service/Method`. Begins with a slash. */
  readonly path: string;
  /** Default `GET` without a body, `POST` with one. */
  readonly method?: string;
  /** Flat: name, value, name, value. Read before `start` returns; the array is the caller's again afterwards. */
  readonly headers?: readonly string[];
  readonly body?: CallBody;
}

export interface CallTransport {
  /**
   * Starts a call. Never throws: what goes wrong, a malformed request included, is told to the sink, and not before this returned.
   * @param to - Where to. Connections are kept by address and reused.
   */
  start(to: Endpoint, request: CallRequest, sink: CallSink): CallHandle;
  /** The server side, where the transport has one. Resolves when it accepts calls. */
  serve?(at: ListenOptions, handler: CallHandler): Promise<Listener>;
  /** The endpoint is gone: drop idle connections to it at once, busy ones when their calls end. */
  forget(to: Endpoint): void;
  /** Refuses new calls (`unavailable`, retryable `yes`), resolves when those in flight are over. Idempotent. */
  drain(): Promise<void>;
  /** Refuses new calls, ends those in flight with `unavailable`, and resolves when every connection is closed. Idempotent. */
  close(): Promise<void>;
}

/** Hears of one call. What it throws is the sink's bug: the transport ends the call with `internal` and stays up. */
export interface CallSink {
  /** The response has begun. For gRPC the status is the HTTP one and the outcome is in the trailers. */
  onResponse(status: number, headers: HeaderList): void;
  /** One piece of the body; the sink may keep it. Stops coming some time after `pause()`, no later than a bounded buffer. */
  onData(chunk: Uint8Array): void;
  onEnd(trailers?: HeaderList): void;
  onError(error: EvenkeelError): void;
  /** `connected`: a connection is ours and bytes may be written from here on. `sent`: the request is out whole. `atMs`: Clock.now(). */
  onPhase?(phase: 'connected' | 'sent', atMs: number): void;
}

export interface CallHandle {
  /** Ends the call with an error of that code, told to the sink, and tells the server. After the end: nothing. Idempotent. */
  cancel(code: 'cancelled' | 'deadline-exceeded'): void;
  /** Stop reading the response; the server feels it as back-pressure. */
  pause(): void;
  resume(): void;
}

export interface ListenOptions {
  /** As {@link Endpoint.address}; port 0 takes a free one. */
  readonly address: string;
}

export interface Listener {
  /** The address clients connect to, with the real port. */
  readonly address: string;
  /** Accepts no more connections, resolves when calls in flight are over. Idempotent. */
  drain(): Promise<void>;
  /** Ends calls in flight, too. Idempotent. */
  close(): Promise<void>;
}

/** Answers one call. A rejection, or a throw, before the response began becomes status 500. */
export type CallHandler = (call: IncomingCall) => Promise<CallAnswer> | CallAnswer;

export interface IncomingCall {
  readonly path: string;
  readonly method: string;
  readonly headers: HeaderList;
  /** To be read once. Ends with an error when the caller goes away midway. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Aborts when the caller cancels or its connection is lost before the answer is out. */
  readonly signal: AbortSignal;
}

export interface CallAnswer {
  /** 200 to 599. */
  readonly status: number;
  readonly headers?: readonly string[];
  /** A stream is pulled no faster than the caller reads. */
  readonly body?: CallBody;
  /** Read when the body has ended. */
  readonly trailers?: readonly string[] | (() => readonly string[]);
}

/** Compresses what a transport sends, and decodes what it receives, without the transport or the caller knowing. */
export interface CallCompression {
  /** @param onTime - Hears of each stretch of the caller's thread that coding took, in milliseconds. */
  wrap(transport: CallTransport, onTime?: (ms: number) => void): CallTransport;
}

/** Decides which calls of a transport are made, and when: a limiter, a throttle. What it turns away fails with `resource-exhausted`. */
export interface CallGuard {
  guard(transport: CallTransport): CallTransport;
}

/**
 * How knobs, limiters and telemetry ride on calls without the router knowing them. Both methods are synchronous and on the hot
 * path; names of headers are in core/headers.ts.
 */
export interface CallExtension {
  /** Adds to the headers that are about to be sent (flat, in place). */
  request?(headers: string[], context: CallContext | undefined): void;
  /** Reads what came back. */
  response?(headers: HeaderList, endpoint: Endpoint): void;
}
