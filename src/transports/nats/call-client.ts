/**
 * The caller's side of one call. What its caller holds, and what the inbox hands frames to, is one object.
 *
 * When may the server have acted? Once the request is published, until the server refuses it or NATS says that nobody listens.
 *
 * Length: what may come next depends on all that came before; apart, each half would need the other's state.
 */
import { ERROR_CODES, type ErrorCode, EvenkeelError, type Retryable } from '../../core/errors.js';
import type { HeaderList } from '../../core/headers.js';
import { BodyPump, bodyError } from '../../core/internal/body-pipe.js';
import type { CallBody, CallHandle, CallSink } from '../../core/transport/call.js';
import { decodeFrame, decodeHead, encodeFrame, FRAME, type Frame, followSubject, pieceBytes } from './call-frames.js';
import { IncomingBody, OutgoingBody } from './call-stream.js';
import type { NatsMessage } from './peer.js';

/** What a call needs of its transport. */
export interface NatsCallOwner {
  /** Bytes that the server of NATS takes in a message. */
  readonly maxPayload: number;
  now(): number;
  /** To the server of that subject, from the call of that token. */
  send(subject: string, token: string, frame: Uint8Array): void;
  onCallEnd(token: string): void;
}

/** Silence, in both directions, after which the other side is asked whether it is there. */
export const ASK_AFTER_MS = 2000;
/** Silence after which it is taken for gone, though NATS is there. */
export const GONE_AFTER_MS = 7000;

const NO_HEADERS: HeaderList = Object.freeze([]);

export class NatsCall implements CallHandle {
  readonly #owner: NatsCallOwner;
  readonly #token: string;
  readonly #endpoint: string;
  readonly #sink: CallSink;
  #subject = '';
  /** What follows the head in pieces. */
  #body: CallBody | undefined;
  #pump: BodyPump | undefined;
  #outgoing: OutgoingBody | undefined;
  #incoming: IncomingBody | undefined;
  #trailers: HeaderList = NO_HEADERS;
  #isSent = false;
  #hasResponse = false;
  #isPaused = false;
  #isDelivering = false;
  #isOver = false;
  /** The server has been heard. */
  #isConnected = false;
  /** A ping was sent. */
  #hasAsked = false;
  #heardAt = 0;
  #saidAt = 0;

