/**
 * The server's side: counts the work it has in flight, by host and by model, and tells its callers with each response.
 *
 * What is told is as of the moment the response's head is written: a report from the request's arrival would be as old as the request
 * took. When does work end? When the response is out or its caller has gone.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CallContext, Criticality } from '../core/call-context.js';
import { readContextHeaders } from '../core/context-headers.js';
import { type EvenkeelError, invalidArgument } from '../core/errors.js';
import { HEADERS, type HeaderList, headerValue } from '../core/headers.js';
import { checkAnswer } from '../core/internal/call-message.js';
import { watchedBody } from '../core/internal/watched-body.js';
import { modelKey } from '../core/load-board.js';
import type { Outcome } from '../core/load-counter.js';
import { LIBRARY_VERSION, type LoadReport } from '../core/load-report.js';
import { encodeLoadHeader, type LoadFormat } from '../core/orca/header.js';
import { encodeJson } from '../core/orca/json.js';
import { createRuntime, type Runtime, runWithContext } from '../core/runtime.js';
import type { CallAnswer, CallHandler, IncomingCall } from '../core/transport/call.js';
import { versionNumber } from '../core/version.js';
import { reportedAnswer } from './reported-answer.js';
import { type BegunCall, type ServedCall, ServedWork } from './served-work.js';
import { ServerLoad } from './server-load.js';

export type { BegunCall, ServedCall } from './served-work.js';

export interface LoadReporterOptions {
  /** Whose load board is reported. Default: a private one. */
  runtime?: Runtime;
  /** Calls this process can work on at once; told as utilization. Default: unknown. */
  capacity?: number;
  /** Encoding of the header. Default `text`, which Envoy and gRPC's tools read as well. */
  format?: LoadFormat;
  /** Route that answers a GET with the report as JSON. Default `/load`; `false`: none. */
  route?: string | false;
  /** Names the model a request asks for, when its head tells. Otherwise the handler says it: `call.model(name)`. */
  modelOf?: (request: { method: string; path: string; headers: HeaderList }) => string | undefined;
  /** Callers whose deadline and criticality are believed: their addresses, or a judgement. Default: nobody's criticality above `critical`. */
  trusted?: readonly string[] | ((caller: { address: string | undefined; headers: HeaderList }) => boolean);
  /** Tells callers that ask how long their request waited, was worked on and was written (`Server-Timing`). Default true. */
  timing?: boolean;
  /** Longest deadline a caller can set, milliseconds. Default one hour. */
  maxTimeoutMs?: number;
  /** Most that callers who are not trusted can claim. Default `critical`. */
  untrustedCriticality?: Criticality;
  /** Puts the call's context in force for the handler and all it starts (see `runWithContext` for the cost). Default false. */
  ambient?: boolean;
}

export type NodeHandler = (request: IncomingMessage, response: ServerResponse, call: ServedCall) => unknown;
export type FetchHandler = (request: Request, call: ServedCall) => Response | Promise<Response>;

/** A handler of `transport.serve`, on any transport. */
export type ReportedCallHandler = (call: IncomingCall, work: ServedCall) => CallAnswer | Promise<CallAnswer>;

export interface LoadReporter {
  /** Wraps a node:http handler: `createServer(reporter.node(handler))`. What the handler throws becomes status 500. */
  node(handler: NodeHandler): (request: IncomingMessage, response: ServerResponse) => void;
  /** Wraps a handler of the fetch style. What it throws is thrown on, counted as an error. */
  fetch(handler: FetchHandler): (request: Request) => Promise<Response>;
  /**
   * Wraps a handler of `transport.serve`. To callers over gRPC the load is told in the trailers as well, in ORCA's binary form, as of the
   * end of the answer. What the handler throws is thrown on, counted as an error.
   */
  calls(handler: ReportedCallHandler): CallHandler;
  /**
   * Counts a request that none of the doors above fits, from now until its `end`. Its response is to carry `loadHeader`, taken when
   * its head is written. `context`: as its caller set it.
   */
  begin(context?: CallContext): BegunCall;
  /** The report as of now, for other servers: the host's, and those of `models`. */
  report(models?: readonly string[]): LoadReport;
  /** The same as the value of an `endpoint-load-metrics` header. */
  loadHeader(models?: readonly string[]): string;
}

export const DEFAULT_LOAD_ROUTE = '/load';
const PLAIN_CONTEXT: CallContext = Object.freeze({ criticality: 'critical' });

