/**
 * A process's way to a store: requests, each of which is answered, refused, or not heard of again.
 *
 * What does a caller know when no answer came? Of a read that it may be repeated. Of a write that it may have landed: `unavailable`,
 * retryable `unknown`.
 */
import type { Timer } from '../../core/clock.js';
import { checkNumber, EvenkeelError } from '../../core/errors.js';
import type { SimProcess } from '../machine.js';
import type { StoreServer } from './store-server.js';
import { Wire } from './wire.js';

export interface StoreClientOptions {
  /** How long an answer is waited for, on the process's own clock. Default 2,000 ms. */
  readonly timeoutMs?: number;
}

export const DEFAULT_STORE_TIMEOUT_MS = 2000;

export class StoreClient {
  readonly process: SimProcess;
  readonly server: StoreServer;
  readonly #timeoutMs: number;

  constructor(process: SimProcess, server: StoreServer, options: StoreClientOptions = {}) {
    this.process = process;
    this.server = server;
    this.#timeoutMs = checkNumber('timeoutMs', options.timeoutMs ?? DEFAULT_STORE_TIMEOUT_MS, 1);
  }

  /** The way to the store: requests on one arrive in order. */
  wire(): Wire {
    return new Wire(this.server.network, this.process.machine, this.server.machine);
  }

  /** The way back. */
  wireBack(): Wire {
    return new Wire(this.server.network, this.server.machine, this.process.machine);
  }

  /** Does `work` at the store; its result, and its error, are the request's. */
  request<T>(kind: 'read' | 'write', work: () => Promise<T>, wire = this.wire()): Promise<T> {
    return new Promise((resolve, reject) => {
      const request = new StoreRequest(this, kind, work, resolve, reject);
      request.start(this.#timeoutMs);
      this.process.operate(() => wire.send(() => request.arrive()));
    });
  }
}

class StoreRequest<T> {
  readonly #client: StoreClient;
  readonly #kind: 'read' | 'write';
  readonly #work: () => Promise<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  #timer: Timer | undefined;

  constructor(
    client: StoreClient,
    kind: 'read' | 'write',
    work: () => Promise<T>,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#client = client;
    this.#kind = kind;
    this.#work = work;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(timeoutMs: number): void {
    this.#timer = this.#client.process.runtime.clock.timer(timeoutMs, () =>
      this.#reject(this.#unavailable('no answer in time', this.#kind === 'read')),
    );
  }

  /** At the store. */
  arrive(): void {
    const { server } = this.#client;
    const { machine } = server;
    if (!machine.isUp) {
      this.#answer(() => this.#reject(this.#unavailable('no store runs there', true)));
      return;
    }
    const { process } = machine;
    // Before the operation: the machine has the connection, and resets it if the process dies of this very request.
    const forget = server.hold(() =>
      this.#answer(() => this.#reject(this.#unavailable('the store went away', this.#kind === 'read'))),
    );
    const finish = (settle: () => void) =>
      process.operate(() => {
        if (forget()) this.#answer(settle);
      });
    process.operate(() => {
      this.#work().then(
        (value) => finish(() => this.#resolve(value)),
        (error) => finish(() => this.#reject(error)),
      );
    });
  }

  #answer(settle: () => void): void {
    const { process, server } = this.#client;
    server.network.send(server.machine, process.machine, () =>
      process.enter(() => {
        this.#timer?.cancel();
        settle();
      }),
    );
  }

  #unavailable(why: string, isHarmless: boolean): EvenkeelError {
    const message = `the store on ${this.#client.server.machine.name}: ${why}`;
    return new EvenkeelError('unavailable', message, { retryable: isHarmless ? 'yes' : 'unknown' });
  }
}
