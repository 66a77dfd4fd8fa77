/**
 * One HTTP call: the handler undici calls and the handle the caller holds are one object, the only one the transport allocates.
 *
 * undici 7 hands headers over as bytes to handlers of its older interface and wraps newer ones; undici 8 has the newer interface
 * alone. Hence two small subclasses over one state machine.
 */
import { EvenkeelError, invalidArgument, isEvenkeelError } from '../../core/errors.js';
import type { HeaderList } from '../../core/headers.js';
import type { CallHandle, CallSink } from '../../core/transport/call.js';
import { callError } from './errors.js';

/** What a call needs of its transport. */
export interface HttpCallOwner {
  now(): number;
  onCallEnd(): void;
}

function bodyFailure(cause: unknown, endpoint: string): EvenkeelError {
  if (isEvenkeelError(cause, 'invalid-argument')) return cause;
  return new EvenkeelError('cancelled', 'the request body failed midway', { cause, endpoint });
}

const NO_HEADERS: HeaderList = Object.freeze([]);

export abstract class HttpCall implements CallHandle {
  readonly #owner: HttpCallOwner;
  readonly #endpoint: string;
  readonly #sink: CallSink;
  #hasEnded = false;
  #isStarting = true;
  /** A connection was ours: from here on bytes may have been written. */
  #isConnected = false;
  #hasResponse = false;
  /** An idle connection is ours, and a short request sent, while `start` still runs. */
  #earlyPhases: ('connected' | 'sent')[] | undefined;
  /** What the request body's own stream threw. */
  #bodyError: { error: unknown } | undefined;
  protected isPaused = false;
  /** Called by undici; present only where somebody listens, for undici calls what it finds. */
  declare onRequestSent?: () => void;

  constructor(owner: HttpCallOwner, endpoint: string, sink: CallSink) {
    this.#owner = owner;
    this.#endpoint = endpoint;
    this.#sink = sink;
    if (sink.onPhase !== undefined) this.onRequestSent = () => this.#hasEnded || this.#tellPhase('sent');
  }

