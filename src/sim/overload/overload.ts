/** What a run of an overload is told, and what it comes to. */
import type { Criticality } from '../../core/call-context.js';
import type { Distribution } from '../distributions.js';
import type { Simulation } from '../simulation.js';

export interface OverloadPhase {
  /** Requests offered, as a share of what the server can do; retries come on top. */
  readonly load: number;
  readonly forMs: number;
  /** Speed of the server meanwhile. Default 1. */
  readonly speed?: number;
}

export interface OverloadRunOptions {
  readonly seed: number | string;
  /** Requests the server can work on at once at full speed. Default 8. */
  readonly slots?: number;
  /** Work of a request, ms of one slot. Default log-normal, mean 10 ms, sigma 0.8. */
  readonly workMs?: Distribution;
  /** Its mean; default 10. */
  readonly meanMs?: number;
  /** Cost of turning a request away, as a share of a mean request. Default 0.001. */
  readonly refusalShare?: number;
  readonly phases: readonly OverloadPhase[];
  /** Share of the requests that are `critical`; the others are `sheddable`. Default 0: all are critical. */
  readonly criticalShare?: number;
  readonly client?: Partial<OverloadClient>;
  readonly admission: (server: OverloadServer) => Admission;
}

export interface OverloadClient {
  /** For one attempt. Default 500. */
  readonly timeoutMs: number;
  /** After the first attempt. Default 3. */
  readonly retries: number;
  /** Before the first retry; doubles, and is spread over half to one and a half of it. Default 50. */
  readonly backoffMs: number;
  /** Asked before each attempt and told how it ended: what a client does on its side. */
  readonly throttle?: (simulation: Simulation) => ClientThrottle;
}

export interface ClientThrottle {
  /** False: the attempt is not sent, and counts as refused. */
  allows(criticality: Criticality): boolean;
  onEnd(criticality: Criticality, outcome: 'ok' | 'refused' | 'timeout'): void;
  /** False: no retry is made. */
  allowsRetry?(): boolean;
}

export interface OverloadServer {
  readonly simulation: Simulation;
  /** What only an oracle may look at. */
  readonly slots: number;
  readonly meanMs: number;
}

/** What stands before the server. */
export interface Admission {
  /** Exactly one of the two is called, at once or later: `serve` begins the work, and its argument hears of the end. */
  arrive(request: Arrival): void;
  /** Of the moment, for the plot. */
  readonly limit?: number;
}

export interface Arrival {
  readonly criticality: Criticality;
  /** Of the attempt, on the world's clock. */
  readonly deadline: number;
  /** 0 to 1, fixed for a request: who asks. */
  readonly user: number;
  serve(onEnd: () => void): void;
  refuse(): void;
}

export interface PhaseResult {
  readonly load: number;
  readonly offered: number;
  /** Requests answered in time, as a share of what the server could do meanwhile at full speed. */
  readonly goodput: number;
  /** Of the requests that arrived: answered in time. */
  readonly success: number;
  readonly criticalSuccess: number;
  readonly attempts: number;
  /** From a request's arrival to its answer, retries and waits included, of those answered; and of those answered at the first attempt. */
  readonly p50: number;
  readonly p99: number;
  readonly firstP99: number;
}

export interface OverloadResult {
  readonly phases: readonly PhaseResult[];
  /** Goodput, in windows of `windowMs`, as a share of what the server can do at full speed. */
  readonly goodput: readonly number[];
  readonly limits: readonly number[];
  readonly windowMs: number;
  readonly hash: string;
  readonly events: number;
}
