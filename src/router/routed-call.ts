/**
 * One call, over all its attempts: where it goes, whether it is tried again, and how its promise settles. At any moment it is in one
 * of five states: waiting for room, asking, at an endpoint (with a hedge, at two), waiting to be tried again, over.
 *
 * Length: what ends an attempt, what follows, and what the caller is told are one decision; apart they would share all their state.
 */
import type { CallContext } from '../core/call-context.js';
import { EvenkeelError } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';
import { modelKey } from '../core/load-board.js';
import { ATTRIBUTES } from '../core/metrics.js';
import { readPushbackMs, readRetryAfterMs, wasRejected } from '../core/pushback.js';
import type { CallSpan } from '../core/telemetry.js';
import type { CallRequest } from '../core/transport/call.js';
import { Attempt, type AttemptEngine, type AttemptOwner, type ResponseUse } from './attempt.js';
import { BodyStream } from './body-stream.js';
import { cancelledError, isAborted, listenForAbort, stopListening } from './call-signals.js';
import type { Member } from './endpoint-table.js';
import { HedgeAttempt, type HedgedCall } from './hedge-attempt.js';
import type { Hedging } from './hedging.js';
import { faultOf } from './request-faults.js';
import { CallResponse } from './response.js';
import { isErrorRetryable, isIdempotent, isStatusRetryable } from './retry-policy.js';
import type { RouterRequest } from './router-request.js';
import { wrongShardVersion } from './routes/wrong-shard.js';
import { ASKING, type Asker, type Selecting } from './selection.js';

/** What a call needs of its router. */
export interface CallEngine extends AttemptEngine {
  readonly timeoutMs: number;
  /** Chooses an endpoint; undefined: none has room, or there is none. `avoid`: used only when there is no other. */
  pick(call: Selecting, avoid: Member | undefined): Member | undefined;
  /** The same, where the picker or a load source may ask endpoints first; then `onAsk` and `onChosen` of the call are called. */
  pickOrAsk(call: RoutedCall, avoid: Member | undefined): Member | undefined | typeof ASKING;
  /** Endpoints are being asked for a call; they have answered. */
  onAsk(): void;
  onAnswer(): void;
  /** Finds the call's shard and its affinity where it does not name them itself; what went wrong, if anything. */
  place(call: RoutedCall): EvenkeelError | undefined;
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
  /** There is another open endpoint than that one. */
  hasOthers(member: Member): boolean;
  /** Undefined: calls are not hedged. */
  readonly hedging: Hedging | undefined;
  onHedge(call: RoutedCall, member: Member, delayMs: number): void;
  onHedgeRefused(): void;
  /** One of two attempts answered; the other is being cancelled after `wastedMs`. */
  onHedgeWon(isHedge: boolean, wastedMs: number): void;
  /** An attempt goes out. */
  onSend(call: RoutedCall): void;
  /** An endpoint may still be used that was chosen before somebody else's code ran. */
  hasRoom(member: Member): boolean;
  readonly isClosed: boolean;
  onCallEnd(call: RoutedCall, error: EvenkeelError | undefined, now: number): void;
}

export class RoutedCall extends Attempt<CallEngine> implements AttemptOwner, HedgedCall, Asker {
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
  /** Whether a failed attempt may be followed by another: to be asked, asked and granted (from the budget), or forbidden by a server. */
  #retry: 'ask' | 'granted' | 'forbidden' = 'ask';
  /** `due`: it is to go out if the first attempt takes too long. */
  #hedge: HedgeAttempt | 'due' | undefined = undefined;
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

  get owner(): AttemptOwner {
    return this;
  }

