/** What a server that turned a call away says of the next try. */
import { HEADERS, type HeaderList, headerValue } from './headers.js';

/**
 * What a gRPC server that refused a call wants of its retry: milliseconds to wait; below 0, or malformed, none at all. Undefined: it does
 * not say.
 * @see gRPC proposal A6, pushback
 */
export function readPushbackMs(headers: HeaderList): number | undefined {
  const value = headerValue(headers, HEADERS.grpcPushback);
  if (value === undefined) return undefined;
  return /^\d{1,12}$/.test(value) ? Number(value) : -1;
}

/** Seconds (RFC 9110, section 10.2.3; a date is not compared with our clock) or gRPC's milliseconds. 0 when absent or malformed. */
export function readRetryAfterMs(headers: HeaderList): number {
  const pushback = Number(headerValue(headers, HEADERS.grpcPushback) ?? Number.NaN);
  const seconds = Number(headerValue(headers, HEADERS.retryAfter) ?? Number.NaN);
  if (pushback >= 0 && pushback < Number.POSITIVE_INFINITY) return pushback;
  return seconds >= 0 && seconds < Number.POSITIVE_INFINITY ? seconds * 1000 : 0;
}

/** The server turned the call away before it did anything. */
export function wasRejected(headers: HeaderList): boolean {
  return headerValue(headers, HEADERS.rejected) === '1';
}
