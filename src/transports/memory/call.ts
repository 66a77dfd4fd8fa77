/**
 * The reference CallTransport: servers and clients of one process, with the streaming, the back-pressure and the failures of a
 * wire and none of its delays. Bytes are copied on the way, so neither side sees what the other does to its buffers later.
 *
 * Who closes a listener? Its owner: `drain` and `close` of the transport are about the calls it started.
 */
import { type Clock, liveClock } from '../../core/clock.js';
import type { Endpoint } from '../../core/endpoint.js';
import { EvenkeelError, invalidArgument } from '../../core/errors.js';
import { checkRequest } from '../../core/internal/call-message.js';
import type {
  CallHandle,
  CallHandler,
  CallRequest,
  CallSink,
  CallTransport,
  Listener,
  ListenOptions,
} from '../../core/transport/call.js';
import { Exchange, type Registry } from './exchange.js';

export interface MemoryCallOptions {
  /** Default: the process's clock. */
  clock?: Clock;
  /** Where servers are found. Default: a network of its own, so that only this transport's servers are. */
  network?: MemoryNetwork;
}

/** What several memory call transports share: one plays the client, another the server. */
export interface MemoryNetwork {
  /** Servers listening. */
  readonly size: number;
}

const ADDRESS = /^memory:\/\/[^\s/?#]+$/;

export function memoryNetwork(): MemoryNetwork {
  return new Network();
}

/**
 * Calls inside one process.
 *
 * @example
 * ```ts
 * import { createMemoryCall } from 'evenkeel/memory';
 *
 * const transport = createMemoryCall();
 * await transport.serve?.({ address: 'memory://a' }, () => ({ status: 200, body: 'hello' }));
 * ```
 * @throws {EvenkeelError} `invalid-argument` when `network` was not made by `memoryNetwork`.
 */
export function createMemoryCall(options: MemoryCallOptions = {}): CallTransport & Required<Pick<CallTransport, 'serve'>> {
  const network = options.network ?? memoryNetwork();
  if (!(network instanceof Network)) throw invalidArgument('network', network, 'what memoryNetwork() returned');
  return new MemoryCall(network, options.clock ?? liveClock());
}

class Network implements MemoryNetwork {
  readonly listeners = new Map<string, MemoryListener>();
  #nextPort = 1;

  get size(): number {
    return this.listeners.size;
  }

  /** Port 0 takes a free one. */
  resolve(address: string): string {
    if (!address.endsWith(':0')) return address;
    for (;;) {
      const candidate = `${address.slice(0, -1)}${this.#nextPort++}`;
      if (!this.listeners.has(candidate)) return candidate;
    }
  }
}

/** Calls in flight, and who waits until there are none. */
class Calls {
  readonly inFlight: Registry = new Set();
  #waiters: (() => void)[] = [];

  readonly onOver = (registry: Registry): void => {
    if (registry !== this.inFlight || registry.size > 0) return;
    for (const resolve of this.#waiters.splice(0)) resolve();
  };

  async idle(): Promise<void> {
    if (this.inFlight.size > 0) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  lose(message: string): void {
    for (const exchange of this.inFlight) exchange.lose(message);
  }
}

class MemoryCall implements CallTransport {
  readonly #network: Network;
  readonly #clock: Clock;
  readonly #calls = new Calls();
  #refusal: string | undefined;

  constructor(network: Network, clock: Clock) {
    this.#network = network;
    this.#clock = clock;
  }

  start(to: Endpoint, request: CallRequest, sink: CallSink): CallHandle {
    const listeners = this.#network.listeners;
    let listener: MemoryListener | undefined;
    const exchange = new Exchange(this.#clock, sink, (registry) => {
      this.#calls.onOver(registry);
      listener?.calls.onOver(registry);
    });
    exchange.register(this.#calls.inFlight);
    const refusal = this.#refusal;
    const headers = copyHeaders(request);
    queueMicrotask(() => {
      if (exchange.isOver) return;
      try {
        if (refusal !== undefined) return exchange.lose(refusal);
        const copy = { ...request, headers };
        checkRequest(copy);
        listener = listeners.get(to.address);
        if (listener === undefined) return exchange.lose(`nobody listens at ${to.address}`);
        exchange.register(listener.calls.inFlight);
        exchange.connect(copy, listener.handler);
      } catch (error) {
        exchange.fail(error instanceof EvenkeelError ? error : invalidArgument('the call', error, 'an endpoint and a request'));
      }
    });
    return exchange;
  }

  async serve(at: ListenOptions, handler: CallHandler): Promise<Listener> {
    if (this.#refusal !== undefined) throw new EvenkeelError('failed-precondition', this.#refusal);
    if (typeof at?.address !== 'string' || !ADDRESS.test(at.address))
      throw invalidArgument('address', at?.address, 'memory://name');
    if (typeof handler !== 'function') throw invalidArgument('handler', handler, 'a function');
    const address = this.#network.resolve(at.address);
    if (this.#network.listeners.has(address)) {
      throw new EvenkeelError('already-exists', `${address} is taken`, { details: { address } });
    }
    const listener = new MemoryListener(address, handler, () => this.#network.listeners.delete(address));
    this.#network.listeners.set(address, listener);
    return listener;
  }

  forget(_to: Endpoint): void {
    // There are no idle connections.
  }

  async drain(): Promise<void> {
    this.#refusal ??= 'the call transport is draining';
    await this.#calls.idle();
  }

  async close(): Promise<void> {
    this.#refusal = 'the call transport is closed';
    this.#calls.lose('the call transport was closed');
  }
}

class MemoryListener implements Listener {
  readonly address: string;
  readonly handler: CallHandler;
  readonly calls = new Calls();
  #leave: (() => void) | undefined;

  constructor(address: string, handler: CallHandler, leave: () => void) {
    this.address = address;
    this.handler = handler;
    this.#leave = leave;
  }

  async drain(): Promise<void> {
    this.#stop();
    await this.calls.idle();
  }

  async close(): Promise<void> {
    this.#stop();
    this.calls.lose(`the server at ${this.address} was closed`);
  }

  /** Frees the address, once: a later listener may have it by the time we are closed. */
  #stop(): void {
    this.#leave?.();
    this.#leave = undefined;
  }
}

/** Callers reuse header arrays from call to call; anything odd is left for the check that follows. */
function copyHeaders(request: CallRequest): readonly string[] | undefined {
  const headers = request?.headers;
  return Array.isArray(headers) ? [...headers] : headers;
}
