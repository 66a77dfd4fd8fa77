/** The headers that travel with an attempt: the caller's, the load sources', the context's, the extensions', the span's. */
import { writePriority, writeTimeoutHeader } from '../core/context-headers.js';
import type { Diagnostics } from '../core/diagnostics.js';
import { HEADERS } from '../core/headers.js';
import type { CallExtension, CallRequest } from '../core/transport/call.js';
import type { RoutedCall } from './routed-call.js';
import type { RouterRequest } from './router-request.js';

/** What is sent for one attempt. Costs nothing for a call without a context, a span and extensions: its request goes as it is. */
export function prepareRequest(
  request: RouterRequest,
  call: RoutedCall,
  now: number,
  more: readonly string[],
  extensions: readonly CallExtension[],
  diagnostics: Diagnostics,
  shardMapVersion: number,
): CallRequest {
  const { context, span, shard } = call;
  const isPlain =
    context === undefined && span === undefined && shard === undefined && extensions.length === 0 && more.length === 0;
  if (isPlain && (request.headers === undefined || Array.isArray(request.headers))) return request as CallRequest;
  const headers = flatHeaders(request.headers);
  if (more.length > 0) headers.push(...more);
  if (shard !== undefined) {
    headers.push(HEADERS.shard.text, encodeURIComponent(shard), HEADERS.shardMap.text, String(shardMapVersion));
  }
  // First, for propagated baggage may hold an older criticality.
  span?.inject(headers);
  if (context !== undefined) {
    // The router's own timeouts may be tighter than the context's deadline; the server is told what holds.
    writeTimeoutHeader(headers, call.deadline - now);
    writePriority(headers, context);
  }
  for (const extension of extensions) {
    try {
      extension.request?.(headers, context);
    } catch (error) {
      diagnostics.report('router:extension', error);
    }
  }
  return { path: request.path, method: request.method, headers, body: request.body };
}

function flatHeaders(headers: RouterRequest['headers']): string[] {
  if (headers === undefined) return [];
  if (Array.isArray(headers)) return headers.slice();
  const flat: string[] = [];
  const object = headers as Readonly<Record<string, string>>;
  for (const name of Object.keys(object)) flat.push(name, String(object[name]));
  return flat;
}
