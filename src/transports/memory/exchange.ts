/**
 * One call, both sides of it: a pump carries the request's body to the handler, another the answer's body to the sink.
 *
 * When is it over? When `#finish` ran: it tells the sink, once, and takes away whatever the two parties still hold of each other.
 */
import type { Clock } from '../../core/clock.js';
import { EvenkeelError, type Retryable } from '../../core/errors.js';
import type { HeaderList } from '../../core/headers.js';
import { BodyPump, bodyError, Pipe } from '../../core/internal/body-pipe.js';
import { checkAnswer, checkHeaders } from '../../core/internal/call-message.js';
import type { CallAnswer, CallHandle, CallHandler, CallRequest, CallSink, IncomingCall } from '../../core/transport/call.js';

/** Anybody who counts calls: the transport that started it, the listener that answers it. */
export type Registry = Set<Exchange>;

export class Exchange implements CallHandle {
  readonly #clock: Clock;
  readonly #sink: CallSink;
  readonly #registries: Registry[] = [];
  readonly #upstream = new Pipe();
  readonly #downstream = new Pipe();
  #requestPump: BodyPump | undefined;
  #answerPump: BodyPump | undefined;
  #controller: AbortController | undefined;
  #trailers: HeaderList | undefined;
  #isConnected = false;
  #isAnswering = false;
  #isPaused = false;
  #isDelivering = false;
  #isOver = false;
  readonly #onOver: (registry: Registry) => void;

  constructor(clock: Clock, sink: CallSink, onOver: (registry: Registry) => void) {
    this.#clock = clock;
    this.#sink = sink;
    this.#onOver = onOver;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  register(registry: Registry): void {
    registry.add(this);
    this.#registries.push(registry);
  }

  cancel(code: 'cancelled' | 'deadline-exceeded'): void {
    const message = code === 'cancelled' ? 'the call was cancelled' : 'the deadline of the call has passed';
    this.fail(new EvenkeelError(code, message, { retryable: this.#retryable }));
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    queueMicrotask(this.#deliver);
  }

  /** The other side, or this one, is gone. */
  lose(message: string): void {
    this.fail(new EvenkeelError('unavailable', message, { retryable: this.#retryable }));
  }

  fail(error: EvenkeelError): void {
    if (this.#isOver) return;
    this.#finish(error);
    this.#tell(() => this.#sink.onError(error));
  }

  /** Hands a checked request to the handler that answers it. */
  connect(request: CallRequest, handler: CallHandler): void {
    this.#isConnected = true;
    if (!this.#phase('connected')) return;
    const pump = new BodyPump(request.body, this.#upstream, false);
    this.#requestPump = pump;
    pump.run().then(
      (isWhole) => {
        if (isWhole) this.#phase('sent');
      },
      (error) => this.fail(bodyError('request', error)),
    );
    this.#answer(handler, this.#incoming(request));
  }

  get #retryable(): Retryable {
    return this.#isConnected ? 'unknown' : 'yes';
  }

  #incoming(request: CallRequest): IncomingCall {
    const exchange = this;
    const upstream = this.#upstream;
    let isRead = false;
    return {
      path: request.path,
      method: request.method ?? (request.body === undefined ? 'GET' : 'POST'),
      headers: request.headers ?? [],
      body: {
        [Symbol.asyncIterator]() {
          if (isRead) throw new EvenkeelError('failed-precondition', 'the body of a call is read once');
          isRead = true;
          return upstream.drain();
        },
      },
      // A controller costs more than the rest of the call: made when asked for.
      get signal() {
        return exchange.#signal;
      },
    };
  }

  get #signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isOver && !this.#downstream.isDrained) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  async #answer(handler: CallHandler, incoming: IncomingCall): Promise<void> {
    let answer: CallAnswer;
    try {
      answer = await handler(incoming);
      checkAnswer(answer);
    } catch {
      // What went wrong inside the server is not the caller's to know.
      answer = { status: 500 };
    }
    const pump = new BodyPump(answer.body, this.#downstream, true);
    if (this.#isOver) return pump.stop();
    this.#answerPump = pump;
    this.#isAnswering = true;
    const headers = [...(answer.headers ?? [])];
    if (!this.#tell(() => this.#sink.onResponse(answer.status, headers))) return;
    this.#downstream.onReadable(this.#deliver);
    try {
      if (!(await pump.run())) return;
      const trailers = typeof answer.trailers === 'function' ? answer.trailers() : answer.trailers;
      checkHeaders('answer.trailers', trailers);
      this.#trailers = trailers === undefined ? undefined : [...trailers];
      this.#isAnswering = false;
      this.#deliver();
    } catch (cause) {
      this.fail(new EvenkeelError('internal', 'the answer broke off', { retryable: 'unknown', cause }));
    }
  }

  /** Gives the sink what has arrived, until it pauses. */
  readonly #deliver = (): void => {
    // The sink may resume from inside onData.
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    while (!this.#isOver && !this.#isPaused) {
      const piece = this.#downstream.read();
      if (piece === undefined) break;
      this.#tell(() => this.#sink.onData(piece));
    }
    this.#isDelivering = false;
    if (this.#isOver) return;
    if (this.#isPaused) return;
    if (!this.#downstream.isDrained) this.#downstream.onReadable(this.#deliver);
    else if (!this.#isAnswering) this.#complete();
  };

  #complete(): void {
    const trailers = this.#trailers;
    this.#finish(undefined);
    this.#tell(() => this.#sink.onEnd(trailers));
  }

  /** From here on nothing is told except the end itself. */
  #finish(error: EvenkeelError | undefined): void {
    this.#isOver = true;
    this.#requestPump?.stop();
    this.#answerPump?.stop();
    const gone = error ?? new EvenkeelError('cancelled', 'the call is over');
    this.#upstream.fail(gone);
    if (error !== undefined) {
      this.#downstream.fail(error);
      this.#controller?.abort(error);
    }
    for (const registry of this.#registries) {
      registry.delete(this);
      this.#onOver(registry);
    }
  }

  #phase(phase: 'connected' | 'sent'): boolean {
    if (this.#isOver) return false;
    return this.#sink.onPhase === undefined || this.#tell(() => this.#sink.onPhase?.(phase, this.#clock.now()));
  }

  /** Returns false when the call is over, by the sink's doing perhaps. */
  #tell(say: () => void): boolean {
    try {
      say();
    } catch (cause) {
      this.fail(new EvenkeelError('internal', 'the sink of the call threw', { retryable: this.#retryable, cause }));
    }
    return !this.#isOver;
  }
}
