/** Real candidates without a router: for those who write and measure pickers. */
import type { Clock } from '../../core/clock.js';
import { type EndpointLike, parseEndpoints } from '../../core/endpoint.js';
import { WorkCounter } from '../../core/load-counter.js';
import { Candidate } from '../candidate.js';
import type { PickSet } from './picker.js';

/**
 * A set to pick from, each candidate with a counter of its own.
 * @throws {EvenkeelError} `invalid-argument` for malformed endpoints.
 */
export function pickSet(endpoints: readonly EndpointLike[], clock: Clock): PickSet {
  const unknownCapacity = Number.POSITIVE_INFINITY;
  const candidates = parseEndpoints(endpoints).map(
    (endpoint) => new Candidate(endpoint, new WorkCounter(clock, `endpoint:${endpoint.id}`, 'calls', unknownCapacity)),
  );
  return { candidates, version: 1 };
}
