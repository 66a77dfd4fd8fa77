/** The two signals that may end a call: that of its request and that of its context. */
import { setMaxListeners } from 'node:events';
import type { CallContext } from '../core/call-context.js';
import { EvenkeelError } from '../core/errors.js';
import type { RouterRequest } from './router-request.js';

/** Whose signals they are. */
export interface Signalled {
  readonly request: RouterRequest;
  readonly context: CallContext | undefined;
}

export function isAborted({ request, context }: Signalled): boolean {
  return request.signal?.aborted === true || context?.signal?.aborted === true;
}

/** What the caller of an aborted call is told. */
export function cancelledError({ request, context }: Signalled): EvenkeelError {
  const cause = request.signal?.aborted ? request.signal.reason : context?.signal?.reason;
  return new EvenkeelError('cancelled', 'the call was cancelled', { cause });
}

export function listenForAbort({ request, context }: Signalled, onAbort: () => void): void {
  listen(request.signal, onAbort);
  listen(context?.signal, onAbort);
}

export function stopListening({ request, context }: Signalled, onAbort: () => void): void {
  request.signal?.removeEventListener('abort', onAbort);
  context?.signal?.removeEventListener('abort', onAbort);
}

/** One signal may serve any number of calls at once; Node warns of a leak at the eleventh. */
function listen(signal: AbortSignal | undefined, onAbort: () => void): void {
  if (signal === undefined) return;
  if (signal instanceof EventTarget) setMaxListeners(0, signal);
  signal.addEventListener('abort', onAbort, { once: true });
}
