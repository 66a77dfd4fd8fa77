/**
 * One call between two machines, both ends of it. Every step from one end to the other is a message on the network; messages of one
 * call in one direction stay in order, as on a connection.
 */
import { EvenkeelError, invalidArgument, type Retryable } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';
import { checkRequest } from '../core/internal/call-message.js';
import type { CallHandle, CallRequest, CallSink } from '../core/transport/call.js';
import type { ArrivedCall, OnCall } from './arrived-call.js';
import { nobodyListens, type SimMachine, type SimProcess } from './machine.js';
import { LOST, type SimNetwork } from './network.js';

/** A place where calls arrive: its process, and the calls that are there. */
export interface SimListener {
  readonly process: SimProcess;
  readonly onCall: OnCall;
  readonly calls: Set<SimExchange>;
}

/** What an exchange needs of the transport that started it. */
export interface Caller {
  readonly process: SimProcess;
  readonly network: SimNetwork;
  readonly listeners: ReadonlyMap<string, SimListener>;
  onOver(exchange: SimExchange): void;
}

export class SimExchange implements CallHandle, ArrivedCall {
  readonly request: CallRequest;
  onCancel: ArrivedCall['onCancel'] = undefined;
  onPause: ArrivedCall['onPause'] = undefined;
  readonly #caller: Caller;
  readonly #sink: CallSink;
  readonly #address: string;
  readonly #machine: SimMachine | undefined;
  #listener: SimListener | undefined;
  /** The caller knows the end. */
  #isOver = false;
  #isPaused = false;
  #isSent = false;
  /** Came while the caller had paused. */
  #waiting: (() => void)[] | undefined;
  /** Bytes of the answer that the caller has not taken yet. */
  #underWay = 0;
  /** When the message sent last arrives; after one that is lost none does, as on a connection. */
  #lastToServerMs = 0;
  #lastToCallerMs = 0;

  constructor(caller: Caller, address: string, request: CallRequest, sink: CallSink) {
    this.#caller = caller;
    this.#address = address;
    this.request = request;
    this.#sink = sink;
    this.#machine = typeof address === 'string' ? caller.network.machineAt(address) : undefined;
  }

