/**
 * CallTransport between simulated machines. `serve` takes handlers as every transport does; `listen` takes the calls themselves, in
 * callbacks, which is what fleets of thousands are made of.
 */
import type { Endpoint } from '../core/endpoint.js';
import { EvenkeelError, invalidArgument } from '../core/errors.js';
import type {
  CallHandle,
  CallHandler,
  CallRequest,
  CallSink,
  CallTransport,
  Listener,
  ListenOptions,
} from '../core/transport/call.js';
import { createMemoryCall } from '../transports/memory/call.js';
import type { OnCall } from './arrived-call.js';
import { type Caller, SimExchange, type SimListener } from './exchange.js';
import type { SimProcess } from './machine.js';
import type { SimNetwork } from './network.js';

/** All listeners of a world, by address. */
export type Listeners = Map<string, SimListener>;

const ADDRESS = /^sim:\/\/[^\s/?#]+$/;

export class SimCalls implements CallTransport, Caller {
  readonly process: SimProcess;
  readonly network: SimNetwork;
  readonly listeners: Listeners;
  readonly #inFlight = new Set<SimExchange>();
  #refusal: string | undefined;
  #onIdle: (() => void)[] = [];
  #nextPort = 1;

  constructor(process: SimProcess, network: SimNetwork, listeners: Listeners) {
    this.process = process;
    this.network = network;
    this.listeners = listeners;
    // The machine closes a dead process's connections.
    process.onKill(() => {
      for (const exchange of this.#inFlight) exchange.abandon('cancelled');
    });
  }

  start(to: Endpoint, request: CallRequest, sink: CallSink): CallHandle {
    // The caller may use its array of headers again.
    const { headers } = request;
    const kept = headers === undefined ? request : { ...request, headers: Array.isArray(headers) ? headers.slice() : headers };
    const exchange = new SimExchange(this, to?.address, kept, sink);
    this.#inFlight.add(exchange);
    if (this.#refusal === undefined) this.process.operate(() => exchange.open());
    else queueMicrotask(() => exchange.lose(this.#refusal as string, 'yes'));
    return exchange;
  }

  onOver(exchange: SimExchange): void {
    this.#inFlight.delete(exchange);
    if (this.#inFlight.size === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /**
   * Answers calls to `address` in callbacks.
   * @throws {EvenkeelError} `already-exists` for an address where somebody alive listens.
   */
  listen(address: string, onCall: OnCall): Listener {
    const own = this.#resolve(address);
    if (this.listeners.get(own)?.process.isAlive) {
      throw new EvenkeelError('already-exists', `${own} is taken`, { details: { address: own } });
    }
    const listener: SimListener = { process: this.process, onCall, calls: new Set() };
    this.listeners.set(own, listener);
    this.process.onKill(() => {
      for (const call of listener.calls) call.reset();
    });
    return new Listening(own, listener, this.listeners);
  }

  async serve(at: ListenOptions, handler: CallHandler): Promise<Listener> {
    if (this.#refusal !== undefined) throw new EvenkeelError('failed-precondition', this.#refusal);
    if (typeof at?.address !== 'string' || !ADDRESS.test(at.address)) {
      throw invalidArgument('address', at?.address, 'sim://name or sim://name:port');
    }
    if (typeof handler !== 'function') throw invalidArgument('handler', handler, 'a function');
    // The reference transport plays the server's side: streams, back-pressure, and what handlers do wrong.
    const inner = createMemoryCall({ clock: this.process.runtime.clock });
    const endpoint = { id: 'server', address: 'memory://server' };
    await inner.serve({ address: endpoint.address }, handler);
    return this.listen(at.address, (call) => {
      const handle = inner.start(endpoint, call.request, {
        onResponse: (status, headers) => call.head(status, headers),
        onData: (chunk) => call.data(chunk),
        onEnd: (trailers) => call.end(trailers),
        onError: (error) => call.fail(error),
        onPhase: (phase) => phase === 'sent' && call.sent(),
      });
      call.onCancel = (code) => handle.cancel(code);
      call.onPause = (isPaused) => (isPaused ? handle.pause() : handle.resume());
    });
  }

  forget(_to: Endpoint): void {
    // Connections cost nothing here.
  }

  async drain(): Promise<void> {
    this.#refusal ??= 'the call transport is draining';
    if (this.#inFlight.size > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  async close(): Promise<void> {
    this.#refusal = 'the call transport is closed';
    for (const exchange of this.#inFlight) exchange.lose('the call transport was closed');
  }

  /** Port 0 takes a free one; the machine is this one. */
  #resolve(address: string): string {
    if (!address.endsWith(':0')) return address;
    for (;;) {
      const own = `${address.slice(0, -1)}${this.#nextPort++}`;
      if (!this.listeners.has(own)) return own;
    }
  }
}

class Listening implements Listener {
  readonly address: string;
  readonly #listener: SimListener;
  readonly #listeners: Listeners;

  constructor(address: string, listener: SimListener, listeners: Listeners) {
    this.address = address;
    this.#listener = listener;
    this.#listeners = listeners;
  }

  async drain(): Promise<void> {
    this.#stop();
    const { clock } = this.#listener.process.runtime;
    while (this.#listener.calls.size > 0) await clock.sleep(DRAIN_LOOK_MS);
  }

  async close(): Promise<void> {
    this.#stop();
    for (const call of this.#listener.calls) call.drop();
  }

  #stop(): void {
    if (this.#listeners.get(this.address) === this.#listener) this.#listeners.delete(this.address);
  }
}

const DRAIN_LOOK_MS = 1;
