/**
 * A limiter for each (caller, downstream): back-pressure belongs to the pair, and one caller that is too many for one downstream is no reason to
 * slow down the others, or its calls elsewhere.
 *
 * How long does a limiter live? As long as something is in flight or waits in it, and then, with what it has learned, until so many others were
 * used since that it falls out of the idle ones. It is closed then: ask for a pair's limiter at each use, rather than to keep it.
 */
import type { Endpoint } from '../core/endpoint.js';
import type { Drainable } from '../core/lifecycle.js';
import type { CallRequest, CallTransport } from '../core/transport/call.js';
import type { GuardOptions } from './guard-options.js';
import type { Limiter, LimiterOptions } from './limiter.js';
import type { LimiterSnapshot } from './limiter-report.js';

/** How each of them is made. A quota shared by processes is not for pairs: each would cost a write a second. */
export interface LimitersOptions extends Omit<LimiterOptions, 'name' | 'share'> {
  /** Limiters kept that nothing is in flight in. Default 1000; 1 to 100,000. One costs some 24 KB. */
  maxIdle?: number;
  /**
   * In errors and on the load board, 1 to 200 characters. Pairs may share a name, and then a counter. Default `CALLER>DOWNSTREAM`; what is too long is cut,
   * and told apart by a hash.
   */
  nameOf?: (caller: string, downstream: string) => string;
}

export interface PairGuardOptions extends GuardOptions {
  /** Default: the endpoint's id. A limit for a service as a whole: `() => 'search'`. What it throws fails the call. */
  downstreamOf?: (endpoint: Endpoint, request: CallRequest) => string;
}

export interface LimitersSnapshot {
  readonly inUse: number;
  readonly idle: number;
  /** Closed so far, to make room for others. */
  readonly evicted: number;
  /** Of those in use, at most 100, those with most in flight first. */
  readonly limiters: readonly LimiterSnapshot[];
}

export interface Limiters extends Drainable {
  /**
   * The limiter of that pair, made at first use.
   * @throws {EvenkeelError} `invalid-argument` for a caller or downstream that is not 1 to 300 characters · `failed-precondition` after drain or close.
   */
  for(caller: string, downstream: string): Limiter;
  /** The transport, with a permit of the pair's limiter for each call. */
  guard(transport: CallTransport, caller: string, options?: PairGuardOptions): CallTransport;
  /** Limiters there are, idle ones included. */
  readonly size: number;
  /** Plain JSON. */
  snapshot(): LimitersSnapshot;
}
