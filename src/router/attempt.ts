/**
 * One try of a call at one endpoint: the sink its transport reports to, its place on the timer wheel, and the work it counts.
 *
 * Its load is counted from before the transport is asked until the last byte or the failure, exactly once. One wheel entry serves
 * all of its timeouts: it is armed for the earliest and, when it comes up, asks which has really passed.
 */

import { EvenkeelError } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';
import type { Outcome } from '../core/load-counter.js';
import { WheelEntry } from '../core/timer-wheel.js';
import type { CallHandle, CallRequest, CallSink, CallTransport } from '../core/transport/call.js';
import type { BodySource, BodyStream } from './body-stream.js';
import type { Member } from './endpoint-table.js';
import { joinChunks } from './response.js';
import { wasRejected } from './retry-policy.js';

/** What an attempt needs of its router. */
export interface AttemptEngine {
  readonly transport: CallTransport;
  now(): number;
  coarse(): number;
  arm(entry: WheelEntry, deadline: number, now: number): void;
  disarm(entry: WheelEntry): void;
  readonly attemptTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxResponseBytes: number;
  /** Load sources and extensions read what came. */
  onHeaders(member: Member, headers: HeaderList, now: number): void;
  /** The attempt is over; its load has been given back. */
  onAttemptEnd(attempt: Attempt, outcome: Outcome, now: number): void;
}

/** What an attempt tells its call. */
export interface AttemptOwner {
  readonly deadline: number;
  readonly weight: number;
  /** The load counter on the server that the call is for. */
  readonly loadKey: string | undefined;
  /**
   * The response has begun. `stream`: hand it to the caller as it comes; `buffer`: collect it; `discard`: it will not be used (a retry
   * follows), the rest is not read.
   */
  onResponse(attempt: Attempt, status: number, headers: HeaderList): 'buffer' | 'discard' | BodyStream;
  /** The work it really was, known now that the body is there; undefined when nobody knows better. */
  reweigh(body: Uint8Array): number | undefined;
  onSuccess(attempt: Attempt, body: Uint8Array, trailers: HeaderList | undefined, now: number): void;
  onFailure(attempt: Attempt, error: EvenkeelError, now: number): void;
}

/** A call's deadline that comes before this many times the usual latency says more of the caller than of the server. */
const PATIENCE = 2;
const EMPTY = new Uint8Array(0);

export class Attempt extends WheelEntry implements CallSink, BodySource {
  readonly member: Member;
  /** 1 for the first of its call. */
  readonly number: number;
  readonly startedAt: number;
  /** 0 before the response. */
  status = 0;
  headers: HeaderList = [];
  /** Milliseconds the server asked to wait. */
  retryAfterMs = 0;
  /** It failed before a byte of it was written. */
  isUnsent = false;
  readonly #engine: AttemptEngine;
  readonly #owner: AttemptOwner;
  #weight: number;
  #handle: CallHandle | undefined;
  #stream: BodyStream | undefined;
  #isDiscarded = false;
  #isPaused = false;
  #hasEnded = false;
  #lastByteAt = 0;
  #bytes = 0;
  #chunk: Uint8Array | undefined;
  #moreChunks: Uint8Array[] | undefined;
  /** Why we cancelled; told instead of the transport's general words. */
  #reason: EvenkeelError | undefined;

  constructor(engine: AttemptEngine, owner: AttemptOwner, member: Member, number: number, now: number) {
    super();
    this.#engine = engine;
    this.#owner = owner;
    this.member = member;
    this.number = number;
    this.startedAt = now;
    this.#weight = owner.weight;
    member.begin(owner.weight, now, owner.loadKey);
  }

