/**
 * The router as a process of its own, for programs that cannot import it.
 *
 * When does a reload take effect? For requests that come after it. A request keeps the services it began with; a service whose config
 * did not change keeps running, with all that it has learned of its endpoints, and one that did change drains.
 */
import { isDeepStrictEqual } from 'node:util';
import { EvenkeelError } from '../../core/errors.js';
import { Lifecycle } from '../../core/lifecycle.js';
import { createRuntime, type Runtime } from '../../core/runtime.js';
import type { Undici } from '../../transports/http/index.js';
import type { ProxyConfig } from './config-schema.js';
import { Exchange, type Setup } from './exchange.js';
import { Front } from './front.js';
import { healthOf, type ProxyHealth } from './health.js';
import type { Inbound } from './inbound.js';
import { RouteTable } from './routes.js';
import { createService, type Service, type ServiceEnvironment } from './service.js';

export interface ProxyOptions {
  readonly undici: Undici;
  /** Default: a private one. */
  readonly runtime?: Runtime;
  /** Told by the health route. */
  readonly version?: string;
  /** Hears of each request that is over, when the config says `accessLog`. */
  readonly onAccess?: (entry: AccessEntry) => void;
}

export interface AccessEntry {
  readonly method: string;
  /** Without its query, which may hold what is not for logs. */
  readonly path: string;
  readonly status: number;
  /** False: the answer did not reach the caller whole. */
  readonly isWhole: boolean;
  readonly ms: number;
  readonly bytes: number;
  readonly attempts: number;
  readonly service?: string;
  readonly endpoint?: string;
}

export interface RunningProxy {
  /** Where it listens, with real ports. */
  readonly addresses: readonly string[];
  health(): ProxyHealth;
  /**
   * Takes another config over.
   * @throws {EvenkeelError} `failed-precondition` when `listen` differs; `invalid-argument` as the router. Then the old one holds.
   */
  reload(config: ProxyConfig): Promise<void>;
  /**
   * Refuses new connections and ends when the requests in flight have, or after the config's `drain.timeoutMs`.
   * @returns How many requests were cut: 0 when all had their answer. Idempotent.
   */
  drain(): Promise<number>;
  /** Ends everything now. Idempotent. */
  close(): Promise<void>;
}

/** @throws {EvenkeelError} `already-exists`, `unavailable` when it cannot listen; `invalid-argument` as the router. */
export async function startProxy(config: ProxyConfig, options: ProxyOptions): Promise<RunningProxy> {
  const proxy = new HttpProxy(config, options);
  await proxy.listen();
  return proxy;
}

class HttpProxy implements RunningProxy {
  readonly #options: ProxyOptions;
  readonly #environment: ServiceEnvironment;
  readonly #runtime: Runtime;
  readonly #front: Front;
  readonly #lifecycle = new Lifecycle('proxy');
  readonly #startedAt: number;
  /** Ends a lame duck's wait. */
  readonly #stop = new AbortController();
  /** Of configs before this one, until their calls are over. */
  readonly #retiring = new Set<Service>();
  #setup: Setup;
  #drained: Promise<number> | undefined;
  #closed: Promise<void> | undefined;

  constructor(config: ProxyConfig, options: ProxyOptions) {
    this.#options = options;
    this.#runtime = options.runtime ?? createRuntime();
    this.#environment = { runtime: this.#runtime, undici: options.undici };
    this.#startedAt = this.#runtime.clock.now();
    this.#setup = setUp(config, new Map(), this.#environment);
    this.#front = new Front(config.listen, this.#runtime.clock, (inbound) => this.#handle(inbound));
  }

  get addresses(): readonly string[] {
    return this.#front.addresses;
  }

