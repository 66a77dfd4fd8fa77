/** An answer of `transport.serve` that tells the load, and whose end is the end of the work. */
import { HEADERS, type HeaderList, headerName, headerValue } from '../core/headers.js';
import { watchedPieces } from '../core/internal/watched-body.js';
import type { Outcome } from '../core/load-counter.js';
import type { LoadFormat } from '../core/orca/header.js';
import type { CallAnswer } from '../core/transport/call.js';
import type { ServedWork } from './served-work.js';

const CONTENT_TYPE = headerName('content-type');

/** @param header - The load as of now, as the value of a header. */
export function reportedAnswer(
  answer: CallAnswer,
  work: ServedWork,
  outcome: Outcome,
  requestHeaders: HeaderList,
  header: (format?: LoadFormat) => string | undefined,
): CallAnswer {
  const { body, trailers } = answer;
  const load = header();
  const timing = work.timingHeaders();
  const told = load === undefined ? timing : [HEADERS.load.text, load, ...timing];
  const headers = told.length === 0 ? answer.headers : [...(answer.headers ?? []), ...told];
  const isStream = typeof body === 'object' && !(body instanceof Uint8Array);
  // Trailers cost HTTP/1 a chunked body; gRPC has them anyhow, and its clients look for the report there.
  if (headerValue(requestHeaders, CONTENT_TYPE)?.startsWith('application/grpc')) {
    const toldAtEnd = () => {
      let own = trailers;
      try {
        if (typeof own === 'function') own = own();
      } catch (error) {
        work.end('error');
        throw error;
      }
      work.end(outcome);
      const report = header('binary')?.slice('BIN '.length);
      return report === undefined ? (own ?? []) : [...(own ?? []), HEADERS.loadBinary.text, report];
    };
    return { ...answer, headers, body: isStream ? watched(body, work, undefined) : body, trailers: toldAtEnd };
  }
  if (isStream) return { ...answer, headers, body: watched(body, work, outcome) };
  // A body that is whole is with the transport as soon as this returns.
  work.end(outcome);
  return { ...answer, headers };
}

/** Ends the work with the stream; with `outcome` when it was whole, unless its trailers do that. */
function watched<T>(body: AsyncIterable<T>, work: ServedWork, outcome: Outcome | undefined): AsyncIterableIterator<T> {
  return watchedPieces(body, (how) => {
    const end = how === 'whole' ? outcome : how;
    if (end !== undefined) work.end(end);
  });
}
