/** A CallTransport whose calls the test answers by hand, piece by piece. */
import {
  type CallHandle,
  type CallRequest,
  type CallSink,
  type CallTransport,
  type Endpoint,
  type ErrorCode,
  EvenkeelError,
  type Retryable,
} from 'evenkeel/core';

export class PuppetCall implements CallHandle {
  readonly endpoint: Endpoint;
  readonly request: CallRequest;
  isOver = false;
  isPaused = false;
  /** Set when the router ended the call. */
  cancelled: string | undefined;
  readonly #sink: CallSink;

  constructor(endpoint: Endpoint, request: CallRequest, sink: CallSink) {
    this.endpoint = endpoint;
    // The array is the caller's again after `start`.
    this.request = { ...request, headers: [...(request.headers ?? [])] };
    this.#sink = sink;
  }

  get to(): string {
    return this.endpoint.id;
  }

  cancel(code: 'cancelled' | 'deadline-exceeded'): void {
    if (this.isOver) return;
    this.cancelled = code;
    this.fail(code, 'unknown');
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  respond(status: number, headers: string[] = []): void {
    if (!this.isOver) this.#sink.onResponse(status, headers);
  }

  data(piece: string | Uint8Array): void {
    if (!this.isOver) this.#sink.onData(typeof piece === 'string' ? Buffer.from(piece) : piece);
  }

  end(trailers?: string[]): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#sink.onEnd(trailers);
  }

  /** A whole response at once. */
  answer(status = 200, body = '', headers: string[] = []): void {
    this.respond(status, headers);
    if (body !== '') this.data(body);
    this.end();
  }

  /** The way to the server fails: `unknown` once bytes were written. */
  fail(code: ErrorCode = 'unavailable', retryable: Retryable = 'unknown'): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#sink.onError(new EvenkeelError(code, `the wire says ${code}`, { retryable, endpoint: this.endpoint.id }));
  }
}

export class PuppetTransport implements CallTransport {
  /** All of them, in order. */
  readonly calls: PuppetCall[] = [];
  readonly forgotten: string[] = [];
  /** Called with each new call, in a microtask of its own: servers that answer by themselves. */
  onCall: ((call: PuppetCall) => void) | undefined;

  start(to: Endpoint, request: CallRequest, sink: CallSink): CallHandle {
    const call = new PuppetCall(to, request, sink);
    this.calls.push(call);
    if (this.onCall !== undefined) queueMicrotask(() => this.onCall?.(call));
    return call;
  }

  forget(to: Endpoint): void {
    this.forgotten.push(to.address);
  }

  async drain(): Promise<void> {}

  async close(): Promise<void> {}

  /** Not over yet. */
  get open(): PuppetCall[] {
    return this.calls.filter((call) => !call.isOver);
  }

  /** The latest call; there must be one. */
  get last(): PuppetCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error('nothing was sent');
    return call;
  }

  /** Endpoint ids in the order of the calls. */
  get order(): string[] {
    return this.calls.map(({ to }) => to);
  }
}