  constructor(owner: NatsCallOwner, token: string, endpoint: string, sink: CallSink) {
    this.#owner = owner;
    this.#token = token;
    this.#endpoint = endpoint;
    this.#sink = sink;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether frames of this call go to that subject. */
  uses(subject: string): boolean {
    return this.#isSent && (subject === this.#subject || subject === followSubject(this.#subject));
  }

  /** The head is about to be published; `body`: what follows it. From here on the server may act. */
  sending(subject: string, body: CallBody | undefined): void {
    this.#subject = subject;
    this.#body = body;
    this.#isSent = true;
    this.#saidAt = this.#owner.now();
    this.#heardAt = this.#saidAt;
  }

  cancel(code: 'cancelled' | 'deadline-exceeded'): void {
    if (this.#isOver) return;
    const message = code === 'cancelled' ? 'the call was cancelled' : 'no answer before the deadline';
    this.cancelServer();
    this.fail(this.#error(code, message));
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    queueMicrotask(this.#deliver);
  }

  /** Ends the call without a word to the server: it is gone, or never heard of it. */
  fail(error: EvenkeelError): void {
    if (this.#isOver) return;
    this.#finish(error);
    try {
      this.#sink.onError(error);
    } catch {
      // The sink's bug; the call is over.
    }
  }

  lose(why: string): void {
    this.fail(this.#error('unavailable', `${this.#endpoint}: ${why}`));
  }

  /** Now and then: asks whether the server is still there, and gives up on one that stays silent. */
  look(now: number): void {
    if (!this.#isSent || this.#isOver) return;
    if (now - this.#heardAt > GONE_AFTER_MS) {
      this.lose('the server has fallen silent');
    } else if (now - this.#saidAt >= ASK_AFTER_MS || now - this.#heardAt >= ASK_AFTER_MS) {
      this.#send(encodeFrame(FRAME.ping));
    }
  }

  receive(message: NatsMessage): void {
    if (this.#isOver) return;
    this.#heardAt = this.#owner.now();
    const frame = decodeFrame(message.data);
    if (frame !== undefined) {
      if (this.#sink.onPhase === undefined || this.#heard()) this.#take(frame);
    } else if (message.headers?.code === 503) {
      this.#noResponders();
    } else {
      this.#garbage();
    }
  }

  /** The first word from the server: until then NATS might have said that nobody listens. */
  #heard(): boolean {
    if (this.#isConnected) return true;
    this.#isConnected = true;
    return this.#phase('connected') && (this.#body !== undefined || this.#phase('sent'));
  }

  #take(frame: Frame): void {
    const { kind, number, bytes } = frame;
    switch (kind) {
      case FRAME.accept:
        this.#sendBody();
        break;
      case FRAME.credit:
        this.#outgoing?.credit(number);
        break;
      case FRAME.response:
        this.#respond(frame);
        break;
      case FRAME.data:
        if (!this.#hasResponse || this.#incoming?.receive(number, bytes) !== true) this.#garbage();
        else this.#deliver();
        break;
      case FRAME.end:
        this.#end(number, bytes);
        break;
      case FRAME.refuse:
        this.fail(
          new EvenkeelError('unavailable', `${this.#endpoint} is draining`, { retryable: 'yes', endpoint: this.#endpoint }),
        );
        break;
      case FRAME.error:
        this.fail(this.#error(codeIn(bytes), `${this.#endpoint}: the answer broke off`));
        break;
      case FRAME.pong:
        break;
      default:
        this.#garbage();
    }
  }

  #respond(frame: Frame): void {
    if (this.#hasResponse) return;
    let head: unknown[];
    let body: Uint8Array;
    try {
      ({ head, body } = decodeHead(frame));
    } catch {
      this.#garbage();
      return;
    }
    const [status, headers, trailers] = head as [number, string[], string[] | null];
    if (!Number.isInteger(status) || !Array.isArray(headers)) {
      this.#garbage();
      return;
    }
    this.#hasResponse = true;
    if (!this.#tell(() => this.#sink.onResponse(status, headers))) return;
    this.#trailers = trailers ?? NO_HEADERS;
    if (frame.isLast && !this.#isPaused) {
      if (body.byteLength === 0 || this.#tell(() => this.#sink.onData(body))) this.#complete();
      return;
    }
    this.#incoming = new IncomingBody((credit) => this.#send(credit));
    if (!frame.isLast) return;
    if (body.byteLength > 0) this.#incoming.write(body);
    this.#incoming.end();
  }

  #end(pieces: number, bytes: Uint8Array): void {
    if (this.#incoming?.finish(pieces) !== true) {
      this.#garbage();
      return;
    }
    if (bytes.byteLength > 0) {
      try {
        this.#trailers = JSON.parse(Buffer.from(bytes).toString()) as string[];
      } catch {
        this.#garbage();
        return;
      }
    }
    this.#deliver();
  }

  readonly #deliver = (): void => {
    // The sink may resume from inside onData.
    if (this.#isDelivering || this.#incoming === undefined) return;
    this.#isDelivering = true;
    while (!this.#isOver && !this.#isPaused) {
      const piece = this.#incoming.read();
      if (piece === undefined) break;
      this.#tell(() => this.#sink.onData(piece));
    }
    this.#isDelivering = false;
    if (!this.#isOver && !this.#isPaused && this.#incoming.isDrained) this.#complete();
  };

  #sendBody(): void {
    const body = this.#body;
    if (body === undefined || this.#pump !== undefined) return;
    const send = (frame: Uint8Array) => this.#send(frame);
    this.#outgoing = new OutgoingBody(send, (pieces) => send(encodeFrame(FRAME.end, pieces)));
    this.#pump = new BodyPump(body, this.#outgoing, false, pieceBytes(this.#owner.maxPayload));
    this.#pump.run().then(
      (isWhole) => {
        if (isWhole) this.#phase('sent');
      },
      (cause) => {
        this.cancelServer();
        this.fail(bodyError('request', cause));
      },
    );
  }

  #complete(): void {
    this.#finish(undefined);
    try {
      this.#sink.onEnd(this.#trailers);
    } catch {
      // As in fail().
    }
  }

  #finish(error: EvenkeelError | undefined): void {
    this.#isOver = true;
    this.#owner.onCallEnd(this.#token);
    this.#pump?.stop();
    this.#outgoing?.stop();
    this.#incoming?.stop();
    if (error !== undefined) this.#incoming?.discard();
  }

  #noResponders(): void {
    if (this.#pump !== undefined || this.#hasResponse) {
      this.lose('the server is gone');
      return;
    }
    const message = `nobody listens at ${this.#endpoint}`;
    // A ping that finds nobody says nothing of the request before it.
    const retryable = this.#hasAsked ? 'unknown' : 'yes';
    this.fail(new EvenkeelError('unavailable', message, { retryable, endpoint: this.#endpoint }));
  }

  #garbage(): void {
    this.cancelServer();
    this.fail(this.#error('internal', `${this.#endpoint} sent what is no part of an answer, or a part is missing`));
  }

  /** The connection is lost, and with it whatever was on its way. */
  disconnected(): void {
    if (this.#isSent) this.lose('the connection to NATS was lost');
  }

  /** The server need not go on. */
  cancelServer(): void {
    if (this.#isSent && !this.#isOver) this.#send(encodeFrame(FRAME.cancel));
  }

  #send(frame: Uint8Array): void {
    this.#saidAt = this.#owner.now();
    if (frame[0] === FRAME.ping) this.#hasAsked = true;
    this.#owner.send(this.#subject, this.#token, frame);
  }

  #phase(phase: 'connected' | 'sent'): boolean {
    if (this.#isOver) return false;
    return this.#sink.onPhase === undefined || this.#tell(() => this.#sink.onPhase?.(phase, this.#owner.now()));
  }

  /** Returns false when the call is over, by the sink's doing perhaps. */
  #tell(say: () => void): boolean {
    try {
      say();
    } catch (cause) {
      this.cancelServer();
      this.fail(new EvenkeelError('internal', 'the sink of the call threw', { cause, endpoint: this.#endpoint }));
    }
    return !this.#isOver;
  }

  #error(code: ErrorCode, message: string): EvenkeelError {
    const retryable: Retryable = this.#isSent ? 'unknown' : 'yes';
    return new EvenkeelError(code, message, { retryable, endpoint: this.#endpoint });
  }
}

function codeIn(bytes: Uint8Array): ErrorCode {
  const code = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  return ERROR_CODES.find((known) => known === code) ?? 'unavailable';
}
