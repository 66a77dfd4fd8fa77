/** Where Express and Fastify handlers find the context of their request: these frameworks hand them nothing but the request. */
import { type CallContext, DEFAULT_CRITICALITY } from '../../core/call-context.js';

const CALL_CONTEXT: unique symbol = Symbol.for('evenkeel.call-context') as never;

const PLAIN: CallContext = Object.freeze({ criticality: DEFAULT_CRITICALITY });

interface Carrier {
  [CALL_CONTEXT]?: CallContext;
}

/**
 * Deadline, criticality and cohort of a request that came through `expressLimiter` or `fastifyLimiter`, capped: hand it to the calls made
 * for it. `critical` and no deadline for a request that did not. The request carries it as `Symbol.for('evenkeel.call-context')`.
 * @param request - The framework's own.
 * @example
 * ```ts nocheck
 * app.get('/', async (request, response) => {
 *   response.send((await router.call({ path: '/' }, callContextOf(request))).body);
 * });
 * ```
 */
export function callContextOf(request: object): CallContext {
  return (request as Carrier)[CALL_CONTEXT] ?? PLAIN;
}

export function carryContext(request: object, context: CallContext): void {
  (request as Carrier)[CALL_CONTEXT] = context;
}
