/** The door of `transport.serve`, on any transport of the library. */
import type { CallContext } from '../../core/call-context.js';
import { HEADERS } from '../../core/headers.js';
import { checkAnswer } from '../../core/internal/call-message.js';
import { watchedPieces } from '../../core/internal/watched-body.js';
import type { Outcome } from '../../core/load-counter.js';
import { readRetryAfterMs } from '../../core/pushback.js';
import type { CallAnswer, CallHandler, IncomingCall } from '../../core/transport/call.js';
import type { Limiter } from '../limiter.js';
import { outcomeOf, outcomeOfStatus } from '../outcome.js';
import type { Permit } from '../permit.js';
import { AbandonedWork } from './abandoned-work.js';
import { AwaitedAdmission, checkCaller } from './awaited-admission.js';
import { CallRefusals } from './call-refusals.js';
import { checkHandler, Door } from './door.js';
import type { DoorOptions } from './door-options.js';
import type { RefusalAnswer } from './refusal-answer.js';

/** `context`: what the caller set, capped; hand it to the calls made for this one. */
export type LimitedCallHandler = (call: IncomingCall, context: CallContext) => CallAnswer | Promise<CallAnswer>;

/**
 * As `httpLimiter`, for a handler of `transport.serve`. The permit ends with the body of the answer, and not before the handler has answered: one
 * that is whole is with the transport then. When the caller leaves, a body that streams is returned, and the permit is out until the step it is at is over, or
 * for half a minute. What the handler throws is thrown on, counted as an error. Callers over gRPC get the status they
 * know: `RESOURCE_EXHAUSTED` with `grpc-retry-pushback-ms`, `UNAVAILABLE`, `DEADLINE_EXCEEDED`. Calls do not tell the address of their
 * caller: trust takes a function.
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts nocheck
 * const limited = limitCalls(createLimiter({ name: 'search' }));
 * await transport.serve({ address: 'http://127.0.0.1:8000' }, limited(() => ({ status: 200, body: 'found' })));
 * ```
 */
export function limitCalls(limiter: Limiter, options?: DoorOptions<IncomingCall>): (handler: LimitedCallHandler) => CallHandler {
  const door = new Door(limiter, options);
  const refusals = new CallRefusals(door.settings.retryAfterMs);
  const refused = (call: IncomingCall, answer: RefusalAnswer) => refusals.answer(answer, call.headers, door.level());
  return (handler) => {
    checkHandler(handler);
    return async (call) => {
      const now = door.now();
      const context = door.claims.read(call, call.headers, undefined, now);
      if ('code' in context) return refused(call, door.answers.malformed(context));
      if (door.claims.isSkipped) return handler(call, context);
      const admission = new AwaitedAdmission(door.limiter, door.claims.claim, now);
      const result = admission.result ?? (await admission.wait(call.signal));
      if (typeof result === 'string') return refused(call, door.answers.of(result));
      checkCaller(result, call.signal);
      return serve(door, result, handler, call, context);
    };
  };
}

async function serve(
  door: Door<IncomingCall>,
  permit: Permit,
  handler: LimitedCallHandler,
  call: IncomingCall,
  context: CallContext,
): Promise<CallAnswer> {
  const { signal } = call;
  let abandoned: AbandonedWork | undefined;
  const leave = () => {
    abandoned = new AbandonedWork(door.limiter.runtime.clock, () => permit.end('ignored'));
  };
  const onEnd = (outcome: Outcome, retryAfterMs: number) => {
    signal.removeEventListener('abort', leave);
    permit.end(signal.aborted ? 'ignored' : outcome, retryAfterMs);
    abandoned?.over();
  };
  signal.addEventListener('abort', leave, { once: true });
  try {
    const answer = await handler(call, context);
    // What a transport would refuse never comes to an end that could be seen from here.
    checkAnswer(answer);
    return watched(door, answer, signal, onEnd);
  } catch (error) {
    const { outcome, retryAfterMs } = outcomeOf(error);
    onEnd(outcome, retryAfterMs);
    throw error;
  }
}

function watched(
  door: Door<IncomingCall>,
  answer: CallAnswer,
  signal: AbortSignal,
  onEnd: (outcome: Outcome, retryAfterMs: number) => void,
): CallAnswer {
  const { body, headers = [], status } = answer;
  const outcome = outcomeOfStatus(status);
  const retryAfterMs = outcome === 'dropped' ? readRetryAfterMs(headers) : 0;
  const level = door.level();
  const told = level === undefined ? headers : [...headers, HEADERS.admissionLevel.text, level];
  if (typeof body !== 'object' || body instanceof Uint8Array) {
    onEnd(outcome, retryAfterMs);
    return level === undefined ? answer : { ...answer, headers: told };
  }
  // Here, for a transport may hear of it only with the next piece, and never begins a body whose caller has gone.
  const leave = () => void pieces.return?.().then(undefined, () => {});
  const pieces = watchedPieces(body, (how) => {
    signal.removeEventListener('abort', leave);
    onEnd(how === 'whole' ? outcome : how, retryAfterMs);
  });
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  return { ...answer, headers: told, body: pieces };
}
