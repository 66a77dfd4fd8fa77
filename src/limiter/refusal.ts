/** Why a call gets no permit. Errors are built once: an overloaded process has better things to do than to capture stacks. */
import { EvenkeelError, guardDetails, prebuiltError } from '../core/errors.js';

export const REFUSALS = {
  /** Nothing is free, and the caller does not wait. */
  limit: ['resource-exhausted', 'no permit is free'],
  /** The queue is full of calls that are no less critical. */
  full: ['resource-exhausted', 'no permit is free, and the queue is full'],
  /** It had to leave the queue to a more critical call, or to a younger one that has more time left. */
  evicted: ['resource-exhausted', 'another call took its place in the queue'],
  /** It waited as long as is sensible under an overload (CoDel). */
  waited: ['resource-exhausted', 'no permit came free in time'],
  /** Less critical than what is admitted at the moment. */
  level: ['resource-exhausted', 'not critical enough for the present overload'],
  /** What is left of its deadline is less than a call takes. */
  deadline: ['deadline-exceeded', 'the deadline leaves too little time for the call'],
  /** The caller has gone. */
  cancelled: ['cancelled', 'cancelled while waiting for a permit'],
  closed: ['failed-precondition', 'the limiter is draining or closed'],
} as const;

export type Refusal = keyof typeof REFUSALS;

/** Others were late, had gone, or came to a limiter that is closed: they say nothing of the limit. */
export function isForLackOfRoom(refusal: Refusal): boolean {
  return REFUSALS[refusal][0] === 'resource-exhausted';
}

/** The order of counts in arrays. */
export const REFUSAL_NAMES = Object.keys(REFUSALS) as readonly Refusal[];

/** The errors of one limiter, by refusal. */
export function refusalErrors(name: string): Readonly<Record<Refusal, EvenkeelError>> {
  const errors = REFUSAL_NAMES.map((refusal) => {
    const [code, message] = REFUSALS[refusal];
    const isShed = code === 'resource-exhausted';
    return [
      refusal,
      prebuiltError(code, `limiter ${name}: ${message}`, {
        // No work was done in any case; but only where the reason may be gone by then is another try of use.
        retryable: isShed || refusal === 'closed' ? 'yes' : 'no',
        rejected: isShed,
        details: guardDetails(`limiter ${name}`, refusal),
      }),
    ];
  });
  return Object.freeze(Object.fromEntries(errors));
}

/** Of a caller that went away while it waited. */
export function cancelledError(signal: AbortSignal | undefined): EvenkeelError {
  const [code, message] = REFUSALS.cancelled;
  return new EvenkeelError(code, message, { cause: signal?.reason });
}
