/** The limiter: its public face over the gate, with promises. */
import { type CallContext, CRITICALITIES, type Criticality, DEFAULT_CRITICALITY } from '../core/call-context.js';
import type { EvenkeelError } from '../core/errors.js';
import { EventSource } from '../core/events.js';
import { Lifecycle } from '../core/lifecycle.js';
import type { Outcome } from '../core/load-counter.js';
import { createRuntime, type Runtime } from '../core/runtime.js';
import type { CallTransport } from '../core/transport/call.js';
import { type AcquireOptions, checkWeight, emptyClaim, rankOf, readClaim } from './claim.js';
import { Gate } from './gate.js';
import type { GuardOptions } from './guard-options.js';
import { guardedTransport } from './guarded-transport.js';
import { Leak, LeakWatch } from './leak-watch.js';
import type { Limiter, LimiterOptions, ReadyOptions } from './limiter.js';
import type { LimiterCore } from './limiter-core.js';
import type { LimiterEvents } from './limiter-events.js';
import type { LimiterExplanation, LimiterSnapshot } from './limiter-report.js';
import { limiterSnapshot, observeLimiter, waitHistogram } from './limiter-snapshot.js';
import { layersOf } from './limits/layers.js';
import type { BrakedLimit } from './limits/signals.js';
import { checkName, resolveQueue } from './options.js';
import { type Ended, outcomeOf, outcomeOfResult } from './outcome.js';
import { resolvePartitions } from './partitions.js';
import { GatePermit, type Permit } from './permit.js';
import { PromisedPermit } from './promised-permit.js';
import type { QuotaShare } from './quota-share.js';
import { cancelledError, type Refusal, refusalErrors } from './refusal.js';
import { RoomWaiters } from './room-waiters.js';
import { resolveShare } from './share-options.js';
import { startShare } from './share-start.js';
import { Tickets } from './tickets.js';
import type { Claim, Waiter } from './waiter.js';

/**
 * A limiter with a queue of 1024 and, by default, a limit that it learns from latency: nothing has to be set. Where the size is known, `fixedLimit`;
 * where those behind refuse by themselves, `aimdLimit`; for Node's own thread, `queueDelayLimit`. To hold back what others refuse, `createThrottle`.
 *
 * Costs some 0.2 us a `run` and 0.05 us a `tryAcquire` with its `end` (`npm run bench -- limiter`, L6), more than 1 us on top with the leak warning,
 * which production leaves out; and 24 KB each, so one for a resource, and not for each user: `createLimiters` keeps those of many pairs within a bound.
 * @throws {EvenkeelError} `invalid-argument` for an option out of range, limits that contradict each other, or a name of more than 200 characters.
 * @see docs/limiter.md; Sahraei et al., "XFaaS", SOSP'23, section 4.6; Zhou et al., "DAGOR", SoCC'18
 * @example
 * ```ts
 * import { createLimiter } from 'evenkeel/limiter';
 *
 * const limiter = createLimiter({ name: 'search' });
 * const answer = await limiter.run(() => Promise.resolve('found'));
 * ```
 */
export function createLimiter(options: LimiterOptions = {}): Limiter {
  return new GatedLimiter(options);
}

class GatedLimiter implements LimiterCore {
  readonly name: string;
  readonly runtime: Runtime;
  readonly gate: Gate;
  readonly errors: Readonly<Record<Refusal, EvenkeelError>>;
  readonly events: EventSource<LimiterEvents>;
  readonly share: QuotaShare | undefined;
  readonly leaks: LeakWatch | undefined;
  readonly #lifecycle: Lifecycle;
  readonly #rooms: RoomWaiters;
  readonly #claim = emptyClaim();
  readonly #tickets: Tickets;
  readonly #observed: Disposable[];
  readonly #brake: BrakedLimit | undefined;

