/** Why a call is not even sent. Built once: a client under an overload makes many. */
import { type EvenkeelError, guardDetails, prebuiltError, type Retryable } from '../core/errors.js';

export const THROTTLE_REFUSALS = {
  /** Too many of the last calls of its criticality were refused. */
  refusals: ['no', 'held back, since too many of the last calls were refused'],
  /** The servers said that they admit only what is more critical. */
  level: ['no', 'held back, since the servers admit only more critical calls'],
  /** They asked to be left alone for a while, */
  pushback: ['no', 'held back until the time the server asked for is over'],
  /** or this one endpoint did. */
  endpoint: ['yes', 'held back until the time the endpoint asked for is over'],
} as const satisfies Record<string, readonly [Retryable, string]>;

export type ThrottleRefusal = keyof typeof THROTTLE_REFUSALS;

/** The order of counts in arrays. */
export const THROTTLE_REFUSAL_NAMES = Object.keys(THROTTLE_REFUSALS) as readonly ThrottleRefusal[];

/**
 * No byte was sent, and yet all but one are not for another try: what is short is the service, as this client knows it, and not an endpoint. A
 * retry at once would ask the same throttle again, count as one more request, and raise the very chance it was refused by. Where one
 * endpoint asked for time the others may well have room.
 */
export function throttleErrors(name: string): Readonly<Record<ThrottleRefusal, EvenkeelError>> {
  const errors = THROTTLE_REFUSAL_NAMES.map((reason) => {
    const [retryable, message] = THROTTLE_REFUSALS[reason];
    return [
      reason,
      prebuiltError('resource-exhausted', `throttle ${name}: ${message}`, {
        retryable,
        rejected: true,
        details: guardDetails(`throttle ${name}`, reason),
      }),
    ];
  });
  return Object.freeze(Object.fromEntries(errors));
}
