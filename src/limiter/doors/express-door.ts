/** The door of Express, and of other frameworks with `(request, response, next)`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Limiter } from '../limiter.js';
import { carryContext } from './call-context-of.js';
import { Door } from './door.js';
import type { DoorOptions } from './door-options.js';
import { answerMalformed, ResponseAdmission } from './response-admission.js';

/**
 * As `httpLimiter`, as a middleware. Use it before `express.json()` and its like, so that nothing of a refused body is parsed. Whatever the
 * handlers behind it throw is Express's to answer; the permit ends with the response in any case, and with the connection of a caller that goes away, for
 * what a handler still does then cannot be seen from a middleware. Handlers find the context of the call by
 * `callContextOf(request)`.
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts nocheck
 * app.use(expressLimiter(createLimiter({ name: 'search' }), { skip: (request) => request.url === '/healthz' }));
 * app.use(express.json());
 * ```
 */
export function expressLimiter<Request extends IncomingMessage = IncomingMessage>(
  limiter: Limiter,
  options?: DoorOptions<Request>,
): (request: Request, response: ServerResponse, next: (error?: unknown) => void) => void {
  const door = new Door<Request>(limiter, options);
  return (request, response, next) => {
    const now = door.now();
    const context = door.claims.read(request, request.rawHeaders, request.socket?.remoteAddress, now);
    if ('code' in context) {
      answerMalformed(door, context, request, response);
      return;
    }
    carryContext(request, context);
    if (door.claims.isSkipped) next();
    else new MiddlewareAdmission(door, request, response, now, next).submit();
  };
}

class MiddlewareAdmission<Request extends IncomingMessage> extends ResponseAdmission<Request> {
  readonly #next: () => void;

  constructor(door: Door<Request>, request: Request, response: ServerResponse, arrivedAt: number, next: () => void) {
    super(door, request, response, arrivedAt);
    this.#next = next;
  }

  protected override proceed(): void {
    const next = this.#next;
    next();
  }
}
