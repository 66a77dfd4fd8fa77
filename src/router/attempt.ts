/**
 * One try of a call at one endpoint: the sink its transport reports to, its place on the timer wheel, and the work it counts.
 *
 * Its load is counted from before the transport is asked until the last byte or the failure, exactly once. One wheel entry serves
 * all of its timeouts: it is armed for the earliest and, when it comes up, asks which has really passed.
 *
 * A call extends this class and makes its attempts itself, one after the other: most calls have one, and an object less for each of
 * them is worth more than the step between the two. Only an attempt beside another, a hedge, is an object of its own.
 */
import type { CallContext } from '../core/call-context.js';
import { EvenkeelError, isOwnRefusal } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';
import type { Outcome } from '../core/load-counter.js';
import { readRetryAfterMs, wasRejected } from '../core/pushback.js';
import { WheelEntry } from '../core/timer-wheel.js';
import type { CallHandle, CallRequest, CallSink, CallTransport } from '../core/transport/call.js';
import type { BodySource, BodyStream } from './body-stream.js';
import type { Member } from './endpoint-table.js';
import { joinChunks } from './response.js';

/** Looks on while an attempt runs. */
export interface AttemptWatch {
  readonly isOn: boolean;
  start(transport: CallTransport, attempt: Attempt, member: Member, request: CallRequest): CallHandle;
}

/** What an attempt needs of its router. */
export interface AttemptEngine {
  readonly transport: CallTransport;
  readonly tax: AttemptWatch | undefined;
  now(): number;
  coarse(): number;
  arm(entry: WheelEntry, deadline: number, now: number): void;
  /** Arms it unless it is armed for an earlier time. */
  armBy(entry: WheelEntry, deadline: number, now: number): void;
  disarm(entry: WheelEntry): void;
  readonly attemptTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxResponseBytes: number;
  /** Load sources and extensions read what came. */
  /** @param loadKey - The counter that the attempt was for. */
  onHeaders(member: Member, headers: HeaderList, now: number, loadKey: string | undefined): void;
  /** The attempt is over; its load has been given back. `isUnsent`: it failed before a byte of it was written. */
  onAttemptEnd(attempt: Attempt, member: Member, outcome: Outcome, isUnsent: boolean, now: number): void;
}

/** The call that an attempt is for: it hears what comes of the attempt. */
export interface AttemptOwner {
  /** The response has begun. */
  takeResponse(attempt: Attempt, status: number, headers: HeaderList): ResponseUse;
  /** The work it really was, known now that the body is there; undefined when nobody knows better. */
  weightOf(body: Uint8Array): number | undefined;
  succeeded(attempt: Attempt, body: Uint8Array, trailers: HeaderList | undefined, now: number): void;
  /** `isDiscarded`: the failure is our throwing away of a response that is to be tried again. */
  failed(attempt: Attempt, error: EvenkeelError, isDiscarded: boolean, now: number): void;
}

/** What becomes of a response: collected, thrown away because a retry follows, or handed to the caller as it comes. */
export type ResponseUse = 'buffer' | 'discard' | BodyStream;

/** A call's deadline that comes before this many times the usual latency says more of the caller than of the server. */
const PATIENCE = 2;
/** How much, and for how long, a response is read that will not be used. */
const MAX_DISCARDED_BYTES = 16 * 1024;
const DISCARD_MS = 50;
const EMPTY = new Uint8Array(0);
const NO_HEADERS: HeaderList = Object.freeze([]);

export abstract class Attempt<Engine extends AttemptEngine = AttemptEngine> extends WheelEntry implements CallSink, BodySource {
  /** Clock.now() of the latest dispatch: the picker goes by it, and the attempt begins there. */
  now: number;
  /** Its work: as the caller expects it, until somebody knows better. */
  weight: number;
  /** Where the latest attempt went. */
  member: Member | undefined = undefined;
  /** Another attempt of its call has answered first. */
  isOutrun = false;
  /** Of its response; 0 before that. */
  status = 0;
  headers: HeaderList = NO_HEADERS;
  protected readonly engine: Engine;
  #state: 'none' | 'running' | 'discarding' = 'none';
  #handle: CallHandle | undefined = undefined;
  #stream: BodyStream | undefined = undefined;
  #chunk: Uint8Array | undefined = undefined;
  #moreChunks: Uint8Array[] | undefined = undefined;
  #bytes = 0;
  /** Whole milliseconds after `now`: a fraction would be an allocation of its own. */
  #lastByteMs = 0;
  /** Why we cancelled; told instead of the transport's general words. */
  #reason: EvenkeelError | undefined = undefined;

