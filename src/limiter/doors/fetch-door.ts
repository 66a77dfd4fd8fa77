/** The door of handlers in the style of fetch: Hono, Deno, Bun, service workers, edge runtimes. */
import type { CallContext } from '../../core/call-context.js';
import { HEADERS } from '../../core/headers.js';
import { watchedBody } from '../../core/internal/watched-body.js';
import type { Outcome } from '../../core/load-counter.js';
import { readRetryAfterMs } from '../../core/pushback.js';
import type { Limiter } from '../limiter.js';
import { outcomeOf, outcomeOfStatus } from '../outcome.js';
import type { Permit } from '../permit.js';
import { AbandonedWork } from './abandoned-work.js';
import { AwaitedAdmission, checkCaller } from './awaited-admission.js';
import { checkHandler, Door } from './door.js';
import type { DoorOptions } from './door-options.js';
import type { RefusalAnswer } from './refusal-answer.js';

/** `context`: what the caller set, capped; hand it to the calls made for this one. */
export type FetchLimitedHandler = (request: Request, context: CallContext) => Response | Promise<Response>;

/**
 * As `httpLimiter`, for handlers in the style of fetch. The permit ends when the body of the response has been read to its end, or left; of a caller that
 * goes away before, when the handler is done and what it answered is let go, or half a minute later. What the handler throws is thrown on, counted as an error. A caller that goes away while its request waits, which `request.signal` tells, leaves
 * the queue; the promise rejects with `cancelled`, and nobody listens any more. Such requests do not tell the address of their caller: trust
 * takes a function. What becomes of the body of a refused request is the server's business; nothing of it is read here.
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts nocheck
 * const limited = fetchLimiter(createLimiter({ name: 'search' }));
 * serve({ fetch: limited((request, context) => new Response('found')) });
 * ```
 */
export function fetchLimiter(
  limiter: Limiter,
  options?: DoorOptions<Request>,
): (handler: FetchLimitedHandler) => (request: Request) => Promise<Response> {
  const door = new Door(limiter, options);
  return (handler) => {
    checkHandler(handler);
    return async (request) => {
      const now = door.now();
      const context = door.claims.read(request, headersOf(request), undefined, now);
      if ('code' in context) return refused(door, door.answers.malformed(context));
      if (door.claims.isSkipped) return handler(request, context);
      const admission = new AwaitedAdmission(door.limiter, door.claims.claim, now);
      const result = admission.result ?? (await admission.wait(request.signal));
      if (typeof result === 'string') return refused(door, door.answers.of(result));
      checkCaller(result, request.signal);
      return serve(door, result, handler, request, context);
    };
  };
}

async function serve(
  door: Door<Request>,
  permit: Permit,
  handler: FetchLimitedHandler,
  request: Request,
  context: CallContext,
): Promise<Response> {
  // Not all of those who make requests give them a signal.
  const signal = request.signal as AbortSignal | undefined;
  let abandoned: AbandonedWork | undefined;
  const leave = () => {
    abandoned = new AbandonedWork(door.limiter.runtime.clock, () => permit.end('ignored'));
  };
  const onEnd = (outcome: Outcome, retryAfterMs: number) => {
    signal?.removeEventListener('abort', leave);
    permit.end(signal?.aborted ? 'ignored' : outcome, retryAfterMs);
    abandoned?.over();
  };
  signal?.addEventListener('abort', leave, { once: true });
  try {
    return watched(door, request, await handler(request, context), onEnd);
  } catch (error) {
    const { outcome, retryAfterMs } = outcomeOf(error);
    onEnd(outcome, retryAfterMs);
    throw error;
  }
}

function watched(
  door: Door<Request>,
  request: Request,
  response: Response,
  onEnd: (outcome: Outcome, retryAfterMs: number) => void,
): Response {
  const { body, status, statusText } = response;
  const outcome = outcomeOfStatus(status);
  const retryAfterMs =
    outcome === 'dropped' ? readRetryAfterMs([HEADERS.retryAfter.text, response.headers.get(HEADERS.retryAfter.text) ?? '']) : 0;
  const level = door.level();
  const isRead = body !== null && request.method !== 'HEAD';
  if (!isRead) onEnd(outcome, retryAfterMs);
  if (!isRead && level === undefined) return response;
  // A copy: those of a response that was fetched cannot be changed.
  const headers = new Headers(response.headers);
  if (level !== undefined) headers.set(HEADERS.admissionLevel.text, level);
  if (body === null) return new Response(null, { status, statusText, headers });
  const whole = isRead ? watchedBody(body, (how) => onEnd(how === 'whole' ? outcome : how, retryAfterMs)) : body;
  return new Response(whole, { status, statusText, headers });
}

function refused(door: Door<Request>, { body, headers, status }: RefusalAnswer): Response {
  const list = new Headers();
  for (let i = 0; i < headers.length; i += 2) list.set(headers[i] as string, headers[i + 1] as string);
  const level = door.level();
  if (level !== undefined) list.set(HEADERS.admissionLevel.text, level);
  return new Response(body, { status, headers: list });
}

function headersOf({ headers }: Request): string[] {
  const list: string[] = [];
  for (const [name, value] of headers) list.push(name, value);
  return list;
}
