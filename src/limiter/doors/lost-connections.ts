/**
 * Connections of requests that were sent ahead (pipelined). Their responses have no connection of their own yet and do not close when it is
 * lost. One listener a connection, however many wait on it.
 */
import type { Socket } from 'node:net';

export class LostConnections {
  readonly #waiting = new WeakMap<Socket, Set<() => void>>();

  watch(socket: Socket, onLost: () => void): void {
    let waiting = this.#waiting.get(socket);
    if (waiting === undefined) {
      const all = new Set<() => void>();
      waiting = all;
      this.#waiting.set(socket, all);
      socket.once('close', () => {
        for (const lost of all) lost();
      });
    }
    waiting.add(onLost);
  }

  forget(socket: Socket, onLost: () => void): void {
    this.#waiting.get(socket)?.delete(onLost);
  }
}
