/**
 * The router: one service, many endpoints, each call to the one where it will end first.
 *
 * When is a call repeated? When its failure is the server's or the network's, when it is safe (nothing was written, the server said
 * that it did nothing, or the call is idempotent), while no byte of a response has reached the caller, within the call's deadline and
 * the router's retry budget; and then elsewhere. Anything else is the caller's to decide.
 */
import type { CallContext } from '../core/call-context.js';
import type { Endpoint } from '../core/endpoint.js';
import { EventSource, type Events } from '../core/events.js';
import type { Drainable } from '../core/lifecycle.js';
import { createRuntime } from '../core/runtime.js';
import { RouterEngine } from './engine.js';
import type { RouterEvents } from './events.js';
import { createRouterFetch, type RouterFetch } from './fetch.js';
import type { PickExplanation } from './last-picks.js';
import type { RouterOptions } from './options.js';
import type { Pick, WorkRequest } from './picked-work.js';
import type { CallResponse } from './response.js';
import type { RouterRequest } from './router-request.js';

export interface Router extends Drainable {
  /**
   * Sends one call to one endpoint.
   * @returns The response, whatever its status: only calls without a response reject.
   * @throws {EvenkeelError} (as a rejection) `deadline-exceeded`; `unavailable` when no endpoint could be reached; `resource-exhausted`
   *   when all are full and the queue too; `cancelled` by a signal; `out-of-range` for a buffered body above `maxResponseBytes`;
   *   `invalid-argument` for a malformed request; `failed-precondition` after `drain` or `close`.
   */
  call(request: RouterRequest, context?: CallContext): Promise<CallResponse>;
  /** `fetch`, routed: for code that takes a fetch function. Host and port of the URL are ignored. Rejects with the same errors as `call`. */
  readonly fetch: RouterFetch;
  /**
   * Chooses an endpoint for work that is done by other means (a WebSocket, another client) and counts it in flight until `end`.
   * @throws {EvenkeelError} `unavailable` when no endpoint is known; `resource-exhausted` when none has room; `failed-precondition` after
   *   `drain` or `close`.
   */
  pick(request?: WorkRequest): Pick;
  /** The endpoints known, with what the router knows of each. */
  endpoints(): EndpointSnapshot[];
  snapshot(): RouterSnapshot;
  readonly events: Events<RouterEvents>;
}

export interface EndpointSnapshot {
  readonly endpoint: Endpoint;
  readonly state: 'open' | 'ejected' | 'unhealthy' | 'probation';
  readonly inFlight: number;
  /** Outstanding work, in the unit of the calls' weights. */
  readonly weight: number;
  /** Mean per unit of weight; undefined before the first success. */
  readonly latencyMs: number | undefined;
  readonly failureShare: number;
  readonly reportAgeMs: number | undefined;
}

/** Plain JSON. */
export interface RouterSnapshot {
  readonly service: string;
  readonly picker: string;
  readonly isPanicking: boolean;
  /** Milliseconds since the last proof that the endpoint list holds; null: never. */
  readonly tableAgeMs: number | null;
  /** Calls, and what `pick` gave out. */
  readonly inFlight: number;
  readonly queued: number;
  /** Calls ended, by outcome. */
  readonly calls: Readonly<Record<string, number>>;
  readonly attempts: number;
  readonly retries: number;
  readonly retriesRefused: number;
  readonly retriesAvailable: number;
  readonly hedges: number;
  readonly hedgesWon: number;
  readonly hedgesRefused: number;
  /** Milliseconds at servers of attempts that another attempt of their call has outrun. */
  readonly wastedMs: number;
  readonly ejections: number;
  readonly panics: number;
  readonly brokenReports: number;
  /** Picks of endpoints whose last report was more than 10 s old: it was not taken into account. */
  readonly staleReports: number;
  /** Requests for load that pickers sent beside the calls. */
  readonly probes: number;
  /** Answers that a shard is elsewhere. */
  readonly wrongShards: number;
  /** The last picks, latest first: where calls went, and why. */
  readonly picks: readonly PickExplanation[];
  readonly endpoints: readonly EndpointSnapshot[];
}

/**
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts
 * import { staticResolver } from 'evenkeel/core';
 * import { createHttpTransport } from 'evenkeel/http';
 * import { createRouter } from 'evenkeel/router';
 * import * as undici from 'undici';
 *
 * const router = createRouter({
 *   service: 'llm',
 *   resolver: staticResolver(['http://10.0.0.1:8000', 'http://10.0.0.2:8000']),
 *   transport: createHttpTransport({ undici }),
 *   timeoutMs: 30_000,
 * });
 * const response = await router.call({ path: '/v1/models' });
 * console.log(response.status, await response.json());
 * ```
 * @see ServiceRouter, OSDI'23; Meta, "Taming the tail utilization of ads inference"
 */
export function createRouter(options: RouterOptions): Router {
  const runtime = options.runtime ?? createRuntime();
  const events = new EventSource<RouterEvents>('router', runtime.diagnostics);
  return new ServiceRouter(new RouterEngine(options, runtime, events), events);
}

class ServiceRouter implements Router {
  readonly events: Events<RouterEvents>;
  readonly fetch: RouterFetch;
  readonly #engine: RouterEngine;

  constructor(engine: RouterEngine, events: Events<RouterEvents>) {
    this.#engine = engine;
    this.events = events;
    this.fetch = createRouterFetch((request, context) => this.call(request, context));
  }

  call(request: RouterRequest, context?: CallContext): Promise<CallResponse> {
    return new Promise((resolve, reject) => this.#engine.call(request, context, resolve, reject));
  }

  pick(request: WorkRequest = {}): Pick {
    return this.#engine.pickFor(request);
  }

  endpoints(): EndpointSnapshot[] {
    const now = this.#engine.now();
    return [...this.#engine.table.members()].map((member) => ({
      endpoint: member.endpoint,
      state: member.state,
      inFlight: member.counter.inFlight,
      weight: member.counter.weight,
      latencyMs: member.latencyMs === 0 ? undefined : member.latencyMs,
      failureShare: member.failureShare,
      reportAgeMs: member.report === undefined ? undefined : now - member.reportAtMs,
    }));
  }

  snapshot(): RouterSnapshot {
    const { options, picker, table, tableAgeMs, lifecycle, picks, waiting, telemetry, budget, news } = this.#engine;
    const { attempts, retries, retriesRefused, hedges, hedgesWon, hedgesRefused, wastedMs } = telemetry;
    const { ejections, panics, wrongShards } = telemetry;
    return {
      service: options.service,
      picker: picker.name,
      isPanicking: table.isPanicking,
      tableAgeMs: Number.isFinite(tableAgeMs) ? tableAgeMs : null,
      inFlight: lifecycle.inFlight + picks.inFlight,
      queued: waiting.size,
      calls: telemetry.outcomes(),
      attempts,
      retries,
      retriesRefused,
      retriesAvailable: budget.available,
      hedges,
      hedgesWon,
      hedgesRefused,
      wastedMs,
      ejections,
      panics,
      brokenReports: news.broken,
      staleReports: this.#engine.staleReports,
      probes: news.probes,
      wrongShards,
      picks: this.#engine.lastPicks(),
      endpoints: this.endpoints(),
    };
  }

  drain(): Promise<void> {
    return this.#engine.drain();
  }

  close(): Promise<void> {
    return this.#engine.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }
}
