/**
 * One call, over all its attempts: where it goes, whether it is tried again, and how its promise settles. At any moment it is in one
 * of five states: waiting for room, asking, at an endpoint, waiting to be tried again, over.
 *
 * Length: the states of one call and the ways between them; apart they could not be read.
 */
import { setMaxListeners } from 'node:events';
import type { CallContext } from '../core/call-context.js';
import { EvenkeelError } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';
import { modelKey } from '../core/load-board.js';
import { ATTRIBUTES } from '../core/metrics.js';
import type { CallSpan } from '../core/telemetry.js';
import { WheelEntry } from '../core/timer-wheel.js';
import type { CallRequest } from '../core/transport/call.js';
import { Attempt, type AttemptEngine, type AttemptOwner } from './attempt.js';
import { BodyStream } from './body-stream.js';
import type { Member } from './endpoint-table.js';
import type { PickRequest } from './pickers/picker.js';
import { CallResponse } from './response.js';
import { isErrorRetryable, isIdempotent, isStatusRetryable, readRetryAfterMs, wasRejected } from './retry-policy.js';
import { faultOf, type RouterRequest } from './router-request.js';

/** What a call needs of its router. */
export interface CallEngine extends AttemptEngine {
  readonly timeoutMs: number;
  /** Chooses an endpoint; undefined: none has room, or there is none. `avoid`: used only when there is no other. */
  pick(call: RoutedCall, avoid: Member | undefined): Member | undefined;
  /** A load source wants to ask endpoints before each dispatch: `choose` instead of `pick`. */
  readonly asksFirst: boolean;
  /** Calls `done` once, later; with undefined when nobody could be asked. */
  choose(call: RoutedCall, done: (member: Member | undefined) => void): void;
  /** Takes the call into the queue, or fails it when that is full or no endpoint is known. */
  enqueue(call: RoutedCall): void;
  dequeue(call: RoutedCall): void;
  /** The request with the context's, the extensions' and the span's headers. */
  prepare(request: RouterRequest, call: RoutedCall, now: number): CallRequest;
  readonly maxAttempts: number;
  /** Milliseconds to wait before attempt `next`. */
  backoffMs(next: number, isUnsent: boolean): number;
  /** Takes a retry from the budget. */
  mayRetry(now: number): boolean;
  onRetry(call: RoutedCall, member: Member, cause: string): void;
  onCallEnd(call: RoutedCall, error: EvenkeelError | undefined, now: number): void;
}

export class RoutedCall extends WheelEntry implements PickRequest, AttemptOwner {
  readonly request: RouterRequest;
  readonly context: CallContext | undefined;
  readonly deadline: number;
  readonly weight: number;
  readonly loadKey: string | undefined;
  readonly startedAt: number;
  /** Of the latest dispatch; pickers read it. */
  now: number;
  attempts = 0;
  span: CallSpan | undefined;
  readonly #engine: CallEngine;
  readonly #resolve: (response: CallResponse) => void;
  readonly #reject: (error: EvenkeelError) => void;
  #attempt: Attempt | undefined;
  /** Decided with the status, before the rest of that response was thrown away. */
  #isRetryGranted = false;
  /** An earlier attempt may have done the work, whatever the last one says. */
  #mayHaveActed = false;
  #lastMember: Member | undefined;
  #hasSettled = false;
  #isOver = false;
  #onAbort: (() => void) | undefined;

  constructor(
    engine: CallEngine,
    request: RouterRequest,
    context: CallContext | undefined,
    now: number,
    resolve: (response: CallResponse) => void,
    reject: (error: EvenkeelError) => void,
  ) {
    super();
    this.#engine = engine;
    this.request = request;
    this.context = context;
    this.startedAt = now;
    this.now = now;
    this.deadline = Math.min(now + engine.timeoutMs, context?.deadline ?? Number.POSITIVE_INFINITY);
    this.weight = request.weight ?? 1;
    this.loadKey = request.model === undefined ? undefined : modelKey(request.model);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get #isIdempotent(): boolean {
    const { method, body, idempotent } = this.request;
    return isIdempotent(method, body !== undefined, idempotent);
  }

