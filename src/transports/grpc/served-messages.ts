/**
 * The messages of a request as a handler reads them.
 *
 * When has a body ended? Node's http2 ends a stream before it resets it, so that a call cancelled midway looks whole for a moment; the
 * reset comes right behind. A body that was sent in pieces is called whole when no reset has come for a while; one sent whole, or by
 * another client, after a turn of the event loop.
 */
import { EvenkeelError } from '../../core/errors.js';
import { BODY_NAME } from './metadata.js';
import type { ServerStream } from './peer.js';

/** Milliseconds. Both frames leave the client in one turn; this is for the way and for a busy loop. */
const RESET_GRACE_MS = 5;

/** Not the stream's own iterator: a reader that stops early would destroy the stream, and the answer with it. */
export async function* messagesOf(stream: ServerStream, isAnswered: () => boolean): AsyncGenerator<Uint8Array> {
  for (;;) {
    const message = stream.read() as Buffer | null;
    if (message !== null) yield message;
    else if (stream.readableEnded) break;
    else if (stream.destroyed) throw callerGone();
    else await either(stream, ['readable', 'end', 'close']);
  }
  if (stream.metadata.get(BODY_NAME).length > 0 && !stream.destroyed) await either(stream, ['close'], RESET_GRACE_MS);
  await new Promise((resolve) => setImmediate(resolve));
  if (stream.cancelled && !isAnswered()) throw callerGone();
}

export function callerGone(): EvenkeelError {
  return new EvenkeelError('cancelled', 'the caller went away');
}

/** The first of these events, or the end of the time. */
function either(stream: ServerStream, events: readonly string[], withinMs?: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      for (const event of events) stream.off(event, done);
      resolve();
    };
    const timer = withinMs === undefined ? undefined : setTimeout(done, withinMs);
    for (const event of events) stream.once(event, done);
  });
}
