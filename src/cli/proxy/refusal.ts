/**
 * What a caller is told when there is no answer to pass on: a status, and `{ code, message }`. The words are the same for everybody:
 * where servers are and why they fail is not the caller's to know.
 */
import { type ErrorCode, isEvenkeelError } from '../../core/errors.js';
import { HEADERS } from '../../core/headers.js';

export interface Refusal {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
  /** Nothing was sent to any server: the request may be sent again without risk. */
  readonly isUnsent: boolean;
  readonly retryAfterMs?: number;
}

function unsent(status: number, code: ErrorCode, message: string): Refusal {
  return { status, code, message, isUnsent: true };
}

export const REFUSALS = {
  noRoute: unsent(404, 'not-found', 'no route for this host and path'),
  badTarget: unsent(400, 'invalid-argument', 'the request target is malformed, or has dot segments'),
  badContext: unsent(400, 'invalid-argument', 'a timeout header of the request is malformed'),
  largeHead: unsent(431, 'out-of-range', 'the head of the request is too large'),
  largeBody: { status: 413, code: 'out-of-range', message: 'the body of the request is too large', isUnsent: false },
  slowBody: unsent(408, 'deadline-exceeded', 'the body of the request did not come in time'),
  loop: unsent(508, 'failed-precondition', 'the request has been here before'),
  badAnswer: { status: 502, code: 'internal', message: 'the server did not answer in HTTP', isUnsent: false },
  noGrpc: unsent(501, 'unimplemented', 'gRPC cannot be passed on: it needs HTTP/2 to the server'),
} as const satisfies Record<string, Refusal>;

/** By the error's code: what went wrong between here and the servers. */
const WORDS: Readonly<Record<ErrorCode, readonly [status: number, message: string]>> = {
  cancelled: [400, 'the request was broken off'],
  unknown: [502, 'the server failed'],
  'invalid-argument': [400, 'the request cannot be passed on'],
  'deadline-exceeded': [504, 'no answer in time'],
  'not-found': [502, 'the server failed'],
  'already-exists': [502, 'the server failed'],
  'permission-denied': [502, 'the server failed'],
  'resource-exhausted': [503, 'every server is at its limit'],
  'failed-precondition': [503, 'the proxy is leaving'],
  aborted: [502, 'the server failed'],
  'out-of-range': [502, 'the answer of the server is too large'],
  unimplemented: [501, 'the request cannot be passed on'],
  internal: [502, 'the server did not answer in HTTP'],
  unavailable: [502, 'no server could be reached, or it broke off'],
  'data-loss': [502, 'the answer of the server is damaged'],
  unauthenticated: [502, 'the server failed'],
};

export function refusalOf(error: unknown): Refusal {
  if (!isEvenkeelError(error)) return { status: 500, code: 'internal', message: 'the proxy failed', isUnsent: false };
  const [status, message] = WORDS[error.code];
  const { code, retryAfterMs } = error;
  const isUnsent = error.retryable === 'yes';
  // No server was even tried: that is for lack of servers, and passes.
  if (code === 'unavailable' && error.attempts === 0) {
    return { status: 503, code, message: 'no server is known', isUnsent, retryAfterMs };
  }
  return { status, code, message, isUnsent, retryAfterMs };
}

export function refusalHeaders(refusal: Refusal, bodyLength: number): string[] {
  const headers = ['content-type', 'application/json', 'content-length', String(bodyLength)];
  if (refusal.isUnsent) headers.push(HEADERS.rejected.text, '1');
  if (refusal.retryAfterMs !== undefined) headers.push(HEADERS.retryAfter.text, String(Math.ceil(refusal.retryAfterMs / 1000)));
  return headers;
}

export function refusalBody({ code, message }: Pick<Refusal, 'code' | 'message'>): string {
  return `${JSON.stringify({ code, message })}\n`;
}

/** Of gRPC: the status that a client of it understands, in trailers-only form. Code 12 is UNIMPLEMENTED. */
export function grpcRefusalHeaders({ message }: Refusal): string[] {
  return ['content-type', 'application/grpc', 'grpc-status', '12', 'grpc-message', message.replaceAll('%', '%25')];
}

/** By node's code, of what came over an HTTP/1.1 connection and was no request. The whole answer: there is no response object. */
export function clientFault(system: string | undefined): string {
  const [status, code, message] =
    system === 'HPE_HEADER_OVERFLOW'
      ? (['431 Request Header Fields Too Large', 'out-of-range', REFUSALS.largeHead.message] as const)
      : system === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? (['408 Request Timeout', 'deadline-exceeded', 'the head of the request did not come in time'] as const)
        : (['400 Bad Request', 'invalid-argument', 'this is not HTTP'] as const);
  const body = refusalBody({ code, message });
  const headers = `content-type: application/json\r\ncontent-length: ${body.length}\r\n${HEADERS.rejected.text}: 1\r\nconnection: close`;
  return `HTTP/1.1 ${status}\r\n${headers}\r\n\r\n${body}`;
}
