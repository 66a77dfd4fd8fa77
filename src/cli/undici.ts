/** The one peer that the programs load by themselves. It is optional in the package, so it may not be there. */
import { EvenkeelError } from '../core/errors.js';
import type { Undici } from '../transports/http/index.js';

/** @throws {EvenkeelError} `failed-precondition`, saying what to install. */
export async function loadUndici(): Promise<Undici> {
  try {
    return (await import('undici')) as unknown as Undici;
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const message = isMissing
      ? "the package undici is not installed, and HTTP calls are made with it: 'npm install undici' (7.16 or newer, or 8)"
      : `the package undici cannot be loaded: ${cause instanceof Error ? cause.message : cause}`;
    throw new EvenkeelError('failed-precondition', message, { cause });
  }
}
