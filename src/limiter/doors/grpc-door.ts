/**
 * The door of servers of @grpc/grpc-js, as one of their interceptors: that is before a message is read, parsed or decompressed. A wrapper of
 * service implementations would see unary calls only when all of that is done.
 *
 * The call is taken hold of by its own methods, and not wrapped in another: grpc-js adds methods to calls now and then, and an interceptor
 * that does not know them would break its server.
 */
import { AsyncResource } from 'node:async_hooks';
import { HEADERS, type HeaderList } from '../../core/headers.js';
import type { Outcome } from '../../core/load-counter.js';
import type { Limiter } from '../limiter.js';
import type { Permit } from '../permit.js';
import type { Refusal } from '../refusal.js';
import { type Claim, Waiter } from '../waiter.js';
import { AbandonedWork } from './abandoned-work.js';
import { Door } from './door.js';
import type { DoorOptions } from './door-options.js';
import { GRPC_OK, GRPC_RESOURCE_EXHAUSTED, GRPC_UNAVAILABLE, GrpcRefusals, newMetadata } from './grpc-refusals.js';
import type {
  GrpcDoorRequest,
  GrpcLimiterInterceptor,
  GrpcListenerLike,
  GrpcMetadataLike,
  GrpcMethodLike,
  GrpcServerCallLike,
  GrpcStatusLike,
} from './grpc-shapes.js';
import type { RefusalAnswer } from './refusal-answer.js';

/**
 * Lets calls through to a gRPC server's handlers as far as the limiter has room, and refuses the rest before their first message is read:
 * `RESOURCE_EXHAUSTED` with `grpc-retry-pushback-ms` and `evenkeel-rejected: 1` for lack of room, `DEADLINE_EXCEEDED` when too little time is
 * left, `UNAVAILABLE` while the limiter drains, `INVALID_ARGUMENT` for a malformed deadline. The deadline is the call's, or that of
 * `evenkeel-timeout-ms` when it is sooner. A permit is out until the call is over, streams included, and for a caller that went away from a unary
 * call until its handler has answered (half a minute at most); `RESOURCE_EXHAUSTED` and `UNAVAILABLE` of
 * the handler's own count as dropped, other statuses but OK as errors where HTTP's would be 5xx, and a caller that went away as ignored.
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts nocheck
 * const server = new grpc.Server({ interceptors: [grpcLimiter(createLimiter({ name: 'search' }))] });
 * ```
 */
export function grpcLimiter(limiter: Limiter, options?: DoorOptions<GrpcDoorRequest>): GrpcLimiterInterceptor {
  const door = new Door(limiter, options);
  const refusals = new GrpcRefusals(door.settings.retryAfterMs);
  const needsHeaders = typeof options?.trusted === 'function';
  return ((method: GrpcMethodLike, call: GrpcServerCallLike) => {
    const start = call.start.bind(call);
    call.start = (listener) => start(new LimitedListener(door, refusals, needsHeaders, method, call, listener));
    return call;
  }) as GrpcLimiterInterceptor;
}

/** What the server hears of a call, held back until there is a permit. */
class LimitedListener implements GrpcListenerLike {
  readonly #door: Door<GrpcDoorRequest>;
  readonly #refusals: GrpcRefusals;
  readonly #needsHeaders: boolean;
  readonly #method: GrpcMethodLike;
  readonly #call: GrpcServerCallLike;
  readonly #inner: GrpcListenerLike;
  #metadata: GrpcMetadataLike | undefined;
  #waiting: GrpcWaiter | undefined;
  #permit: Permit | undefined;
  /** Of the status that was sent; undefined: none was. */
  #code: number | undefined;
  #retryAfterMs = 0;
  #isRefused = false;
  /** A handler of one message for another has been called, and has not answered. */
  #isWorking = false;
  #abandoned: AbandonedWork | undefined;

