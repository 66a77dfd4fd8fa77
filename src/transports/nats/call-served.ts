/** The server's side of one call: the handler at work, its caller's body coming in, the answer going out. */
import { EvenkeelError } from '../../core/errors.js';
import { BodyPump } from '../../core/internal/body-pipe.js';
import { checkAnswer, checkHeaders } from '../../core/internal/call-message.js';
import type { CallAnswer, CallHandler, IncomingCall } from '../../core/transport/call.js';
import { decodeHead, encodeFrame, encodeHead, FRAME, type Frame, isWhole, pieceBytes } from './call-frames.js';
import { IncomingBody, OutgoingBody, type SendFrame } from './call-stream.js';

export class ServedCall {
  readonly #send: SendFrame;
  readonly #onOver: () => void;
  readonly #maxPayload: number;
  readonly #upstream: IncomingBody;
  #controller: AbortController | undefined;
  #pump: BodyPump | undefined;
  #outgoing: OutgoingBody | undefined;
  #isOver = false;
  /** The answer is out, whole. */
  #isAnswered = false;
  /** Clock.now() of the caller's last word. */
  heardAt: number;

  /** @param maxPayload - Bytes that the server of NATS takes in a message. */
  constructor(send: SendFrame, onOver: () => void, maxPayload: number, now: number) {
    this.#maxPayload = maxPayload;
    this.#send = send;
    this.#onOver = onOver;
    this.heardAt = now;
    this.#upstream = new IncomingBody((frame) => {
      if (!this.#isOver) send(frame);
    });
  }

  /** @throws {EvenkeelError} `internal` for a frame that is no request. */
  begin(frame: Frame, handler: CallHandler): void {
    const { head, body } = decodeHead(frame);
    const [path, method, ...headers] = head as string[];
    if (frame.isLast) {
      if (body.byteLength > 0) this.#upstream.write(body);
      this.#upstream.end();
    } else {
      this.#send(encodeFrame(FRAME.accept));
    }
    void this.#answer(handler, this.#incoming(path ?? '/', method ?? 'GET', headers));
  }

  receive({ kind, number, bytes }: Frame): void {
    if (this.#isOver) return;
    if (kind === FRAME.cancel) this.abort('the caller went away');
    else if (kind === FRAME.ping) this.#send(encodeFrame(FRAME.pong));
    else if (kind === FRAME.credit) this.#outgoing?.credit(number);
    else if (kind === FRAME.data && !this.#upstream.receive(number, bytes))
      this.abort('a piece of the request is missing', 'internal');
    else if (kind === FRAME.end && !this.#upstream.finish(number)) this.abort('a piece of the request is missing', 'internal');
  }

  /** Ends the call before its answer is out. With `tell`, the caller hears of it. */
  abort(why: string, tell?: 'unavailable' | 'internal'): void {
    if (this.#isOver) return;
    if (tell !== undefined) this.#send(encodeFrame(FRAME.error, 0, Buffer.from(tell)));
    this.#finish(new EvenkeelError('cancelled', why));
  }

  #incoming(path: string, method: string, headers: readonly string[]): IncomingCall {
    const call = this;
    let isRead = false;
    return {
      path,
      method,
      headers,
      body: {
        [Symbol.asyncIterator]() {
          if (isRead) throw new EvenkeelError('failed-precondition', 'the body of a call is read once');
          isRead = true;
          return call.#upstream.drain();
        },
      },
      // A controller costs more than the rest of the call: made when asked for.
      get signal() {
        return call.#signal;
      },
    };
  }

  get #signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isOver && !this.#isAnswered) this.#controller.abort();
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
    try {
      if (isWhole(answer.body, this.#maxPayload)) this.#answerWhole(answer, answer.body);
      else await this.#answerStream(answer);
    } catch {
      this.abort('the answer broke off', 'internal');
    }
  }

  #answerWhole(answer: CallAnswer, body: string | Uint8Array | undefined): void {
    if (this.#isOver) return;
    const trailers = trailersOf(answer);
    this.#send(encodeHead(FRAME.response, [answer.status, answer.headers ?? [], trailers ?? null], body ?? ''));
    this.#isAnswered = true;
    this.#finish(undefined);
  }

  async #answerStream(answer: CallAnswer): Promise<void> {
    const outgoing = new OutgoingBody(this.#send, (pieces) => {
      const trailers = trailersOf(answer);
      const bytes = trailers === undefined ? undefined : Buffer.from(JSON.stringify(trailers));
      this.#send(encodeFrame(FRAME.end, pieces, bytes));
    });
    const pump = new BodyPump(answer.body, outgoing, true, pieceBytes(this.#maxPayload));
    if (this.#isOver) {
      pump.stop();
      return;
    }
    this.#outgoing = outgoing;
    this.#pump = pump;
    this.#send(encodeHead(FRAME.response, [answer.status, answer.headers ?? [], null], undefined));
    if (!(await pump.run())) return;
    this.#isAnswered = true;
    this.#finish(undefined);
  }

  #finish(error: EvenkeelError | undefined): void {
    this.#isOver = true;
    this.#pump?.stop();
    this.#outgoing?.stop();
    this.#upstream.stop();
    this.#upstream.fail(error ?? new EvenkeelError('cancelled', 'the call is over'));
    if (error !== undefined) this.#controller?.abort(error);
    this.#onOver();
  }
}

function trailersOf({ trailers }: CallAnswer): readonly string[] | undefined {
  const list = typeof trailers === 'function' ? trailers() : trailers;
  checkHeaders('answer.trailers', list);
  return list;
}
