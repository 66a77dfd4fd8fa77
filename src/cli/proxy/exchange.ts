/**
 * One request on its way through: its service, its call, and the answer passed on as it comes.
 *
 * When is an answer whole? When the server's was. A server that fails after the head of its answer has been passed on breaks the
 * caller's off, too: the connection, or the stream, is reset, so that nobody takes what came for all there is.
 */
import type { CallContext } from '../../core/call-context.js';
import type { Timer } from '../../core/clock.js';
import { type ReadContextOptions, readContextHeaders } from '../../core/context-headers.js';
import { isEvenkeelError } from '../../core/errors.js';
import type { Runtime } from '../../core/runtime.js';
import type { CallBody } from '../../core/transport/call.js';
import type { CallResponse } from '../../router/response.js';
import { CallerSignal } from './caller-signal.js';
import type { ProxyConfig } from './config-schema.js';
import { addForwarded, addVia, endToEnd, isLooping } from './end-to-end.js';
import type { Inbound } from './inbound.js';
import { grpcRefusalHeaders, REFUSALS, type Refusal, refusalBody, refusalHeaders, refusalOf } from './refusal.js';
import { BODY_TOO_LARGE, BODY_TOO_SLOW, bodyOf } from './request-body.js';
import type { RouteTable } from './routes.js';
import type { Service } from './service.js';
import { parseTarget, type Target } from './target.js';

/** What one config made; a reload makes another, and requests under way keep theirs. */
export interface Setup {
  readonly config: ProxyConfig;
  readonly routes: RouteTable;
  readonly services: ReadonlyMap<string, Service>;
}

export class Exchange {
  /** For the access log. */
  status = 0;
  service: string | undefined;
  endpoint: string | undefined;
  attempts = 0;
  bytes = 0;
  readonly inbound: Inbound;
  readonly target: Target | undefined;
  readonly #setup: Setup;
  readonly #runtime: Runtime;
  readonly #gone = new CallerSignal();
  #response: CallResponse | undefined;
  /** Absolute. */
  #deadline = Number.POSITIVE_INFINITY;
  /** Ends the wait for a caller that does not read. */
  #patience: Timer | undefined;

  constructor(inbound: Inbound, setup: Setup, runtime: Runtime) {
    this.inbound = inbound;
    this.#setup = setup;
    this.#runtime = runtime;
    this.target = parseTarget(inbound.rawTarget, inbound.hostHeader);
  }

  /** The caller has left, or has all it asked for. */
  over(isWhole: boolean): void {
    this.#patience?.cancel();
    if (isWhole) return;
    this.#gone.abort();
    this.#response?.stream?.cancel();
  }

  async run(): Promise<void> {
    const refusal = this.#faultOfHead();
    if (refusal !== undefined) return this.refuse(refusal);
    const { config, routes, services } = this.#setup;
    const { path, host } = this.target as Target;
    const name = routes.find(host, path);
    const service = name === undefined ? undefined : services.get(name);
    if (service === undefined) return this.refuse(REFUSALS.noRoute);
    this.service = name;
    const now = this.#runtime.clock.now();
    const context = readContext(this.inbound.headers, { now, isTrusted: config.trustCallers }, config.limits.requestTimeoutMs);
    if (context === undefined) return this.refuse(REFUSALS.badContext);
    this.#deadline = context.deadline as number;
    await this.#forward(service, path, context, this.#deadline - now);
  }

  /** An answer of the proxy's own. */
  answer(status: number, headers: string[], body: string): void {
    const { inbound } = this;
    if (inbound.isOver) return;
    this.status = status;
    const isBare = body === '' || inbound.method === 'HEAD';
    inbound.respond(status, headers, isBare);
    if (!isBare) inbound.write(body);
    inbound.end([]);
  }

  refuse(refusal: Refusal): void {
    const body = refusalBody(refusal);
    this.answer(refusal.status, refusalHeaders(refusal, Buffer.byteLength(body)), body);
  }

  /** What of a head cannot be passed on, whoever it is for. */
  #faultOfHead(): Refusal | undefined {
    const { headers } = this.inbound;
    let bytes = 0;
    for (const text of headers) bytes += text.length;
    // node:http has counted already; HTTP/2 counts here.
    if (bytes > this.#setup.config.listen.maxHeaderBytes) return REFUSALS.largeHead;
    if (this.target === undefined) return REFUSALS.badTarget;
    return isLooping(headers) ? REFUSALS.loop : undefined;
  }

