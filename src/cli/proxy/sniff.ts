/**
 * Which protocol a connection speaks, by its first bytes: the preface of HTTP/2 with prior knowledge (RFC 9113, section 3.4) begins with
 * a method that HTTP/1.1 keeps free for it. The bytes go back into the socket: whoever takes it over sees all of them.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../../core/clock.js';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n');

export type Protocol = 'http1' | 'http2';

/**
 * Calls `take` once, when it is known. A connection that does not say within `timeoutMs`, or ends before it has, is closed.
 */
export function sniff(socket: Socket, clock: Clock, timeoutMs: number, take: (protocol: Protocol) => void): void {
  let held: Buffer | undefined;
  const onReadable = () => {
    const bytes: Buffer | null = socket.read();
    if (bytes === null) return;
    held = held === undefined ? bytes : Buffer.concat([held, bytes]);
    const length = Math.min(held.length, PREFACE.length);
    const isPreface = held.compare(PREFACE, 0, length, 0, length) === 0;
    // A beginning of the preface is no answer yet.
    if (isPreface && length < PREFACE.length) return;
    leave();
    socket.unshift(held);
    take(isPreface ? 'http2' : 'http1');
  };
  const onEnd = () => {
    leave();
    socket.destroy();
  };
  const leave = () => {
    timer.cancel();
    socket.off('readable', onReadable);
    socket.off('end', onEnd);
    socket.off('error', onEnd);
    socket.off('close', leave);
  };
  const timer = clock.timer(timeoutMs, onEnd);
  socket.on('readable', onReadable);
  socket.once('end', onEnd);
  socket.once('error', onEnd);
  socket.once('close', leave);
}
