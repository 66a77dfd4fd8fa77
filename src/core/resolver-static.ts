import { type EndpointLike, parseEndpoints } from './endpoint.js';
import { invalidArgument } from './errors.js';
import type { Resolver } from './resolver.js';

/**
 * A list that does not change: for tests, and for services whose addresses are part of their configuration. Its age is always 0.
 *
 * @example
 * ```ts
 * import { staticResolver } from 'evenkeel/core';
 *
 * const resolver = staticResolver(['http://10.0.0.7:8000', { id: 'b', address: 'http://10.0.0.8:8000', weight: 2 }]);
 * ```
 * @param endpoints - Addresses, or endpoints; 1 to 100,000.
 * @throws {EvenkeelError} `invalid-argument` for an empty list, a malformed endpoint, or an id used twice.
 */
export function staticResolver(endpoints: readonly EndpointLike[]): Resolver {
  const list = Object.freeze(parseEndpoints(endpoints));
  if (list.length === 0) throw invalidArgument('endpoints', endpoints, 'at least one endpoint');
  return {
    name: 'static',
    start({ diagnostics }, listener) {
      let isClosed = false;
      queueMicrotask(() => {
        if (isClosed) return;
        try {
          listener.onEndpoints(list, { source: 'live' });
        } catch (error) {
          diagnostics.report('resolver static: listener', error);
        }
      });
      return {
        ageMs: 0,
        refresh() {},
        close() {
          isClosed = true;
        },
      };
    },
  };
}
