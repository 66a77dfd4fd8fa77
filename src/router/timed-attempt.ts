/** Stands between an attempt and its transport while somebody listens to the latency tax, and notes when each step came. */
import type { EvenkeelError } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';
import type { CallHandle, CallRequest, CallSink, CallTransport } from '../core/transport/call.js';
import type { Attempt } from './attempt.js';
import type { Member } from './endpoint-table.js';
import type { AttemptTimes } from './tax-parts.js';

/** What it tells at the end. */
export interface AttemptRecorder {
  now(): number;
  /** `error` undefined: it ended well. */
  record(timed: TimedAttempt, error: EvenkeelError | undefined): void;
  /** The router took so long over the end of an attempt that is sampled. */
  recordEnd(error: EvenkeelError | undefined, ms: number): void;
  /** Milliseconds in transports' `start` so far, as far as they were timed: what an attempt's end sets off is not its own. */
  startsMs: number;
  /** The router is at the end of an attempt that is sampled. */
  isEnding: boolean;
}

export class TimedAttempt implements CallSink, AttemptTimes {
  readonly attempt: Attempt;
  readonly member: Member;
  readonly request: CallRequest;
  readonly depth: number;
  readonly queuedAt: number;
  readonly dispatchedAt: number;
  readonly startedAt: number;
  connectedAt = Number.NaN;
  sentAt = Number.NaN;
  headAt = Number.NaN;
  endedAt = Number.NaN;
  headers: HeaderList = [];
  trailers: HeaderList | undefined = undefined;
  responseBytes = 0;
  /** Milliseconds in the transport's `start`, and in our own code while the response came; only of attempts that are sampled. */
  networkMs = 0;
  rpcLibraryMs = 0;
  readonly isSampled: boolean;
  readonly #recorder: AttemptRecorder;

  constructor(
    recorder: AttemptRecorder,
    attempt: Attempt,
    member: Member,
    request: CallRequest,
    depth: number,
    isSampled: boolean,
  ) {
    this.#recorder = recorder;
    this.attempt = attempt;
    this.member = member;
    this.request = request;
    this.depth = depth;
    this.isSampled = isSampled;
    this.queuedAt = attempt.queuedAt;
    this.dispatchedAt = attempt.now;
    this.startedAt = recorder.now();
  }

  start(transport: CallTransport): CallHandle {
    const recorder = this.#recorder;
    const handle = transport.start(this.member.endpoint, this.request, this);
    if (!this.isSampled && !recorder.isEnding) return handle;
    const ms = recorder.now() - this.startedAt;
    recorder.startsMs += ms;
    if (this.isSampled) this.networkMs = ms;
    return handle;
  }

  onPhase(phase: 'connected' | 'sent', atMs: number): void {
    if (phase === 'connected') this.connectedAt = atMs;
    else this.sentAt = atMs;
  }

  onResponse(status: number, headers: HeaderList): void {
    this.headAt = this.#recorder.now();
    this.headers = headers;
    this.attempt.onResponse(status, headers);
    if (this.isSampled) this.rpcLibraryMs += this.#recorder.now() - this.headAt;
  }

  onData(chunk: Uint8Array): void {
    this.responseBytes += chunk.length;
    if (!this.isSampled) {
      this.attempt.onData(chunk);
      return;
    }
    const from = this.#recorder.now();
    this.attempt.onData(chunk);
    this.rpcLibraryMs += this.#recorder.now() - from;
  }

  onEnd(trailers?: HeaderList): void {
    this.endedAt = this.#recorder.now();
    this.trailers = trailers;
    this.#recorder.record(this, undefined);
    if (this.isSampled) this.#timed(undefined, () => this.attempt.onEnd(trailers));
    else this.attempt.onEnd(trailers);
  }

  onError(error: EvenkeelError): void {
    this.endedAt = this.#recorder.now();
    this.#recorder.record(this, error);
    if (this.isSampled) this.#timed(error, () => this.attempt.onError(error));
    else this.attempt.onError(error);
  }

  #timed(error: EvenkeelError | undefined, end: () => void): void {
    const recorder = this.#recorder;
    const wasEnding = recorder.isEnding;
    const [from, startsMs] = [recorder.now(), recorder.startsMs];
    recorder.isEnding = true;
    try {
      end();
    } finally {
      recorder.isEnding = wasEnding;
    }
    recorder.recordEnd(error, recorder.now() - from - (recorder.startsMs - startsMs));
  }
}