  start(request: CallRequest): void {
    const engine = this.#engine;
    const first = Math.min(engine.attemptTimeoutMs, engine.firstByteTimeoutMs);
    engine.arm(this, Math.min(this.#owner.deadline, this.startedAt + first), this.startedAt);
    try {
      this.#handle = engine.transport.start(this.member.endpoint, request, this);
    } catch (cause) {
      // Its contract says never; a call must come to an end all the same.
      queueMicrotask(() => this.onError(new EvenkeelError('internal', 'the transport threw', { cause })));
    }
  }

  /** Ends the attempt from our side, with `reason` as its error. */
  cancel(reason: EvenkeelError): void {
    if (this.#hasEnded) return;
    this.#reason = reason;
    this.#handle?.cancel(reason.code === 'deadline-exceeded' ? 'deadline-exceeded' : 'cancelled');
  }

  /** Corrects the work in flight. */
  setWeight(weight: number): void {
    if (this.#hasEnded) return;
    this.member.counter.adjust(weight - this.#weight);
    this.#weight = weight;
  }

  /** The failure is the server's, or the way to it: not the refusal of a server that sheds load on purpose. */
  isServerFault(outcome: Outcome): boolean {
    return outcome === 'error' || (outcome === 'dropped' && this.status !== 429 && !wasRejected(this.headers));
  }

  // What the transport tells.

  onResponse(status: number, headers: HeaderList): void {
    const engine = this.#engine;
    const now = engine.coarse();
    this.status = status;
    this.headers = headers;
    this.#lastByteAt = now;
    engine.onHeaders(this.member, headers, now);
    // Until now the wheel stands at the first byte's time, or at the attempt's end.
    if (engine.idleTimeoutMs < this.wheelDeadline - now) engine.arm(this, now + engine.idleTimeoutMs, now);
    const use = this.#owner.onResponse(this, status, headers);
    if (use === 'discard') {
      this.#isDiscarded = true;
      this.cancel(new EvenkeelError('unavailable', `${this.member.endpoint.id} answered ${status}`, { retryable: 'yes' }));
    } else if (use !== 'buffer') {
      this.#stream = use;
    }
  }

  onData(chunk: Uint8Array): void {
    this.#lastByteAt = this.#engine.coarse();
    if (this.#stream !== undefined) {
      this.#stream.push(chunk);
      return;
    }
    if (this.#isDiscarded) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#engine.maxResponseBytes) {
      const { maxResponseBytes } = this.#engine;
      this.cancel(new EvenkeelError('out-of-range', `the response has more than ${maxResponseBytes} bytes; stream it instead`));
    } else if (this.#chunk === undefined) {
      this.#chunk = chunk;
    } else if (this.#moreChunks === undefined) {
      this.#moreChunks = [this.#chunk, chunk];
    } else {
      this.#moreChunks.push(chunk);
    }
  }

  onEnd(trailers?: HeaderList): void {
    const body = this.#moreChunks === undefined ? (this.#chunk ?? EMPTY) : joinChunks(this.#moreChunks);
    const actual = this.#stream === undefined ? this.#owner.reweigh(body) : undefined;
    if (actual !== undefined) this.setWeight(actual);
    const now = this.#engine.now();
    if (trailers !== undefined && trailers.length > 0) this.#engine.onHeaders(this.member, trailers, now);
    this.#finish(outcomeOf(this.status), now);
    this.#stream?.end(trailers);
    this.#owner.onSuccess(this, body, trailers, now);
  }

  onError(error: EvenkeelError): void {
    const reason = this.#reason ?? error;
    const now = this.#engine.now();
    this.isUnsent = this.status === 0 && error.retryable === 'yes';
    this.#finish(this.#isDiscarded ? outcomeOf(this.status) : this.#outcomeOfError(reason, now), now);
    this.#stream?.fail(reason);
    this.#owner.onFailure(this, reason, now);
  }

  // What the timer wheel tells.

  override onDeadline(): void {
    const engine = this.#engine;
    const now = engine.now();
    const { deadline } = this.#owner;
    const attemptEnd = this.startedAt + engine.attemptTimeoutMs;
    const firstByteEnd = this.status === 0 ? this.startedAt + engine.firstByteTimeoutMs : Number.POSITIVE_INFINITY;
    // Idle means that the server is silent, not that our reader is slow.
    const idleEnd =
      this.status === 0 ? Number.POSITIVE_INFINITY : (this.#isPaused ? now : this.#lastByteAt) + engine.idleTimeoutMs;
    if (now >= deadline) this.cancel(timedOut('the call', 'its deadline'));
    else if (now >= attemptEnd) this.cancel(timedOut('the attempt', `${engine.attemptTimeoutMs} ms`));
    else if (now >= firstByteEnd) this.cancel(timedOut('the first byte', `${engine.firstByteTimeoutMs} ms`));
    else if (now >= idleEnd) this.cancel(timedOut('the next byte', `${engine.idleTimeoutMs} ms`));
    else engine.arm(this, Math.min(deadline, attemptEnd, firstByteEnd, idleEnd), now);
  }

  // What the reader of a stream asks.

  pause(): void {
    this.#isPaused = true;
    this.#handle?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#lastByteAt = this.#engine.coarse();
    this.#handle?.resume();
  }

  cancelBody(): void {
    this.cancel(new EvenkeelError('cancelled', 'the reader left the response'));
  }

  /** What the caller did, or asked too much of, is not the server's failure. */
  #outcomeOfError({ code }: EvenkeelError, now: number): Outcome {
    if (code === 'cancelled' || code === 'invalid-argument') return 'ignored';
    // We ended it: too large a body, a router that closes.
    if (this.#reason !== undefined && code !== 'deadline-exceeded') return 'ignored';
    const isCallDeadline = code === 'deadline-exceeded' && now >= this.#owner.deadline;
    const usualMs = this.member.latencyMs * this.#weight;
    return isCallDeadline && now - this.startedAt < PATIENCE * usualMs ? 'ignored' : 'error';
  }

  #finish(outcome: Outcome, now: number): void {
    this.#hasEnded = true;
    const engine = this.#engine;
    const { member } = this;
    engine.disarm(this);
    member.end(outcome, this.#weight, this.#owner.loadKey, this.startedAt, this.retryAfterMs, now);
    engine.onAttemptEnd(this, outcome, now);
  }
}

/** 429 and 503 are an answer: no room. Other 4xx are the caller's doing and the server's good work. */
function outcomeOf(status: number): Outcome {
  if (status === 429 || status === 503) return 'dropped';
  return status >= 500 ? 'error' : 'ok';
}

function timedOut(what: string, within: string): EvenkeelError {
  return new EvenkeelError('deadline-exceeded', `${what} did not come within ${within}`, { retryable: 'unknown' });
}
