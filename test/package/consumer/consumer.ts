/**
 * What a user's strict program writes, compiled against the packed library by two compilers. Extend it by one use of each subpath's
 * main names; it is compiled, never run.
 */
import { EvenkeelError, isEvenkeelError } from 'evenkeel/core';

export function describe(error: unknown): string {
  if (isEvenkeelError(error, 'deadline-exceeded')) return `late: ${error.message}`;
  return error instanceof EvenkeelError ? error.code : 'unknown';
}
