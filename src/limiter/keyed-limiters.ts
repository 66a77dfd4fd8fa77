/** Limiters by pair: those in use in a map, idle ones in a cache with a bound. */
import { type Cache, createCache } from '../core/cache.js';
import type { Endpoint } from '../core/endpoint.js';
import { checkInteger, EvenkeelError, invalidArgument, isEvenkeelError } from '../core/errors.js';
import { Lifecycle } from '../core/lifecycle.js';
import { createRuntime } from '../core/runtime.js';
import type { CallHandle, CallRequest, CallSink, CallTransport, ListenOptions } from '../core/transport/call.js';
import { createLimiter } from './gated-limiter.js';
import { GuardWaiters } from './guard-waiters.js';
import { startGuarded } from './guarded-transport.js';
import type { Limiter, LimiterOptions } from './limiter.js';
import { coreOf, type LimiterCore } from './limiter-core.js';
import type { Limiters, LimitersOptions, LimitersSnapshot, PairGuardOptions } from './limiters.js';
import { PairMap } from './pair-map.js';

export const DEFAULT_MAX_IDLE_LIMITERS = 1000;

/**
 * Limiters that are made alike, one for each pair of a caller and what it calls.
 *
 * @example
 * ```ts
 * import { aimdLimit, createLimiters } from 'evenkeel/limiter';
 *
 * const limiters = createLimiters({ limit: aimdLimit() });
 * await limiters.for('thumbnails', 'storage').run(() => Promise.resolve('stored'));
 * await limiters.close();
 * ```
 * @throws {EvenkeelError} `invalid-argument` for `maxIdle` out of range or a `share`; for the other options when the first limiter is made.
 */
export function createLimiters(options: LimitersOptions = {}): Limiters {
  return new KeyedLimiters(options);
}

const MAX_KEY_LENGTH = 300;
const MAX_NAME_LENGTH = 200;
/** Of each part of a name that is cut. */
const CUT_LENGTH = 95;
const MAX_TOLD = 100;
/** Below this many there is no need to look for idle ones among those in use. */
const FEWEST_SWEPT = 64;

interface Entry {
  readonly caller: string;
  readonly downstream: string;
  readonly limiter: LimiterCore;
}

class KeyedLimiters implements Limiters {
  readonly #template: LimiterOptions;
  readonly #nameOf: (caller: string, downstream: string) => string;
  readonly #inUse = new PairMap<Entry>();
  readonly #idle: Cache<string, Entry>;
  readonly #lifecycle = new Lifecycle('limiters');
  #sweepAt = FEWEST_SWEPT;
  #evicted = 0;

