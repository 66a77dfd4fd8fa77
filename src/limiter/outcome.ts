/** What an answer or an error says of the server that the work went to. */
import { type ErrorCode, isEvenkeelError, isOwnRefusal } from '../core/errors.js';
import { HEADERS } from '../core/headers.js';
import type { Outcome } from '../core/load-counter.js';
import { readRetryAfterMs } from '../core/pushback.js';

export interface Ended {
  readonly outcome: Outcome;
  /** What a server that was full asked to wait, ms; 0: it did not. */
  readonly retryAfterMs: number;
}

/**
 * "Full" is `dropped`, a cancellation is `ignored`, and all else is `error`: it took its time, and failed. What another guard of this process turned
 * away never came to the server, and is `ignored`, too.
 */
export function outcomeOf(error: unknown): Ended {
  if (isEvenkeelError(error)) {
    const { code, rejected, retryAfterMs = 0 } = error;
    if (code === 'cancelled' || isOwnRefusal(error)) return IGNORED;
    if (rejected || code === 'resource-exhausted') return { outcome: 'dropped', retryAfterMs };
    return FAILED;
  }
  if (typeof error !== 'object' || error === null) return FAILED;
  try {
    return outcomeOfForeign(error);
  } catch {
    // A getter of somebody's error. The permit has to end.
    return FAILED;
  }
}

/** As `outcomeOf`, for those who ask whether the server took the call: one that got no answer was not taken, as far as they know. */
export function acceptanceOf(error: unknown): Ended {
  const ended = outcomeOf(error);
  if (ended.outcome !== 'error') return ended;
  try {
    return (isEvenkeelError(error) ? LOST.has(error.code) : isUnanswered(error, MOST_CAUSES)) ? DROPPED : ended;
  } catch {
    return ended;
  }
}

/** `fetch` does not throw for 503: its answer says how it went. Whatever else work resolves to is `ok`. */
export function outcomeOfResult(result: unknown): Ended {
  if (typeof result !== 'object' || result === null || Object.prototype.toString.call(result) !== '[object Response]') return OK;
  const response = result as Response;
  const outcome = outcomeOfStatus(response.status);
  return { outcome, retryAfterMs: outcome === 'dropped' ? retryAfterOf(response.headers) : 0 };
}

/** The server turned the call away for lack of room: 429, 503. */
export function isFullStatus(status: unknown): boolean {
  return status === 429 || status === 503;
}

/** A client's mistake says nothing of the server, but for how long it took to say so. */
export function outcomeOfStatus(status: number): 'ok' | 'error' | 'dropped' {
  if (isFullStatus(status)) return 'dropped';
  return status >= 500 ? 'error' : 'ok';
}

/** Errors of HTTP clients have a status, or the response with it (axios, got, superagent, the SDKs of model providers); those of gRPC a code. */
interface ForeignError {
  readonly name?: unknown;
  readonly status?: unknown;
  readonly statusCode?: unknown;
  readonly headers?: unknown;
  readonly response?: ForeignError | null;
  readonly code?: unknown;
  readonly metadata?: unknown;
  readonly cause?: unknown;
}

function outcomeOfForeign(error: ForeignError): Ended {
  if (error.name === 'AbortError') return IGNORED;
  if (error.code === GRPC_RESOURCE_EXHAUSTED && isReadable(error.metadata))
    return { outcome: 'dropped', retryAfterMs: retryAfterOf(error.metadata) };
  for (const told of [error, error.response]) {
    if (isFullStatus(told?.status) || isFullStatus(told?.statusCode))
      return { outcome: 'dropped', retryAfterMs: retryAfterOf(error.headers ?? error.response?.headers) };
  }
  return FAILED;
}

/** By name or code, its own or that of what caused it: `fetch` fails with a TypeError, whatever happened. */
function isUnanswered(error: unknown, causes: number): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { cause, code, metadata, name } = error as ForeignError;
  if (name === 'TimeoutError' || (typeof code === 'string' && UNANSWERED.test(code))) return true;
  if ((code === GRPC_UNAVAILABLE || code === GRPC_DEADLINE_EXCEEDED) && isReadable(metadata)) return true;
  return causes > 0 && isUnanswered(cause, causes - 1);
}

interface Readable {
  get(name: string): unknown;
}

function isReadable(headers: unknown): headers is Readable {
  return typeof (headers as Partial<Readable> | undefined | null)?.get === 'function';
}

/** Of a Headers, gRPC's Metadata, or an object of lower-case names. */
function retryAfterOf(headers: unknown): number {
  if (typeof headers !== 'object' || headers === null) return 0;
  const list = [];
  for (const { text } of [HEADERS.retryAfter, HEADERS.grpcPushback]) {
    const value = isReadable(headers) ? headers.get(text) : (headers as Record<string, unknown>)[text];
    const first: unknown = Array.isArray(value) ? value[0] : value;
    if (typeof first === 'string') list.push(text, first);
  }
  return readRetryAfterMs(list);
}

const GRPC_DEADLINE_EXCEEDED = 4;
const GRPC_RESOURCE_EXHAUSTED = 8;
const GRPC_UNAVAILABLE = 14;
/** Of sockets and name servers, undici and axios. */
const UNANSWERED =
  /^(?:E(?:CONN(?:REFUSED|RESET|ABORTED)|PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|NOTFOUND|AI_AGAIN)|UND_ERR_(?:CONNECT_TIMEOUT|HEADERS_TIMEOUT|BODY_TIMEOUT|SOCKET))$/;
const MOST_CAUSES = 3;
const LOST: ReadonlySet<string> = new Set<ErrorCode>(['unavailable', 'deadline-exceeded']);
const OK = { outcome: 'ok', retryAfterMs: 0 } as const;
const IGNORED = { outcome: 'ignored', retryAfterMs: 0 } as const;
const DROPPED = { outcome: 'dropped', retryAfterMs: 0 } as const;
const FAILED = { outcome: 'error', retryAfterMs: 0 } as const;
