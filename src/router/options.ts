/** Options of a router: documented once, checked once, resolved once. */

import type { Endpoint } from '../core/endpoint.js';
import { checkInteger, checkNumber, invalidArgument } from '../core/errors.js';
import type { Resolver } from '../core/resolver.js';
import type { Runtime } from '../core/runtime.js';
import type { CallCompression, CallExtension, CallGuard, CallTransport } from '../core/transport/call.js';
import { DEFAULT_PANIC_THRESHOLD } from './endpoint-table.js';
import type { HealthOptions } from './health-checks.js';
import type { HedgeOptions } from './hedging.js';
import type { LatencyTax } from './latency-tax.js';
import { responseHeader } from './load-sources/response-header.js';
import type { LoadSource } from './load-sources/source.js';
import type { EjectionOptions } from './outlier-ejection.js';
import { auto, type PickerFactory } from './pickers/index.js';
import type { RetryOptions } from './retry-policy.js';
import type { RingOptions } from './rib/locality.js';
import type { RouterRequest } from './router-request.js';
import type { SubsetOptions } from './routes/subset.js';
import type { TierSplit } from './routes/tier-split.js';
import type { TrafficSplit } from './routes/traffic-split.js';
import type { SlowStartOptions } from './slow-start.js';
import type { RouterSwitches } from './switches.js';

export interface RouterOptions {
  /** Name of the service called: in errors, metrics, and spans. 1 to 200 characters. */
  service: string;
  /** Where its endpoints are: `staticResolver`, `fileResolver`, `dnsResolver`, `stateResolver`. Closed with the router. */
  resolver: Resolver;
  /** How they are reached. Not closed with the router: several may share it. */
  transport: CallTransport;
  /** Clock, chance, load board. Default: private ones. Share one per process so that load is counted in one place. */
  runtime?: Runtime;
  /** How an endpoint is chosen. Default `auto()`. */
  picker?: PickerFactory;
  /** Where this router stands, `continent/region/zone`: calls go to the nearest ring with room. Default: nowhere, and all are near. */
  locality?: string;
  /** How rings are cut around the caller, by round trips or labels. Default: the resolver's table's, else by label. */
  rings?: RingOptions;
  /** Utilisation of a ring above which calls go on to the next. Default 0.75. */
  ringThreshold?: number;
  /** The part of a long list that this router uses. Default: up to 512 endpoints of a ring. `false`: all. */
  subset?: SubsetOptions | false;
  /** How traffic is split between versions of a model, by an attribute of the endpoints. Default: by capacity. */
  versions?: TrafficSplit;
  /** How traffic is split between tiers of machines, by another attribute. Default: by capacity. */
  tiers?: TrafficSplit | TierSplit;
  /** Names the shard of a call that does not name it itself. What it throws fails the call. */
  shardOf?: (request: RouterRequest) => string | undefined;
  /** Names the keys of a call that does not name them itself. */
  affinityOf?: (request: RouterRequest) => readonly string[] | undefined;
  /** Relative capacity of an endpoint, by its kind of hardware say; undefined: its own weight. */
  weightOf?: (endpoint: Endpoint) => number | undefined;
  /** Endpoints that join the list get less at first. Default: they do not. */
  slowStart?: SlowStartOptions | false;
  /** Optional algorithms that can be turned off while the process runs. */
  switches?: RouterSwitches;
  /** Where reports of the servers' load come from. Default `[responseHeader()]`. */
  loadSources?: readonly LoadSource[];
  /** Milliseconds for the whole call, attempts and waits included, to the last byte. Default 600,000. Servers are told of it when the call has a context. */
  timeoutMs?: number;
  /** Milliseconds for one attempt, to the last byte. Default: none but the call's. */
  attemptTimeoutMs?: number;
  /** Milliseconds to the first byte of the response. Default: none. */
  firstByteTimeoutMs?: number;
  /** Milliseconds without a byte, once the response has begun and while somebody reads it. Default: none. */
  idleTimeoutMs?: number;
  /** Calls in flight to one endpoint; beyond it others are used, then calls wait. Default 1024. */
  maxInFlightPerEndpoint?: number;
  /** Calls waiting; beyond it they fail with `resource-exhausted`. Default 1024; 0: never wait. */
  maxQueued?: number;
  /** Largest buffered response body, bytes. Default 64 MiB; larger ones fail with `out-of-range`. */
  maxResponseBytes?: number;
  /** Repeats on another endpoint, what is safe to repeat. `false`: never. */
  retry?: RetryOptions | false;
  /**
   * Sends an idempotent call that takes longer than nearly all to a second endpoint; the first response wins, the other attempt is
   * cancelled. For services whose tail is the servers' doing. Default `false`: never.
   */
  hedge?: HedgeOptions | false;
  /** Takes out endpoints that keep failing. `false`: never. */
  ejection?: EjectionOptions | false;
  /** Share of open endpoints below which all known ones are used. Default 0.5; 0: never. */
  panicThreshold?: number;
  /** Asks endpoints how they are, in the background. Default: off. */
  health?: HealthOptions;
  /**
   * Holds attempts back that the servers could not do: a limiter, a throttle, limiters by endpoint (`{ guard: (transport) => limiters.guard(transport,
   * 'checkout') }`). What it turns away may be tried at another endpoint, as far as its error allows. Default: none.
   */
  limiter?: CallGuard;
  /** Measures where the time of calls goes, while it is on: `createLatencyTax()`. Several routers may share one. Default: none. */
  tax?: LatencyTax;
  /** Asks for compressed responses and decodes them, and compresses requests if told to: `createCompression()` of `evenkeel/http`. Default `false`. */
  compression?: CallCompression | false;
  /** See and add headers of every attempt. */
  extensions?: readonly CallExtension[];
}