  constructor(options: LimitersOptions) {
    const { maxIdle = DEFAULT_MAX_IDLE_LIMITERS, nameOf = pairName, runtime = createRuntime(), ...template } = options;
    if ((template as LimiterOptions).share !== undefined)
      throw invalidArgument('share', 'set', 'no share: each pair would have a document of its own in the store');
    this.#template = { ...template, runtime };
    this.#nameOf = nameOf;
    this.#idle = createCache({
      clock: runtime.clock,
      maxEntries: checkInteger('maxIdle', maxIdle, 1, 100_000),
      onEvict: (entry) => this.#evict(entry),
    });
  }

  for(caller: string, downstream: string): Limiter {
    return this.#for(caller, downstream);
  }

  guard(transport: CallTransport, caller: string, options: PairGuardOptions = {}): CallTransport {
    checkPart('caller', caller);
    const serve = transport.serve?.bind(transport);
    const waiters = new GuardWaiters();
    return {
      start: (to, request, sink) => this.#start(transport, caller, to, request, sink, options, waiters),
      ...(serve === undefined ? undefined : { serve: (at: ListenOptions, handler) => serve(at, handler) }),
      forget: (to) => transport.forget(to),
      drain: () => waiters.drain().then(() => transport.drain()),
      close: () => {
        waiters.close();
        return transport.close();
      },
    };
  }

  get size(): number {
    return this.#inUse.size + this.#idle.size;
  }

  snapshot(): LimitersSnapshot {
    this.#sweep();
    const busiest = [...this.#inUse.values()].sort((a, b) => b.limiter.inFlight - a.limiter.inFlight).slice(0, MAX_TOLD);
    return {
      inUse: this.#inUse.size,
      idle: this.#idle.size,
      evicted: this.#evicted,
      limiters: busiest.map(({ limiter }) => limiter.snapshot()),
    };
  }

  /** Refuses new limiters, and new calls in those there are. Resolves when nothing is in flight. */
  async drain(): Promise<void> {
    await this.#lifecycle.drain();
    this.#closeIdle();
    await Promise.all([...this.#inUse.values()].map(({ limiter }) => limiter.drain()));
  }

  async close(): Promise<void> {
    if (!this.#lifecycle.close()) return;
    this.#closeIdle();
    const entries = [...this.#inUse.values()];
    this.#inUse.clear();
    // What is still in flight keeps its counter.
    for (const entry of entries) this.#evict(entry);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
    await this.close();
  }

  #for(caller: string, downstream: string): LimiterCore {
    if (!this.#lifecycle.isOpen) throw this.#lifecycle.refusal;
    const known = this.#inUse.get(caller, downstream);
    if (known !== undefined) return known.limiter;
    if (this.#inUse.size >= this.#sweepAt) this.#sweep();
    const key = keyOf(caller, downstream);
    const entry = this.#idle.get(key) ?? this.#make(caller, downstream);
    this.#idle.delete(key);
    this.#inUse.set(caller, downstream, entry);
    return entry.limiter;
  }

  #make(caller: string, downstream: string): Entry {
    checkPart('caller', caller);
    checkPart('downstream', downstream);
    const name = this.#nameOf(caller, downstream);
    const limiter = coreOf(createLimiter({ ...this.#template, name }));
    return { caller, downstream, limiter };
  }

  /** Those that were asked for since and have nothing in flight are idle. Twice as many as stay are due before the next look: O(1) a call. */
  #sweep(): void {
    for (const entry of [...this.#inUse.values()]) {
      const { caller, downstream, limiter } = entry;
      if (!limiter.gate.isIdle) continue;
      this.#inUse.delete(caller, downstream);
      if (this.#lifecycle.isOpen) this.#idle.set(keyOf(caller, downstream), entry);
      else this.#evict(entry);
    }
    this.#sweepAt = Math.max(FEWEST_SWEPT, 2 * this.#inUse.size);
  }

  /** After the end only: none of them is wanted any more. */
  #closeIdle(): void {
    this.#sweep();
    const idle = [...this.#idle.values()];
    this.#idle.clear();
    for (const entry of idle) this.#evict(entry);
  }

  #evict({ limiter }: Entry): void {
    this.#evicted++;
    void limiter.close();
  }

  #start(
    transport: CallTransport,
    caller: string,
    to: Endpoint,
    request: CallRequest,
    sink: CallSink,
    options: PairGuardOptions,
    waiters: GuardWaiters,
  ): CallHandle {
    try {
      const limiter = this.#for(caller, options.downstreamOf?.(to, request) ?? to.id);
      return startGuarded(limiter, transport, to, request, sink, options, waiters);
    } catch (error) {
      const cause = isEvenkeelError(error) ? error : new EvenkeelError('internal', 'downstreamOf threw', { cause: error });
      queueMicrotask(() => sink.onError(cause));
      return REFUSED;
    }
  }
}

const REFUSED: CallHandle = Object.freeze({ cancel() {}, pause() {}, resume() {} });

/** The length makes it one to one, whatever the parts contain. */
function keyOf(caller: string, downstream: string): string {
  return `${caller.length}:${caller}${downstream}`;
}

function pairName(caller: string, downstream: string): string {
  const name = `${caller}>${downstream}`;
  if (name.length <= MAX_NAME_LENGTH) return name;
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return `${caller.slice(0, CUT_LENGTH)}>${downstream.slice(0, CUT_LENGTH)}~${(hash >>> 0).toString(16)}`;
}

function checkPart(what: string, value: string): void {
  if (typeof value !== 'string' || value.length === 0 || value.length > MAX_KEY_LENGTH)
    throw invalidArgument(what, value, `1 to ${MAX_KEY_LENGTH} characters`);
}
