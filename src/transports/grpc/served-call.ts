/**
 * One call at the server: what a handler answers, as messages and a status.
 *
 * An answer of failure without a body is a status and nothing else, which any gRPC client takes for the outcome it is. One with a body
 * sends that as messages first. Its headers or trailers may say the outcome in gRPC's own words, which are finer than HTTP's:
 * `grpc-status` and `grpc-message`.
 */
import { EvenkeelError } from '../../core/errors.js';
import { HEADERS, headerName, headerValue } from '../../core/headers.js';
import { checkAnswer, checkHeaders } from '../../core/internal/call-message.js';
import type { CallAnswer, CallHandler } from '../../core/transport/call.js';
import { AnswerBody } from './answer-body.js';
import { addHeaders, METHOD_NAME, pushHeaders, STATUS_NAME } from './metadata.js';
import type { Grpc, Metadata, ServerStream } from './peer.js';
import { callerGone, messagesOf } from './served-messages.js';
import { GRPC_INTERNAL, GRPC_OK, GRPC_UNAUTHENTICATED, grpcCodeOf } from './status.js';

const MAX_GRPC_TIMEOUT_MS = 99_999_999;
/** Characters. On the wire each may become six bytes, and what HTTP/2 does not carry would leave the caller waiting. */
const MAX_DETAILS = 4000;
const GRPC_STATUS = headerName('grpc-status');
const GRPC_MESSAGE = headerName('grpc-message');

/** Never rejects. */
export async function answerCall(grpc: Grpc, stream: ServerStream, handler: CallHandler): Promise<void> {
  const gone = new AbortController();
  let isAnswered = false;
  let isBegun = false;
  // Said after a call that went well, too.
  stream.once('cancelled', () => {
    if (!isAnswered) gone.abort(callerGone());
  });
  /** `said`: headers and trailers of the handler. */
  const finish = (status: number, said: readonly string[], metadata: Metadata) => {
    isAnswered = true;
    const code = codeOf(status, headerValue(said, GRPC_STATUS));
    metadata.set(STATUS_NAME, String(status));
    if (code === GRPC_OK) stream.end(metadata);
    else fail(stream, code, headerValue(said, GRPC_MESSAGE) ?? `HTTP status ${status}`, metadata);
  };
  try {
    const answer = await handler({
      path: stream.getPath(),
      method: String(stream.metadata.get(METHOD_NAME)[0] ?? 'POST'),
      headers: headersOf(stream),
      body: messagesOf(stream, () => isAnswered),
      signal: gone.signal,
    });
    // Before the answer is judged: whatever becomes of it, its body is returned.
    const body = new AnswerBody(answer?.body, gone.signal);
    checkAnswer(answer);
    const { status, headers = [] } = answer;
    if (gone.signal.aborted) return;
    const head = new grpc.Metadata();
    if (status >= 300 && answer.body === undefined) {
      const whole = [...headers, ...trailersOf(answer)];
      addHeaders(head, whole);
      finish(status, whole, head);
      return;
    }
    addHeaders(head, headers);
    head.set(STATUS_NAME, String(status));
    stream.sendMetadata(head);
    isBegun = true;
    await body.write(stream);
    if (gone.signal.aborted) return;
    const trailers = trailersOf(answer);
    const tail = new grpc.Metadata();
    addHeaders(tail, trailers);
    finish(status, [...trailers, ...headers], tail);
  } catch {
    if (gone.signal.aborted) return;
    isAnswered = true;
    const metadata = new grpc.Metadata();
    // Behind the head of an answer it would say that the answer is complete.
    if (!isBegun) metadata.set(STATUS_NAME, '500');
    // What went wrong is the server's secret.
    fail(stream, GRPC_INTERNAL, 'internal error', metadata);
    // Whoever waits for the answer to go out waits in vain.
    gone.abort(new EvenkeelError('internal', 'the answer did not go out'));
  }
}

/** `said`: what the handler calls a failure itself. */
function codeOf(status: number, said: string | undefined): number {
  const code = said === undefined || !/^\d{1,2}$/.test(said) ? GRPC_OK : Number(said);
  return code === GRPC_OK || code > GRPC_UNAUTHENTICATED ? grpcCodeOf(status) : code;
}

function fail(stream: ServerStream, code: number, details: string, metadata: Metadata): void {
  const short = details.length <= MAX_DETAILS ? details : [...details].slice(0, MAX_DETAILS).join('');
  stream.emit('error', Object.assign(new Error(short), { code, details: short, metadata }));
}

function trailersOf({ trailers }: CallAnswer): readonly string[] {
  const list = typeof trailers === 'function' ? trailers() : trailers;
  checkHeaders('answer.trailers', list);
  return list ?? [];
}

/** With the caller's deadline and the type of the wire, which grpc-js takes out. */
function headersOf(stream: ServerStream): string[] {
  const list = pushHeaders(['content-type', 'application/grpc'], stream.metadata);
  const deadline = Number(stream.getDeadline());
  if (deadline < Number.POSITIVE_INFINITY) {
    const leftMs = Math.min(Math.max(0, Math.ceil(deadline - Date.now())), MAX_GRPC_TIMEOUT_MS);
    list.push(HEADERS.grpcTimeout.text, `${leftMs}m`);
  }
  return list;
}