/**
 * @throws {EvenkeelError} `invalid-argument` for an option out of range.
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { createLoadReporter } from 'evenkeel/router';
 *
 * const reporter = createLoadReporter({ capacity: 16 });
 * createServer(reporter.node((request, response, call) => {
 *   call.model('llama-8b');
 *   response.end('hello');
 * })).listen(8000);
 * ```
 */
export function createLoadReporter(options: LoadReporterOptions = {}): LoadReporter {
  return new Reporter(options);
}

class Reporter implements LoadReporter {
  readonly #options: LoadReporterOptions;
  readonly #runtime: Runtime;
  readonly #load: ServerLoad;
  readonly #route: string | false;
  readonly #format: LoadFormat;

  constructor(options: LoadReporterOptions) {
    this.#options = options;
    this.#runtime = options.runtime ?? createRuntime();
    this.#route = options.route ?? DEFAULT_LOAD_ROUTE;
    this.#format = options.format ?? 'text';
    if (this.#route !== false && !this.#route.startsWith('/'))
      throw invalidArgument('route', this.#route, 'a path that begins with /');
    this.#load = new ServerLoad(this.#runtime, options.capacity);
    encodeLoadHeader({}, this.#format);
  }

  node(handler: NodeHandler): (request: IncomingMessage, response: ServerResponse) => void {
    return (request, response) => {
      const { url = '/', method = 'GET', rawHeaders } = request;
      if (this.#isLoadRoute(method, url)) {
        response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
        response.end(this.#body());
        return;
      }
      const context = this.#context(rawHeaders, request.socket.remoteAddress);
      if ('code' in context) {
        response.writeHead(400, { 'content-type': 'text/plain' });
        response.end(context.message);
        return;
      }
      const work = new ServedWork(this.#load, context);
      this.#nameModel(work, method, url, rawHeaders);
      this.#tellAtHead(response, work);
      response.once('close', () => work.end(response.writableFinished ? outcomeOf(response.statusCode) : 'ignored'));
      this.#run(context, () => handler(request, response, work)).catch((error: unknown) => {
        this.#runtime.diagnostics.report('load reporter: handler', error);
        if (response.writableEnded) return;
        if (!response.headersSent) {
          response.writeHead(500);
          response.end();
          return;
        }
        // The caller must not take half an answer for a whole one.
        work.end('error');
        response.destroy();
      });
    };
  }

  fetch(handler: FetchHandler): (request: Request) => Promise<Response> {
    return async (request) => {
      const { pathname, search } = new URL(request.url);
      if (this.#isLoadRoute(request.method, pathname)) {
        return new Response(this.#body(), { headers: { 'content-type': 'application/json', 'cache-control': 'no-store' } });
      }
      const headers: string[] = [];
      for (const [name, value] of request.headers) headers.push(name, value);
      const context = this.#context(headers, undefined);
      if ('code' in context) return new Response(context.message, { status: 400 });
      const work = new ServedWork(this.#load, context);
      this.#nameModel(work, request.method, pathname + search, headers);
      try {
        const response = await this.#run(context, () => handler(request, work));
        return this.#tellAndWatch(response, work);
      } catch (error) {
        work.end('error');
        throw error;
      }
    };
  }

  calls(handler: ReportedCallHandler): CallHandler {
    return async (call) => {
      const { method, path, headers, signal } = call;
      if (this.#isLoadRoute(method, path)) {
        return { status: 200, headers: ['content-type', 'application/json', 'cache-control', 'no-store'], body: this.#body() };
      }
      const context = this.#context(headers, undefined);
      if ('code' in context) return { status: 400, body: context.message };
      const work = new ServedWork(this.#load, context);
      this.#nameModel(work, method, path, headers);
      signal.addEventListener('abort', () => work.end('ignored'), { once: true });
      try {
        const answer = await this.#run(context, () => handler(call, work));
        // What a transport would refuse never comes to an end that could be seen from here.
        checkAnswer(answer);
        return reportedAnswer(answer, work, outcomeOf(answer.status), headers, (format) => this.#header(work, format));
      } catch (error) {
        work.end('error');
        throw error;
      }
    };
  }

  begin(context: CallContext = PLAIN_CONTEXT): BegunCall {
    return new ServedWork(this.#load, context);
  }

  report(models: readonly string[] = []): LoadReport {
    const keys = models.map(modelKey);
    return this.#load.report(keys, keys.length === 1 ? keys[0] : undefined);
  }

  loadHeader(models: readonly string[] = []): string {
    return encodeLoadHeader(this.report(models), this.#format);
  }

  #isLoadRoute(method: string, url: string): boolean {
    return this.#route !== false && method === 'GET' && (url === this.#route || url.startsWith(`${this.#route}?`));
  }

  /** All but endpoints and idle models: whoever asks may be interested in any model. */
  #body(): string {
    const report = this.#load.report(undefined, undefined);
    return encodeJsonBody({ ...report, namedMetrics: { ...report.namedMetrics, [LIBRARY_VERSION]: versionNumber() } });
  }

  /** The context, or what is wrong with its headers. */
  #context(headers: HeaderList, address: string | undefined): CallContext | EvenkeelError {
    const { maxTimeoutMs, untrustedCriticality, timing } = this.#options;
    const isTrusted = this.#isTrusted(headers, address);
    try {
      const now = this.#runtime.clock.now();
      const context = readContextHeaders(headers, { now, isTrusted, maxTimeoutMs, untrustedCriticality });
      return timing === false ? context : withTrail(context, headers);
    } catch (error) {
      return error as EvenkeelError;
    }
  }

  #isTrusted(headers: HeaderList, address: string | undefined): boolean {
    const { trusted } = this.#options;
    // A server that listens on IPv6 sees callers over IPv4 as ::ffff:10.0.0.1.
    const plain = address?.replace(/^::ffff:(?=[\d.]+$)/, '');
    if (typeof trusted !== 'function') return plain !== undefined && trusted?.includes(plain) === true;
    try {
      return trusted({ address: plain, headers });
    } catch (error) {
      this.#runtime.diagnostics.report('load reporter: trusted', error);
      return false;
    }
  }

  #nameModel(work: ServedWork, method: string, path: string, headers: HeaderList): void {
    try {
      const name = this.#options.modelOf?.({ method, path, headers });
      if (name !== undefined) work.model(name);
    } catch (error) {
      this.#runtime.diagnostics.report('load reporter: modelOf', error);
    }
  }

  /** Async, so that a handler that throws and one that rejects are the same. */
  async #run<T>(context: CallContext, work: () => T | Promise<T>): Promise<T> {
    return this.#options.ambient ? runWithContext(this.#runtime, context, work) : work();
  }

  #header(work: ServedWork, format = this.#format): string | undefined {
    try {
      return work.loadHeader(format);
    } catch (error) {
      this.#runtime.diagnostics.report('load reporter: header', error);
      return undefined;
    }
  }

  /** Node calls writeHead for implicit heads as well. */
  #tellAtHead(response: ServerResponse, work: ServedWork): void {
    const writeHead = response.writeHead;
    response.writeHead = ((...args: Parameters<typeof writeHead>) => {
      response.writeHead = writeHead;
      const value = this.#header(work);
      if (value !== undefined) response.setHeader(HEADERS.load.text, value);
      const timing = work.timingHeaders();
      for (let i = 0; i < timing.length; i += 2) response.setHeader(timing[i] as string, timing[i + 1] as string);
      return writeHead.apply(response, args);
    }) as typeof writeHead;
  }

  #tellAndWatch(response: Response, work: ServedWork): Response {
    const headers = new Headers(response.headers);
    const value = this.#header(work);
    if (value !== undefined) headers.set(HEADERS.load.text, value);
    const timing = work.timingHeaders();
    for (let i = 0; i < timing.length; i += 2) headers.append(timing[i] as string, timing[i + 1] as string);
    const outcome = outcomeOf(response.status);
    const { status, statusText, body } = response;
    if (body === null) {
      work.end(outcome);
      return new Response(null, { status, statusText, headers });
    }
    return new Response(
      watchedBody(body, (how) => work.end(how === 'whole' ? outcome : how)),
      { status, statusText, headers },
    );
  }
}

/** Callers that measure say how deep they stand, and want to know. */
function withTrail(context: CallContext, headers: HeaderList): CallContext {
  const depth = headerValue(headers, HEADERS.depth);
  if (depth === undefined || !/^\d{1,3}$/.test(depth)) return context;
  return { ...context, trail: { depth: Number(depth), descendants: 0 } };
}

function outcomeOf(status: number): Outcome {
  if (status === 429 || status === 503) return 'dropped';
  return status >= 500 ? 'error' : 'ok';
}

/** Without the word that names the format in a header. */
function encodeJsonBody(report: LoadReport): string {
  return encodeJson(report).slice('JSON '.length);
}
