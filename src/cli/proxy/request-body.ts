/**
 * The body of a request on its way to a server. A short one of stated length is read first, so that the call can be repeated; any other
 * streams, no faster than the server takes it, and is sent once.
 */
import type { Readable } from 'node:stream';
import type { Clock } from '../../core/clock.js';
import { EvenkeelError, prebuiltError } from '../../core/errors.js';
import type { CallBody } from '../../core/transport/call.js';
import type { Inbound } from './inbound.js';

export const BODY_TOO_LARGE = prebuiltError('out-of-range', 'the body of the request is too large');
export const BODY_TOO_SLOW = prebuiltError('deadline-exceeded', 'the body of the request did not come in time');

export interface BodyLimits {
  readonly maxBodyBytes: number;
  readonly maxBufferedBytes: number;
}

/**
 * @param timeoutMs - For a body that is read first.
 * @throws {EvenkeelError} `BODY_TOO_LARGE`, `BODY_TOO_SLOW`; `cancelled` when the caller breaks off.
 */
export async function bodyOf(
  inbound: Inbound,
  limits: BodyLimits,
  clock: Clock,
  timeoutMs: number,
): Promise<CallBody | undefined> {
  const { contentLength, hasBody } = inbound;
  if (!hasBody) return undefined;
  if ((contentLength ?? 0) > limits.maxBodyBytes) throw BODY_TOO_LARGE;
  inbound.continue();
  if (contentLength === undefined || contentLength > limits.maxBufferedBytes) return streamed(inbound, limits.maxBodyBytes);
  return whole(inbound.body, contentLength, clock, timeoutMs);
}

async function* streamed(inbound: Inbound, maxBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  // Left early, the request stays: its answer goes out by the same socket.
  for await (const chunk of inbound.body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw BODY_TOO_LARGE;
    yield chunk;
  }
  // Told to the server as whole, half a request would be acted upon.
  if (!(await inbound.isBodyWhole())) throw brokenOff();
}

function whole(body: Readable, length: number, clock: Clock, timeoutMs: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
    };
    const settle = (error: EvenkeelError | undefined) => {
      timer.cancel();
      body.off('data', onData);
      body.off('end', onEnd);
      body.off('close', onEnd);
      if (error !== undefined) reject(error);
      else resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    };
    const onEnd = () => settle(bytes === length ? undefined : brokenOff());
    const timer = clock.timer(timeoutMs, () => settle(BODY_TOO_SLOW));
    body.on('data', onData);
    body.once('end', onEnd);
    body.once('close', onEnd);
  });
}

function brokenOff(): EvenkeelError {
  return new EvenkeelError('cancelled', 'the caller broke off its request');
}