  constructor(options: LimiterOptions) {
    const { name = 'default', unit = 'calls', signals = [] } = options;
    this.name = checkName(name);
    this.runtime = options.runtime ?? createRuntime();
    const { clock, diagnostics, host, load, random, telemetry } = this.runtime;
    this.errors = refusalErrors(name);
    this.events = new EventSource(`limiter ${name}`, diagnostics);
    this.#lifecycle = new Lifecycle(`limiter ${name}`);
    const onError = (error: unknown) => diagnostics.report(`limiter ${name}`, error);
    const { braked, limit, shared } = layersOf({
      limit: options.limit,
      signals,
      isShared: options.share !== undefined,
      surroundings: { clock, host, load },
      onError,
      onChange: (next, reason) => this.gate.setLimit(next, reason),
    });
    this.#brake = braked;
    const settings = options.share && resolveShare(options.share, limit.max);
    const queue = resolveQueue(options.queue);
    this.gate = new Gate({
      clock,
      counter: load.counter(`limiter:${name}`, { unit }) as Gate['counter'],
      limit,
      queue,
      partitions: resolvePartitions(options.partitions, queue),
      random: random.fork(`limiter ${name}`),
      onError,
      onLimit: this.#onLimit,
      onRoom: this.#onRoom,
      onRefused: this.#onRefused,
      onWaited: waitHistogram(telemetry, name),
    });
    this.#rooms = new RoomWaiters(this.gate, clock);
    this.#tickets = new Tickets(this.gate);
    const isWatching = options.leakWarning ?? host.env('NODE_ENV') !== 'production';
    this.leaks = isWatching ? new LeakWatch(() => onError(new Error(LEAK))) : undefined;
    this.share = settings && shared && startShare(settings, shared, this);
    this.#observed = telemetry === undefined ? [] : observeLimiter(telemetry, this);
    braked?.start();
  }

  get limit(): number {
    return this.gate.limit;
  }

  get inFlight(): number {
    return this.gate.inFlight;
  }

  get weight(): number {
    return this.gate.weight;
  }

  get queued(): number {
    return this.gate.queued;
  }

  get level(): number {
    return this.gate.level.value;
  }

  tryAcquire(options?: AcquireOptions | CallContext): Permit | undefined {
    const claim = this.#read(options, this.runtime.ambient.get());
    const refusal = this.#turnsAway(claim) ?? (this.gate.hasRoom(claim.weight) ? undefined : 'limit');
    if (refusal === undefined) return this.#begin(claim);
    this.gate.count(refusal, claim.rank);
    return undefined;
  }

