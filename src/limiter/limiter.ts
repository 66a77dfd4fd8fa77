/**
 * Admits as many calls as can be worked on at once, lets a few wait, and turns the rest away at once, least critical first.
 *
 * Who decides how many? A limit: `gradientLimit()` learns from latency, `aimdLimit()` from refusals of those behind, `queueDelayLimit()` from
 * waiting, `fixedLimit(n)` is told. When does a call end? When its permit does, which is the end of its answer and not the beginning.
 */
import type { CallContext, Criticality } from '../core/call-context.js';
import type { Events } from '../core/events.js';
import type { Drainable } from '../core/lifecycle.js';
import type { LoadUnit, Outcome } from '../core/load-counter.js';
import type { Runtime } from '../core/runtime.js';
import type { CallTransport } from '../core/transport/call.js';
import type { AcquireOptions } from './claim.js';
import type { GuardOptions } from './guard-options.js';
import type { LimiterEvents } from './limiter-events.js';
import type { LimiterExplanation, LimiterSnapshot } from './limiter-report.js';
import type { LimitFactory } from './limits/limit.js';
import type { LimitSignal } from './limits/signals.js';
import type { QueueOptions } from './options.js';
import type { Permit } from './permit.js';
import type { ShareOptions } from './share-options.js';

export interface LimiterOptions {
  /** How many at once. Default `gradientLimit()`. */
  limit?: LimitFactory;
  /**
   * In errors, metrics, and as the key `limiter:NAME` on the load board; one of its own for each limiter of a runtime, or their metrics are told as
   * one. 1 to 200 characters. Default `default`.
   */
  name?: string;
  /**
   * What weights count. Default `calls`. For tokens, bytes and blocks the size is mostly known: `fixedLimit`. Limits that learn begin and step by
   * whole calls: give them `initial`, `max` and `increase` in the unit, or weights of about 1.
   */
  unit?: LoadUnit;
  /** Who may wait, and how long. `false`: nobody waits. */
  queue?: QueueOptions | false;
  /**
   * Guaranteed shares of the limit by name, 0 to 1, together at most 1. What one does not use, the others may; whoever comes back for its share gets the
   * next permits that end, which takes a queue. Default: none.
   */
  partitions?: Readonly<Record<string, number>>;
  /** Readings on the load board above which the limit goes down: a GPU's queue, KV blocks in use. Default: none. */
  signals?: readonly LimitSignal[];
  /** Makes the limit, a fixed one, the limit of all processes that use the same key: each has a share that follows demand. Default: it is this process's. */
  share?: ShareOptions;
  /** Says when a permit was dropped without an end, and takes it back. Default: unless NODE_ENV is `production`. */
  leakWarning?: boolean;
  /** Default: a private one. Share one per process so that load is counted in one place. */
  runtime?: Runtime;
}

/** What is wanted next. */
export interface ReadyOptions {
  /** Default 1. */
  weight?: number;
  /** Default `critical`. */
  criticality?: Criticality;
  signal?: AbortSignal;
}

export interface Limiter extends Drainable {
  readonly name: string;
  /** In force, in the limiter's unit. */
  readonly limit: number;
  /** Calls with a permit of this limiter, and their weight. The board adds up what limiters of one name have. */
  readonly inFlight: number;
  readonly weight: number;
  /** Calls that wait. */
  readonly queued: number;
  readonly events: Events<LimiterEvents>;
  /**
   * A permit, or undefined when none is free; never waits. End it.
   * @throws {EvenkeelError} `invalid-argument` for a bad option.
   */
  tryAcquire(options?: AcquireOptions | CallContext): Permit | undefined;
  /**
   * A permit, perhaps after a wait; less than the deadline leaves.
   * @throws {EvenkeelError} `resource-exhausted` when there is no room · `deadline-exceeded` when too little time is left · `cancelled` when
   *   `signal` aborts first · `failed-precondition` after drain or close · `invalid-argument`.
   */
  acquire(options?: AcquireOptions | CallContext): Promise<Permit>;
  /**
   * Runs `work` with a permit and ends it when the promise settles. A `Response` of `fetch`, or an error, that says "full" (`rejected`, status 429 or
   * 503, gRPC's RESOURCE_EXHAUSTED) counts as dropped, with the time it asks to wait; a cancellation as ignored. Read the body of a response inside:
   * the work is done when that is.
   * @throws What `work` throws. {EvenkeelError} Before it has begun: `resource-exhausted`, `deadline-exceeded`, `cancelled`, `failed-precondition`,
   *   `invalid-argument`, as `acquire`.
   */
  run<T>(work: (permit: Permit) => T | PromiseLike<T>, options?: AcquireOptions | CallContext): Promise<T>;
  /** `run`, as a function of the same arguments. `options` hold for all of its calls; deadlines come with the ambient context. */
  wrap<A extends unknown[], R>(
    work: (...args: A) => R | PromiseLike<R>,
    options?: Omit<AcquireOptions, 'deadline' | 'signal'>,
  ): (...args: A) => Promise<R>;
  /**
   * The transport, with a permit for each of its calls. Deadline, criticality and cohort are read from the headers that the router writes. Its `close`
   * closes the transport, and ends calls that wait for a permit with `unavailable`; the limiter stays open.
   */
  guard(transport: CallTransport, options?: GuardOptions): CallTransport;
  /**
   * Resolves when a permit of `weight` (default 1) is free, nobody waits for it, and calls of `criticality` (default `critical`) are not turned away at
   * the door: for those who fetch their work themselves, who then fetch no more than can be done. First come, first woken. Reserves nothing. Say
   * here what you say to `run`: a puller of `sheddable` work would else be told that there is room, over and over, and be refused.
   * @throws {EvenkeelError} `cancelled` · `failed-precondition` after drain or close · `invalid-argument` for a bad weight or criticality.
   */
  ready(options?: ReadyOptions): Promise<void>;
  /**
   * Inner form of `tryAcquire`, for loops that count nanoseconds: a ticket, or -1. Allocates nothing, and reads no context: `critical`, of no partition.
   * At most 65,536 tickets are out at once.
   * @throws {EvenkeelError} `invalid-argument` for a bad weight.
   */
  enter(weight?: number): number;
  /**
   * Ends a ticket of `enter`, by default as `ok`; false when it has ended before, or is none. Allocates nothing. A ticket that is kept after its end is told
   * from a later one for the next 8,191 uses of its place.
   */
  leave(ticket: number, outcome?: Outcome): boolean;
  /** What is admitted by priority, 0 to 512 (4 criticalities times 128 cohorts); 512: everybody. Doors tell it to callers (`evenkeel-admission-level`). */
  readonly level: number;
  /** Plain JSON. */
  snapshot(): LimiterSnapshot;
  /** The last change of the limit, and what it was calculated from. */
  explain(): LimiterExplanation;
}
