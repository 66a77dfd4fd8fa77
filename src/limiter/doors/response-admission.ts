/**
 * A request of node:http, or of a framework on it, from its arrival to the end of its response.
 *
 * When does it end? When the response is sent whole; or its caller has gone, and what the handler does for it is over, where that can be seen.
 * Until then the permit is out. A caller that goes while its request waits takes it out of the queue.
 */
import { AsyncResource } from 'node:async_hooks';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { EvenkeelError } from '../../core/errors.js';
import { HEADERS } from '../../core/headers.js';
import { readRetryAfterMs } from '../../core/pushback.js';
import { outcomeOfStatus } from '../outcome.js';
import type { Permit } from '../permit.js';
import type { Refusal } from '../refusal.js';
import { Waiter } from '../waiter.js';
import { AbandonedWork } from './abandoned-work.js';
import { discardBody } from './discarded-body.js';
import type { Door } from './door.js';
import type { RefusalAnswer } from './refusal-answer.js';

export abstract class ResponseAdmission<Request> extends Waiter {
  protected readonly door: Door<Request>;
  protected readonly raw: IncomingMessage;
  protected readonly response: ServerResponse;
  #permit: Permit | undefined;
  /** The context of who asked: the permit comes free in that of another request. */
  #resource: AsyncResource | undefined;
  /** Of a request that was sent ahead. */
  #socket: Socket | undefined;
  #hasFailed = false;
  /** The handler's promise is not settled. */
  #isWorking = false;
  #abandoned: AbandonedWork | undefined;

  /** The claim is the one that the door read last. */
  constructor(door: Door<Request>, raw: IncomingMessage, response: ServerResponse, arrivedAt: number) {
    super(door.claims.claim, arrivedAt);
    this.door = door;
    this.raw = raw;
    this.response = response;
  }

  submit(): void {
    const { limiter } = this.door;
    // What stood before the door took its time: nobody would tell of an end that is past.
    if (isGone(this.raw, this.response)) return;
    limiter.submit(this);
    if (!this.isQueued) return;
    this.#resource = new AsyncResource('evenkeel.limiter');
    this.#watch();
  }

  onAdmitted(startedAt: number, isTimed: boolean): void {
    this.#permit = this.door.limiter.permit(this, startedAt, isTimed);
    // The request before it on a connection that is lost ended first, and made room for it.
    if (this.#socket?.destroyed) {
      this.#onClose();
      return;
    }
    // One that waited is being watched.
    if (this.#resource === undefined) this.#watch();
    tellLevel(this.door, this.response);
    try {
      if (this.#resource === undefined) this.proceed();
      else this.#resource.runInAsyncScope(this.proceed, this);
    } catch (error) {
      // It must not reach the request whose end made room for this one.
      this.fail(error);
    }
  }

  onRefused(refusal: Refusal): void {
    const answer = this.door.answers.of(refusal);
    tellLevel(this.door, this.response);
    try {
      if (this.#resource === undefined) this.refuse(answer);
      else this.#resource.runInAsyncScope(this.refuse, this, answer);
    } catch (error) {
      this.fail(error);
    }
    discardBody(this.raw);
  }

  /** On to the handler. */
  protected abstract proceed(): void;

  protected refuse(answer: RefusalAnswer): void {
    writeAnswer(this.response, answer);
  }

  /** `work`: what the handler does. */
  protected hold(work: PromiseLike<unknown>): void {
    this.#isWorking = true;
    const onOver = () => {
      this.#isWorking = false;
      this.#abandoned?.over();
    };
    work.then(onOver, (error: unknown) => {
      this.fail(error);
      onOver();
    });
  }

  /** The handler threw. What it has not begun is answered with 500; what it has is broken off, lest half of it be taken for the whole. */
  protected fail(error: unknown): void {
    this.door.report('handler', error);
    const response = this.response;
    if (response.writableEnded) return;
    this.#hasFailed = true;
    if (response.headersSent) response.destroy();
    else response.writeHead(500).end();
  }

  #watch(): void {
    this.response.once('close', this.#onClose);
    if (this.response.socket !== null) return;
    this.#socket = this.raw.socket;
    this.door.connections.watch(this.#socket, this.#onClose);
  }

  readonly #onClose = (): void => {
    if (this.#socket !== undefined) this.door.connections.forget(this.#socket, this.#onClose);
    if (this.#permit === undefined) this.door.limiter.withdraw(this);
    else this.#left(this.#permit);
  };

  /** How it went is known now: what a handler throws later it may well throw because nobody listens any more. */
  #left(permit: Permit): void {
    if (!this.#isWorking || isSent(this.response)) this.#end(permit);
    else {
      const outcome = this.#hasFailed ? 'error' : 'ignored';
      this.#abandoned = new AbandonedWork(this.door.limiter.runtime.clock, () => permit.end(outcome));
    }
  }

  #end(permit: Permit): void {
    const response = this.response;
    const outcome = this.#hasFailed ? 'error' : isSent(response) ? outcomeOfStatus(response.statusCode) : 'ignored';
    permit.end(outcome, outcome === 'dropped' ? retryAfterMs(response) : 0);
  }
}

/** A request whose claims cannot be read. `write`: the framework's way. */
export function answerMalformed(
  door: Door<never>,
  error: EvenkeelError,
  raw: IncomingMessage,
  response: ServerResponse,
  write: (answer: RefusalAnswer) => void = (answer) => writeAnswer(response, answer),
): void {
  tellLevel(door, response);
  write(door.answers.malformed(error));
  discardBody(raw);
}

function writeAnswer(response: ServerResponse, { body, headers, status }: RefusalAnswer): void {
  // The caller may have gone, or somebody before the door has answered.
  if (response.headersSent || response.destroyed) return;
  if (response.req?.httpVersionMajor === 1) response.writeHead(status, headers as string[]);
  else {
    for (let i = 0; i < headers.length; i += 2) response.setHeader(headers[i] as string, headers[i + 1] as string);
    response.writeHead(status);
  }
  response.end(body);
}

function tellLevel(door: Door<never>, response: ServerResponse): void {
  const level = door.level();
  if (level !== undefined && !response.headersSent) response.setHeader(HEADERS.admissionLevel.text, level);
}

function isGone(raw: IncomingMessage, response: ServerResponse & { stream?: { destroyed?: boolean } }): boolean {
  return response.destroyed || raw.socket?.destroyed || response.stream?.destroyed === true;
}

/** Responses of HTTP/2 lack the first of these, and say so by the code of their stream. */
function isSent(response: ServerResponse & { stream?: { rstCode?: number } }): boolean {
  return response.writableFinished ?? (response.writableEnded && response.stream?.rstCode === 0);
}

function retryAfterMs(response: ServerResponse): number {
  const seconds = response.getHeader(HEADERS.retryAfter.text);
  return seconds === undefined ? 0 : readRetryAfterMs([HEADERS.retryAfter.text, String(seconds)]);
}
