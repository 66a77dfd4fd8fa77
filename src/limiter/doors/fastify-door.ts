/** The door of Fastify, by the shapes of what it touches. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Limiter } from '../limiter.js';
import { carryContext } from './call-context-of.js';
import { Door } from './door.js';
import type { DoorOptions } from './door-options.js';
import type { RefusalAnswer } from './refusal-answer.js';
import { answerMalformed, ResponseAdmission } from './response-admission.js';

export interface FastifyRequestLike {
  readonly raw: IncomingMessage;
  readonly method: string;
  readonly url: string;
}

export interface FastifyReplyLike {
  readonly raw: ServerResponse;
  code(status: number): unknown;
  header(name: string, value: string): unknown;
  send(payload: string): unknown;
}

export interface FastifyInstanceLike<Request extends FastifyRequestLike> {
  addHook(name: 'onRequest', hook: (request: Request, reply: FastifyReplyLike, done: () => void) => void): unknown;
}

export type FastifyLimiterPlugin<Request extends FastifyRequestLike> = (
  instance: FastifyInstanceLike<Request>,
  options: unknown,
  done: () => void,
) => void;

/**
 * As `httpLimiter`, as a plugin for all routes of the instance it is registered on, and of those within. It stands in `onRequest`: nothing of a
 * refused body is parsed. A refusal is a reply like any other: `onSend` and `onResponse` hooks see it. The permit ends when the response
 * has closed, by its caller, too: what a handler still does then no hook tells. Handlers find the context of the call by `callContextOf(request)`.
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts nocheck
 * await app.register(fastifyLimiter(createLimiter({ name: 'search' })));
 * ```
 */
export function fastifyLimiter<Request extends FastifyRequestLike = FastifyRequestLike>(
  limiter: Limiter,
  options?: DoorOptions<Request>,
): FastifyLimiterPlugin<Request> {
  const door = new Door<Request>(limiter, options);
  const plugin: FastifyLimiterPlugin<Request> = (instance, _options, done) => {
    instance.addHook('onRequest', (request, reply, admit) => receive(door, request, reply, admit));
    done();
  };
  // What the package fastify-plugin does: the hook is the instance's own, and not that of a scope of the plugin's.
  return Object.assign(plugin, {
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'evenkeel-limiter',
  });
}

function receive<Request extends FastifyRequestLike>(
  door: Door<Request>,
  request: Request,
  reply: FastifyReplyLike,
  admit: () => void,
): void {
  const now = door.now();
  const { raw } = request;
  const context = door.claims.read(request, raw.rawHeaders, raw.socket?.remoteAddress, now);
  if ('code' in context) {
    answerMalformed(door, context, raw, reply.raw, (answer) => sendAnswer(reply, answer));
    return;
  }
  carryContext(request, context);
  if (door.claims.isSkipped) admit();
  else new FastifyAdmission(door, request, reply, now, admit).submit();
}

class FastifyAdmission<Request extends FastifyRequestLike> extends ResponseAdmission<Request> {
  readonly #reply: FastifyReplyLike;
  readonly #admit: () => void;

  constructor(door: Door<Request>, request: Request, reply: FastifyReplyLike, arrivedAt: number, admit: () => void) {
    super(door, request.raw, reply.raw, arrivedAt);
    this.#reply = reply;
    this.#admit = admit;
  }

  protected override proceed(): void {
    const admit = this.#admit;
    admit();
  }

  protected override refuse(answer: RefusalAnswer): void {
    sendAnswer(this.#reply, answer);
  }
}

function sendAnswer(reply: FastifyReplyLike, { body, headers, status }: RefusalAnswer): void {
  reply.code(status);
  for (let i = 0; i < headers.length; i += 2) reply.header(headers[i] as string, headers[i + 1] as string);
  reply.send(body);
}