  get from(): string {
    return this.#caller.process.machine.name;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Sends the call off. */
  open(): void {
    const { network, process } = this.#caller;
    const fault = faultOf(this.#address, this.request);
    if (fault !== undefined) {
      queueMicrotask(() => process.enter(() => this.#finish(fault)));
      return;
    }
    if (this.#machine === undefined) {
      process.runtime.clock.timer(0, () => this.#finish(nobodyListens(this.#address)));
      return;
    }
    this.#toServer(() => this.#arrive());
    // A stream is read once: there is no second copy of it to arrive.
    if (isWhole(this.request) && network.isDuplicated(process.machine, this.#machine, this.request.path))
      this.#toServer(() => this.#arriveAgain());
  }

  // The caller's end.

  cancel(code: 'cancelled' | 'deadline-exceeded'): void {
    if (this.#isOver) return;
    const message = code === 'cancelled' ? 'the call was cancelled' : 'the deadline of the call has passed';
    this.#caller.process.operate(() => this.abandon(code));
    this.#finish(new EvenkeelError(code, message, { retryable: 'unknown' }));
  }

  /** Tells the server that nobody waits any more. */
  abandon(code: 'cancelled' | 'deadline-exceeded'): void {
    if (this.#machine !== undefined) this.#toServer(() => this.#leave(code));
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    // Not before this returns.
    queueMicrotask(() => this.#release());
  }

  /** The caller's transport closes. */
  lose(message: string, retryable: Retryable = 'unknown'): void {
    if (this.#isOver) return;
    this.abandon('cancelled');
    this.#finish(new EvenkeelError('unavailable', message, { retryable }));
  }

  // The server's end.

  answer(status: number, headers: HeaderList, body?: Uint8Array, trailers?: HeaderList): void {
    this.#toCaller(() => {
      this.#tell(() => this.#sink.onResponse(status, headers));
      if (body === undefined || body.length === 0) this.#deliver(() => this.#finish(undefined, trailers));
      else {
        this.#deliver(() => this.#tell(() => this.#sink.onData(body)));
        this.#deliver(() => this.#finish(undefined, trailers));
      }
    });
    this.#part();
  }

  head(status: number, headers: HeaderList): void {
    this.#toCaller(() => this.#tell(() => this.#sink.onResponse(status, headers)));
  }

  data(chunk: Uint8Array): void {
    this.#underWay += chunk.length;
    if (this.#underWay > WINDOW_BYTES) this.onPause?.(true);
    this.#toCaller(() => this.#deliver(() => this.#take(chunk)));
  }

  sent(): void {
    if (!this.#isSent) this.#toCaller(() => this.#phase('sent'));
    this.#isSent = true;
  }

  end(trailers?: HeaderList): void {
    this.#toCaller(() => this.#deliver(() => this.#finish(undefined, trailers)));
    this.#part();
  }

  fail(error: EvenkeelError): void {
    this.#toCaller(() => this.#finish(error));
    this.#part();
  }

  /** The server closes. */
  drop(): void {
    this.reset();
    this.onCancel?.('cancelled');
  }

  /** The server's process is gone: its machine resets the connection. */
  reset(): void {
    this.#listener = undefined;
    const error = new EvenkeelError('unavailable', `the server at ${this.#address} went away`, { retryable: 'unknown' });
    this.#send(() => this.#finish(error));
  }

  #arrive(): void {
    const listener = this.#caller.listeners.get(this.#address);
    if (listener === undefined || !listener.process.isAlive) {
      this.#send(() => this.#finish(nobodyListens(this.#address)));
      return;
    }
    this.#listener = listener;
    listener.calls.add(this);
    if (this.#sink.onPhase !== undefined) {
      this.#send(() => this.#phase('connected'));
      if (isWhole(this.request)) this.sent();
    }
    listener.process.operate(() => listener.onCall(this));
  }

  /** A duplicate: the server works, and nobody hears of it. */
  #arriveAgain(): void {
    const listener = this.#caller.listeners.get(this.#address);
    if (listener === undefined || !listener.process.isAlive) return;
    const ghost = new SimExchange({ ...this.#caller, onOver: () => {} }, this.#address, this.request, DEAF);
    ghost.#isOver = true;
    listener.process.operate(() => listener.onCall(ghost));
  }

  #leave(code: 'cancelled' | 'deadline-exceeded'): void {
    this.onCancel?.(code);
    this.#part();
  }

  /** The server is done with it. */
  #part(): void {
    this.#listener?.calls.delete(this);
    this.#listener = undefined;
  }

  /** The caller takes a piece, and the server hears of it: so much more may be under way. */
  #take(chunk: Uint8Array): void {
    this.#tell(() => this.#sink.onData(chunk));
    if (this.#isOver) return;
    this.#toServer(() => {
      this.#underWay -= chunk.length;
      if (this.#underWay <= WINDOW_BYTES / 2) this.onPause?.(false);
    });
  }

  #phase(phase: 'connected' | 'sent'): void {
    this.#tell(() => this.#sink.onPhase?.(phase, this.#caller.process.runtime.clock.now()));
  }

  #toServer(arrive: () => void): void {
    const { network, process } = this.#caller;
    const machine = this.#machine as SimMachine;
    const { world } = machine;
    const now = world.now();
    const at = Math.max(this.#lastToServerMs, now + network.transit(process.machine, machine));
    this.#lastToServerMs = at;
    if (at === LOST) return;
    world.timer(at - now, () => machine.enter(arrive));
  }

  #toCaller(arrive: () => void): void {
    const server = this.#listener?.process;
    if (server === undefined) return;
    server.operate(() => this.#send(arrive));
  }

  #send(arrive: () => void): void {
    const { network, process } = this.#caller;
    const machine = this.#machine as SimMachine;
    const { world } = machine;
    const now = world.now();
    const at = Math.max(this.#lastToCallerMs, now + network.transit(machine, process.machine));
    this.#lastToCallerMs = at;
    if (at === LOST) return;
    world.timer(at - now, () => {
      if (!this.#isOver) process.enter(arrive);
    });
  }

  /** Pieces and the end wait while the caller has paused. */
  #deliver(step: () => void): void {
    if (this.#isPaused || this.#waiting !== undefined) {
      this.#waiting ??= [];
      this.#waiting.push(step);
    } else step();
  }

  #release(): void {
    while (!this.#isPaused && this.#waiting !== undefined) {
      const step = this.#waiting.shift();
      if (this.#waiting.length === 0) this.#waiting = undefined;
      step?.();
    }
  }

  #finish(error: EvenkeelError | undefined, trailers?: HeaderList): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting = undefined;
    this.#caller.onOver(this);
    try {
      if (error === undefined) this.#sink.onEnd(trailers);
      else this.#sink.onError(error);
    } catch (cause) {
      this.#caller.process.runtime.diagnostics.report('sim: sink', cause);
    }
  }

  #tell(say: () => void): void {
    if (this.#isOver) return;
    try {
      say();
    } catch (cause) {
      this.abandon('cancelled');
      this.#finish(new EvenkeelError('internal', 'the sink of the call threw', { retryable: 'unknown', cause }));
    }
  }
}

/** A stream's answer under way, as in the window of a connection. */
const WINDOW_BYTES = 64 * 1024;

function isWhole({ body }: CallRequest): boolean {
  return body === undefined || typeof body === 'string' || body instanceof Uint8Array;
}

function faultOf(address: unknown, request: CallRequest): EvenkeelError | undefined {
  if (typeof address !== 'string') return invalidArgument('endpoint.address', address, 'sim://name');
  try {
    checkRequest(request);
    return undefined;
  } catch (error) {
    return error as EvenkeelError;
  }
}

const DEAF: CallSink = { onResponse() {}, onData() {}, onEnd() {}, onError() {} };
