/**
 * One gRPC call: the listener grpc-js calls and the handle the caller holds are one object.
 *
 * When does it begin? When its channel has a connection, so that a body is pulled only once it can be sent; where there is none to be
 * had, at once and without its body, to learn why. When does the response begin? With the headers of a server of ours, which name the
 * HTTP status; of any other with the first message or the status, for until then it may still be a refusal.
 */
import { EvenkeelError, invalidArgument, isEvenkeelError } from '../../core/errors.js';
import type { CallBody, CallHandle, CallSink } from '../../core/transport/call.js';
import type { ChannelMember, KeptChannel } from './channels.js';
import { brokenAnswer, isFromServer, localError } from './errors.js';
import { letGo, toMessage } from './message.js';
import { ownStatus, pushHeaders } from './metadata.js';
import type { CallListener, CallStatus, ChannelCall, Metadata } from './peer.js';
import { GRPC_CANCELLED, GRPC_DEADLINE_EXCEEDED, GRPC_OK, httpStatusOf } from './status.js';

/** What a call needs of its transport. */
export interface GrpcCallOwner {
  now(): number;
  onCallEnd(): void;
}

/** What is sent. `deadline`: milliseconds of the owner's clock, or Infinity. */
export interface GrpcRequest {
  readonly path: string;
  readonly metadata: Metadata;
  readonly deadline: number;
  readonly body: CallBody | undefined;
}

const EMPTY = Buffer.alloc(0);

export class GrpcCall implements CallHandle, CallListener, ChannelMember {
  readonly #owner: GrpcCallOwner;
  readonly #endpoint: string;
  readonly #sink: CallSink;
  #home: KeptChannel<GrpcCall> | undefined;
  #request: GrpcRequest | undefined;
  #call: ChannelCall | undefined;
  #state: 'new' | 'waiting' | 'sending' | 'sent' | 'over' = 'new';
  #headers: Metadata | undefined;
  /** Of the response; 0 before it. */
  #status = 0;
  #isPaused = false;
  #isReading = false;
  #isPulled = false;
  #iterator: AsyncIterator<Uint8Array | string> | undefined;
  /** Lets the sending of a body go on. */
  #wake: (() => void) | undefined;

  constructor(owner: GrpcCallOwner, endpoint: string, sink: CallSink) {
    this.#owner = owner;
    this.#endpoint = endpoint;
    this.#sink = sink;
  }

  get isWaiting(): boolean {
    return this.#state === 'new' || this.#state === 'waiting';
  }

