/** Options that all doors share: documented once, checked once, resolved once. */
import { CRITICALITIES, type Criticality, isCriticality } from '../../core/call-context.js';
import { DEFAULT_MAX_TIMEOUT_MS, DEFAULT_UNTRUSTED_CRITICALITY } from '../../core/context-headers.js';
import { checkNumber, invalidArgument } from '../../core/errors.js';
import type { HeaderList } from '../../core/headers.js';

/** Who asks, as far as the connection tells. */
export interface DoorCaller {
  /** Of the connection, which a caller cannot choose; what proxies say of those before them is in the headers. Undefined: not known here. */
  readonly address: string | undefined;
  readonly headers: HeaderList;
}

/**
 * `Request` is what the framework hands its handlers. What a function of these throws is told to the operator, and the request goes on as if
 * the function were not there.
 */
export interface DoorOptions<Request> {
  /** Callers whose criticality and cohort are believed: their addresses, or a judgement. Default: nobody's. */
  trusted?: readonly string[] | ((caller: DoorCaller) => boolean);
  /** Most that callers who are not trusted can claim. Default `critical`. */
  untrustedCriticality?: Criticality;
  /** Longest deadline a caller can set, milliseconds; above 0. Default one hour. */
  maxTimeoutMs?: number;
  /** Weight in the limiter's unit, from the head of the request; above 0. Default 1. */
  weightOf?: (request: Request) => number;
  /** Whose share it runs on. Default: none's. */
  partitionOf?: (request: Request) => string | undefined;
  /**
   * Who asks: a user, a tenant, a session. The same ones are then shed first for an hour, here and in all services behind. A cohort that a trusted
   * caller brings stands. Default: one by chance.
   */
  userOf?: (request: Request) => string | undefined;
  /** Of a refusal for lack of room: 429 or 503. Default 503. A gRPC status is `RESOURCE_EXHAUSTED` in either case. */
  status?: 429 | 503;
  /** When a refused caller may come again, milliseconds; 1000 to 3,600,000. HTTP carries whole seconds, rounded up. Default 1000. */
  retryAfterMs?: number;
  /** Requests that are never limited or counted: health checks. Default: none. */
  skip?: (request: Request) => boolean;
}

export interface DoorSettings<Request> {
  readonly isTrusted: (caller: DoorCaller) => boolean;
  readonly untrustedCriticality: Criticality;
  readonly maxTimeoutMs: number;
  readonly weightOf: ((request: Request) => number) | undefined;
  readonly partitionOf: ((request: Request) => string | undefined) | undefined;
  readonly userOf: ((request: Request) => string | undefined) | undefined;
  readonly skip: ((request: Request) => boolean) | undefined;
  readonly status: 429 | 503;
  readonly retryAfterMs: number;
}

export const DEFAULT_REFUSAL_STATUS = 503;
export const DEFAULT_RETRY_AFTER_MS = 1000;

const LEAST_RETRY_AFTER_MS = 1000;
const LONGEST_MS = 3_600_000;

/** @throws {EvenkeelError} `invalid-argument` naming the option. */
export function resolveDoorOptions<Request>(options: DoorOptions<Request> = {}): DoorSettings<Request> {
  const { partitionOf, skip, trusted = [], userOf, weightOf } = options;
  const { retryAfterMs = DEFAULT_RETRY_AFTER_MS, status = DEFAULT_REFUSAL_STATUS } = options;
  const { maxTimeoutMs = DEFAULT_MAX_TIMEOUT_MS, untrustedCriticality = DEFAULT_UNTRUSTED_CRITICALITY } = options;
  if (status !== 429 && status !== 503) throw invalidArgument('status', status, '429 or 503');
  if (!isCriticality(untrustedCriticality))
    throw invalidArgument('untrustedCriticality', untrustedCriticality, `one of ${CRITICALITIES.join(', ')}`);
  if (typeof trusted !== 'function' && !Array.isArray(trusted))
    throw invalidArgument('trusted', trusted, 'a list of addresses, or a function');
  return {
    isTrusted: typeof trusted === 'function' ? trusted : ({ address }) => address !== undefined && trusted.includes(address),
    untrustedCriticality,
    maxTimeoutMs: checkNumber('maxTimeoutMs', maxTimeoutMs, Number.MIN_VALUE),
    weightOf: checkFunction('weightOf', weightOf),
    partitionOf: checkFunction('partitionOf', partitionOf),
    userOf: checkFunction('userOf', userOf),
    skip: checkFunction('skip', skip),
    status,
    retryAfterMs: checkNumber('retryAfterMs', retryAfterMs, LEAST_RETRY_AFTER_MS, LONGEST_MS),
  };
}

function checkFunction<T>(what: string, value: T): T {
  if (value !== undefined && typeof value !== 'function') throw invalidArgument(what, value, 'a function');
  return value;
}