  constructor(
    door: Door<GrpcDoorRequest>,
    refusals: GrpcRefusals,
    needsHeaders: boolean,
    method: GrpcMethodLike,
    call: GrpcServerCallLike,
    inner: GrpcListenerLike,
  ) {
    this.#door = door;
    this.#refusals = refusals;
    this.#needsHeaders = needsHeaders;
    this.#method = method;
    this.#call = call;
    this.#inner = inner;
  }

  onReceiveMetadata(metadata: GrpcMetadataLike): void {
    const door = this.#door;
    this.#metadata = metadata;
    const request: GrpcDoorRequest = { path: this.#method.path, metadata };
    const now = door.now();
    const latest = Number(this.#call.getDeadline());
    // grpc-js keeps the deadline as a time of day of this machine.
    const deadline = latest === Number.POSITIVE_INFINITY ? latest : now + latest - this.#wallTime();
    const headers = this.#needsHeaders ? allHeaders(metadata) : claimHeaders(metadata);
    const context = door.claims.read(request, headers, addressOf(this.#call.getPeer()), now, deadline);
    if ('code' in context) {
      this.#refuse(door.answers.malformed(context));
      return;
    }
    if (door.claims.isSkipped) {
      this.#inner.onReceiveMetadata(metadata);
      return;
    }
    const waiting = new GrpcWaiter(door.claims.claim, now, this);
    this.#waiting = waiting;
    door.limiter.submit(waiting);
    if (waiting.isQueued) waiting.keepContext();
  }

  onReceiveMessage(message: unknown): void {
    this.#inner.onReceiveMessage(message);
  }

  onReceiveHalfClose(): void {
    this.#isWorking = !this.#method.requestStream && !this.#method.responseStream;
    this.#inner.onReceiveHalfClose();
  }

  /** Said at the end of every call, of one that went well, too. */
  onCancel(): void {
    if (this.#permit === undefined) {
      if (this.#waiting !== undefined) this.#door.limiter.withdraw(this.#waiting);
    } else this.#left(this.#permit);
    this.#inner.onCancel();
  }

  #left(permit: Permit): void {
    const end = () => permit.end(this.#outcome(), this.#retryAfterMs);
    if (this.#isWorking) this.#abandoned = new AbandonedWork(this.#door.limiter.runtime.clock, end);
    else end();
  }

  #onAnswer(): void {
    this.#isWorking = false;
    this.#abandoned?.over();
  }

  onAdmitted(waiting: Waiter, startedAt: number, isTimed: boolean): void {
    const metadata = this.#metadata as GrpcMetadataLike;
    this.#permit = this.#door.limiter.permit(waiting, startedAt, isTimed);
    this.#watch();
    try {
      this.#inner.onReceiveMetadata(metadata);
    } catch (error) {
      // It must not reach the call whose end made room for this one.
      this.#door.report('handler', error);
      this.#call.sendStatus({ code: UNKNOWN, details: 'Unknown error', metadata: null });
    }
  }

  onRefused(refusal: Refusal): void {
    this.#refuse(this.#door.answers.of(refusal));
  }

  #refuse(answer: RefusalAnswer): void {
    if (this.#isRefused) return;
    this.#isRefused = true;
    const status = this.#refusals.status(answer, this.#metadata as GrpcMetadataLike);
    this.#call.sendStatus(this.#withLevel(status));
  }

  /** Its status is known here before it is sent; its end is what `onCancel` tells. */
  #watch(): void {
    const call = this.#call;
    const sendMetadata = call.sendMetadata.bind(call);
    const sendMessage = call.sendMessage.bind(call);
    const sendStatus = call.sendStatus.bind(call);
    let hasHead = false;
    call.sendMetadata = (metadata) => {
      if (!hasHead) this.#tellLevel(metadata);
      hasHead = true;
      sendMetadata(metadata);
    };
    call.sendMessage = (message, callback) => {
      this.#onAnswer();
      sendMessage(message, callback);
    };
    call.sendStatus = (status) => {
      // The server itself tells the caller that its time is over: the handler does not know.
      const isOverdue =
        this.#code === undefined &&
        status.code === DEADLINE_EXCEEDED &&
        Number(call.getDeadline()) <= this.#wallTime() + EARLY_MS;
      if (!isOverdue) this.#onAnswer();
      this.#code ??= status.code ?? GRPC_OK;
      this.#retryAfterMs = this.#outcome() === 'dropped' ? pushbackOf(status) : 0;
      sendStatus(hasHead ? status : this.#withLevel(status));
    };
  }

  #wallTime(): number {
    return this.#door.limiter.runtime.clock.wallTime();
  }

  #outcome(): Outcome {
    if (this.#code === undefined) return 'ignored';
    if (this.#code === GRPC_RESOURCE_EXHAUSTED || this.#code === GRPC_UNAVAILABLE) return 'dropped';
    if (this.#code === CANCELLED) return 'ignored';
    return FAULTS_OF_SERVERS.has(this.#code) ? 'error' : 'ok';
  }

  #tellLevel(metadata: GrpcMetadataLike): void {
    const level = this.#door.level();
    if (level !== undefined) metadata.set(HEADERS.admissionLevel.text, level);
  }

  #withLevel(status: GrpcStatusLike): GrpcStatusLike {
    if (this.#door.level() === undefined) return status;
    const metadata = newMetadata(this.#metadata as GrpcMetadataLike);
    if (status.metadata) metadata.merge(status.metadata);
    this.#tellLevel(metadata);
    return { ...status, metadata };
  }
}

class GrpcWaiter extends Waiter {
  readonly #listener: LimitedListener;
  /** The permit comes free in the context of another call. */
  #context: AsyncResource | undefined;

  constructor(claim: Claim, arrivedAt: number, listener: LimitedListener) {
    super(claim, arrivedAt);
    this.#listener = listener;
  }

  keepContext(): void {
    this.#context = new AsyncResource('evenkeel.limiter');
  }

  onAdmitted(startedAt: number, isTimed: boolean): void {
    const listener = this.#listener;
    if (this.#context === undefined) listener.onAdmitted(this, startedAt, isTimed);
    else this.#context.runInAsyncScope(listener.onAdmitted, listener, this, startedAt, isTimed);
  }

  onRefused(refusal: Refusal): void {
    const listener = this.#listener;
    if (this.#context === undefined) listener.onRefused(refusal);
    else this.#context.runInAsyncScope(listener.onRefused, listener, refusal);
  }
}

const CANCELLED = 1;
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
/** A timer of node's may fire as much before the time of day that it stands for. */
const EARLY_MS = 2;
/** unknown, deadline exceeded, unimplemented, internal, data loss. */
const FAULTS_OF_SERVERS: ReadonlySet<number> = new Set([UNKNOWN, DEADLINE_EXCEEDED, 12, 13, 15]);

const CLAIMS = [HEADERS.timeout.text, HEADERS.baggage.text];

/** Only what is read. */
function claimHeaders(metadata: GrpcMetadataLike): HeaderList {
  const list: (string | Uint8Array)[] = [];
  for (const name of CLAIMS) for (const value of metadata.get(name)) list.push(name, value);
  return list;
}

function allHeaders(metadata: GrpcMetadataLike): HeaderList {
  const list: (string | Uint8Array)[] = [];
  for (const name of Object.keys(metadata.getMap())) for (const value of metadata.get(name)) list.push(name, value);
  return list;
}

/** `10.0.0.1:50000`, `::1:50000`, or a path. */
function addressOf(peer: string): string | undefined {
  const colon = peer.lastIndexOf(':');
  return colon < 0 ? undefined : peer.slice(0, colon);
}

function pushbackOf({ metadata }: GrpcStatusLike): number {
  const ms = Number(metadata?.get(HEADERS.grpcPushback.text)[0] ?? 0);
  return ms > 0 && ms < Number.POSITIVE_INFINITY ? ms : 0;
}
