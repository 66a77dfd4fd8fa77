/**
 * A transport whose calls need a permit each. What comes back is the permit's outcome: 429, 503 and `resource-exhausted` are `dropped`, which
 * is the signal that `aimdLimit` follows; a cancelled call is `ignored`. A call ends with its last byte. One that waits for its permit when the
 * transport is closed ends there, with `unavailable` as all that the transport ends.
 */
import { AsyncResource } from 'node:async_hooks';
import { readContextHeaders, writeTimeoutHeader } from '../core/context-headers.js';
import type { Endpoint } from '../core/endpoint.js';
import { EvenkeelError, isEvenkeelError } from '../core/errors.js';
import { type HeaderList, headerName, headerValue } from '../core/headers.js';
import { readRetryAfterMs, wasRejected } from '../core/pushback.js';
import type { CallHandle, CallRequest, CallSink, CallTransport, ListenOptions } from '../core/transport/call.js';
import { checkWeight, emptyClaim, rankOf } from './claim.js';
import type { GuardOptions } from './guard-options.js';
import { type GuardWaiter, GuardWaiters } from './guard-waiters.js';
import type { LimiterCore } from './limiter-core.js';
import { isFullStatus, outcomeOf, outcomeOfStatus } from './outcome.js';
import type { Permit } from './permit.js';
import type { Refusal } from './refusal.js';
import { type Claim, Waiter } from './waiter.js';

export function guardedTransport(limiter: LimiterCore, transport: CallTransport, options: GuardOptions): CallTransport {
  const serve = transport.serve?.bind(transport);
  const waiters = new GuardWaiters();
  return {
    start: (to, request, sink) => startGuarded(limiter, transport, to, request, sink, options, waiters),
    ...(serve === undefined ? undefined : { serve: (at: ListenOptions, handler) => serve(at, handler) }),
    forget: (to) => transport.forget(to),
    drain: () => waiters.drain().then(() => transport.drain()),
    close: () => {
      waiters.close();
      return transport.close();
    },
  };
}

/** One call of a guarded transport, which waits among `waiters`. */
export function startGuarded(
  limiter: LimiterCore,
  transport: CallTransport,
  to: Endpoint,
  request: CallRequest,
  sink: CallSink,
  options: GuardOptions,
  waiters: GuardWaiters,
): CallHandle {
  return new GuardedCall(limiter, transport, to, request, sink, waiters).begin(options);
}

class GuardedCall implements CallHandle, CallSink, GuardWaiter {
  readonly #limiter: LimiterCore;
  readonly #transport: CallTransport;
  readonly #to: Endpoint;
  #request: CallRequest;
  readonly #sink: CallSink;
  readonly #waiters: GuardWaiters;
  #waiting: WaitingCall | undefined;
  /** Of one that waits: its permit comes free in that of another call. */
  #context: AsyncResource | undefined;
  #permit: Permit | undefined;
  #inner: CallHandle | undefined;
  #isPaused = false;
  /** Of its headers, once they are its own. */
  #copy: string[] | undefined;
  #isRejected = false;
  #retryAfterMs = 0;
  #status = 0;

  constructor(
    limiter: LimiterCore,
    transport: CallTransport,
    to: Endpoint,
    request: CallRequest,
    sink: CallSink,
    waiters: GuardWaiters,
  ) {
    this.#limiter = limiter;
    this.#transport = transport;
    this.#to = to;
    this.#request = request;
    this.#sink = sink;
    this.#waiters = waiters;
  }

  begin(options: GuardOptions): CallHandle {
    const { refusal } = this.#waiters;
    if (refusal !== undefined) {
      this.#refuseLater(refusal);
      return this;
    }
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
    if (waiting.isQueued) {
      this.#waiters.add(this);
      this.#context = new AsyncResource('evenkeel.limiter');
      const { headers = [] } = this.#request;
      // What is no list is the transport's to refuse.
      if (!Array.isArray(headers)) return this;
      this.#copy = [...headers];
      this.#request = { ...this.#request, headers: this.#copy };
    }
    return this;
  }

  cancel(code: 'cancelled' | 'deadline-exceeded'): void {
    this.#inner?.cancel(code);
    this.refuse(new EvenkeelError(code, 'no permit yet', { retryable: 'yes' }));
  }