  get #isOver(): boolean {
    return this.#state === 'over';
  }

  /** A failure before the call has begun, told after `start` has returned. */
  refuse(error: EvenkeelError): void {
    queueMicrotask(() => this.#fail(error));
  }

  begin(home: KeptChannel<GrpcCall>, request: GrpcRequest): void {
    this.#home = home;
    this.#request = request;
    home.members.add(this);
    queueMicrotask(() => {
      if (this.#isOver) return;
      this.#state = 'waiting';
      home.connect(this);
    });
  }

  /** The transport closes. */
  abort(error: EvenkeelError): void {
    this.#fail(error);
    this.#reset(GRPC_CANCELLED);
  }

  cancel(code: 'cancelled' | 'deadline-exceeded'): void {
    if (this.#isOver) return;
    const message = code === 'cancelled' ? 'the call was cancelled' : 'no answer before the deadline';
    this.#fail(new EvenkeelError(code, message, { retryable: this.#isSent ? 'unknown' : 'yes', endpoint: this.#endpoint }));
    this.#reset(code === 'cancelled' ? GRPC_CANCELLED : GRPC_DEADLINE_EXCEEDED);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#read();
  }

  // What the channel tells.

  onConnection(isReady: boolean): void {
    if (this.#state !== 'waiting') return;
    try {
      if (this.#call === undefined) this.#start();
    } catch (cause) {
      const message = `${this.#endpoint} takes no call: ${cause}`;
      this.#fail(new EvenkeelError('unavailable', message, { cause, retryable: 'yes', endpoint: this.#endpoint }));
    }
    if (!isReady || this.#state !== 'waiting') return;
    this.#state = 'sending';
    this.#tellPhase('connected');
    if (!this.#isOver) this.#send();
  }

  onReceiveMetadata(metadata: Metadata): void {
    if (this.#isOver) return;
    this.#headers = metadata;
    const status = ownStatus(metadata);
    if (status !== undefined) this.#respond(status, pushHeaders([], metadata));
  }

  onReceiveMessage(message: Buffer): void {
    this.#isReading = false;
    if (this.#isOver) return;
    if (this.#status === 0) this.#respond(200, this.#headerList());
    if (this.#isOver) return;
    try {
      this.#sink.onData(message);
    } catch (error) {
      this.#sinkThrew(error);
    }
    this.#read();
  }

  onReceiveStatus(status: CallStatus): void {
    if (this.#isOver) return;
    const { code, details, metadata } = status;
    const isAnswer = code === GRPC_OK || isFromServer(status, this.#headers !== undefined);
    if (!isAnswer) {
      const [isSent, isPulled, hasResponse] = [this.#isSent, this.#isPulled, this.#status !== 0];
      this.#fail(localError(status, this.#endpoint, { isSent, isPulled, hasResponse }));
      return;
    }
    // An HTTP status of failure was the whole outcome, and the server that gave it says once more that its body is complete.
    if (code !== GRPC_OK && this.#status !== 0 && (this.#status < 300 || ownStatus(metadata) === undefined)) {
      this.#fail(brokenAnswer(status, this.#endpoint));
      return;
    }
    const trailers = pushHeaders([], metadata);
    if (this.#status === 0) {
      const headers = this.#headerList();
      // Where a caller of HTTP looks: what the server says of a refusal stands in its headers.
      if (code !== GRPC_OK) pushHeaders(headers, metadata).push('grpc-status', String(code), 'grpc-message', details);
      this.#respond(ownStatus(metadata) ?? httpStatusOf(code), headers);
    }
    if (code !== GRPC_OK) trailers.push('grpc-status', String(code), 'grpc-message', details);
    if (this.#isOver) return;
    this.#end();
    try {
      this.#sink.onEnd(trailers);
    } catch {
      // The call ended well; its sink's bug has nobody left to be told to.
    }
  }

  #start(): void {
    const { path, metadata, deadline } = this.#request as GrpcRequest;
    const { channel } = this.#home as KeptChannel<GrpcCall>;
    // grpc-js wants a time of the calendar, which may have been set while the call waited.
    const until = Date.now() + deadline - this.#owner.now();
    this.#call = channel.createCall(path, until, null, null, null) as ChannelCall;
    this.#call.start(metadata, this);
    // Even when paused: until it is asked for the first message, grpc-js reads them all.
    this.#isReading = true;
    this.#call.startRead();
  }

  #read(): void {
    if (this.#isPaused || this.#isReading || this.#isOver || this.#call === undefined) return;
    this.#isReading = true;
    this.#call.startRead();
  }

  #send(): void {
    const { body } = this.#request as GrpcRequest;
    if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
      this.#write(toMessage(body ?? EMPTY), () => this.#sent());
      this.#call?.halfClose();
      return;
    }
    this.#isPulled = true;
    this.#pump(body).catch((cause: unknown) => {
      if (this.#isOver) return;
      this.#iterator = undefined;
      const isOurs = isEvenkeelError(cause, 'invalid-argument');
      const endpoint = this.#endpoint;
      this.#fail(isOurs ? cause : new EvenkeelError('cancelled', 'the request body failed midway', { cause, endpoint }));
      this.#reset(GRPC_CANCELLED);
    });
  }

  async #pump(body: AsyncIterable<Uint8Array | string>): Promise<void> {
    const iterator = body[Symbol.asyncIterator]();
    this.#iterator = iterator;
    for (;;) {
      const { done, value } = await iterator.next();
      if (this.#isOver) return;
      if (done) break;
      if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
        void letGo(iterator);
        throw invalidArgument('a piece of the body', value, 'bytes or a string');
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#write(toMessage(value), resolve);
      });
      if (this.#isOver) return;
    }
    this.#iterator = undefined;
    this.#call?.halfClose();
    this.#sent();
  }

  /** `taken`: the wire has it. */
  #write(message: Buffer, taken: () => void): void {
    this.#call?.sendMessageWithContext({ callback: taken }, message);
  }

  #sent(): void {
    if (this.#state !== 'sending') return;
    this.#state = 'sent';
    this.#tellPhase('sent');
  }

  /** As long as the call has no stream of its own and nothing of its body is gone, it may be made elsewhere. */
  get #isSent(): boolean {
    if (this.#isPulled) return true;
    const peer = this.#call?.getPeer();
    return peer !== undefined && peer !== 'unknown' && peer !== this.#home?.channel.getTarget();
  }

  #headerList(): string[] {
    return this.#headers === undefined ? [] : pushHeaders([], this.#headers);
  }

  #respond(status: number, headers: string[]): void {
    this.#status = status;
    try {
      this.#sink.onResponse(status, headers);
    } catch (error) {
      this.#sinkThrew(error);
    }
  }

  #end(): void {
    this.#state = 'over';
    this.#home?.leave(this);
    this.#owner.onCallEnd();
    this.#wake?.();
    const iterator = this.#iterator;
    this.#iterator = undefined;
    if (iterator !== undefined) void letGo(iterator);
  }

  #fail(error: EvenkeelError): void {
    if (this.#isOver) return;
    this.#end();
    try {
      this.#sink.onError(error);
    } catch {
      // As at the end of a call that went well.
    }
  }

  #reset(code: number): void {
    this.#call?.cancelWithStatus(code, 'ended by the caller');
  }

  #sinkThrew(cause: unknown): void {
    this.#fail(new EvenkeelError('internal', 'the sink of the call threw', { cause, endpoint: this.#endpoint }));
    this.#reset(GRPC_CANCELLED);
  }

  #tellPhase(phase: 'connected' | 'sent'): void {
    if (this.#isOver) return;
    try {
      this.#sink.onPhase?.(phase, this.#owner.now());
    } catch (error) {
      this.#sinkThrew(error);
    }
  }
}