  acquire(options?: AcquireOptions | CallContext): Promise<Permit> {
    try {
      const ambient = this.runtime.ambient.get();
      const claim = this.#read(options, ambient);
      const signal = options?.signal ?? ambient?.signal;
      this.#check(claim, signal);
      return this.gate.hasRoom(claim.weight) ? Promise.resolve(this.#begin(claim)) : this.#wait(claim, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async run<T>(work: (permit: Permit) => T | PromiseLike<T>, options?: AcquireOptions | CallContext): Promise<T> {
    const ambient = this.runtime.ambient.get();
    const claim = this.#read(options, ambient);
    const signal = options?.signal ?? ambient?.signal;
    this.#check(claim, signal);
    const permit = this.gate.hasRoom(claim.weight) ? this.#begin(claim) : await this.#wait(claim, signal);
    try {
      const result = await work(permit);
      if (typeof result === 'object' && result !== null) endAs(permit, outcomeOfResult(result));
      else permit.end('ok');
      return result;
    } catch (error) {
      endAs(permit, outcomeOf(error));
      throw error;
    }
  }

  wrap<A extends unknown[], R>(work: (...args: A) => R | PromiseLike<R>, options?: AcquireOptions): (...args: A) => Promise<R> {
    return (...args) => this.run(() => work(...args), options);
  }

  guard(transport: CallTransport, options: GuardOptions = {}): CallTransport {
    return guardedTransport(this, transport, options);
  }

  async ready(options: ReadyOptions = {}): Promise<void> {
    const { criticality = DEFAULT_CRITICALITY, signal, weight = 1 } = options;
    const wanted = { weight: checkWeight(weight), rank: rankOf(criticality) };
    if (!this.#lifecycle.isOpen) throw this.errors.closed;
    await this.#rooms.ready(wanted, signal);
  }

  enter(weight = 1): number {
    if (!this.#lifecycle.isOpen) return -1;
    return this.#tickets.enter(weight);
  }

  leave(ticket: number, outcome: Outcome = 'ok'): boolean {
    return this.#tickets.leave(ticket, outcome);
  }

  /** For the doors of the library: as `acquire`, by callback. The claim is the caller's. */
  submit(waiter: Waiter): void {
    const refusal = this.#turnsAway(waiter);
    if (refusal !== undefined) this.gate.refuse(waiter, refusal);
    else this.gate.enqueue(waiter);
  }

  permit(waiter: Waiter, startedAt: number, isTimed: boolean): GatePermit {
    waiter.hasPermit = true;
    return this.#permitOf(waiter.weight, waiter.partition, startedAt, isTimed);
  }

  withdraw(waiter: Waiter): boolean {
    return this.gate.withdraw(waiter);
  }

  errorOf(refusal: Refusal): EvenkeelError {
    return this.errors[refusal];
  }

  snapshot(): LimiterSnapshot {
    return limiterSnapshot(this);
  }

  explain(): LimiterExplanation {
    return { limit: this.limit, changes: this.gate.history.changes, last: this.gate.history.last };
  }

  /** Refuses new calls; those that wait are served. Resolves when no permit is out. */
  drain(): Promise<void> {
    if (this.#lifecycle.isOpen && !this.gate.isIdle) this.#lifecycle.enter();
    this.#rooms.fail(this.errors.closed);
    this.gate.isAwaited = true;
    return this.#lifecycle.drain();
  }

  async close(): Promise<void> {
    if (!this.#lifecycle.close()) return;
    this.gate.close();
    this.#brake?.[Symbol.dispose]();
    this.#rooms.fail(this.errors.closed);
    if (this.#lifecycle.inFlight > 0) this.#lifecycle.leave();
    for (const observed of this.#observed) observed[Symbol.dispose]();
    this.events.clear();
    this.gate.isAwaited = !this.gate.isIdle;
    this.#leaveBoard();
    await this.share?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
    await this.close();
  }

  #turnsAway(claim: Claim): Refusal | undefined {
    return this.#lifecycle.isOpen ? this.gate.turnsAway(claim) : 'closed';
  }

  /** Throws why a call is refused, room or not. A caller that has gone is not counted as an arrival. */
  #check(claim: Claim, signal: AbortSignal | undefined): void {
    if (signal?.aborted) {
      this.gate.count('cancelled', claim.rank);
      throw cancelledError(signal);
    }
    const refusal = this.#turnsAway(claim);
    if (refusal === undefined) return;
    this.gate.count(refusal, claim.rank);
    throw this.errors[refusal];
  }

  #read(options: AcquireOptions | CallContext | undefined, ambient: CallContext | undefined): Claim {
    if (options === undefined && ambient === undefined) return NOTHING_TOLD;
    return readClaim(this.#claim, options, ambient, this.gate.partitions);
  }

  #begin({ weight, partition, rank }: Claim): GatePermit {
    const { gate } = this;
    gate.begin(weight, partition, rank);
    return this.#permitOf(weight, partition, gate.startedAt, gate.isTimed);
  }

  #permitOf(weight: number, partition: number, startedAt: number, isTimed: boolean): GatePermit {
    const { gate, leaks } = this;
    if (leaks === undefined) return new GatePermit(gate, weight, partition, startedAt, isTimed);
    const leak = new Leak(weight, (left) => gate.end('ignored', left, partition, startedAt, false));
    const permit = new GatePermit(gate, weight, partition, startedAt, isTimed, leaks, leak);
    leaks.watch(permit, leak);
    return permit;
  }

  #wait(claim: Claim, signal: AbortSignal | undefined): Promise<Permit> {
    const waiter = new PromisedPermit<Permit>(this, claim, signal, this.runtime.clock.now());
    // Not `submit`: it was asked before whether the call is turned away.
    this.gate.enqueue(waiter);
    return waiter.promise;
  }

  readonly #onLimit = (): void => {
    if (!this.events.has('limit')) return;
    const { from, reason, to } = this.gate.history.last;
    this.events.emit('limit', { from, to, reason });
  };

  readonly #onRefused = (reason: Refusal, rank: number): void => {
    if (this.events.has('refused')) this.events.emit('refused', { reason, criticality: CRITICALITIES[rank] as Criticality });
  };

  /** The counter goes with the last limiter of its name, and the last of their calls. */
  #leaveBoard(): void {
    if (this.gate.counter.capacity === Number.POSITIVE_INFINITY) this.runtime.load.forget(this.gate.counter.key);
  }

  readonly #onRoom = (): void => {
    if (this.#lifecycle.isClosed) {
      if (this.gate.isIdle) this.#leaveBoard();
      return;
    }
    this.#rooms.wake();
    if (!this.#lifecycle.isOpen && this.#lifecycle.inFlight > 0 && this.gate.isIdle) this.#lifecycle.leave();
    this.gate.isAwaited = !this.#rooms.isEmpty || !this.#lifecycle.isOpen;
  };
}

function endAs(permit: Permit, { outcome, retryAfterMs }: Ended): void {
  permit.end(outcome, retryAfterMs);
}

const NOTHING_TOLD: Readonly<Claim> = Object.freeze(emptyClaim());
const LEAK = 'a permit was dropped without an end; its weight is taken back';