export const DEFAULT_TIMEOUT_MS = 600_000;
export const DEFAULT_MAX_IN_FLIGHT = 1024;
export const DEFAULT_MAX_QUEUED = 1024;
export const DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
const MAX_SERVICE_LENGTH = 200;

export interface ResolvedOptions {
  readonly service: string;
  readonly picker: PickerFactory;
  readonly loadSources: readonly LoadSource[];
  readonly shardOf: RouterOptions['shardOf'];
  readonly affinityOf: RouterOptions['affinityOf'];
  readonly timeoutMs: number;
  /** Infinity: none. */
  readonly attemptTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxInFlightPerEndpoint: number;
  readonly maxQueued: number;
  readonly maxResponseBytes: number;
  readonly panicThreshold: number;
}

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function resolveOptions(options: RouterOptions): ResolvedOptions {
  const { service } = options;
  if (typeof service !== 'string' || service.length === 0 || service.length > MAX_SERVICE_LENGTH) {
    throw invalidArgument('service', service, `1 to ${MAX_SERVICE_LENGTH} characters`);
  }
  if (typeof options.transport?.start !== 'function') throw invalidArgument('transport', options.transport, 'a CallTransport');
  if (typeof options.resolver?.start !== 'function') throw invalidArgument('resolver', options.resolver, 'a Resolver');
  if (options.limiter !== undefined && typeof options.limiter?.guard !== 'function')
    throw invalidArgument('limiter', options.limiter, 'something with guard(transport)');
  for (const name of ['shardOf', 'affinityOf', 'weightOf'] as const) {
    const named = options[name];
    if (named !== undefined && typeof named !== 'function') throw invalidArgument(name, named, 'a function');
  }
  const timeoutMs = checkNumber('timeoutMs', options.timeoutMs ?? DEFAULT_TIMEOUT_MS, 1);
  const optional = (name: 'attemptTimeoutMs' | 'firstByteTimeoutMs' | 'idleTimeoutMs') => {
    const value = options[name];
    return value === undefined ? Number.POSITIVE_INFINITY : checkNumber(name, value, 1);
  };
  const attemptTimeoutMs = optional('attemptTimeoutMs');
  const firstByteTimeoutMs = optional('firstByteTimeoutMs');
  if (options.attemptTimeoutMs !== undefined && attemptTimeoutMs > timeoutMs) {
    throw invalidArgument('attemptTimeoutMs', attemptTimeoutMs, `at most timeoutMs (${timeoutMs})`);
  }
  if (options.firstByteTimeoutMs !== undefined && firstByteTimeoutMs > Math.min(timeoutMs, attemptTimeoutMs)) {
    throw invalidArgument('firstByteTimeoutMs', firstByteTimeoutMs, 'at most timeoutMs and attemptTimeoutMs');
  }
  return {
    service,
    picker: options.picker ?? auto(),
    loadSources: options.loadSources ?? [responseHeader()],
    shardOf: options.shardOf,
    affinityOf: options.affinityOf,
    timeoutMs,
    attemptTimeoutMs,
    firstByteTimeoutMs,
    idleTimeoutMs: optional('idleTimeoutMs'),
    maxInFlightPerEndpoint: checkInteger('maxInFlightPerEndpoint', options.maxInFlightPerEndpoint ?? DEFAULT_MAX_IN_FLIGHT, 1),
    maxQueued: checkInteger('maxQueued', options.maxQueued ?? DEFAULT_MAX_QUEUED, 0, 1_000_000),
    maxResponseBytes: checkInteger('maxResponseBytes', options.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES, 0),
    panicThreshold: checkNumber('panicThreshold', options.panicThreshold ?? DEFAULT_PANIC_THRESHOLD, 0, 1),
  };
}
