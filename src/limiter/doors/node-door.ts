/** The door of node:http. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CallContext } from '../../core/call-context.js';
import type { Limiter } from '../limiter.js';
import { checkHandler, Door } from './door.js';
import type { DoorOptions } from './door-options.js';
import { answerMalformed, ResponseAdmission } from './response-admission.js';

/** `context`: what the caller set, capped; hand it to the calls made for this one. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse, context: CallContext) => unknown;

/**
 * Lets requests of node:http through to a handler as far as the limiter has room, and answers the rest at once, before anything of their
 * bodies is read: 503 (or 429) with `retry-after` for lack of room, 504 when the deadline leaves too little time, 400 for a malformed
 * deadline. A permit is out until the response is sent, or, when the caller goes away, until the handler's promise settles as well (half a minute at
 * most); 429 and 503 of the handler's own count as dropped, other 5xx as errors, and a caller that went away as ignored. A handler that
 * throws, or whose promise rejects, gives 500. Works for the HTTP/2 compatibility API, too, by a cast: its types are not those of node:http.
 *
 * A refused request costs no promise and no text. Behind a load reporter put it inside: `reporter.node(httpLimiter(limiter)(handler))`.
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts nocheck
 * const limited = httpLimiter(createLimiter({ name: 'search' }), { trusted: ['10.0.0.7'] });
 * createServer(limited((request, response, context) => response.end('found'))).listen(8000);
 * ```
 */
export function httpLimiter(
  limiter: Limiter,
  options?: DoorOptions<IncomingMessage>,
): (handler: HttpHandler) => (request: IncomingMessage, response: ServerResponse) => void {
  const door = new Door(limiter, options);
  return (handler) => {
    checkHandler(handler);
    return (request, response) => {
      const now = door.now();
      const context = door.claims.read(request, request.rawHeaders, request.socket?.remoteAddress, now);
      if ('code' in context) {
        answerMalformed(door, context, request, response);
        return;
      }
      const admission = new HttpAdmission(door, request, response, now, handler, context);
      if (door.claims.isSkipped) admission.proceed();
      else admission.submit();
    };
  };
}

class HttpAdmission extends ResponseAdmission<IncomingMessage> {
  readonly #handler: HttpHandler;
  readonly #context: CallContext;

  constructor(
    door: Door<IncomingMessage>,
    request: IncomingMessage,
    response: ServerResponse,
    arrivedAt: number,
    handler: HttpHandler,
    context: CallContext,
  ) {
    super(door, request, response, arrivedAt);
    this.#handler = handler;
    this.#context = context;
  }

  override proceed(): void {
    const handler = this.#handler;
    try {
      const result = handler(this.raw, this.response, this.#context) as PromiseLike<unknown> | undefined;
      if (typeof result?.then === 'function') this.hold(result);
    } catch (error) {
      this.fail(error);
    }
  }
}