  refuse(error: EvenkeelError): void {
    if (this.#waiting === undefined || !this.#limiter.withdraw(this.#waiting)) return;
    this.#leaveWaiters();
    this.#inContext(() => this.#refuseLater(error));
  }

  pause(): void {
    this.#isPaused = true;
    this.#inner?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#inner?.resume();
  }

  onAdmitted(waiter: Waiter, startedAt: number, isTimed: boolean): void {
    const permit = this.#limiter.permit(waiter, startedAt, isTimed);
    if (this.#context === undefined) this.#begin(permit, waiter.deadline);
    else this.#inContext(() => this.#begin(permit, waiter.deadline));
  }

  #begin(permit: Permit, deadline: number): void {
    // The server has what the wait left.
    if (this.#copy !== undefined) writeTimeoutHeader(this.#copy, deadline - this.#limiter.runtime.clock.now());
    this.#leaveWaiters();
    this.#permit = permit;
    // One that was refused before it may have made room.
    const { closed } = this.#waiters;
    if (closed !== undefined) {
      permit.end('ignored');
      this.#refuseLater(closed);
      return;
    }
    try {
      this.#inner = this.#transport.start(this.#to, this.#request, this);
      if (this.#isPaused) this.#inner.pause();
    } catch (error) {
      // It must not reach the call whose end made room for this one.
      permit.end('error');
      this.#refuseLater(new EvenkeelError('internal', 'the transport threw', { cause: error }));
    }
  }

  onRefused(refusal: Refusal): void {
    this.#leaveWaiters();
    this.#inContext(() => this.#refuseLater(this.#limiter.errorOf(refusal)));
  }

  onResponse(status: number, headers: HeaderList): void {
    this.#status = status;
    this.#look(headers);
    this.#sink.onResponse(status, headers);
  }

  onData(chunk: Uint8Array): void {
    this.#sink.onData(chunk);
  }

  onEnd(trailers?: HeaderList): void {
    if (trailers !== undefined) this.#look(trailers);
    this.#permit?.end(this.#isRejected ? 'dropped' : outcomeOfStatus(this.#status), this.#retryAfterMs);
    this.#sink.onEnd(trailers);
  }

  onError(error: EvenkeelError): void {
    const { outcome, retryAfterMs } = outcomeOf(error);
    // A refusal stays one though its body broke off.
    const isRefused = outcome === 'error' && (this.#isRejected || isFullStatus(this.#status));
    this.#permit?.end(isRefused ? 'dropped' : outcome, Math.max(retryAfterMs, this.#retryAfterMs));
    this.#sink.onError(error);
  }

  onPhase(phase: 'connected' | 'sent', atMs: number): void {
    this.#sink.onPhase?.(phase, atMs);
  }

  #claim({ partitionOf, weightOf }: GuardOptions, now: number): Claim {
    const claim = emptyClaim();
    const { gate } = this.#limiter;
    if (weightOf !== undefined) claim.weight = checkWeight(weightOf(this.#request));
    if (partitionOf !== undefined) claim.partition = gate.partitions.indexOf(partitionOf(this.#request));
    const { cohort, criticality, deadline } = readContextHeaders(this.#request.headers ?? [], {
      now,
      isTrusted: true,
      // It is this process's own.
      maxTimeoutMs: Number.POSITIVE_INFINITY,
    });
    claim.rank = rankOf(criticality);
    claim.cohort = cohort;
    claim.deadline = deadline ?? Number.POSITIVE_INFINITY;
    return claim;
  }

  #look(headers: HeaderList): void {
    if (wasRejected(headers) || headerValue(headers, GRPC_STATUS) === RESOURCE_EXHAUSTED) this.#isRejected = true;
    if (this.#isRejected || isFullStatus(this.#status))
      this.#retryAfterMs = Math.max(this.#retryAfterMs, readRetryAfterMs(headers));
  }

  #inContext(step: () => void): void {
    if (this.#context === undefined) step();
    else this.#context.runInAsyncScope(step);
  }

  #leaveWaiters(): void {
    this.#waiters.delete(this);
    this.#waiting = undefined;
  }

  /** Not before `start` has returned. */
  #refuseLater(error: EvenkeelError): void {
    queueMicrotask(() => this.#sink.onError(error));
  }
}

const GRPC_STATUS = headerName('grpc-status');
const RESOURCE_EXHAUSTED = '8';

class WaitingCall extends Waiter {
  readonly #call: GuardedCall;

  constructor(claim: Claim, arrivedAt: number, call: GuardedCall) {
    super(claim, arrivedAt);
    this.#call = call;
  }

  onAdmitted(startedAt: number, isTimed: boolean): void {
    this.#call.onAdmitted(this, startedAt, isTimed);
  }

  onRefused(refusal: Refusal): void {
    this.#call.onRefused(refusal);
  }
}