  /** A one-way body that an attempt has read from cannot be sent again. */
  get #isReplayable(): boolean {
    const { body } = this.request;
    return body === undefined || typeof body === 'string' || body instanceof Uint8Array;
  }

  start(): void {
    const fault = faultOf(this.request, this.context);
    if (fault !== undefined) this.fail(fault);
    else if (this.deadline <= this.now)
      this.fail(new EvenkeelError('deadline-exceeded', 'the deadline was past before the call began'));
    else if (this.#isAborted()) this.fail(this.#cancelled());
    else {
      this.#listenForAbort();
      this.dispatch(this.now);
    }
  }

  /** Sends the call to an endpoint, or into the queue. */
  dispatch(now: number): void {
    this.now = now;
    if (this.#engine.asksFirst) {
      // It may take longer than the call has.
      this.#engine.arm(this, this.deadline, now);
      this.#engine.choose(this, (member) => this.#chosen(member));
      return;
    }
    this.#sendTo(this.#engine.pick(this, this.#lastMember));
  }

  /**
   * Tries to leave the queue; false when there is still no room. Nobody is asked: the queue would empty itself into questions, and
   * into the queue again, at each call that ends.
   */
  tryDispatch(now: number): boolean {
    this.now = now;
    const member = this.#engine.pick(this, this.#lastMember);
    if (member === undefined) return false;
    this.#engine.disarm(this);
    this.#sendTo(member);
    return true;
  }

  /** Ends the call with `error`, wherever it is. */
  cancel(error: EvenkeelError): void {
    if (this.#isOver) return;
    if (this.#attempt !== undefined) {
      this.#attempt.cancel(error);
      return;
    }
    this.#engine.dequeue(this);
    this.#engine.disarm(this);
    this.fail(error);
  }

  /** The wheel: while waiting for room, the deadline; while waiting to be tried again, that moment. */
  override onDeadline(): void {
    const now = this.#engine.now();
    this.#engine.dequeue(this);
    if (now < this.deadline) this.dispatch(now);
    else if (this.attempts > 0) this.fail(this.#tooLate('the deadline passed before the next attempt'));
    else this.fail(this.#tooLate('the deadline passed while the call waited for an endpoint', true));
  }

  // What its attempt tells.

  onResponse(attempt: Attempt, status: number, headers: HeaderList): 'buffer' | 'discard' | BodyStream {
    if (status >= 429) {
      attempt.retryAfterMs = readRetryAfterMs(headers);
      if (this.#shouldRetryStatus(status, headers)) return 'discard';
    }
    if (this.request.response !== 'stream') return 'buffer';
    const stream = new BodyStream(attempt);
    this.#settle(
      new CallResponse(status, headers, attempt.member.endpoint.id, this.attempts, NO_BODY, stream, undefined, attempt),
    );
    return stream;
  }

  reweigh(body: Uint8Array): number | undefined {
    if (this.request.actualWeight === undefined) return undefined;
    try {
      const weight = this.request.actualWeight(body);
      return weight !== undefined && Number.isFinite(weight) && weight > 0 ? weight : undefined;
    } catch {
      return undefined;
    }
  }

  onSuccess(attempt: Attempt, body: Uint8Array, trailers: HeaderList | undefined, now: number): void {
    this.#attempt = undefined;
    const { status, headers, member } = attempt;
    this.#settle(new CallResponse(status, headers, member.endpoint.id, this.attempts, body, undefined, trailers, undefined));
    this.#end(undefined, now);
  }

  onFailure(attempt: Attempt, error: EvenkeelError, now: number): void {
    this.#attempt = undefined;
    // A byte of the response has reached the caller: the rest is theirs to judge.
    if (this.#hasSettled) this.#end(error, now);
    else if (this.#isRetryGranted ? !this.#isAborted() : this.#shouldRetryError(error, now)) this.#tryAgain(attempt, error, now);
    else this.fail(error);
  }

  #shouldRetryStatus(status: number, headers: HeaderList): boolean {
    if (!this.#isReplayable || !isStatusRetryable(status, wasRejected(headers), this.#isIdempotent)) return false;
    if (!this.#canRetry(this.#engine.now())) return false;
    this.#isRetryGranted = true;
    return true;
  }

  #shouldRetryError(error: EvenkeelError, now: number): boolean {
    const isReplayable = this.#isReplayable || error.retryable === 'yes';
    return isReplayable && isErrorRetryable(error, this.#isIdempotent) && this.#canRetry(now);
  }

  #canRetry(now: number): boolean {
    const engine = this.#engine;
    if (this.attempts >= engine.maxAttempts || now >= this.deadline || this.#isAborted()) return false;
    return engine.mayRetry(now);
  }

  #tryAgain(attempt: Attempt, error: EvenkeelError, now: number): void {
    this.#isRetryGranted = false;
    // A status may have come after the work was done; only a server that says `rejected` did nothing.
    if (attempt.status === 0 ? error.retryable !== 'yes' : !wasRejected(attempt.headers)) this.#mayHaveActed = true;
    const engine = this.#engine;
    engine.onRetry(this, attempt.member, attempt.status === 0 ? error.code : `status ${attempt.status}`);
    const waitMs = engine.backoffMs(this.attempts + 1, attempt.status === 0 && error.retryable === 'yes');
    if (waitMs === 0) this.dispatch(now);
    else engine.arm(this, Math.min(this.deadline, now + waitMs), now);
  }

  #chosen(member: Member | undefined): void {
    if (this.#isOver) return;
    this.#engine.disarm(this);
    this.now = this.#engine.now();
    const isUsable = member?.isOpen && member !== this.#lastMember;
    this.#sendTo(isUsable ? member : this.#engine.pick(this, this.#lastMember));
  }

  #sendTo(member: Member | undefined): void {
    const engine = this.#engine;
    if (member === undefined) {
      engine.enqueue(this);
      return;
    }
    let request: CallRequest;
    try {
      request = engine.prepare(this.request, this, this.now);
    } catch (cause) {
      this.fail(new EvenkeelError('invalid-argument', `the headers cannot be sent: ${cause}`, { cause }));
      return;
    }
    // A listener of the pick, or an extension, may have cancelled the call meanwhile.
    if (this.#isOver) return;
    this.#lastMember = member;
    const attempt = new Attempt(engine, this, member, ++this.attempts, this.now);
    this.#attempt = attempt;
    attempt.start(request);
  }

  /** Rejects, with what is known of the call added to the error. For the engine, too: the call cannot wait. */
  fail(error: EvenkeelError): void {
    const told = this.attempts === 0 && Object.isFrozen(error) ? error : this.#annotate(error);
    if (!this.#hasSettled) {
      this.#hasSettled = true;
      this.#reject(told);
    }
    this.#end(told, this.#engine.now());
  }

  #annotate(error: EvenkeelError): EvenkeelError {
    return new EvenkeelError(error.code, error.message, {
      retryable: error.retryable === 'yes' && this.#mayHaveActed ? 'unknown' : error.retryable,
      rejected: error.rejected && !this.#mayHaveActed,
      retryAfterMs: error.retryAfterMs,
      endpoint: error.endpoint ?? this.#lastMember?.endpoint.id,
      attempts: this.attempts,
      cause: error.cause,
      details: error.details,
    });
  }

  #settle(response: CallResponse): void {
    if (this.#hasSettled) return;
    this.#hasSettled = true;
    this.span?.set(ATTRIBUTES.status, response.status);
    this.#resolve(response);
  }

  #end(error: EvenkeelError | undefined, now: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { signal } = this.request;
    if (this.#onAbort !== undefined) {
      signal?.removeEventListener('abort', this.#onAbort);
      this.context?.signal?.removeEventListener('abort', this.#onAbort);
    }
    this.#engine.onCallEnd(this, error, now);
  }

  #isAborted(): boolean {
    return this.request.signal?.aborted === true || this.context?.signal?.aborted === true;
  }

  #listenForAbort(): void {
    const { signal } = this.request;
    const other = this.context?.signal;
    if (signal === undefined && other === undefined) return;
    this.#onAbort = () => this.cancel(this.#cancelled());
    listen(signal, this.#onAbort);
    listen(other, this.#onAbort);
  }

  #cancelled(): EvenkeelError {
    const cause = this.request.signal?.aborted ? this.request.signal.reason : this.context?.signal?.reason;
    return new EvenkeelError('cancelled', 'the call was cancelled', { cause });
  }

  #tooLate(message: string, rejected = false): EvenkeelError {
    return new EvenkeelError('deadline-exceeded', message, { rejected, retryable: rejected ? 'yes' : 'unknown' });
  }
}

const NO_BODY = new Uint8Array(0);

/** One signal may serve any number of calls at once; Node warns of a leak at the eleventh. */
function listen(signal: AbortSignal | undefined, onAbort: () => void): void {
  if (signal === undefined) return;
  if (signal instanceof EventTarget) setMaxListeners(0, signal);
  signal.addEventListener('abort', onAbort, { once: true });
}
