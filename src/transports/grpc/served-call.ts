/**
 * One call at the server: what a handler answers, as messages and a status.
 *
 * An answer of failure without a body is a status and nothing else, which any gRPC client takes for the outcome it is. One with a body
 * sends that as messages first.
 */
import { HEADERS } from '../../core/headers.js';
import { checkAnswer, checkHeaders } from '../../core/internal/call-message.js';
import type { CallAnswer, CallBody, CallHandler } from '../../core/transport/call.js';
import { toMessage } from './message.js';
import { addHeaders, METHOD_NAME, pushHeaders, STATUS_NAME } from './metadata.js';
import type { Grpc, Metadata, ServerStream } from './peer.js';
import { callerGone, messagesOf } from './served-messages.js';
import { GRPC_INTERNAL, GRPC_OK, grpcCodeOf } from './status.js';

const EMPTY = Buffer.alloc(0);
const MAX_GRPC_TIMEOUT_MS = 99_999_999;

/** Never rejects. */
export async function answerCall(grpc: Grpc, stream: ServerStream, handler: CallHandler): Promise<void> {
  const gone = new AbortController();
  let isAnswered = false;
  // Said after a call that went well, too.
  stream.once('cancelled', () => {
    if (!isAnswered) gone.abort(callerGone());
  });
  const finish = (status: number, details: string, trailers: Metadata) => {
    isAnswered = true;
    const code = grpcCodeOf(status);
    trailers.set(STATUS_NAME, String(status));
    if (code === GRPC_OK) stream.end(trailers);
    else stream.emit('error', Object.assign(new Error(details), { code, details, metadata: trailers }));
  };
  try {
    const answer = await handler({
      path: stream.getPath(),
      method: String(stream.metadata.get(METHOD_NAME)[0] ?? 'POST'),
      headers: headersOf(stream),
      body: messagesOf(stream, () => isAnswered),
      signal: gone.signal,
    });
    checkAnswer(answer);
    if (gone.signal.aborted) return;
    const { status } = answer;
    const head = new grpc.Metadata();
    addHeaders(head, answer.headers);
    if (status >= 300 && answer.body === undefined) {
      addHeaders(head, trailersOf(answer));
      finish(status, `HTTP status ${status}`, head);
      return;
    }
    head.set(STATUS_NAME, String(status));
    stream.sendMetadata(head);
    await writeBody(stream, answer.body, gone.signal);
    if (gone.signal.aborted) return;
    const trailers = new grpc.Metadata();
    addHeaders(trailers, trailersOf(answer));
    finish(status, `HTTP status ${status}`, trailers);
  } catch {
    if (gone.signal.aborted) return;
    // What went wrong is the server's secret.
    isAnswered = true;
    const metadata = new grpc.Metadata();
    metadata.set(STATUS_NAME, '500');
    stream.emit('error', Object.assign(new Error('internal'), { code: GRPC_INTERNAL, details: 'internal error', metadata }));
  }
}

function trailersOf({ trailers }: CallAnswer): readonly string[] | undefined {
  const list = typeof trailers === 'function' ? trailers() : trailers;
  checkHeaders('answer.trailers', list);
  return list;
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

async function writeBody(stream: ServerStream, body: CallBody | undefined, signal: AbortSignal): Promise<void> {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    await write(stream, body ?? EMPTY, signal);
    return;
  }
  for await (const piece of body) {
    if (signal.aborted) return;
    await write(stream, piece, signal);
    if (signal.aborted) return;
  }
}

/** Resolves when the wire has taken it, which may be never on a connection that is gone. */
function write(stream: ServerStream, piece: Uint8Array | string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener('abort', done);
      resolve();
    };
    signal.addEventListener('abort', done);
    stream.write(toMessage(piece), done);
  });
}