  /** `start` has returned: what went wrong during it may be told now. */
  started(): void {
    this.#isStarting = false;
    if (this.#earlyPhases === undefined) return;
    const phases = this.#earlyPhases;
    this.#earlyPhases = undefined;
    queueMicrotask(() => {
      for (const phase of phases) if (!this.#hasEnded) this.#tellPhase(phase);
    });
  }

  cancel(code: 'cancelled' | 'deadline-exceeded'): void {
    if (this.#hasEnded) return;
    const message = code === 'cancelled' ? 'the call was cancelled' : 'no answer before the deadline';
    const error = new EvenkeelError(code, message, { retryable: this.#retryable(), endpoint: this.#endpoint });
    this.#fail(error);
    this.abortRequest(error);
  }

  pause(): void {
    this.isPaused = true;
    this.pauseReading();
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.resumeReading();
  }

  /** Passes the caller's body on, noting its failure: undici reports that as a failure of the connection. */
  async *guardBody(body: AsyncIterable<Uint8Array | string>): AsyncGenerator<Uint8Array | string> {
    try {
      for await (const piece of body) {
        if (typeof piece !== 'string' && !(piece instanceof Uint8Array))
          throw invalidArgument('a piece of the body', piece, 'bytes or a string');
        yield piece;
      }
    } catch (error) {
      this.#bodyError = { error };
      throw error;
    }
  }

  /** A failure before undici took the request. */
  refuse(error: EvenkeelError): void {
    queueMicrotask(() => this.#fail(error));
  }

  protected abstract abortRequest(reason: Error): void;
  protected abstract pauseReading(): void;
  protected abstract resumeReading(): void;

  /** False when the call is over and the connection should not be used for it. */
  protected connected(): boolean {
    if (this.#hasEnded) return false;
    this.#isConnected = true;
    if (this.#sink.onPhase !== undefined) this.#tellPhase('connected');
    return true;
  }

  protected responded(status: number, headers: HeaderList): void {
    // 1xx is not the response; it follows.
    if (this.#hasEnded || status < 200) return;
    this.#hasResponse = true;
    try {
      this.#sink.onResponse(status, headers);
    } catch (error) {
      this.#sinkThrew(error);
    }
  }

  protected received(chunk: Uint8Array): void {
    if (this.#hasEnded) return;
    try {
      this.#sink.onData(chunk);
    } catch (error) {
      this.#sinkThrew(error);
    }
  }

  protected completed(trailers: HeaderList | undefined): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#owner.onCallEnd();
    try {
      this.#sink.onEnd(trailers ?? NO_HEADERS);
    } catch {
      // The call ended well; its sink's bug has nobody left to be told to.
    }
  }

  protected failed(cause: unknown): void {
    if (this.#hasEnded) return;
    const error =
      this.#bodyError === undefined
        ? callError(cause, this.#endpoint, this.#isConnected, this.#hasResponse)
        : bodyFailure(this.#bodyError.error, this.#endpoint);
    if (this.#isStarting) this.refuse(error);
    else this.#fail(error);
  }

  #fail(error: EvenkeelError): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#owner.onCallEnd();
    try {
      this.#sink.onError(error);
    } catch {
      // As in completed().
    }
  }

  #sinkThrew(cause: unknown): void {
    const error = new EvenkeelError('internal', 'the sink of the call threw', { cause, endpoint: this.#endpoint });
    this.#fail(error);
    this.abortRequest(error);
  }

  #tellPhase(phase: 'connected' | 'sent'): void {
    if (this.#isStarting) {
      this.#earlyPhases ??= [];
      this.#earlyPhases.push(phase);
      return;
    }
    try {
      this.#sink.onPhase?.(phase, this.#owner.now());
    } catch (error) {
      this.#sinkThrew(error);
    }
  }

  #retryable(): 'yes' | 'unknown' {
    return this.#isConnected ? 'unknown' : 'yes';
  }
}

/** For undici 7. */
export class RawHeadersCall extends HttpCall {
  #abort: ((reason: Error) => void) | undefined;
  #resume: (() => void) | undefined;

  onConnect(abort: (reason: Error) => void): void {
    this.#abort = abort;
    if (!this.connected()) abort(new Error('the call was over before it had a connection'));
  }

  onHeaders(status: number, headers: Uint8Array[], resume: () => void): boolean {
    this.#resume = resume;
    this.responded(status, headers);
    return !this.isPaused;
  }

  onData(chunk: Uint8Array): boolean {
    this.received(chunk);
    return !this.isPaused;
  }

  onComplete(trailers: Uint8Array[] | null): void {
    this.completed(trailers ?? undefined);
  }

  onError(error: unknown): void {
    this.failed(error);
  }

  protected override abortRequest(reason: Error): void {
    this.#abort?.(reason);
  }

  protected override pauseReading(): void {}

  protected override resumeReading(): void {
    this.#resume?.();
  }
}

/** The part of undici 8's controller that is used. */
export interface RequestController {
  abort(reason: Error): void;
  pause(): void;
  resume(): void;
  readonly rawHeaders?: readonly Uint8Array[] | null;
  readonly rawTrailers?: readonly Uint8Array[] | null;
}

type ParsedHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** For undici 8. */
export class ControllerCall extends HttpCall {
  #controller: RequestController | undefined;

  onRequestStart(controller: RequestController): void {
    this.#controller = controller;
    if (!this.connected()) controller.abort(new Error('the call was over before it had a connection'));
  }

  onResponseStart(controller: RequestController, status: number, headers: ParsedHeaders): void {
    if (this.isPaused) controller.pause();
    this.responded(status, Array.isArray(controller.rawHeaders) ? (controller.rawHeaders as Uint8Array[]) : flatten(headers));
  }

  onResponseData(_controller: RequestController, chunk: Uint8Array): void {
    this.received(chunk);
  }

  onResponseEnd(controller: RequestController, trailers: ParsedHeaders): void {
    this.completed(Array.isArray(controller.rawTrailers) ? (controller.rawTrailers as Uint8Array[]) : flatten(trailers));
  }

  onResponseError(_controller: RequestController | undefined, error: unknown): void {
    this.failed(error);
  }

  protected override abortRequest(reason: Error): void {
    this.#controller?.abort(reason);
  }

  protected override pauseReading(): void {
    this.#controller?.pause();
  }

  protected override resumeReading(): void {
    this.#controller?.resume();
  }
}

/** HTTP/2 has no raw headers. */
function flatten(headers: ParsedHeaders): string[] {
  const flat: string[] = [];
  for (const name of Object.keys(headers ?? {})) {
    const value = headers[name];
    for (const item of Array.isArray(value) ? value : [value]) if (item !== undefined) flat.push(name, item);
  }
  return flat;
}