  async #forward(service: Service, path: string, context: CallContext, timeoutMs: number): Promise<void> {
    const { inbound } = this;
    const headers = this.#requestHeaders();
    if (isGrpc(headers)) return this.#refuseGrpc();
    let response: CallResponse;
    try {
      const body = await bodyOf(inbound, this.#setup.config.limits, this.#runtime.clock, timeoutMs);
      response = await this.#call(service, path, headers, body, context);
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.#response = response;
    this.endpoint = response.endpoint;
    this.attempts = response.attempts;
    // It may have left while the head came.
    if (inbound.isOver) response.stream?.cancel();
    else await this.#relay(response);
  }

  #call(
    service: Service,
    path: string,
    headers: string[],
    body: CallBody | undefined,
    context: CallContext,
  ): Promise<CallResponse> {
    const { method } = this.inbound;
    return service.router.call({ path, method, headers, body, response: 'stream', signal: this.#gone.signal }, context);
  }

  #requestHeaders(): string[] {
    const { inbound } = this;
    const { forwarded } = this.#setup.config;
    const { host } = this.target as Target;
    let headers = endToEnd(inbound.headers);
    if (forwarded !== 'off') headers = addForwarded(headers, forwarded, inbound.remoteAddress ?? 'unknown', host);
    addVia(headers, inbound.version);
    return headers;
  }

  #failed(error: unknown): void {
    // It broke off, and there is nobody to tell.
    if (this.inbound.isOver) return;
    if (isEvenkeelError(error)) {
      this.endpoint = error.endpoint;
      this.attempts = error.attempts ?? 0;
    } else this.#runtime.diagnostics.report('proxy', error);
    const { cause = error } = error as { cause?: unknown };
    if (cause === BODY_TOO_LARGE) this.refuse(REFUSALS.largeBody);
    else if (cause === BODY_TOO_SLOW) this.refuse(REFUSALS.slowBody);
    else this.refuse(refusalOf(error));
  }

  #refuseGrpc(): void {
    const { version } = this.inbound;
    if (version === '2') this.answer(200, grpcRefusalHeaders(REFUSALS.noGrpc), '');
    else this.refuse(REFUSALS.noGrpc);
  }

  /** No faster than the caller reads: what is unread holds the server up. */
  async #relay(response: CallResponse): Promise<void> {
    const { inbound } = this;
    const stream = response.stream as NonNullable<CallResponse['stream']>;
    try {
      const headers = endToEnd(response.rawHeaders);
      addVia(headers, '1.1');
      this.status = response.status;
      inbound.respond(response.status, headers);
    } catch (error) {
      stream.cancel();
      this.#runtime.diagnostics.report('proxy: an answer that cannot be passed on', error);
      this.status = 0;
      this.refuse(REFUSALS.badAnswer);
      return;
    }
    try {
      let next = stream.next();
      let isHere = false;
      next.then(
        () => {
          isHere = true;
        },
        () => {},
      );
      // A short answer comes with its head, and goes out with it; a head without a body yet is not held back.
      await undefined;
      if (!isHere) inbound.flush();
      for (let piece = await next; !piece.done; piece = await next) {
        this.bytes += piece.value.length;
        if (!inbound.write(piece.value)) await this.#writable();
        if (inbound.isOver) {
          stream.cancel();
          return;
        }
        next = stream.next();
      }
      inbound.end(endToEnd(response.trailers.flat()));
      if (inbound.hasUnsent) this.#losePatience();
    } catch {
      // The router has counted it; the caller sees a broken answer.
      inbound.reset();
    }
  }

  /** The deadline holds for the caller, too: the call may be over long before somebody who does not read goes away. */
  async #writable(): Promise<void> {
    this.#losePatience();
    await this.inbound.writable();
    this.#patience?.cancel();
  }

  #losePatience(): void {
    const { clock } = this.#runtime;
    this.#patience = clock.timer(Math.max(0, this.#deadline - clock.now()), () => this.inbound.reset());
  }
}

/** With a deadline always: what a caller says, within what the proxy allows. Undefined: it says what cannot be read. */
function readContext(headers: readonly string[], options: ReadContextOptions, maxTimeoutMs: number): CallContext | undefined {
  try {
    const context = readContextHeaders(headers, { ...options, maxTimeoutMs });
    return { ...context, deadline: context.deadline ?? options.now + maxTimeoutMs };
  } catch {
    return undefined;
  }
}

/** Not gRPC-Web, whose trailers travel in the body. */
function isGrpc(headers: readonly string[]): boolean {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if ((headers[i] as string).length === 12 && (headers[i] as string).toLowerCase() === 'content-type') {
      return /^application\/grpc(\+|;|$)/i.test(headers[i + 1] as string);
    }
  }
  return false;
}
