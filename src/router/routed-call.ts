/**
 * One call, over all its attempts: where it goes, whether it is tried again, and how its promise settles. At any moment it is in one
 * of five states: waiting for room, asking, at an endpoint, waiting to be tried again, over.
 */
import type { CallContext } from '../core/call-context.js';
import { EvenkeelError } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';
import { modelKey } from '../core/load-board.js';
import { ATTRIBUTES } from '../core/metrics.js';
import type { CallSpan } from '../core/telemetry.js';
import type { CallRequest } from '../core/transport/call.js';
import { Attempt, type AttemptEngine, type ResponseUse } from './attempt.js';
import { BodyStream } from './body-stream.js';
import { cancelledError, isAborted, listenForAbort, stopListening } from './call-signals.js';
import type { Member } from './endpoint-table.js';
import { CallResponse } from './response.js';
import { isErrorRetryable, isIdempotent, isStatusRetryable, wasRejected } from './retry-policy.js';
import { faultOf, type RouterRequest } from './router-request.js';
import { wrongShardVersion } from './routes/wrong-shard.js';
import { ASKING, type Asker } from './selection.js';

/** What a call needs of its router. */
export interface CallEngine extends AttemptEngine {
  readonly timeoutMs: number;
  /** Chooses an endpoint; undefined: none has room, or there is none. `avoid`: used only when there is no other. */
  pick(call: RoutedCall, avoid: Member | undefined): Member | undefined;
  /** The same, where the picker or a load source may ask endpoints first; then `onAsk` and `onChosen` of the call are called. */
  pickOrAsk(call: RoutedCall, avoid: Member | undefined): Member | undefined | typeof ASKING;
  /** Endpoints are being asked for a call; they have answered. */
  onAsk(): void;
  onAnswer(): void;
  /** Finds the call's shard and its affinity where it does not name them itself; what went wrong, if anything. */
  name(call: RoutedCall): EvenkeelError | undefined;
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
  /** A server does not hold the shard it was asked for, by a map of that version. */
  onWrongShard(mapVersion: number): void;
  onRetry(call: RoutedCall, member: Member, cause: string): void;
  /** An attempt goes out. */
  onSend(call: RoutedCall): void;
  /** An endpoint may still be used that was chosen before somebody else's code ran. */
  hasRoom(member: Member): boolean;
  readonly isClosed: boolean;
  onCallEnd(call: RoutedCall, error: EvenkeelError | undefined, now: number): void;
}

export class RoutedCall extends Attempt<CallEngine> implements Asker {
  readonly request: RouterRequest;
  readonly context: CallContext | undefined;
  readonly loadKey: string | undefined;
  readonly startedAt: number;
  attempts = 0;
  shard: string | undefined;
  affinity: readonly string[] | undefined;
  span: CallSpan | undefined = undefined;
  readonly #resolve: (response: CallResponse) => void;
  readonly #reject: (error: EvenkeelError) => void;
  /** Settled: its promise is; a stream may still run. */
  #stage: 'open' | 'settled' | 'over' = 'open';
  /** An earlier attempt may have done the work, whatever the last one says. */
  #mayHaveActed = false;
  #onAbort: (() => void) | undefined = undefined;