  constructor(engine: Engine, weight: number, now: number) {
    super();
    this.engine = engine;
    this.weight = weight;
    this.now = now;
  }

  /** The call's, absolute. */
  abstract get deadline(): number;
  abstract readonly context: CallContext | undefined;
  /** Clock.now() when it began to wait for its dispatch. */
  abstract get queuedAt(): number;
  /** The load counter on the server that the call is for. */
  abstract readonly loadKey: string | undefined;
  abstract readonly owner: AttemptOwner;

  /** The transport has it. */
  get isRunning(): boolean {
    return this.#state !== 'none';
  }

  /** It has brought no response yet that was thrown away, and may still bring one. */
  get isHopeful(): boolean {
    return this.#state === 'running';
  }

  /** Sends `request` to `member`; the latest dispatch was `now`. */
  protected send(member: Member, request: CallRequest): void {
    const { engine, now } = this;
    this.member = member;
    this.#state = 'running';
    this.#chunk = undefined;
    this.#moreChunks = undefined;
    this.#bytes = 0;
    this.#reason = undefined;
    this.#handle = undefined;
    this.status = 0;
    this.headers = NO_HEADERS;
    member.begin(this.weight, now, this.loadKey);
    const first = Math.min(engine.attemptTimeoutMs, engine.firstByteTimeoutMs);
    engine.arm(this, Math.min(this.deadline, now + first), now);
    try {
      const { tax, transport } = engine;
      this.#handle =
        tax === undefined || !tax.isOn
          ? transport.start(member.endpoint, request, this)
          : tax.start(transport, this, member, request);
    } catch (cause) {
      // Its contract says never; a call must come to an end all the same.
      queueMicrotask(() => {
        // Unless it told the sink as well, and the next attempt is under way.
        if (this.#handle === undefined) this.onError(new EvenkeelError('internal', 'the transport threw', { cause }));
      });
    }
  }

  /** Ends the attempt from our side, with `reason` as its error. */
  stop(reason: EvenkeelError): void {
    if (!this.isRunning) return;
    this.#reason = reason;
    this.#handle?.cancel(reason.code === 'deadline-exceeded' ? 'deadline-exceeded' : 'cancelled');
  }

  /** Corrects the work in flight. */
  setWeight(weight: number): void {
    if (!this.isRunning) return;
    this.member?.counter.adjust(weight - this.weight);
    this.weight = weight;
  }

  /** The failure is the server's, or the way to it: not the refusal of a server that sheds load on purpose. */
  isServerFault(outcome: Outcome): boolean {
    return outcome === 'error' || (outcome === 'dropped' && this.status !== 429 && !wasRejected(this.headers));
  }

  // What the transport tells.

  onResponse(status: number, headers: HeaderList): void {
    if (!this.isRunning) return;
    const { engine } = this;
    const now = engine.coarse();
    this.status = status;
    this.headers = headers;
    this.#noteByte(now);
    engine.onHeaders(this.member as Member, headers, now, this.loadKey);
    // An extension may have cancelled the call.
    if (!this.isRunning) return;
    // Until now the wheel stands at the first byte's time, or at the attempt's end.
    engine.armBy(this, now + engine.idleTimeoutMs, now);
    const use = this.owner.takeResponse(this, status, headers);
    if (use === 'discard') {
      this.#state = 'discarding';
      this.#reason = new EvenkeelError('unavailable', `${this.member?.endpoint.id} answered ${status}`, { retryable: 'yes' });
      // A refusal is short and mostly here already; read to its end it leaves the connection for the next call.
      engine.armBy(this, now + DISCARD_MS, now);
    } else if (use !== 'buffer') {
      this.#stream = use;
    }
  }

  onData(chunk: Uint8Array): void {
    if (!this.isRunning) return;
    this.#noteByte(this.engine.coarse());
    if (this.#stream !== undefined) {
      this.#stream.push(chunk);
      return;
    }
    this.#bytes += chunk.length;
    if (this.#state === 'discarding') {
      if (this.#bytes > MAX_DISCARDED_BYTES) this.#handle?.cancel('cancelled');
      return;
    }
    const { maxResponseBytes } = this.engine;
    if (this.#bytes > maxResponseBytes) {
      this.stop(new EvenkeelError('out-of-range', `the response has more than ${maxResponseBytes} bytes; stream it instead`));
    } else if (this.#chunk === undefined) {
      this.#chunk = chunk;
    } else if (this.#moreChunks === undefined) {
      this.#moreChunks = [this.#chunk, chunk];
    } else {
      this.#moreChunks.push(chunk);
    }
  }

  onEnd(trailers?: HeaderList): void {
    if (!this.isRunning) return;
    if (this.#state === 'discarding') {
      this.onError(this.#reason as EvenkeelError);
      return;
    }
    const stream = this.#stream;
    const body = this.#moreChunks === undefined ? (this.#chunk ?? EMPTY) : joinChunks(this.#moreChunks);
    const actual = stream === undefined ? this.owner.weightOf(body) : undefined;
    if (actual !== undefined) this.setWeight(actual);
    const now = this.engine.now();
    if (trailers !== undefined && trailers.length > 0) this.engine.onHeaders(this.member as Member, trailers, now, this.loadKey);
    this.#finish(outcomeOf(this.status), false, now);
    stream?.end(trailers);
    this.owner.succeeded(this, body, trailers, now);
  }

  onError(error: EvenkeelError): void {
    if (!this.isRunning) return;
    const isDiscarded = this.#state === 'discarding';
    const now = this.engine.now();
    const isUnsent = this.status === 0 && error.retryable === 'yes';
    const reason = this.#reason === undefined ? error : isUnsent ? unsent(this.#reason) : this.#reason;
    this.#finish(isDiscarded ? outcomeOf(this.status) : this.#outcomeOfError(reason, now), isUnsent, now);
    this.#stream?.fail(reason);
    this.owner.failed(this, reason, isDiscarded, now);
  }

  /** The time it was armed for has come: which of its timeouts has passed, if any? */
  protected checkTimeouts(now: number): void {
    const { engine, deadline } = this;
    if (this.#state === 'discarding') {
      this.#handle?.cancel('cancelled');
      return;
    }
    const hasResponse = this.status !== 0;
    const attemptEnd = this.now + engine.attemptTimeoutMs;
    const firstByteEnd = hasResponse ? Number.POSITIVE_INFINITY : this.now + engine.firstByteTimeoutMs;
    // Idle means that the server is silent, not that our reader is slow.
    const lastByteAt = this.#stream?.isPaused ? now : this.now + this.#lastByteMs;
    const idleEnd = hasResponse ? lastByteAt + engine.idleTimeoutMs : Number.POSITIVE_INFINITY;
    if (now >= deadline) this.stop(timedOut('the call', 'its deadline'));
    else if (now >= attemptEnd) this.stop(timedOut('the attempt', `${engine.attemptTimeoutMs} ms`));
    else if (now >= firstByteEnd) this.stop(timedOut('the first byte', `${engine.firstByteTimeoutMs} ms`));
    else if (now >= idleEnd) this.stop(timedOut('the next byte', `${engine.idleTimeoutMs} ms`));
    else engine.arm(this, Math.min(deadline, attemptEnd, firstByteEnd, idleEnd), now);
  }

  // What the reader of a stream asks.

  pause(): void {
    this.#handle?.pause();
  }

  resume(): void {
    this.#noteByte(this.engine.coarse());
    this.#handle?.resume();
  }

  cancelBody(): void {
    this.stop(new EvenkeelError('cancelled', 'the reader left the response'));
  }

  #noteByte(now: number): void {
    this.#lastByteMs = Math.max(0, Math.ceil(now - this.now));
  }

  /** What the caller did, or asked too much of, is not the server's failure. */
  #outcomeOfError(error: EvenkeelError, now: number): Outcome {
    const { code } = error;
    if (code === 'cancelled' || code === 'invalid-argument' || isOwnRefusal(error)) return 'ignored';
    // We ended it: too large a body, a router that closes.
    if (this.#reason !== undefined && code !== 'deadline-exceeded') return 'ignored';
    const isCallDeadline = code === 'deadline-exceeded' && now >= this.deadline;
    const usualMs = (this.member as Member).latencyMs * this.weight;
    return isCallDeadline && now - this.now < PATIENCE * usualMs ? 'ignored' : 'error';
  }

  #finish(outcome: Outcome, isUnsent: boolean, now: number): void {
    const { engine, status } = this;
    const member = this.member as Member;
    this.#state = 'none';
    engine.disarm(this);
    member.end(outcome, this.weight, this.loadKey, this.now, status >= 429 ? readRetryAfterMs(this.headers) : 0, now);
    engine.onAttemptEnd(this, member, outcome, isUnsent, now);
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

/** Why we ended an attempt of which nothing had been written: it may be made again, whatever the reason. */
function unsent({ code, message, cause }: EvenkeelError): EvenkeelError {
  return new EvenkeelError(code, message, { cause, retryable: 'yes' });
}
