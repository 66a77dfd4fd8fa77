/**
 * The body of a request that was refused, over HTTP/1: unread it would stand before the next request on the connection.
 *
 * Up to {@link MOST_DISCARDED_BYTES} are read and thrown away, which is cheaper than another connection and its TLS handshake. With more to
 * come the connection is destroyed, after the answer: `connection: close` instead would close it at once, and the reset that follows unread
 * bytes can overtake the answer. No client sends its next request on a connection whose body is not out, so none is lost.
 */
import type { IncomingMessage } from 'node:http';
import { HEADERS, type HeaderName, headerName, headerValue } from '../../core/headers.js';

export const MOST_DISCARDED_BYTES = 1024 * 1024;

const TRANSFER_ENCODING: HeaderName = headerName('transfer-encoding');

/** Call it when the answer is written. */
export function discardBody(request: IncomingMessage): void {
  // HTTP/2 has a stream a request, which node resets when its answer is out and nobody read it.
  if (request.httpVersionMajor !== 1 || request.complete || !hasBody(request)) return;
  let left = MOST_DISCARDED_BYTES;
  request.on('data', (chunk: Uint8Array) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.resume();
}

/** GETs mostly have none: then there is nothing to listen for. */
function hasBody({ rawHeaders }: IncomingMessage): boolean {
  const length = headerValue(rawHeaders, HEADERS.contentLength);
  return length === undefined ? headerValue(rawHeaders, TRANSFER_ENCODING) !== undefined : length !== '0';
}
