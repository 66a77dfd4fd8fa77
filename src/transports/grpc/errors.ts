/**
 * Where a status came from. grpc-js reports what a server sent and what it made up itself in the same shape, and the difference
 * decides over a retry: an answer is an answer, a lost connection may have lost anything.
 */
import { EvenkeelError } from '../../core/errors.js';
import { STATUS_NAME } from './metadata.js';
import type { CallStatus } from './peer.js';
import { errorCodeOf, GRPC_CANCELLED, GRPC_INTERNAL } from './status.js';

/** grpc-js's own words for a stream that ended without trailers (subchannel-call.ts, resolving-call.ts of 1.12 to 1.14). */
const LOCAL =
  /^(Connection dropped|Call cancelled|Stream refused by server|Received RST_STREAM|Bandwidth exhausted|Protocol not secure|Write error|Write failed|Deadline exceeded|Received message|Received HTTP status code|Failed to write message|Failed to decompress|read E|write E|Response message parsing)/;
const TOO_LARGE = /larger than/;
const REFUSED = /^Stream refused by server/;

/**
 * What a server sends without headers before it is one block that must name its content type, and what our own server sends names its
 * HTTP status: those are certain, for a status made up locally has no metadata. Bare trailers behind headers are told by their words.
 */
export function isFromServer({ metadata, details }: CallStatus, hasHeaders: boolean): boolean {
  if (metadata.get('content-type').length > 0 || metadata.get(STATUS_NAME).length > 0) return true;
  return hasHeaders && (Object.keys(metadata.toJSON()).length > 0 || !LOCAL.test(details));
}

/**
 * @param isSent - The call had a stream of its own.
 * @param isPulled - Something of its body is gone, and cannot be sent again.
 */
export function localError(
  status: CallStatus,
  endpoint: string,
  { isSent, isPulled, hasResponse }: { isSent: boolean; isPulled: boolean; hasResponse: boolean },
): EvenkeelError {
  const { code: grpcCode, details } = status;
  const isTooLarge = TOO_LARGE.test(details);
  // We did not cancel, so the server or the way to it did; and a stream that ends without a status is a lost one.
  const isLost = grpcCode === GRPC_CANCELLED || (grpcCode === GRPC_INTERNAL && !isTooLarge);
  const code = isLost ? 'unavailable' : errorCodeOf(grpcCode);
  const isUnsent = !isPulled && (!isSent || REFUSED.test(details));
  const when = hasResponse ? 'in the middle of the response' : isUnsent ? 'before the request was sent' : 'before the response';
  return new EvenkeelError(code, `${endpoint} failed ${when}: ${details}`, {
    endpoint,
    retryable: isTooLarge ? 'no' : isUnsent ? 'yes' : 'unknown',
    details: { grpcCode },
  });
}

/** A status other than OK behind a part of the answer. */
export function brokenAnswer({ code, details }: CallStatus, endpoint: string): EvenkeelError {
  return new EvenkeelError(errorCodeOf(code), `${endpoint} failed in the middle of the response: ${details}`, {
    endpoint,
    retryable: 'unknown',
    details: { grpcCode: code },
  });
}
