/** What a refused caller of `transport.serve` is told: over HTTP an answer, over gRPC a status and nothing else. */
import type { ErrorCode } from '../../core/errors.js';
import { HEADERS, type HeaderList, headerName, headerValue } from '../../core/headers.js';
import type { CallAnswer } from '../../core/transport/call.js';
import type { RefusalAnswer } from './refusal-answer.js';

const CONTENT_TYPE = headerName('content-type');
/** How long a body is, and what becomes of a connection, is the transport's to say. */
const TRANSPORTS_OWN: ReadonlySet<string> = new Set([HEADERS.contentLength.text, 'connection']);

export class CallRefusals {
  readonly #grpc: ReadonlyMap<ErrorCode, CallAnswer>;
  readonly #http = new WeakMap<RefusalAnswer, CallAnswer>();

  constructor(retryAfterMs: number) {
    const rejected = [HEADERS.rejected.text, '1'];
    // 429 is what the transport makes RESOURCE_EXHAUSTED of.
    this.#grpc = new Map([
      ['resource-exhausted', { status: 429, headers: [...rejected, HEADERS.grpcPushback.text, String(Math.ceil(retryAfterMs))] }],
      ['unavailable', { status: 503, headers: rejected }],
    ]);
  }

  answer(refused: RefusalAnswer, asked: HeaderList, level: string | undefined): CallAnswer {
    const isGrpc = headerValue(asked, CONTENT_TYPE)?.startsWith('application/grpc') === true;
    const answer = isGrpc ? (this.#grpc.get(refused.code) ?? { status: refused.status }) : this.#overHttp(refused);
    if (level === undefined) return answer;
    return { ...answer, headers: [...(answer.headers ?? []), HEADERS.admissionLevel.text, level] };
  }

  #overHttp(refused: RefusalAnswer): CallAnswer {
    let answer = this.#http.get(refused);
    if (answer === undefined) {
      const headers = refused.headers.filter((_, i) => !TRANSPORTS_OWN.has(refused.headers[i - (i % 2)] as string));
      answer = { status: refused.status, headers, body: refused.body };
      this.#http.set(refused, answer);
    }
    return answer;
  }
}