  constructor(
    engine: CallEngine,
    request: RouterRequest,
    context: CallContext | undefined,
    now: number,
    resolve: (response: CallResponse) => void,
    reject: (error: EvenkeelError) => void,
  ) {
    super(engine, request.weight ?? 1, now);
    this.request = request;
    this.context = context;
    this.startedAt = now;
    // Anything else is found out by `start`.
    this.loadKey = typeof request.model === 'string' ? modelKey(request.model) : undefined;
    this.shard = request.shard;
    this.affinity = request.affinity;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get deadline(): number {
    return Math.min(this.startedAt + this.engine.timeoutMs, this.context?.deadline ?? Number.POSITIVE_INFINITY);
  }

  get shardRole(): 'any' | 'primary' {
    return this.request.shardRole ?? 'any';
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
    else if (isAborted(this)) this.fail(cancelledError(this));
    else {
      const unnamed = this.engine.name(this);
      if (unnamed !== undefined) {
        this.fail(unnamed);
        return;
      }
      this.#listenForAbort();
      this.dispatch(this.now);
    }
  }

  /** Sends the call to an endpoint, or into the queue. */
  dispatch(now: number): void {
    this.now = now;
    const member = this.engine.pickOrAsk(this, this.member);
    if (member !== ASKING && !this.#sendTo(member)) this.engine.enqueue(this);
  }

  onAsk(): void {
    const { engine } = this;
    engine.onAsk();
    // It may take longer than the call has.
    engine.arm(this, this.deadline, this.now);
  }

  /**
   * Tries to leave the queue; false when there is still no room. Nobody is asked: the queue would empty itself into questions, and
   * into the queue again, at each call that ends.
   */
  tryDispatch(now: number): boolean {
    if (this.#isTooLate(now)) return true;
    this.now = now;
    const member = this.engine.pick(this, this.member);
    if (member === undefined) return false;
    this.engine.disarm(this);
    if (this.#sendTo(member)) return true;
    this.engine.arm(this, this.deadline, now);
    return false;
  }

  /** Ends the call with `error`, wherever it is. */
  cancel(error: EvenkeelError): void {
    if (this.isRunning) {
      this.stop(error);
    } else if (this.#stage !== 'over') {
      this.engine.dequeue(this);
      this.engine.disarm(this);
      this.fail(error);
    }
  }

  /** The wheel: while waiting for room, the deadline; while waiting to be tried again, that moment; at an endpoint, a timeout. */
  override onDeadline(): void {
    const now = this.engine.now();
    if (this.isRunning) {
      this.checkTimeouts(now);
      return;
    }
    if (this.#isTooLate(now)) return;
    this.engine.dequeue(this);
    this.dispatch(now);
  }

  /** Ends a call that is at no endpoint and must not go to one any more: its caller has left, or its time is up. */
  #isTooLate(now: number): boolean {
    if (this.#stage === 'over') return true;
    if (isAborted(this)) this.cancel(cancelledError(this));
    else if (now < this.deadline) return false;
    else if (this.attempts > 0) this.cancel(this.#tooLate('the deadline passed before the next attempt'));
    else this.cancel(this.#tooLate('the deadline passed while the call waited for an endpoint', true));
    return true;
  }

  // What its attempt tells.

  protected override takeResponse(status: number, headers: HeaderList): ResponseUse {
    if (this.shard !== undefined && this.#isElsewhere(status, headers)) return 'discard';
    if (status >= 429 && this.#shouldRetryStatus(status, headers)) return 'discard';
    if (this.request.response !== 'stream') return 'buffer';
    const stream = new BodyStream(this);
    this.#settle(new CallResponse(status, headers, this.#endpointId, this.attempts, NO_BODY, stream, undefined, this));
    return stream;
  }

  protected override weightOf(body: Uint8Array): number | undefined {
    if (this.request.actualWeight === undefined) return undefined;
    try {
      const weight = this.request.actualWeight(body);
      return weight !== undefined && Number.isFinite(weight) && weight > 0 ? weight : undefined;
    } catch {
      return undefined;
    }
  }

  protected override succeeded(body: Uint8Array, trailers: HeaderList | undefined, now: number): void {
    const { status, headers, attempts } = this;
    this.#settle(new CallResponse(status, headers, this.#endpointId, attempts, body, undefined, trailers, undefined));
    this.#end(undefined, now);
  }

  protected override failed(error: EvenkeelError, isDiscarded: boolean, now: number): void {
    // A byte of the response has reached the caller: the rest is theirs to judge.
    if (this.#stage !== 'open') this.#end(error, now);
    // The retry of a response that was discarded is granted already.
    else if (isDiscarded ? !isAborted(this) : this.#shouldRetryError(error, now)) this.#tryAgain(error, now);
    else this.fail(error);
  }

  get #endpointId(): string {
    return this.member?.endpoint.id as string;
  }

  #shouldRetryStatus(status: number, headers: HeaderList): boolean {
    if (!this.#isReplayable || !isStatusRetryable(status, wasRejected(headers), this.#isIdempotent)) return false;
    return this.#canRetry(this.engine.now());
  }

  /** The server does not hold the shard: another may, by our map or by the one that we are about to hear of. */
  #isElsewhere(status: number, headers: HeaderList): boolean {
    const version = wrongShardVersion(status, headers);
    if (version === undefined) return false;
    this.engine.onWrongShard(version);
    return this.#isReplayable && this.#canRetry(this.engine.now());
  }

  #shouldRetryError(error: EvenkeelError, now: number): boolean {
    const isReplayable = this.#isReplayable || error.retryable === 'yes';
    return isReplayable && isErrorRetryable(error, this.#isIdempotent) && this.#canRetry(now);
  }

  #canRetry(now: number): boolean {
    const engine = this.engine;
    if (this.attempts >= engine.maxAttempts || now >= this.deadline || isAborted(this)) return false;
    return engine.mayRetry(now);
  }

  #tryAgain(error: EvenkeelError, now: number): void {
    const { engine, status } = this;
    const isUnsent = status === 0 && error.retryable === 'yes';
    // A status may have come after the work was done; only a server that says `rejected` did nothing.
    if (!isUnsent && !(status !== 0 && wasRejected(this.headers))) this.#mayHaveActed = true;
    engine.onRetry(this, this.member as Member, status === 0 ? error.code : `status ${status}`);
    // Who heard of it may have ended the call, or the router.
    if (this.#stage === 'over') return;
    if (engine.isClosed) {
      this.fail(error);
      return;
    }
    const waitMs = engine.backoffMs(this.attempts + 1, isUnsent);
    if (waitMs === 0) this.dispatch(now);
    else engine.arm(this, Math.min(this.deadline, now + waitMs), now);
  }

  onChosen(member: Member | undefined): void {
    this.engine.onAnswer();
    const now = this.engine.now();
    if (this.#isTooLate(now)) return;
    this.engine.disarm(this);
    this.now = now;
    const isUsable = member?.isOpen && member !== this.member;
    if (!this.#sendTo(isUsable ? member : this.engine.pick(this, this.member))) this.engine.enqueue(this);
  }

  /** False: there is no room. Otherwise it is sent, or over. */
  #sendTo(member: Member | undefined): boolean {
    if (member === undefined) return false;
    const { engine } = this;
    let request: CallRequest;
    try {
      request = engine.prepare(this.request, this, this.now);
    } catch (cause) {
      this.fail(new EvenkeelError('invalid-argument', `the headers cannot be sent: ${cause}`, { cause }));
      return true;
    }
    // A listener of the pick, or an extension, may have cancelled the call meanwhile, or sent one of its own there.
    if (this.#stage === 'over') return true;
    if (!engine.hasRoom(member)) return false;
    this.attempts++;
    engine.onSend(this);
    this.send(member, request);
    return true;
  }

  /** Rejects, with what is known of the call added to the error. For the engine, too: the call cannot wait. */
  fail(error: EvenkeelError): void {
    const told = this.attempts === 0 && Object.isFrozen(error) ? error : this.#annotate(error);
    if (this.#stage === 'open') {
      this.#stage = 'settled';
      this.#reject(told);
    }
    this.#end(told, this.engine.now());
  }

  #annotate(error: EvenkeelError): EvenkeelError {
    return new EvenkeelError(error.code, error.message, {
      retryable: error.retryable === 'yes' && this.#mayHaveActed ? 'unknown' : error.retryable,
      rejected: error.rejected && !this.#mayHaveActed,
      retryAfterMs: error.retryAfterMs,
      endpoint: error.endpoint ?? this.member?.endpoint.id,
      attempts: this.attempts,
      cause: error.cause,
      details: error.details,
    });
  }

  #settle(response: CallResponse): void {
    if (this.#stage !== 'open') return;
    this.#stage = 'settled';
    this.span?.set(ATTRIBUTES.status, response.status);
    this.#resolve(response);
  }

  #end(error: EvenkeelError | undefined, now: number): void {
    if (this.#stage === 'over') return;
    this.#stage = 'over';
    if (this.#onAbort !== undefined) stopListening(this, this.#onAbort);
    this.engine.onCallEnd(this, error, now);
  }

  #listenForAbort(): void {
    // No closure for a call without signals.
    if (this.request.signal === undefined && this.context?.signal === undefined) return;
    this.#onAbort = () => this.cancel(cancelledError(this));
    listenForAbort(this, this.#onAbort);
  }

  #tooLate(message: string, rejected = false): EvenkeelError {
    return new EvenkeelError('deadline-exceeded', message, { rejected, retryable: rejected ? 'yes' : 'unknown' });
  }
}

const NO_BODY = new Uint8Array(0);
