/**
 * `fetch` over a router: for code that takes a fetch function today (the openai package, say). The URL's path and query name the
 * operation; its host does not matter. The response streams; redirects are not followed.
 */
import type { CallContext } from '../core/call-context.js';
import { EvenkeelError, invalidArgument } from '../core/errors.js';
import type { CallBody } from '../core/transport/call.js';
import type { CallResponse } from './response.js';
import type { RouterRequest } from './router-request.js';

/** What may stand in `init` beyond the standard: the router's own. */
export interface RouterFetchInit extends RequestInit {
  context?: CallContext;
  model?: string;
  weight?: number;
  idempotent?: boolean;
}

export type RouterFetch = (input: string | URL | Request, init?: RouterFetchInit) => Promise<Response>;

/** Statuses that must not have a body (Fetch standard, "null body status"). */
const NULL_BODY = new Set([101, 204, 205, 304]);

export function createRouterFetch(call: (request: RouterRequest, context?: CallContext) => Promise<CallResponse>): RouterFetch {
  return async (input, init = {}) => {
    const isRequest = input instanceof Request;
    const url = parseUrl(isRequest ? input.url : String(input));
    const method = (init.method ?? (isRequest ? input.method : 'GET')).toUpperCase();
    const headers = new Headers(init.headers ?? (isRequest ? input.headers : undefined));
    const source = init.body ?? (isRequest ? input.body : undefined);
    const body = source === null || source === undefined ? undefined : await toBody(source, headers);
    const flat: string[] = [];
    for (const [name, value] of headers) flat.push(name, value);
    const signal = init.signal ?? (isRequest ? input.signal : undefined);
    const { context, model, weight, idempotent } = init;
    const request: RouterRequest = {
      path: url.pathname + url.search,
      method,
      headers: flat,
      response: 'stream',
      ...(body === undefined ? undefined : { body }),
      ...(signal === null || signal === undefined ? undefined : { signal }),
      model,
      weight,
      idempotent,
    };
    // Who aborts a fetch is told their own reason, by the standard; clients tell a timeout from a lost connection by it.
    const told = (error: unknown) => (signal?.aborted ? signal.reason : error);
    try {
      return toResponse(await call(request, context), told);
    } catch (error) {
      throw told(error);
    }
  };
}

function toResponse(response: CallResponse, told: (error: unknown) => unknown): Response {
  const { status, stream } = response;
  const hasNoBody = NULL_BODY.has(status);
  try {
    const made = new Response(hasNoBody ? null : (stream?.toReadableStream(told) ?? null), { status, headers: response.headers });
    // Nothing to hand on, but the call must come to its end.
    if (hasNoBody) void stream?.next().catch(() => {});
    return made;
  } catch (cause) {
    // A Response takes 200 to 599 only.
    stream?.cancel();
    throw new EvenkeelError('internal', `${response.endpoint} answered what fetch cannot show: status ${status}`, {
      retryable: 'unknown',
      endpoint: response.endpoint,
      cause,
    });
  }
}

/** A string and bytes go as they are, so that they can be sent again; a form or a blob is encoded by the platform. */
async function toBody(source: NonNullable<RequestInit['body']>, headers: Headers): Promise<CallBody> {
  if (typeof source === 'string') {
    if (!headers.has('content-type')) headers.set('content-type', 'text/plain;charset=UTF-8');
    return source;
  }
  if (source instanceof Uint8Array) return source;
  if (source instanceof ReadableStream) return source as unknown as AsyncIterable<Uint8Array>;
  const encoded = new Response(source);
  const type = encoded.headers.get('content-type');
  if (type !== null && !headers.has('content-type')) headers.set('content-type', type);
  return new Uint8Array(await encoded.arrayBuffer());
}

function parseUrl(text: string): URL {
  try {
    // A bare path is as good as a URL: the host does not matter.
    return new URL(text, 'http://service');
  } catch {
    throw invalidArgument('url', text, 'a URL or a path');
  }
}
