/** One small request outside the calls: a health check, a poll of the load route. Bounded in time and size, never repeated. */
import { setMaxListeners } from 'node:events';
import type { Clock } from '../core/clock.js';
import type { Endpoint } from '../core/endpoint.js';
import { EvenkeelError } from '../core/errors.js';
import type { HeaderList } from '../core/headers.js';
import type { CallHandle, CallSink, CallTransport } from '../core/transport/call.js';
import { joinChunks } from './response.js';

export interface ProbeAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Uint8Array;
}

const MAX_PROBE_BYTES = 64 * 1024;

/**
 * GETs `path` of one endpoint.
 * @throws {EvenkeelError} `deadline-exceeded` after `timeoutMs`, `out-of-range` above `maxBytes` (64 KiB), `cancelled` by `signal`, or the transport's.
 */
export function probe(
  transport: CallTransport,
  clock: Clock,
  endpoint: Endpoint,
  path: string,
  timeoutMs: number,
  signal?: AbortSignal,
  maxBytes = MAX_PROBE_BYTES,
): Promise<ProbeAnswer> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let headers: HeaderList = [];
    let bytes = 0;
    let tooLarge = false;
    const chunks: Uint8Array[] = [];
    const onAbort = () => handle.cancel('cancelled');
    const settle = () => {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
    const sink: CallSink = {
      onResponse(answered, received) {
        status = answered;
        headers = received;
      },
      onData(chunk) {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes <= maxBytes || tooLarge) return;
        tooLarge = true;
        handle.cancel('cancelled');
      },
      onEnd() {
        settle();
        resolve({ status, headers, body: joinChunks(chunks) });
      },
      onError(error) {
        settle();
        reject(
          tooLarge ? new EvenkeelError('out-of-range', `${path} of ${endpoint.id} answers more than ${maxBytes} bytes`) : error,
        );
      },
    };
    const handle: CallHandle = transport.start(endpoint, { path, method: 'GET' }, sink);
    const timer = clock.timer(timeoutMs, () => handle.cancel('deadline-exceeded'));
    if (signal === undefined) return;
    // One signal stops many probes at once; Node warns of a leak at the eleventh.
    setMaxListeners(0, signal);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