  /** The wait before a retry is no queue. */
  get queuedAt(): number {
    return this.attempts <= 1 ? this.startedAt : this.now;
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
      const misplaced = this.engine.place(this);
      if (misplaced !== undefined) {
        this.fail(misplaced);
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
   * Tries to leave the queue; false when there is still no room. It does not wait for answers of endpoints: the queue would empty itself
   * into questions, and into the queue again, at each call that ends.
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
    const hedge = this.#sentHedge;
    if (this.isRunning || hedge?.isRunning) {
      this.stop(error);
      hedge?.stop(error);
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
      if (this.#hedge === 'due') this.#sendHedge(now);
      if (this.isRunning) this.checkTimeouts(now);
      if (this.#hedge === 'due' && this.isRunning) this.#armHedge(now);
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

  // What its attempts tell.

  takeResponse(attempt: Attempt, status: number, headers: HeaderList): ResponseUse {
    const other = this.#otherOf(attempt);
    // Its end has been asked for, and the transport takes its time.
    if (other === 'won') return 'discard';
    if (this.shard !== undefined && this.#isElsewhere(attempt, status, headers)) return 'discard';
    if (status >= 429) {
      const isWorthIt = this.#isReplayable && isStatusRetryable(status, wasRejected(headers), this.#isIdempotent);
      if ((readPushbackMs(headers) ?? 0) < 0) this.#retry = 'forbidden';
      // The other attempt may bring a better one.
      if (isWorthIt && other !== undefined) return 'discard';
      if (isWorthIt && this.#canRetry(attempt, this.engine.now())) {
        this.#retry = 'granted';
        return 'discard';
      }
    } else if (this.engine.hedging !== undefined) {
      const now = this.engine.now();
      this.engine.hedging.noteLatency(now - this.now, now);
    }
    if (other !== undefined) this.#drop(other);
    // The first attempt has failed meanwhile.
    else if (attempt !== this) this.engine.onHedgeWon(true, 0);
    if (this.request.response !== 'stream') return 'buffer';
    const stream = new BodyStream(attempt);
    this.#settle(attempt, NO_BODY, stream, undefined, attempt);
    return stream;
  }

  weightOf(body: Uint8Array): number | undefined {
    if (this.request.actualWeight === undefined) return undefined;
    try {
      const weight = this.request.actualWeight(body);
      return weight !== undefined && Number.isFinite(weight) && weight > 0 ? weight : undefined;
    } catch {
      return undefined;
    }
  }

  succeeded(attempt: Attempt, body: Uint8Array, trailers: HeaderList | undefined, now: number): void {
    this.#settle(attempt, body, undefined, trailers, undefined);
    this.#end(undefined, now);
  }

  failed(attempt: Attempt, error: EvenkeelError, isDiscarded: boolean, now: number): void {
    const hedge = this.#sentHedge;
    if (attempt === this) {
      if (hedge?.isHopeful) return;
      this.#hedge = undefined;
    } else {
      if (attempt !== hedge) return;
      // The first attempt may still answer; or its own response is being thrown away, and the call goes on from there.
      if (this.isRunning && attempt.status === 0) return;
      if (this.isRunning && isDiscarded) return;
    }
    // A byte of the response has reached the caller: the rest is theirs to judge.
    if (this.#stage !== 'open') this.#end(error, now);
    // The retry of a response that was discarded is granted already.
    else if (isDiscarded && this.#retry === 'granted' ? !isAborted(this) : this.#shouldRetryError(attempt, error, now))
      this.#tryAgain(attempt, error, now);
    else this.fail(error);
  }

  /** The server does not hold the shard: another may, by our map or by the one that we are about to hear of. */
  #isElsewhere(attempt: Attempt, status: number, headers: HeaderList): boolean {
    const version = wrongShardVersion(status, headers);
    if (version === undefined) return false;
    this.engine.onWrongShard(version);
    if (!this.#isReplayable || !this.#canRetry(attempt, this.engine.now())) return false;
    this.#retry = 'granted';
    return true;
  }

  #shouldRetryError(attempt: Attempt, error: EvenkeelError, now: number): boolean {
    // A first attempt that has lost to its hedge, and whose transport has not ended it yet: there is no room for a third.
    if (this.isRunning) return false;
    const isReplayable = this.#isReplayable || error.retryable === 'yes';
    return isReplayable && isErrorRetryable(error, this.#isIdempotent) && this.#canRetry(attempt, now);
  }

  #canRetry(attempt: Attempt, now: number): boolean {
    const engine = this.engine;
    if (this.#retry === 'forbidden' || this.attempts >= engine.maxAttempts || isAborted(this)) return false;
    return now + this.#askedWaitMs(attempt) < this.deadline && engine.mayRetry(now);
  }

  /**
   * How long the server wants a retry to wait. gRPC's pushback is for the call; Retry-After is for the server that said it, so that it
   * holds when there is no other.
   */
  #askedWaitMs({ status, headers, member }: Attempt): number {
    if (status < 429) return 0;
    return readPushbackMs(headers) ?? (this.engine.hasOthers(member as Member) ? 0 : readRetryAfterMs(headers));
  }

  #tryAgain(attempt: Attempt, error: EvenkeelError, now: number): void {
    const { engine } = this;
    const { status, headers, member } = attempt;
    const isUnsent = status === 0 && error.retryable === 'yes';
    // A status may have come after the work was done; only a server that says `rejected` did nothing.
    if (!isUnsent && !(status !== 0 && wasRejected(headers))) this.#mayHaveActed = true;
    this.member = member;
    this.#retry = 'ask';
    engine.onRetry(this, member as Member, status === 0 ? error.code : `status ${status}`);
    // Who heard of it may have ended the call, or the router.
    if (this.#stage === 'over') return;
    if (engine.isClosed) {
      this.fail(error);
      return;
    }
    const waitMs = Math.max(engine.backoffMs(this.attempts + 1, isUnsent), this.#askedWaitMs(attempt));
    if (waitMs === 0) this.dispatch(now);
    else engine.arm(this, Math.min(this.deadline, now + waitMs), now);
  }

  // A second attempt beside the first.

  get #sentHedge(): HedgeAttempt | undefined {
    return this.#hedge === 'due' ? undefined : this.#hedge;
  }

  /** The other attempt, when it may still answer; `won`: it has. */
  #otherOf(attempt: Attempt): Attempt | 'won' | undefined {
    const hedge = this.#sentHedge;
    if (attempt !== this && attempt !== hedge) return 'won';
    const other = attempt === this ? hedge : this;
    if (other === undefined || !other.isHopeful) return undefined;
    return other.status === 0 ? other : 'won';
  }

  /** The other attempt has answered. */
  #drop(loser: Attempt): void {
    const { engine } = this;
    const now = engine.now();
    const isHedgeWinner = loser === this;
    if (!isHedgeWinner) this.#hedge = undefined;
    engine.onHedgeWon(isHedgeWinner, now - loser.now);
    const { member } = loser;
    loser.isOutrun = true;
    loser.stop(new EvenkeelError('cancelled', 'another attempt of the call has answered'));
    if (isHedgeWinner) member?.onOutrun((now - loser.now) / loser.weight, now);
  }

  #armHedge(now: number): void {
    const at = this.now + (this.engine.hedging as Hedging).delayMs(now);
    if (at < this.deadline) this.engine.armBy(this, at, now);
  }

  #sendHedge(now: number): void {
    const { engine } = this;
    const hedging = engine.hedging as Hedging;
    if (now < this.now + hedging.delayMs(now)) return;
    this.#hedge = undefined;
    if (this.status !== 0 || now >= this.deadline || isAborted(this)) return;
    if (!hedging.isAllowed(now)) {
      engine.onHedgeRefused();
      return;
    }
    const hedge = new HedgeAttempt(engine, this, now);
    const first = this.member as Member;
    const member = engine.pick(hedge, first);
    if (member === undefined || member === first || !this.isHopeful) return;
    let request: CallRequest;
    try {
      request = engine.prepare(this.request, this, now);
    } catch {
      // The first attempt's headers were good.
      return;
    }
    if (!this.isHopeful || this.status !== 0 || !engine.hasRoom(member)) return;
    hedging.take(now);
    this.#hedge = hedge;
    this.attempts++;
    engine.onSend(this);
    engine.onHedge(this, member, now - this.now);
    // Who heard of it may have ended the call.
    if (this.isHopeful) hedge.begin(member, request);
    else this.#hedge = undefined;
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
    if (engine.hedging !== undefined && this.attempts === 1 && this.#isReplayable && this.#isIdempotent) {
      this.#hedge = 'due';
      this.#armHedge(this.now);
    }
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

  /** @param work - Whose weight can still be corrected. */
  #settle(
    { status, headers, member }: Attempt,
    body: Uint8Array,
    stream: BodyStream | undefined,
    trailers: HeaderList | undefined,
    work: Attempt | undefined,
  ): void {
    if (this.#stage !== 'open') return;
    this.#stage = 'settled';
    this.span?.set(ATTRIBUTES.status, status);
    const id = (member as Member).endpoint.id;
    this.#resolve(new CallResponse(status, headers, id, this.attempts, body, stream, trailers, work));
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
