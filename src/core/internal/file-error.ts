/** The system's errors on files as evenkeel's. */
import { type ErrorCode, EvenkeelError, type Retryable } from '../errors.js';

/** Full disks and used-up quotas pass; what a program may not do, it may not do tomorrow either. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  EACCES: 'permission-denied',
  EPERM: 'permission-denied',
  EROFS: 'permission-denied',
  ENOSPC: 'resource-exhausted',
  EDQUOT: 'resource-exhausted',
  EMFILE: 'resource-exhausted',
  ENFILE: 'resource-exhausted',
  ENAMETOOLONG: 'invalid-argument',
  ENOTDIR: 'failed-precondition',
  ENOENT: 'failed-precondition',
  ELOOP: 'failed-precondition',
};

/** `action` in words: `write`, `read`. An error of evenkeel's own passes through. @param retryable - Default `no`. */
export function fileError(action: string, path: string, error: unknown, retryable?: Retryable): EvenkeelError {
  if (error instanceof EvenkeelError) return error;
  const { code } = error as NodeJS.ErrnoException;
  const kind = CODES[code ?? ''] ?? 'internal';
  return new EvenkeelError(kind, `cannot ${action} ${path}: ${code ?? error}`, {
    cause: error,
    details: { path },
    ...(retryable === undefined ? undefined : { retryable }),
  });
}
