/** Refusals that all transports word the same. */
import { EvenkeelError, invalidArgument } from '../errors.js';

export const MIN_LEASE_MS = 100;
export const MAX_LEASE_MS = 24 * 60 * 60 * 1000;

export function checkOpen(isClosed: boolean, what: string): void {
  if (isClosed) throw new EvenkeelError('failed-precondition', `${what} is closed`);
}

export function checkSignal(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw cancelled(signal, what);
}

export function cancelled(signal: AbortSignal, what: string): EvenkeelError {
  return new EvenkeelError('cancelled', `${what} was cancelled`, { cause: signal.reason });
}

/** As the promise, which others share, unless the signal is first. */
export function unlessAborted<T>(shared: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return shared;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(cancelled(signal, 'the operation'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    shared.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** A copy, so that what the caller does to its bytes later stays its own affair. */
export function copyBytes(what: string, bytes: Uint8Array, maxBytes: number): Uint8Array {
  if (!(bytes instanceof Uint8Array)) throw invalidArgument(what, bytes, 'a Uint8Array');
  if (bytes.byteLength > maxBytes) {
    throw new EvenkeelError('out-of-range', `${what} has ${bytes.byteLength} bytes; at most ${maxBytes} are taken`, {
      details: { bytes: bytes.byteLength, maxBytes },
    });
  }
  return new Uint8Array(bytes);
}

export function full(what: string, limit: number): EvenkeelError {
  return new EvenkeelError('resource-exhausted', `${what} is full`, { retryable: 'yes', rejected: true, details: { limit } });
}