  async listen(): Promise<void> {
    try {
      await this.#front.listen();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  health(): ProxyHealth {
    return {
      status: this.#lifecycle.isOpen ? 'serving' : 'draining',
      version: this.#options.version ?? '',
      uptimeMs: Math.round(this.#runtime.clock.now() - this.#startedAt),
      inFlight: this.#lifecycle.inFlight,
      services: healthOf(this.#setup.services.values()),
    };
  }

  async reload(config: ProxyConfig): Promise<void> {
    if (!this.#lifecycle.isOpen) throw this.#lifecycle.refusal;
    const { config: before, services } = this.#setup;
    if (!isDeepStrictEqual(config.listen, before.listen)) {
      throw new EvenkeelError('failed-precondition', 'listen cannot be changed by a reload: restart the proxy');
    }
    this.#setup = setUp(config, services, this.#environment);
    for (const service of services.values()) {
      if (this.#setup.services.get(service.name) !== service) void this.#retire(service, before.drain.timeoutMs);
    }
  }

  drain(): Promise<number> {
    this.#drained ??= this.#leave();
    return this.#drained;
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  #handle(inbound: Inbound): void {
    const { clock, diagnostics } = this.#runtime;
    const exchange = new Exchange(inbound, this.#setup, this.#runtime);
    const startedAt = clock.now();
    const isHealth = this.#isHealthRequest(exchange);
    // A question about the proxy is no work of its; a drain does not wait for it.
    if (!isHealth) this.#lifecycle.enter();
    inbound.onOver = (isWhole) => {
      exchange.over(isWhole);
      if (!isHealth) this.#lifecycle.leave();
      if (this.#setup.config.accessLog) this.#options.onAccess?.(entryOf(exchange, isWhole, clock.now() - startedAt));
    };
    if (isHealth) this.#answerHealth(exchange);
    else {
      exchange.run().catch((error) => {
        diagnostics.report('proxy', error);
        inbound.reset();
      });
    }
  }

  #isHealthRequest({ target, inbound }: Exchange): boolean {
    const { method } = inbound;
    return (method === 'GET' || method === 'HEAD') && target?.path.split('?', 1)[0] === this.#setup.config.healthPath;
  }

  #answerHealth(exchange: Exchange): void {
    const health = this.health();
    const body = `${JSON.stringify(health)}\n`;
    const headers = ['content-type', 'application/json', 'cache-control', 'no-store', 'content-length', String(body.length)];
    exchange.answer(health.status === 'serving' ? 200 : 503, headers, body);
  }

  async #leave(): Promise<number> {
    const { clock } = this.#runtime;
    const { lameDuckMs, timeoutMs } = this.#setup.config.drain;
    const idle = this.#lifecycle.drain();
    this.#front.announceEnd();
    if (lameDuckMs > 0) await clock.sleep(lameDuckMs, this.#stop.signal, true).catch(() => {});
    this.#front.stopListening();
    await withinMs(clock, timeoutMs, lameDuckMs > 0 ? this.#lifecycle.idle() : idle);
    const cut = this.#lifecycle.inFlight;
    await this.close();
    return cut;
  }

  async #end(): Promise<void> {
    this.#lifecycle.close();
    this.#stop.abort();
    const services = [...this.#setup.services.values(), ...this.#retiring];
    await this.#front.close();
    await Promise.all(services.map((service) => service.close()));
  }

  async #retire(service: Service, timeoutMs: number): Promise<void> {
    this.#retiring.add(service);
    await withinMs(this.#runtime.clock, timeoutMs, service.drain());
    try {
      await service.close();
    } catch (error) {
      this.#runtime.diagnostics.report('proxy: a service of an earlier config', error);
    }
    this.#retiring.delete(service);
  }
}

/** Services that are as before are taken over as they are. @throws what `createService` throws; then none of the new ones runs. */
function setUp(config: ProxyConfig, before: ReadonlyMap<string, Service>, environment: ServiceEnvironment): Setup {
  const services = new Map<string, Service>();
  try {
    for (const [name, wanted] of Object.entries(config.services)) {
      const same = before.get(name);
      services.set(
        name,
        same !== undefined && isDeepStrictEqual(same.config, wanted) ? same : createService(name, wanted, environment),
      );
    }
  } catch (error) {
    for (const service of services.values()) if (before.get(service.name) !== service) void service.close();
    throw error;
  }
  return { config, services, routes: new RouteTable(config.routes) };
}

function withinMs(clock: Runtime['clock'], ms: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.timer(ms, resolve, true);
    const done = () => {
      timer.cancel();
      resolve();
    };
    work.then(done, done);
  });
}

function entryOf(
  { inbound, target, status, bytes, attempts, service, endpoint }: Exchange,
  isWhole: boolean,
  ms: number,
): AccessEntry {
  const path = (target?.path ?? '').split('?', 1)[0] as string;
  return { method: inbound.method, path, status, isWhole, ms: Math.round(ms * 10) / 10, bytes, attempts, service, endpoint };
}
