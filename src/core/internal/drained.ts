/** Back-pressure of a stream of node:http or node:http2. */
import type { Writable } from 'node:stream';

/** Until the stream takes more, or is gone: `drain` never comes on a connection that is closed. */
export function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.once('drain', done);
    stream.once('close', done);
  });
}
