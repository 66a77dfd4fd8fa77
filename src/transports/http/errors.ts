/**
 * undici's and the system's errors as evenkeel's. What decides over a retry is not the kind of error but when it came: before the
 * connection was ours no byte was written (`yes`); after it the server may have acted (`unknown`).
 */
import { type ErrorCode, EvenkeelError } from '../../core/errors.js';

const CODES: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_INVALID_ARG: 'invalid-argument',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'invalid-argument',
  UND_ERR_NOT_SUPPORTED: 'unimplemented',
  UND_ERR_ABORTED: 'cancelled',
  UND_ERR_HEADERS_TIMEOUT: 'deadline-exceeded',
  UND_ERR_BODY_TIMEOUT: 'deadline-exceeded',
  UND_ERR_HEADERS_OVERFLOW: 'internal',
  UND_ERR_RESPONSE_EXCEEDED_MAX_SIZE: 'out-of-range',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'data-loss',
};

export function callError(cause: unknown, endpoint: string, isConnected: boolean, hasResponse: boolean): EvenkeelError {
  if (cause instanceof EvenkeelError) return cause;
  const { code: system = '', message = String(cause) } = (cause ?? {}) as NodeJS.ErrnoException;
  // undici's parser errors often come without their HPE_ code.
  const isGarbage = system.startsWith('HPE_') || (cause as Error | undefined)?.name === 'HTTPParserError';
  const code = CODES[system] ?? (isGarbage ? 'internal' : 'unavailable');
  const retryable = code === 'invalid-argument' ? 'no' : isConnected ? 'unknown' : 'yes';
  const when = hasResponse
    ? 'in the middle of the response'
    : isConnected
      ? 'before the response'
      : 'before the request was sent';
  const detail = system === '' || message.includes(system) ? message : `${system} ${message}`;
  return new EvenkeelError(code, `${endpoint} failed ${when}: ${detail}`, { cause, endpoint, retryable, details: { system } });
}
