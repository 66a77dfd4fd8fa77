/**
 * A transport whose calls need a permit each. What comes back is the permit's outcome: 429, 503 and `resource-exhausted` are `dropped`, which
 * is the signal that `aimdLimit` follows; a cancelled call is `ignored`. A call ends with its last byte.
 */
import { readContextHeaders, writeTimeoutHeader } from '../core/context-headers.js';
import type { Endpoint } from '../core/endpoint.js';
import { checkNumber, EvenkeelError, isEvenkeelError } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';
import type { Outcome } from '../core/load-counter.js';
import { readRetryAfterMs, wasRejected } from '../core/pushback.js';
import type { CallHandle, CallRequest, CallSink, CallTransport, ListenOptions } from '../core/transport/call.js';
import { emptyClaim, rankOf } from './claim.js';
import type { GuardOptions } from './guard-options.js';
import type { LimiterCore } from './limiter-core.js';
import { outcomeOf, outcomeOfStatus } from './outcome.js';
import type { Permit } from './permit.js';
import type { Refusal } from './refusal.js';
import { type Claim, Waiter } from './waiter.js';

export function guardedTransport(limiter: LimiterCore, transport: CallTransport, options: GuardOptions): CallTransport {
  const serve = transport.serve?.bind(transport);
  return {
    start: (to, request, sink) => startGuarded(limiter, transport, to, request, sink, options),
    ...(serve === undefined ? undefined : { serve: (at: ListenOptions, handler) => serve(at, handler) }),
    forget: (to) => transport.forget(to),
    drain: () => transport.drain(),
    close: () => transport.close(),
  };
}

/** One call of a guarded transport. */
export function startGuarded(
  limiter: LimiterCore,
  transport: CallTransport,
  to: Endpoint,
  request: CallRequest,
  sink: CallSink,
  options: GuardOptions,
): CallHandle {
  return new GuardedCall(limiter, transport, to, request, sink).begin(options);
}

class GuardedCall implements CallHandle, CallSink {
  readonly #limiter: LimiterCore;
  readonly #transport: CallTransport;
  readonly #to: Endpoint;
  #request: CallRequest;
  readonly #sink: CallSink;
  #waiting: WaitingCall | undefined;
  #permit: Permit | undefined;
  #inner: CallHandle | undefined;
  #isPaused = false;
  #status = 0;
  #headers: HeaderList = [];

  constructor(limiter: LimiterCore, transport: CallTransport, to: Endpoint, request: CallRequest, sink: CallSink) {
    this.#limiter = limiter;
    this.#transport = transport;
    this.#to = to;
    this.#request = request;
    this.#sink = sink;
  }

  begin(options: GuardOptions): CallHandle {
    const now = this.#limiter.runtime.clock.now();
    let claim: Claim;
    try {
      claim = this.#claim(options, now);
    } catch (error) {
      this.#refuseLater(
        isEvenkeelError(error) ? error : new EvenkeelError('internal', 'the options of guard threw', { cause: error }),
      );
      return this;
    }
    const waiting = new WaitingCall(claim, now, this);
    this.#waiting = waiting;
    this.#limiter.submit(waiting);
    // The headers are the caller's again once this has returned.
    if (waiting.isQueued) this.#request = { ...this.#request, headers: [...(this.#request.headers ?? [])] };
    return this;
  }

  cancel(code: 'cancelled' | 'deadline-exceeded'): void {
    this.#inner?.cancel(code);
    if (this.#waiting === undefined || !this.#limiter.withdraw(this.#waiting)) return;
    this.#waiting = undefined;
    this.#refuseLater(new EvenkeelError(code, 'no permit yet', { retryable: 'yes' }));
  }

  pause(): void {
    this.#isPaused = true;
    this.#inner?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#inner?.resume();
  }

  onAdmitted(permit: Permit, { arrivedAt, deadline }: Waiter): void {
    const now = this.#limiter.runtime.clock.now();
    // The server has what the wait left.
    if (now > arrivedAt && deadline !== Number.POSITIVE_INFINITY)
      writeTimeoutHeader(this.#request.headers as string[], deadline - now);
    this.#waiting = undefined;
    this.#permit = permit;
    this.#inner = this.#transport.start(this.#to, this.#request, this);
    if (this.#isPaused) this.#inner.pause();
  }

  onRefused(refusal: Refusal): void {
    this.#waiting = undefined;
    this.#refuseLater(this.#limiter.errorOf(refusal));
  }

  onResponse(status: number, headers: HeaderList): void {
    this.#status = status;
    this.#headers = headers;
    this.#sink.onResponse(status, headers);
  }

  onData(chunk: Uint8Array): void {
    this.#sink.onData(chunk);
  }

  onEnd(trailers?: HeaderList): void {
    this.#end(wasRejected(this.#headers) ? 'dropped' : outcomeOfStatus(this.#status));
    this.#sink.onEnd(trailers);
  }

  onError(error: EvenkeelError): void {
    const { outcome, retryAfterMs } = outcomeOf(error);
    this.#permit?.end(outcome, retryAfterMs);
    this.#sink.onError(error);
  }

  onPhase(phase: 'connected' | 'sent', atMs: number): void {
    this.#sink.onPhase?.(phase, atMs);
  }

  permitOf(waiter: Waiter, startedAt: number, isTimed: boolean): Permit {
    return this.#limiter.permit(waiter, startedAt, isTimed);
  }

  #claim({ partitionOf, weightOf }: GuardOptions, now: number): Claim {
    const claim = emptyClaim();
    const { gate } = this.#limiter;
    if (weightOf !== undefined) claim.weight = checkNumber('weight', weightOf(this.#request), Number.MIN_VALUE);
    if (partitionOf !== undefined) claim.partition = gate.partitions.indexOf(partitionOf(this.#request));
    const { cohort, criticality, deadline } = readContextHeaders(this.#request.headers ?? [], { now, isTrusted: true });
    claim.rank = rankOf(criticality);
    claim.cohort = cohort;
    claim.deadline = deadline ?? Number.POSITIVE_INFINITY;
    return claim;
  }

  #end(outcome: Outcome): void {
    this.#permit?.end(outcome, outcome === 'dropped' ? readRetryAfterMs(this.#headers) : 0);
  }

  /** Not before `start` has returned. */
  #refuseLater(error: EvenkeelError): void {
    queueMicrotask(() => this.#sink.onError(error));
  }
}

class WaitingCall extends Waiter {
  readonly #call: GuardedCall;

  constructor(claim: Claim, arrivedAt: number, call: GuardedCall) {
    super(claim, arrivedAt);
    this.#call = call;
  }

  onAdmitted(startedAt: number, isTimed: boolean): void {
    this.#call.onAdmitted(this.#call.permitOf(this, startedAt, isTimed), this);
  }

  onRefused(refusal: Refusal): void {
    this.#call.onRefused(refusal);
  }
}
