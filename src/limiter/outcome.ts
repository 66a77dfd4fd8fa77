/** What an error says of the server that the work went to. */
import { type ErrorCode, isEvenkeelError, isOwnRefusal } from '../core/errors.js';
import type { Outcome } from '../core/load-counter.js';

/**
 * "Full" is `dropped`, a cancellation is `ignored`, and all else is `error`: it took its time, and failed. What another guard of this process turned
 * away never came to the server, and is `ignored`, too.
 */
export function outcomeOf(error: unknown): { outcome: Outcome; retryAfterMs: number } {
  if (isEvenkeelError(error)) {
    const { code, rejected, retryAfterMs = 0 } = error;
    if (code === 'cancelled' || isOwnRefusal(error)) return IGNORED;
    if (rejected || code === 'resource-exhausted') return { outcome: 'dropped', retryAfterMs };
    return FAILED;
  }
  if (typeof error !== 'object' || error === null) return FAILED;
  const { name, status, statusCode } = error as { name?: unknown; status?: unknown; statusCode?: unknown };
  if (name === 'AbortError') return IGNORED;
  return isFullStatus(status) || isFullStatus(statusCode) ? DROPPED : FAILED;
}

/** As `outcomeOf`, for those who ask whether the server took the call: one that got no answer was not taken, as far as they know. */
export function acceptanceOf(error: unknown): { outcome: Outcome; retryAfterMs: number } {
  const ended = outcomeOf(error);
  if (ended.outcome !== 'error') return ended;
  const isLost = isEvenkeelError(error) ? LOST.has(error.code) : error instanceof Error && error.name === 'TimeoutError';
  return isLost ? DROPPED : ended;
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

const LOST: ReadonlySet<string> = new Set<ErrorCode>(['unavailable', 'deadline-exceeded']);
const IGNORED = { outcome: 'ignored', retryAfterMs: 0 } as const;
const DROPPED = { outcome: 'dropped', retryAfterMs: 0 } as const;
const FAILED = { outcome: 'error', retryAfterMs: 0 } as const;
