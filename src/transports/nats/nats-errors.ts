/** The peer's and the server's errors as evenkeel's. */
import { type ErrorCode, EvenkeelError } from '../../core/errors.js';

/** As JetStream's API answers. */
export interface ApiError {
  readonly code: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** Error numbers of nats-server (server/errors.json) that say more than their HTTP-like code. */
export const WRONG_LAST_SEQUENCE = 10071;
export const STREAM_NOT_FOUND = 10059;
export const MESSAGE_NOT_FOUND = 10037;
export const CONSUMER_NOT_FOUND = 10014;
export const STREAM_EXISTS = 10058;
/** Its subjects belong to a stream already. */
export const SUBJECTS_OVERLAP = 10065;

const CODES: Readonly<Record<number, ErrorCode>> = {
  [STREAM_NOT_FOUND]: 'not-found',
  [MESSAGE_NOT_FOUND]: 'not-found',
  [CONSUMER_NOT_FOUND]: 'not-found',
  [STREAM_EXISTS]: 'already-exists',
  [WRONG_LAST_SEQUENCE]: 'aborted',
  // Insufficient resources, maximum bytes, messages, storage, streams, consumers.
  10023: 'resource-exhausted',
  10026: 'resource-exhausted',
  10027: 'resource-exhausted',
  10028: 'resource-exhausted',
  10047: 'resource-exhausted',
  // A full stream: the number is that of "generic", the words tell.
  10077: 'resource-exhausted',
  10054: 'out-of-range',
  // JetStream is off, for the server or for the account.
  10076: 'failed-precondition',
  10039: 'failed-precondition',
};

export function apiError(error: ApiError, what: string): EvenkeelError {
  const { code, err_code: number = 0, description = 'no reason given' } = error;
  const isTransient = code === 503 && CODES[number] === undefined;
  const ours = CODES[number] ?? (isTransient ? 'unavailable' : code === 404 ? 'not-found' : 'internal');
  return new EvenkeelError(ours, `${what}: ${description}`, {
    retryable: ours === 'resource-exhausted' || isTransient ? 'yes' : 'no',
    rejected: ours === 'resource-exhausted',
    details: { number, code },
  });
}

export function numberOf(error: unknown): number {
  return error instanceof EvenkeelError ? Number(error.details?.number ?? 0) : 0;
}

/** Why there is, or will be, no connection. */
export function connectError(cause: unknown): EvenkeelError {
  const { name = '', message = 'the server closed the connection' } = (cause ?? {}) as Error;
  if (/^(UserAuthenticationExpired|Authorization)Error$/.test(name)) {
    return new EvenkeelError('unauthenticated', `NATS refuses the credentials: ${message}`, { cause });
  }
  return new EvenkeelError('unavailable', message, { cause, retryable: 'yes' });
}

/** `permission-denied` for a subject the user may not use; undefined for anything else. */
export function permissionError(cause: Error): EvenkeelError | undefined {
  const { name, operation, subject } = cause as Error & { operation?: string; subject?: string };
  if (name !== 'PermissionViolationError') return undefined;
  return new EvenkeelError('permission-denied', `NATS refuses the ${operation ?? 'use'} of ${subject ?? 'a subject'}`, {
    cause,
    details: { subject },
  });
}
