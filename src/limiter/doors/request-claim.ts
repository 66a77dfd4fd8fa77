/**
 * What a request claims, and what of it counts: read once, before its body, by one rule for all doors.
 *
 * Nobody's deadline exceeds `maxTimeoutMs`. Criticality above the cap, and a cohort, count for trusted callers only: else whoever is shed would
 * call itself `critical-plus`, or one of those who are served first.
 */
import { type CallContext, DEFAULT_CRITICALITY } from '../../core/call-context.js';
import { cohortOf } from '../../core/cohort.js';
import { readContextHeaders } from '../../core/context-headers.js';
import { EvenkeelError, isEvenkeelError } from '../../core/errors.js';
import type { HeaderList } from '../../core/headers.js';
import type { Runtime } from '../../core/runtime.js';
import { checkWeight, emptyClaim, rankOf } from '../claim.js';
import type { LimiterCore } from '../limiter-core.js';
import type { Partitions } from '../partitions.js';
import type { Claim } from '../waiter.js';
import type { DoorSettings } from './door-options.js';

export class RequestClaims<Request> {
  /** Of the request that was read last; the next one overwrites it. */
  readonly claim: Claim = emptyClaim();
  /** That one is not limited: nothing it says is looked at but for its context. */
  isSkipped = false;
  readonly #settings: DoorSettings<Request>;
  readonly #runtime: Runtime;
  readonly #partitions: Partitions;
  readonly #source: string;

  constructor(limiter: LimiterCore, settings: DoorSettings<Request>) {
    this.#settings = settings;
    this.#runtime = limiter.runtime;
    this.#partitions = limiter.gate.partitions;
    this.#source = `limiter ${limiter.name}`;
  }

  /**
   * Fills `claim`. Returns the context for the handler, or what is wrong with the headers.
   * @param now - Clock.now() at the arrival.
   * @param latest - Clock.now() at which the framework itself gives up; Infinity: it does not.
   */
  read(
    request: Request,
    headers: HeaderList,
    address: string | undefined,
    now: number,
    latest = Number.POSITIVE_INFINITY,
  ): CallContext | EvenkeelError {
    const { maxTimeoutMs, untrustedCriticality } = this.#settings;
    this.isSkipped = this.#skips(request);
    const isTrusted = this.#isTrusted(headers, address);
    let told: CallContext;
    try {
      told = readContextHeaders(headers, { now, isTrusted, maxTimeoutMs, untrustedCriticality });
    } catch (error) {
      if (this.isSkipped) return PLAIN;
      return isEvenkeelError(error) ? error : new EvenkeelError('internal', 'the headers cannot be read', { cause: error });
    }
    const context = this.#withUser(bounded(told, latest, now + maxTimeoutMs), request, isTrusted);
    const weight = this.#weight(request);
    const partition = this.#partition(request);
    const { claim } = this;
    claim.weight = weight;
    claim.partition = partition;
    claim.rank = rankOf(context.criticality);
    claim.cohort = context.cohort;
    claim.deadline = context.deadline ?? Number.POSITIVE_INFINITY;
    return context;
  }

  #isTrusted(headers: HeaderList, address: string | undefined): boolean {
    // A server that listens on IPv6 sees callers over IPv4 as ::ffff:10.0.0.1.
    const plain = address?.startsWith('::ffff:') ? address.replace(/^::ffff:(?=[\d.]+$)/, '') : address;
    try {
      return this.#settings.isTrusted({ address: plain, headers }) === true;
    } catch (error) {
      this.#report('trusted', error);
      return false;
    }
  }

  #withUser(context: CallContext, request: Request, isTrusted: boolean): CallContext {
    const { userOf } = this.#settings;
    if (userOf === undefined || (isTrusted && context.cohort !== undefined)) return context;
    try {
      const user = userOf(request);
      if (user === undefined) return context;
      return { ...context, cohort: cohortOf(user, this.#runtime.clock.wallTime()) };
    } catch (error) {
      this.#report('userOf', error);
      return context;
    }
  }

  #weight(request: Request): number {
    const { weightOf } = this.#settings;
    if (weightOf === undefined) return 1;
    try {
      return checkWeight(weightOf(request));
    } catch (error) {
      this.#report('weightOf', error);
      return 1;
    }
  }

  #partition(request: Request): number {
    const { partitionOf } = this.#settings;
    if (partitionOf === undefined) return 0;
    try {
      return this.#partitions.indexOf(partitionOf(request));
    } catch (error) {
      this.#report('partitionOf', error);
      return 0;
    }
  }

  #skips(request: Request): boolean {
    const { skip } = this.#settings;
    if (skip === undefined) return false;
    try {
      return skip(request) === true;
    } catch (error) {
      this.#report('skip', error);
      return false;
    }
  }

  #report(option: string, error: unknown): void {
    this.#runtime.diagnostics.report(`${this.#source}: ${option}`, error);
  }
}

const PLAIN: CallContext = Object.freeze({ criticality: DEFAULT_CRITICALITY });

/** The framework's own deadline holds whatever the headers say. */
function bounded(context: CallContext, latest: number, cap: number): CallContext {
  if (latest === Number.POSITIVE_INFINITY) return context;
  return { ...context, deadline: Math.min(context.deadline ?? cap, latest, cap) };
}
