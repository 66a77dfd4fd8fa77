/** A transport whose calls pass a throttle. A call that is held back is told to its sink in the next microtask, and nothing is sent. */
import { readContextHeaders } from '../core/context-headers.js';
import type { Endpoint } from '../core/endpoint.js';
import { EvenkeelError, isEvenkeelError } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';
import type { Outcome } from '../core/load-counter.js';
import { readRetryAfterMs, wasRejected } from '../core/pushback.js';
import type { CallHandle, CallRequest, CallSink, CallTransport, ListenOptions } from '../core/transport/call.js';
import { acceptanceOf, isFullStatus } from './outcome.js';
import type { ThrottledWork } from './throttle.js';

/** What a guard needs of its throttle. */
export interface EndpointThrottle {
  /** Why not; undefined: it may go, and is counted. */
  refuses(work: ThrottledWork, endpoint: Endpoint): EvenkeelError | undefined;
  onAnswer(headers: HeaderList): void;
  onEnd(outcome: Outcome, work: ThrottledWork, retryAfterMs: number, endpoint: Endpoint, beganAt: number): void;
  /** For `beganAt`. */
  now(): number;
  forget(endpoint: Endpoint): void;
}

export function throttledTransport(throttle: EndpointThrottle, transport: CallTransport): CallTransport {
  const serve = transport.serve?.bind(transport);
  return {
    start: (to, request, sink) => start(throttle, transport, to, request, sink),
    ...(serve === undefined ? undefined : { serve: (at: ListenOptions, handler) => serve(at, handler) }),
    forget: (to) => {
      throttle.forget(to);
      transport.forget(to);
    },
    drain: () => transport.drain(),
    close: () => transport.close(),
  };
}

function start(
  throttle: EndpointThrottle,
  transport: CallTransport,
  to: Endpoint,
  request: CallRequest,
  sink: CallSink,
): CallHandle {
  let work: ThrottledWork;
  try {
    work = readContextHeaders(request.headers ?? [], { now: 0, isTrusted: true });
  } catch (error) {
    return refuse(sink, isEvenkeelError(error) ? error : new EvenkeelError('internal', 'headers', { cause: error }));
  }
  const beganAt = throttle.now();
  const refusal = throttle.refuses(work, to);
  if (refusal !== undefined) return refuse(sink, refusal);
  try {
    return transport.start(to, request, new WatchedSink(throttle, work, to, sink, beganAt));
  } catch (error) {
    // Nothing was asked of the server.
    throttle.onEnd('ignored', work, 0, to, beganAt);
    return refuse(sink, new EvenkeelError('internal', 'the transport threw', { cause: error }));
  }
}

function refuse(sink: CallSink, error: EvenkeelError): CallHandle {
  queueMicrotask(() => sink.onError(error));
  return REFUSED;
}

const REFUSED: CallHandle = Object.freeze({ cancel() {}, pause() {}, resume() {} });

class WatchedSink implements CallSink {
  readonly #throttle: EndpointThrottle;
  readonly #work: ThrottledWork;
  readonly #to: Endpoint;
  readonly #sink: CallSink;
  readonly #beganAt: number;
  #isAnswered = false;
  /** Of the headers; what trailers say comes on top. */
  #isRefused = false;
  #retryAfterMs = 0;

  constructor(throttle: EndpointThrottle, work: ThrottledWork, to: Endpoint, sink: CallSink, beganAt: number) {
    this.#throttle = throttle;
    this.#work = work;
    this.#to = to;
    this.#sink = sink;
    this.#beganAt = beganAt;
  }

  onResponse(status: number, headers: HeaderList): void {
    this.#isAnswered = true;
    this.#throttle.onAnswer(headers);
    if (isFullStatus(status)) this.#isRefused = true;
    this.#look(headers);
    this.#sink.onResponse(status, headers);
  }

  onData(chunk: Uint8Array): void {
    this.#sink.onData(chunk);
  }

  onEnd(trailers?: HeaderList): void {
    if (trailers !== undefined) this.#look(trailers);
    this.#throttle.onEnd(this.#isRefused ? 'dropped' : 'ok', this.#work, this.#retryAfterMs, this.#to, this.#beganAt);
    this.#sink.onEnd(trailers);
  }

  onError(error: EvenkeelError): void {
    const { outcome, retryAfterMs } = acceptanceOf(error);
    // A stream that broke off was accepted.
    const ended = outcome === 'dropped' && this.#isAnswered && !error.rejected && !this.#isRefused ? 'error' : outcome;
    this.#throttle.onEnd(ended, this.#work, Math.max(retryAfterMs, this.#retryAfterMs), this.#to, this.#beganAt);
    this.#sink.onError(error);
  }

  onPhase(phase: 'connected' | 'sent', atMs: number): void {
    this.#sink.onPhase?.(phase, atMs);
  }

  #look(headers: HeaderList): void {
    if (wasRejected(headers)) this.#isRefused = true;
    if (this.#isRefused) this.#retryAfterMs = Math.max(this.#retryAfterMs, readRetryAfterMs(headers));
  }
}
